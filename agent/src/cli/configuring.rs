//! What the configuration says, and whether its routes lead somewhere.

use super::{LookArgs, PlaceArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `mainstay config …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Say whether the configuration would be taken, and if not, every reason with its place.
    Check(LookArgs),
    /// Show every setting that holds, defaults included; secrets stay references.
    Show(LookArgs),
}

/// `mainstay route …`.
#[derive(Debug, Subcommand)]
pub(crate) enum RouteVerb {
    /// List the routes of the configuration.
    List(LookArgs),
    /// Say in words whether documents could be delivered, and if not, why; sends nothing but questions.
    Test(RouteTestArgs),
}

/// `mainstay runbook`.
#[derive(Debug, Args)]
pub(crate) struct RunbookArgs {
    /// Which one [default: all are listed].
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `mainstay route test`.
#[derive(Debug, Args)]
pub(crate) struct RouteTestArgs {
    /// The route [default: every route].
    #[arg(value_name = "NAME")]
    pub(crate) route: Option<String>,

    /// Also deliver this file to each destination, as a document of its own and as it is, without lookups;
    /// the queue and its account know nothing of it.
    #[arg(long, value_name = "FILE", requires = "route")]
    pub(crate) send: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}
