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
    /// Put one back to its beginning: a gate that is held is tried at once, a breaker closes, a limiter's hold ends.
    Reset(ProtectionArgs),
}

/// The verbs that change one of them.
#[derive(Debug, Args)]
pub(crate) struct ProtectionArgs {
    /// Its name, as `list` shows it.
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}
