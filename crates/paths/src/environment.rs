//! What the process was started with: the only place that reads the environment.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the room that reads the environment"
)]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// Whose customs decide where files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Platform {
    /// Linux, and every other Unix but Apple's.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

/// The environment variables, and the little else about a process that decides where its files go.
///
/// Values may be secrets: `Debug` does not show them.
#[derive(Clone)]
pub struct Environment {
    platform: Platform,
    is_root: bool,
    /// Device and inode of standard error.
    stderr: Option<(u64, u64)>,
    source: Source,
}

#[derive(Clone)]
enum Source {
    /// Asked when needed, so that no second copy of a secret lies about. Nothing in Mainstay may change it meanwhile.
    Process,
    Injected(BTreeMap<OsString, OsString>),
}

impl Environment {
    /// That of this process.
    pub fn from_process() -> Self {
        Self {
            platform: Platform::of_this_build(),
            is_root: is_root(),
            stderr: stderr(),
            source: Source::Process,
        }
    }

    /// An empty one of `platform`, not root's, for tests and for questions about another machine.
    pub fn injected(platform: Platform) -> Self {
        Self {
            platform,
            is_root: false,
            stderr: None,
            source: Source::Injected(BTreeMap::new()),
        }
    }

    /// The same with a variable set; only an injected one can be changed.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        if let Source::Injected(values) = &mut self.source {
            values.insert(name.into(), value.into());
        }
        self
    }

    /// The same, for root (on Windows: for a service of the system).
    #[must_use]
    pub fn as_root(self) -> Self {
        Self {
            is_root: true,
            ..self
        }
    }

    /// The same, with standard error being the file of that device and inode.
    #[must_use]
    pub fn with_stderr(self, device: u64, inode: u64) -> Self {
        Self {
            stderr: Some((device, inode)),
            ..self
        }
    }

    /// Whose customs hold.
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// Whether the process is root's.
    pub fn is_root(&self) -> bool {
        self.is_root
    }

    /// The value of a variable; `None` where it is not set, or empty, which counts as the same.
    pub fn get(&self, name: &str) -> Option<OsString> {
        let value = match &self.source {
            Source::Process => std::env::var_os(name),
            Source::Injected(values) => values.get(OsStr::new(name)).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The secret that a reference `env:NAME` means; `None` where it is not set, empty, or not text.
    pub fn secret_from_env(&self, name: &str) -> Option<String> {
        self.get(name)?.into_string().ok()
    }

    /// The folder in which the service manager put this service's secrets, one file each (`LoadCredential=`).
    pub fn credentials_directory(&self) -> Option<PathBuf> {
        self.absolute("CREDENTIALS_DIRECTORY")
    }

    /// Whether the user wants no colours, on whatever terminal (<https://no-color.org>).
    pub fn no_color(&self) -> bool {
        self.get("NO_COLOR").is_some()
    }

    /// Whether standard error goes to the system's journal, which adds the time itself.
    ///
    /// The variable alone does not say so: a child whose output was redirected inherits it.
    pub fn journal(&self) -> bool {
        let stream = self
            .get("JOURNAL_STREAM")
            .and_then(|stream| stream.into_string().ok());
        let stream = stream.as_deref().and_then(|stream| stream.split_once(':'));
        let Some((device, inode)) = stream else {
            return false;
        };
        match (device.parse(), inode.parse()) {
            (Ok(device), Ok(inode)) => self.stderr == Some((device, inode)),
            _ => false,
        }
    }

    /// The value where it is an absolute path of this platform; every other means nothing (XDG asks for that).
    pub(crate) fn absolute(&self, name: &str) -> Option<PathBuf> {
        let value = self.get(name)?;
        self.platform.is_absolute(&value).then(|| value.into())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Environment");
        shown
            .field("platform", &self.platform)
            .field("is_root", &self.is_root);
        if let Source::Injected(values) = &self.source {
            shown.field("names", &values.keys());
        }
        shown.finish_non_exhaustive()
    }
}

// === impl Platform ===

impl Platform {
    /// The one that this program was built for.
    pub fn of_this_build() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_vendor = "apple") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }

    /// What stands between the names of a path.
    pub(crate) fn separator(self) -> &'static str {
        match self {
            Self::Windows => "\\",
            Self::Linux | Self::MacOs => "/",
        }
    }

    /// Told from the bytes, because [`Path::is_absolute`] knows only the rules of the machine that it runs on.
    pub(crate) fn is_absolute(self, path: &OsStr) -> bool {
        match (self, path.as_encoded_bytes()) {
            (Self::Windows, [letter, b':', b'\\' | b'/', ..]) => letter.is_ascii_alphabetic(),
            (Self::Windows, bytes) => bytes.starts_with(b"\\\\"),
            (_, bytes) => bytes.starts_with(b"/"),
        }
    }
}

/// The effective user's number is in the process's own status; where there is none, root is told by its home.
fn is_root() -> bool {
    match std::fs::read_to_string("/proc/self/status") {
        Ok(status) => effective_uid(&status) == Some(0),
        Err(_) => std::env::home_dir().is_some_and(|home| home == Path::new("/var/root")),
    }
}

/// `Uid:` is followed by the real, the effective, the saved and the file system's number.
fn effective_uid(status: &str) -> Option<u32> {
    let numbers = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    numbers.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(unix)]
fn stderr() -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata("/proc/self/fd/2").ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn stderr() -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_number_is_the_effective_one() {
        assert_eq!(
            effective_uid("Name:\tx\nUid:\t1000\t0\t1000\t1000\nGid:\t1\t1\t1\t1\n"),
            Some(0)
        );
        assert_eq!(effective_uid("Uid:\t0\t33\t0\t0\n"), Some(33));
        assert_eq!(effective_uid(""), None);
    }
}
