//! `mainstay files …`: for any file, not only the agent's own.

use clap::{Args, Subcommand};
use mainstay_files::Algorithm;
use std::path::PathBuf;

/// `mainstay files …`.
#[derive(Debug, Subcommand)]
pub(crate) enum FilesVerb {
    /// Print checksums as `sha256sum` does; with --write, remember each beside its file.
    Checksum(ChecksumArgs),
    /// Compare files with the checksums that are remembered beside them: verified, mismatch or unknown.
    Verify(VerifyArgs),
}

/// `mainstay files checksum`.
#[derive(Debug, Args)]
pub(crate) struct ChecksumArgs {
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// How it is computed: sha256, blake3, sha1 or md5.
    #[arg(long, value_name = "NAME", default_value = "sha256")]
    pub(crate) algorithm: Algorithm,

    /// Remember each checksum in FILE.sha256 (or .blake3, .sha1, .md5), which `sha256sum --check` reads too.
    #[arg(long)]
    pub(crate) write: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mainstay files verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The files, not their checksums.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Whose checksums are compared: sha256, blake3, sha1 or md5.
    #[arg(long, value_name = "NAME", default_value = "sha256")]
    pub(crate) algorithm: Algorithm,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
