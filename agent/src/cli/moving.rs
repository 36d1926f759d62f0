//! `mainstay migrate`: a folder gets another place.

use clap::Args;
use std::path::PathBuf;

/// `mainstay migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The folder as it is now; no agent may run in it.
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,

    /// Its new place: missing, or an empty folder.
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,

    /// Copy where a rename would do as well, so that the old folder stays.
    #[arg(long)]
    pub(crate) copy: bool,

    /// Say what would go along and what is in the way, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Do it without asking.
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
