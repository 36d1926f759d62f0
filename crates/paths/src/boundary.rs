//! Where an application may write, whatever path it is given.

use crate::app_dirs::AppDirs;
use crate::environment::{Environment, Platform};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The folders that an application may write to, and those that it must never write to.
///
/// A path is judged by where it leads, links followed, and of all rules that speak about it the one about the deepest folder
/// holds: `/var/lib/mainstay` is ours, though `/var/lib` is the system's.
#[derive(Debug, Clone)]
pub struct Boundary {
    platform: Platform,
    /// Ours.
    own: Vec<PathBuf>,
    /// Nobody's but an installer's, with what it is.
    restricted: Vec<(PathBuf, Restricted)>,
    /// Anybody's, though below a restricted one.
    free: Vec<PathBuf>,
}

/// What stands in the way of writing to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    path: PathBuf,
    reason: Reason,
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is not absolute, so that it depends on where the process happens to stand.
    Relative,
    /// It goes up by `..`, or holds a NUL.
    Traversal,
    /// It leads into a place that only installers write to.
    Restricted(Restricted),
    /// It looks like a path below one of our folders, and a symbolic link leads it out of there.
    LinkedOut,
    /// It lies in none of our folders.
    NotOurs,
    /// A folder on the way cannot be looked at.
    Unreadable,
}

/// A place that only installers write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restricted {
    /// The folder that the program itself was installed to.
    Installation,
    /// An application bundle of macOS.
    Bundle,
    /// Programs, of all users.
    Programs,
    /// The operating system's own.
    System,
}

/// How a path is followed: answers where an existing path leads, as [`std::fs::canonicalize`] does.
pub type Follow<'a> = &'a dyn Fn(&Path) -> io::Result<PathBuf>;

impl Boundary {
    /// The boundary of an application with these folders; `installation` is the folder that its program lies in, where that is
    /// one of its own (never `/usr/bin`, which is the system's anyway).
    pub fn new(dirs: &AppDirs, environment: &Environment, installation: Option<&Path>) -> Self {
        let platform = environment.platform();
        let mut restricted = system_folders(environment);
        if let Some(folder) = installation {
            restricted.push((folder.to_owned(), Restricted::Installation));
        }
        let own = dirs.folders().map(|(_, folder)| folder.to_owned());
        Self {
            platform,
            own: own.into(),
            restricted,
            free: match platform {
                Platform::Linux => vec!["/dev/shm".into()],
                Platform::MacOs | Platform::Windows => Vec::new(),
            },
        }
    }

    /// The same with one more folder that is ours: a drop folder, an outbox.
    #[must_use]
    pub fn with(mut self, folder: &Path) -> Self {
        self.own.push(folder.to_owned());
        self
    }

    /// Whether the application may write to `path` of its own accord: it has to lie in one of its folders.
    ///
    /// What does not exist yet is judged by the deepest folder above it that does. Nothing is made.
    ///
    /// # Errors
    ///
    /// [`Reason`] says why not; nothing was touched.
    pub fn check_own(&self, path: &Path) -> Result<(), Refused> {
        self.check(path, true, &|path| std::fs::canonicalize(path))
    }

    /// Whether the application may write to `path` because a person chose it: anywhere but to restricted places.
    ///
    /// # Errors
    ///
    /// As [`check_own`](Self::check_own), but never [`Reason::NotOurs`].
    pub fn check_chosen(&self, path: &Path) -> Result<(), Refused> {
        self.check(path, false, &|path| std::fs::canonicalize(path))
    }

    /// The same with another way to follow paths, for questions about another machine.
    ///
    /// # Errors
    ///
    /// As [`check_own`](Self::check_own).
    pub fn check(&self, path: &Path, own_only: bool, follow: Follow<'_>) -> Result<(), Refused> {
        let refused = |reason| Refused {
            path: path.to_owned(),
            reason,
        };
        if !self.platform.is_absolute(path.as_os_str()) {
            return Err(refused(Reason::Relative));
        }
        let named = self.names(path);
        if named.iter().any(|name| name == ".." || has_nul(name)) {
            return Err(refused(Reason::Traversal));
        }
        let real = self
            .led_to(path, follow)
            .map_err(|_| refused(Reason::Unreadable))?;
        let own = self.deepest(self.own.iter().map(PathBuf::as_path), &real, follow);
        let free = self.deepest(self.free.iter().map(PathBuf::as_path), &real, follow);
        let restricted = self.restriction(&real, follow);
        if let Some((depth, restricted)) = restricted
            && own.max(free).is_none_or(|exempt| exempt <= depth)
        {
            return Err(refused(Reason::Restricted(restricted)));
        }
        let seems_own = self
            .own
            .iter()
            .any(|folder| self.begins(&named, &self.names(folder)));
        match own {
            None if seems_own => Err(refused(Reason::LinkedOut)),
            None if own_only => Err(refused(Reason::NotOurs)),
            _ => Ok(()),
        }
    }

    /// The names of where `path` leads: the deepest part that exists is followed, the rest is taken as it is written.
    fn led_to(&self, path: &Path, follow: Follow<'_>) -> io::Result<Vec<OsString>> {
        let names = self.names(path);
        for existing in (0..=names.len()).rev() {
            let known = self.path_of(names.iter().take(existing));
            match follow(&known) {
                Ok(real) => {
                    let mut led = self.names(&real);
                    led.extend(names.into_iter().skip(existing));
                    return Ok(led);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(names)
    }

    /// The number of names of the deepest of these folders that the path lies in.
    fn deepest<'a>(
        &self,
        folders: impl Iterator<Item = &'a Path>,
        real: &[OsString],
        follow: Follow<'_>,
    ) -> Option<usize> {
        folders
            .filter_map(|folder| {
                // A folder of ours may itself lie behind a link, as /tmp does on macOS.
                let folder = self.led_to(folder, follow).ok()?;
                self.begins(real, &folder).then_some(folder.len())
            })
            .max()
    }

    /// The deepest restricted folder that the path lies in, and what it is.
    fn restriction(&self, real: &[OsString], follow: Follow<'_>) -> Option<(usize, Restricted)> {
        let listed = self.restricted.iter().filter_map(|(folder, restricted)| {
            let depth = self.deepest(std::iter::once(folder.as_path()), real, follow)?;
            Some((depth, *restricted))
        });
        listed
            .chain(self.bundle(real))
            .max_by_key(|(depth, _)| *depth)
    }

    /// A folder that ends in `.app` is a bundle, wherever it was dragged to.
    fn bundle(&self, real: &[OsString]) -> Option<(usize, Restricted)> {
        if self.platform != Platform::MacOs {
            return None;
        }
        let is_bundle = |name: &OsString| {
            Path::new(name)
                .extension()
                .is_some_and(|end| end.eq_ignore_ascii_case("app"))
        };
        let place = real.iter().position(is_bundle)?;
        Some((place + 1, Restricted::Bundle))
    }

    /// The names of a path by the rules of this platform.
    fn names(&self, path: &Path) -> Vec<OsString> {
        let is_windows = self.platform == Platform::Windows;
        let is_separator = |byte: &u8| *byte == b'/' || (is_windows && *byte == b'\\');
        let bytes = path.as_os_str().as_encoded_bytes();
        // What Windows answers about an existing path begins like this, and means the same.
        let verbatim = bytes.strip_prefix(b"\\\\?\\").filter(|_| is_windows);
        verbatim
            .unwrap_or(bytes)
            .split(is_separator)
            .filter(|name| !name.is_empty() && *name != b".")
            .map(name_of)
            .collect()
    }

    /// Whether a path lies in a folder, or is it.
    fn begins(&self, path: &[OsString], folder: &[OsString]) -> bool {
        folder.len() <= path.len()
            && path
                .iter()
                .zip(folder)
                .all(|(one, other)| self.is_same(one, other))
    }

    /// Whether two names are one; on macOS and Windows, most often, case makes no difference.
    fn is_same(&self, one: &OsStr, other: &OsStr) -> bool {
        match self.platform {
            Platform::Linux => one == other,
            Platform::MacOs | Platform::Windows => {
                one.to_string_lossy().to_lowercase() == other.to_string_lossy().to_lowercase()
            }
        }
    }

    fn path_of<'a>(&self, names: impl Iterator<Item = &'a OsString>) -> PathBuf {
        let mut path = OsString::new();
        for (place, name) in names.enumerate() {
            if self.platform != Platform::Windows || place > 0 {
                path.push(self.platform.separator());
            }
            path.push(name);
        }
        if self.platform == Platform::Windows || path.is_empty() {
            // `C:` alone is where the process stands on that drive.
            path.push(self.platform.separator());
        }
        path.into()
    }
}

#[cfg(unix)]
fn name_of(bytes: &[u8]) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
}

/// A name that is not Unicode is followed under another name here: it is then judged as one that does not exist.
#[cfg(not(unix))]
fn name_of(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn has_nul(name: &OsStr) -> bool {
    name.as_encoded_bytes().contains(&0)
}

/// The places of a platform that only installers write to.
fn system_folders(environment: &Environment) -> Vec<(PathBuf, Restricted)> {
    let all = |folders: &[&str], what| {
        folders
            .iter()
            .map(|folder| (PathBuf::from(folder), what))
            .collect::<Vec<_>>()
    };
    match environment.platform() {
        // `/var`, `/opt` and `/run` hold what services and people put there, so an administrator may choose them.
        Platform::Linux => {
            let system = [
                "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin",
                "/sys", "/usr",
            ];
            let mut folders = all(&system, Restricted::System);
            folders.extend(all(&["/nix/store", "/snap"], Restricted::Programs));
            folders
        }
        Platform::MacOs => {
            let system = ["/System", "/bin", "/sbin", "/usr", "/dev", "/etc"];
            let mut folders = all(&system, Restricted::System);
            folders.extend(all(&["/Applications"], Restricted::Programs));
            folders
        }
        Platform::Windows => {
            let find = |name: &str, usual: &str| {
                environment
                    .absolute(name)
                    .unwrap_or_else(|| PathBuf::from(usual))
            };
            vec![
                (find("SystemRoot", "C:\\Windows"), Restricted::System),
                (
                    find("ProgramFiles", "C:\\Program Files"),
                    Restricted::Programs,
                ),
                (
                    find("ProgramFiles(x86)", "C:\\Program Files (x86)"),
                    Restricted::Programs,
                ),
            ]
        }
    }
}

// === impl Refused ===

impl Refused {
    /// The path that was asked for.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.reason {
            Reason::Relative => write!(
                f,
                "`{path}` is not an absolute path; give it from the root on"
            ),
            Reason::Traversal => {
                write!(
                    f,
                    "`{path}` goes up by `..` or holds a NUL; give the path that it leads to"
                )
            }
            Reason::Restricted(Restricted::Installation) => write!(
                f,
                "`{path}` lies where the program is installed, which an update replaces; choose a folder of your own"
            ),
            Reason::Restricted(Restricted::Bundle) => write!(
                f,
                "`{path}` lies in an application bundle, whose signature a change breaks; choose a folder of your own"
            ),
            Reason::Restricted(Restricted::Programs) => write!(
                f,
                "`{path}` lies among the installed programs; choose a folder of your own"
            ),
            Reason::Restricted(Restricted::System) => write!(
                f,
                "`{path}` belongs to the operating system; choose a folder of your own"
            ),
            Reason::LinkedOut => write!(
                f,
                "a symbolic link leads `{path}` out of our folder; remove the link, or give the path that it leads to"
            ),
            Reason::NotOurs => write!(f, "`{path}` lies in none of the application's folders"),
            Reason::Unreadable => write!(
                f,
                "a folder on the way to `{path}` cannot be looked at; see its owner and mode"
            ),
        }
    }
}

impl std::error::Error for Refused {}
