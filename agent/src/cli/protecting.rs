//! `mainstay protections …`: breakers, limits and gates of the running agent.

use super::LookArgs;
use clap::{Args, Subcommand};

/// `mainstay protections …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProtectionVerb {
    /// List the gates of the destinations, and the breakers, limits and retry budgets of lookups, with how they stand.
    List(LookArgs),
    /// Let nothing through a gate or a breaker until it is released, or the agent starts or reads its configuration again.
    Hold(ProtectionArgs),
    /// Take a hold back; what holds by itself goes on doing so.
    Release(ProtectionArgs),
    /// Put one back to its beginning: a gate that is held is tried at once, a breaker closes, a limiter's hold ends, others count from 0.
    Reset(ProtectionArgs),
    /// Change a limiter (rate, burst), a bulkhead (size, waiting, wait), a breaker (failures, open) or a retry budget (share, least),
    /// until the agent starts or reads its configuration again.
    Set(SetArgs),
}

/// The verbs that change one of them.
#[derive(Debug, Args)]
pub(crate) struct ProtectionArgs {
    /// Its name, as `list` shows it.
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}

/// `mainstay protections set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Its name, as `list` shows it.
    pub(crate) name: String,

    /// What is to be how: `rate=5/s`, `size=10`, `open=30s`; what is not named stays.
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = change)]
    pub(crate) changes: Vec<(String, String)>,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}

fn change(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() && !value.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write it as KEY=VALUE, such as `rate=5/s`".to_owned()),
    }
}
