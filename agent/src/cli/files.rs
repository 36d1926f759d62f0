//! `mainstay files …`: for any file, not only the agent's own.

use super::StoreArgs;
use crate::units::Span;
use clap::{Args, Subcommand};
use mainstay_files::{Algorithm, Format};
use std::path::PathBuf;
use std::str::FromStr;

/// `mainstay files …`.
#[derive(Debug, Subcommand)]
pub(crate) enum FilesVerb {
    /// Print checksums as `sha256sum` does; with --write, remember each beside its file.
    Checksum(ChecksumArgs),
    /// Compare files with the checksums that are remembered beside them: verified, mismatch or unknown.
    Verify(VerifyArgs),
    /// Show how files stand: saved, modified, damaged or missing, who holds them, and their backups.
    Status(FilesStatusArgs),
    /// Say whether files are what their format asks for: JSON, TOML, XML, CSV or text.
    Check(CheckArgs),
    /// Print a line whenever somebody changes, replaces, deletes or makes one of these files.
    Watch(WatchArgs),
}

/// `mainstay files status`.
#[derive(Debug, Args)]
pub(crate) struct FilesStatusArgs {
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mainstay files check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// What they should be: json, toml, xml, csv or text [default: by the ending of each name].
    #[arg(long, value_name = "NAME")]
    pub(crate) format: Option<NamedFormat>,

    /// A JSON Schema that JSON and TOML have to fit as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
}

/// A format by its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NamedFormat(pub(crate) Format);

impl FromStr for NamedFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "json" => Ok(Self(Format::Json)),
            "toml" => Ok(Self(Format::Toml)),
            "xml" => Ok(Self(Format::Xml)),
            "csv" => Ok(Self(Format::Csv)),
            "text" => Ok(Self(Format::Text)),
            _ => Err("there are json, toml, xml, csv and text".to_owned()),
        }
    }
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

/// `mainstay files watch`.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The files; one that is not there yet is told when it comes.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// End after the first change.
    #[arg(long)]
    pub(crate) once: bool,

    /// How long nothing happens to a file before it is told [default: 200ms].
    #[arg(long, value_name = "DURATION")]
    pub(crate) settle: Option<Span>,

    /// Print a line of JSON for each change.
    #[arg(long)]
    pub(crate) json: bool,
}
