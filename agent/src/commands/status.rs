//! `mainstay status`.

use crate::cli::{LookArgs, StatusArgs};
use crate::control::{Client, Reach};
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::{status, terminal};

/// Shows the state, the ledger, the routes and the destinations, or what all of it takes.
///
/// # Errors
/// There is no such data folder, or its agent does not answer.
pub(crate) async fn status(args: StatusArgs) -> Result<Exit, Failure> {
    if args.budgets {
        return budgets(&args.look).await;
    }
    let LookArgs { json, place } = args.look;
    let status = Reach::look(&place).await?;
    if json {
        terminal::print_json(&status)?;
    } else {
        terminal::print(&status::page(&status))?;
    }
    Ok(Exit::Done)
}

async fn budgets(args: &LookArgs) -> Result<Exit, Failure> {
    let data = DataDir::of(&args.place)?;
    let agent = Client::of(&data);
    if !agent.is_there().await {
        let place = data.path().display();
        let message = format!("no agent runs on the data folder `{place}`, so nothing is measured");
        return Err(Failure::new(Exit::NotRunning, message).help("start it: mainstay run"));
    }
    let measured = agent.budgets().await?;
    if args.json {
        terminal::print_json(&measured.report)?;
    } else {
        terminal::print(&measured.page)?;
    }
    Ok(Exit::Done)
}
