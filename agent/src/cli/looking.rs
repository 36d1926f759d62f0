//! The command line of whatever only looks.

use super::PlaceArgs;
use clap::Args;

/// A command that shows something.
#[derive(Debug, Args)]
pub(crate) struct LookArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `mainstay status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show what the running agent takes for what it does, beside what it may take.
    #[arg(long)]
    pub(crate) budgets: bool,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}
