//! `mainstay cache …`: what lookups keep.

use crate::units::Span;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `mainstay cache …`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheVerb {
    /// How much is kept, and what it was good for.
    Stats(CacheArgs),
    /// List the answers that are kept, by their addresses.
    List(CacheListArgs),
    /// Put it in order: drop what is damaged and what belongs to nothing, and give the room back.
    Prune(CacheArgs),
    /// Let go of everything.
    Clear(CacheClearArgs),
    /// Let go of an address, a host, a pattern of addresses, or what is old.
    Invalidate(CacheInvalidateArgs),
}

/// Where the cache is.
#[derive(Debug, Clone, Args)]
pub(crate) struct CacheArgs {
    /// The data folder [default: the user's or the service's].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mainstay cache list`.
#[derive(Debug, Args)]
pub(crate) struct CacheListArgs {
    #[command(flatten)]
    pub(crate) cache: CacheArgs,

    /// How many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
}

/// `mainstay cache clear`.
#[derive(Debug, Args)]
pub(crate) struct CacheClearArgs {
    #[command(flatten)]
    pub(crate) cache: CacheArgs,

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
    pub(crate) cache: CacheArgs,
}
