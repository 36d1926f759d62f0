//! Why a folder cannot be served.

use mainstay_files::Shown;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why a [`Pickup`](crate::Pickup) could not start.
///
/// What goes wrong with single files, or later, is no error but part of the [`Status`](crate::Status).
pub struct Error {
    kind: ErrorKind,
    path: PathBuf,
    message: String,
    source: Option<mainstay_files::Error>,
}

/// What kind of failure it was, by what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting makes no sense; it has to be changed.
    InvalidConfig,
    /// The folders lie so that who drops files could reach what is ours; they have to be moved, or their mode changed.
    UnsafeLayout,
    /// Another pickup uses the same work folder.
    Locked,
    /// A folder of ours holds something that a newer version wrote.
    NewerVersion,
    /// A folder of ours cannot be made, read or written; see the source.
    Folder,
}

impl Error {
    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The folder that it is about; the drop folder where it is about a setting.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A setting that makes no sense.
    pub(crate) fn config(drop: &Path, setting: &str, why: &str) -> Self {
        let message = format!("cannot watch `{}`: setting `{setting}`: {why}", Shown(drop));
        Self {
            kind: ErrorKind::InvalidConfig,
            path: drop.to_owned(),
            message,
            source: None,
        }
    }

    /// A layout that is not safe; `what` says what to do.
    pub(crate) fn layout(path: &Path, what: &str) -> Self {
        let message = format!("cannot use `{}`: {what}", Shown(path));
        Self {
            kind: ErrorKind::UnsafeLayout,
            path: path.to_owned(),
            message,
            source: None,
        }
    }

    /// Something that a newer version left.
    pub(crate) fn newer(path: &Path) -> Self {
        let message = format!(
            "cannot read `{}`: a newer version wrote it; run that version",
            Shown(path)
        );
        Self {
            kind: ErrorKind::NewerVersion,
            path: path.to_owned(),
            message,
            source: None,
        }
    }

    /// A file of ours that the system does not give us.
    pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let path_shown = Shown(path);
        let message = format!(
            "cannot read `{path_shown}`: {error}; see its owner and mode, and the kernel log"
        );
        Self {
            kind: ErrorKind::Folder,
            path: path.to_owned(),
            message,
            source: None,
        }
    }

    /// A folder or file of ours that does not work.
    pub(crate) fn folder(verb: &str, path: &Path, source: mainstay_files::Error) -> Self {
        let (kind, why) = match source.kind() {
            mainstay_files::ErrorKind::Locked => (
                ErrorKind::Locked,
                "another process uses it; stop that one, or use another data folder",
            ),
            mainstay_files::ErrorKind::DiskFull | mainstay_files::ErrorKind::Quota => {
                (ErrorKind::Folder, "disk full; make room")
            }
            mainstay_files::ErrorKind::Permission => (
                ErrorKind::Folder,
                "permission denied; see owner and mode of it and of the folders above",
            ),
            _ => (ErrorKind::Folder, "see the cause"),
        };
        let message = format!("cannot {verb} `{}`: {why}", Shown(path));
        Self {
            kind,
            path: path.to_owned(),
            message,
            source: Some(source),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
