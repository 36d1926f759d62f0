//! What can go wrong with a file, told by what the caller can do about it.

use crate::shown::Shown;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file operation failed, and on which path.
///
/// The message says what failed, where, and in which state things are now; the system's own words are in
/// [`source`](std::error::Error::source).
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    path: PathBuf,
    message: String,
    source: Option<io::Error>,
}

/// What kind of failure it was, by what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file, or the folder that it should be in, is not there.
    NotFound,
    /// Something is there already, and was not touched.
    Exists,
    /// A folder, pipe, socket or device is there where a regular file was wanted.
    NotRegular,
    /// The owner or the mode of the file or its folder forbids it.
    Permission,
    /// The file system is mounted read-only, or the kernel made it so after an error.
    ReadOnly,
    /// No blocks or no inodes are left; it may work again later.
    DiskFull,
    /// The user's disk quota, or the process's limit on the size of a file, is reached.
    Quota,
    /// The two paths lie on different file systems; [`move_file`](crate::move_file) copies.
    CrossDevice,
    /// The path has no file name, holds a NUL byte, leads through a file, or has a name that this file system refuses.
    NameInvalid,
    /// The name or the path is longer than this file system takes.
    TooLong,
    /// Another process, or another part of this one, holds the lock.
    Locked,
    /// It is a symbolic link, and following it is not safe.
    IsSymlink,
    /// Somebody wrote to it meanwhile; it can be tried again when they are done.
    Changed,
    /// The new content is in place, but the disk did not confirm it; a power cut may bring the old content back.
    Unconfirmed,
    /// The disk did not confirm the bytes; they do not count as written.
    NotDurable,
    /// What was kept is not what it was, by its checksum.
    Damaged,
    /// The file is longer than what is read as a whole.
    TooLarge,
    /// A check refused the content, or the encoding has no bytes for it.
    Invalid,
    /// Any other error of the system; see the source.
    Io,
}

impl Error {
    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The path that the failed operation was about.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// An error whose message is already whole.
    pub(crate) fn told(kind: ErrorKind, path: &Path, message: String) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                path: path.to_owned(),
                message,
                source: None,
            }),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("message", &self.inner.message)
            .field("source", &self.inner.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|source| source as _)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = error
            .inner
            .source
            .as_ref()
            .map_or(io::ErrorKind::Other, io::Error::kind);
        io::Error::new(kind, error)
    }
}

// === impl ErrorKind ===

impl ErrorKind {
    /// The kind of an error that came from the system or from this crate, for callers that read files themselves.
    pub fn of(error: &io::Error) -> Self {
        let ours = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>());
        if let Some(ours) = ours {
            return ours.kind();
        }
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => Self::Exists,
            io::ErrorKind::IsADirectory => Self::NotRegular,
            io::ErrorKind::PermissionDenied => Self::Permission,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::StorageFull => Self::DiskFull,
            io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Quota,
            io::ErrorKind::CrossesDevices => Self::CrossDevice,
            io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => Self::NameInvalid,
            _ => crate::system::kind_of_code(error.raw_os_error()).unwrap_or(Self::Io),
        }
    }

    /// What it means, in the words that stand in messages.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "the file or its folder does not exist",
            Self::Exists => "something is there already",
            Self::NotRegular => "it is not a regular file",
            Self::Permission => "permission denied, see owner and mode of the file and its folder",
            Self::ReadOnly => {
                "the file system is read-only, see how it is mounted and what the kernel log says"
            }
            Self::DiskFull => "disk full",
            Self::Quota => "the disk quota or the limit on file size is reached",
            Self::CrossDevice => "the two paths are on different file systems",
            Self::NameInvalid => "the file system does not take this name or path",
            Self::TooLong => "the name or the path is too long",
            Self::Locked => "it is locked",
            Self::IsSymlink => "it is a symbolic link",
            Self::Changed => "it changed meanwhile",
            Self::Unconfirmed => "the disk did not confirm the change",
            Self::NotDurable => "the disk did not confirm the bytes",
            Self::Damaged => "it is not what it was",
            Self::TooLarge => "it is too large",
            Self::Invalid => "the content is not valid",
            Self::Io => "the system reported an error",
        }
    }
}

/// What is being tried, from which an error's message is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    /// The verb: "replace", "create", "move".
    pub(crate) verb: &'static str,
    /// The path that it is about.
    pub(crate) path: &'a Path,
    /// Where it was to go, for a move or a copy.
    pub(crate) to: Option<&'a Path>,
    /// The state that a failure leaves: "previous version kept".
    pub(crate) left: &'static str,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(verb: &'static str, path: &'a Path, left: &'static str) -> Self {
        Self {
            verb,
            path,
            to: None,
            left,
        }
    }

    pub(crate) fn to(self, to: &'a Path) -> Self {
        Self {
            to: Some(to),
            ..self
        }
    }

    /// The same attempt, where a failure leaves another state.
    pub(crate) fn leaving(self, left: &'static str) -> Self {
        Self { left, ..self }
    }

    /// The system refused.
    pub(crate) fn failed(&self, source: io::Error) -> Error {
        let kind = ErrorKind::of(&source);
        let reason = match source.kind() {
            io::ErrorKind::NotADirectory => "a part of the path is not a folder",
            _ => kind.reason(),
        };
        self.build(kind, reason, Some(source))
    }

    /// The system refused, and what that means is known better here.
    pub(crate) fn failed_as(&self, kind: ErrorKind, source: io::Error) -> Error {
        self.build(kind, kind.reason(), Some(source))
    }

    /// The system refused, and both what it means and why are known better here.
    pub(crate) fn failed_because(&self, kind: ErrorKind, reason: &str, source: io::Error) -> Error {
        self.build(kind, reason, Some(source))
    }

    /// The folder that it should be in cannot be opened.
    pub(crate) fn failed_at_folder(&self, folder: &Path, source: io::Error) -> Error {
        if source.kind() != io::ErrorKind::NotFound {
            return self.failed(source);
        }
        let reason = format!("the folder `{}` does not exist", Shown(folder));
        self.failed_because(ErrorKind::NotFound, &reason, source)
    }

    /// We refuse, before the system is asked.
    pub(crate) fn refused(&self, kind: ErrorKind, reason: &str) -> Error {
        self.build(kind, reason, None)
    }

    fn build(&self, kind: ErrorKind, reason: &str, source: Option<io::Error>) -> Error {
        let to = self
            .to
            .map_or_else(String::new, |to| format!(" to `{}`", Shown(to)));
        let left = if self.left.is_empty() {
            String::new()
        } else {
            format!("; {}", self.left)
        };
        let message = format!(
            "cannot {} `{}`{to}: {reason}{left}",
            self.verb,
            Shown(self.path)
        );
        Error {
            inner: Box::new(Inner {
                kind,
                path: self.path.to_owned(),
                message,
                source,
            }),
        }
    }
}
