//! `mainstay protections …`.

use crate::cli::{LookArgs, ProtectionArgs, ProtectionVerb, SetArgs};
use crate::control::Client;
use crate::control::views::{Protection, Shield, Wanted};
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::terminal::{self, BOLD, PLAIN, Text, visible};
use std::collections::BTreeMap;

/// Lists what protects destinations and servers of lookups, and holds, releases, resets or changes one of them.
///
/// # Errors
/// No agent runs, or it does not answer; there is none of this name, or that cannot be done to it.
pub(crate) async fn protections(verb: ProtectionVerb) -> Result<Exit, Failure> {
    match verb {
        ProtectionVerb::List(args) => list(&args).await,
        ProtectionVerb::Hold(args) => shield(&args, Shield::Hold(args.name.clone())).await,
        ProtectionVerb::Release(args) => shield(&args, Shield::Release(args.name.clone())).await,
        ProtectionVerb::Reset(args) => shield(&args, Shield::Reset(args.name.clone())).await,
        ProtectionVerb::Set(args) => set(args).await,
    }
}

async fn list(args: &LookArgs) -> Result<Exit, Failure> {
    let all = Client::of(&DataDir::of(&args.place)?).protections().await?;
    if args.json {
        terminal::print_json(&all)?;
    } else {
        terminal::print(&page(&all))?;
    }
    Ok(Exit::Done)
}

async fn shield(args: &ProtectionArgs, wish: Shield) -> Result<Exit, Failure> {
    ask(&args.look, &wish).await
}

async fn set(args: SetArgs) -> Result<Exit, Failure> {
    let SetArgs {
        name,
        changes,
        look,
    } = args;
    let mut wanted = Wanted {
        name,
        changes: BTreeMap::new(),
    };
    for (key, value) in changes {
        if let Some(before) = wanted.changes.insert(key.clone(), value) {
            let message = format!("`{key}` stands twice; before it was `{before}`");
            return Err(Failure::new(Exit::Usage, message));
        }
    }
    let exit = ask(&look, &Shield::Set(wanted)).await?;
    if !look.json {
        terminal::print(
            "That lasts until the agent starts or reads its configuration again; what is to stay belongs there.\n",
        )?;
    }
    Ok(exit)
}

async fn ask(look: &LookArgs, wish: &Shield) -> Result<Exit, Failure> {
    let now = Client::of(&DataDir::of(&look.place)?).shield(wish).await?;
    if look.json {
        terminal::print_json(&now)?;
    } else {
        terminal::print(&page(std::slice::from_ref(&now)))?;
    }
    Ok(Exit::Done)
}

fn page(all: &[Protection]) -> String {
    let mut text = Text::default();
    for one in all {
        let (name, stands) = (visible(&one.name), visible(&one.stands));
        text.line(format_args!("{BOLD}{name}{PLAIN}  {stands}"));
    }
    text.finish()
}
