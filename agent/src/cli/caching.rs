//! `mainstay cache …`: what lookups keep.

use super::LookArgs;
use crate::units::Span;
use clap::{Args, Subcommand};

/// `mainstay cache …`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheVerb {
    /// How much is kept, and what it was good for.
    Stats(LookArgs),
    /// List the answers that are kept, by their addresses.
    List(CacheListArgs),
    /// Put it in order: come within the limit of the configuration, drop what is damaged or belongs to nothing, and give the room back.
    Prune(LookArgs),
    /// Let go of everything.
    Clear(CacheClearArgs),
    /// Let go of an address, a host, a pattern of addresses, or what is old.
    Invalidate(CacheInvalidateArgs),
}

/// `mainstay cache list`.
#[derive(Debug, Args)]
pub(crate) struct CacheListArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,

    /// How many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
}

/// `mainstay cache clear`.
#[derive(Debug, Args)]
pub(crate) struct CacheClearArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,

    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `mainstay cache invalidate`.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["url", "host", "glob", "older_than"])]
pub(crate) struct CacheInvalidateArgs {
    /// An address.
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,

    /// All addresses of a host.
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,

    /// All addresses that fit a pattern, with `*` for anything.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) glob: Option<String>,

    /// What came or was confirmed longer ago.
    #[arg(long, value_name = "DURATION")]
    pub(crate) older_than: Option<Span>,

    #[command(flatten)]
    pub(crate) look: LookArgs,
}
