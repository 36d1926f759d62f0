//! `mainstay status`.

use crate::cli::StatusArgs;
use crate::control::{Purpose, Reach};
use crate::exit::{Exit, Failure};
use crate::{status, terminal};

/// Shows the state, the ledger, the routes and the destinations.
///
/// # Errors
/// There is no such data folder, or its agent does not answer.
pub(crate) async fn status(args: StatusArgs) -> Result<Exit, Failure> {
    let reach = Reach::open(&args.place, Purpose::Look).await?;
    let status = reach.status().await;
    reach.done().await;
    let status = status?;
    if args.json {
        terminal::print_json(&status)?;
    } else {
        terminal::print(&status::page(&status))?;
    }
    Ok(Exit::Done)
}
