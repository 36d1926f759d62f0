//! `mainstay backup …`, `history …` and `trash …`: for any file, not only the agent's own.

use crate::units::{Size, Span};
use clap::{Args, Subcommand, ValueEnum};
use mainstay_files::BackupId;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// `mainstay backup …`.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupVerb {
    /// Keep a copy of each file as it is now.
    Create(CreateArgs),
    /// List the backups of a file, newest first, or every file that has any.
    List(BackupListArgs),
    /// Put a backup in the place of a file; what is there is backed up first.
    Restore(RestoreArgs),
    /// Read backups to their end and compare them: verified, mismatch or unknown.
    Verify(BackupVerifyArgs),
    /// Remove the backups of a file that are too many or too old.
    Prune(PruneArgs),
    /// Read every file that was saved and every backup, slowly, to find what the disk lost.
    Scrub(ScrubArgs),
}

/// `mainstay history …`.
#[derive(Debug, Subcommand)]
pub(crate) enum HistoryVerb {
    /// List the versions of a file, newest first: the file as it is, and its backups.
    List(BackupListArgs),
    /// Print a version to standard output.
    Show(VersionArgs),
    /// Show what changed between a version and the file, or between two versions.
    Diff(DiffArgs),
    /// Go back to a version; what is there is backed up first.
    Revert(RestoreArgs),
}

/// `mainstay trash …`.
#[derive(Debug, Subcommand)]
pub(crate) enum TrashVerb {
    /// Delete files so that they can be restored.
    Put(TrashPutArgs),
    /// List deleted files, newest first.
    List(TrashListArgs),
    /// Put a deleted file back where it was.
    Restore(TrashRestoreArgs),
    /// Remove deleted files for good.
    Empty(TrashEmptyArgs),
}

/// Where backups are.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreArgs {
    /// The folder that keeps them [default: `backups`, or `trash`, in the data folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// The data folder [default: the user's or the service's].
    #[arg(long, value_name = "DIR", conflicts_with = "store")]
    pub(crate) data: Option<PathBuf>,
}

/// How many are kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct RetentionArgs {
    /// How many backups of a file are kept.
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) keep: NonZeroUsize,

    /// Keep none that is older, but always the newest.
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_age: Option<Span>,

    /// Keep no older ones once the newer ones of a file hold so many bytes.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_bytes: Option<Size>,

    /// Compress all but the N newest.
    #[arg(long, value_name = "N")]
    pub(crate) compress_after: Option<usize>,

    /// Move those that are too many to this folder, and remove none.
    #[arg(long, value_name = "DIR")]
    pub(crate) archive: Option<PathBuf>,
}

/// `mainstay backup create`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) retention: RetentionArgs,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mainstay backup list`, `mainstay history list`.
#[derive(Debug, Args)]
pub(crate) struct BackupListArgs {
    /// The file, which may be gone; without one, every file that has backups.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mainstay backup restore`, `mainstay history revert`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The file that was backed up; it may be gone.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Which backup [default: the newest that differs from the file].
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<BackupId>,

    /// Put it here, and leave FILE as it is.
    #[arg(long, value_name = "PATH")]
    pub(crate) to: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) retention: RetentionArgs,

    /// Do it without asking; the file is overwritten, after a backup.
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Do it without asking, and this where the file was changed since its newest backup.
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_conflict: Option<OnConflict>,
}

/// What to do where something is in the way; nothing of it loses what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnConflict {
    /// Put it in the place of what is there, which is kept and can be restored.
    Overwrite,
    /// Leave what is there, and end with 0.
    Skip,
    /// Put it beside, as `name (1).ext` or the next number that is free.
    Rename,
    /// Keep what is there as `name (1).ext`, and put it in its place.
    KeepBoth,
    /// Leave what is there, and end with an error.
    Cancel,
}

/// `mainstay backup verify`.
#[derive(Debug, Args)]
pub(crate) struct BackupVerifyArgs {
    /// The files [default: all that have backups].
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mainstay backup scrub`.
#[derive(Debug, Args)]
pub(crate) struct ScrubArgs {
    /// Put the newest whole backup in the place of a file that is damaged, which is kept; what is missing is only told.
    #[arg(long)]
    pub(crate) repair: bool,

    /// Read so much in a second; 0: as quickly as can be.
    #[arg(long, value_name = "SIZE", default_value = "20 MiB")]
    pub(crate) rate: Size,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mainstay backup prune`.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// The files [default: all that have backups].
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) retention: RetentionArgs,

    /// Only say what would go.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Do it without asking.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `mainstay history show`.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// The file, which may be gone.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Which version [default: the newest backup].
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<BackupId>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `mainstay history diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The older version [default: the newest backup that differs from the file].
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<BackupId>,

    /// The newer version [default: the file as it is].
    #[arg(long, value_name = "ID", requires = "id")]
    pub(crate) with: Option<BackupId>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `mainstay trash put`.
#[derive(Debug, Args)]
pub(crate) struct TrashPutArgs {
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `mainstay trash list`.
#[derive(Debug, Args)]
pub(crate) struct TrashListArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mainstay trash restore`.
#[derive(Debug, Args)]
pub(crate) struct TrashRestoreArgs {
    /// The path that the file had.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Which one, where several of that path were deleted [default: the newest].
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<BackupId>,

    /// Put it here and not where it was.
    #[arg(long, value_name = "PATH")]
    pub(crate) to: Option<PathBuf>,

    /// What to do, without asking, where something is there already.
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_conflict: Option<OnConflict>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `mainstay trash empty`.
#[derive(Debug, Args)]
pub(crate) struct TrashEmptyArgs {
    /// Only what was deleted longer ago.
    #[arg(long, value_name = "DURATION")]
    pub(crate) older_than: Option<Span>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Do it without asking.
    #[arg(long, short)]
    pub(crate) yes: bool,
}
