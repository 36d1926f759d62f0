//! `mainstay selftest` and `mainstay bench`: what this machine's own disk does.

use super::PlaceArgs;
use crate::units::Span;
use clap::Args;

/// `mainstay selftest`.
#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    /// Go on for so long, again and again, instead of about 20 s.
    #[arg(long, value_name = "DURATION")]
    pub(crate) torture: Option<Span>,

    /// Repeat a run: where bytes are damaged, and when processes are killed and the power is cut.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `mainstay bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// How long to measure, in seconds.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}
