//! Who holds a lock on a file, as far as the system tells.

use crate::facts::Facts;
use crate::shown::Shown;
use std::fmt;
use std::path::Path;

/// A process that holds a lock on a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// What it is called; empty where the system does not say.
    pub name: String,
}

impl Holder {
    /// The process that has locked this file with `flock` or `fcntl`; only Linux tells, and not about itself.
    pub(crate) fn of(file: &Facts) -> Option<Self> {
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        let own = std::process::id();
        let pid = locks
            .lines()
            .filter_map(|line| holder(line, file))
            .find(|pid| *pid != own)?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Some(Self {
            pid,
            name: Shown(Path::new(name.trim_end())).to_string(),
        })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "process {}", self.pid),
            name => write!(f, "`{name}` (process {})", self.pid),
        }
    }
}

/// The process of a line such as `1: FLOCK  ADVISORY  WRITE 4711 fd:01:131072 0 EOF`, where it is about this file
/// (`proc_locks(5)`); those that wait for a lock have `->` behind the number.
fn holder(line: &str, file: &Facts) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    let kind = words.next()?;
    if kind == "->" {
        return None;
    }
    let (pid, place) = (words.nth(2)?, words.next()?);
    let mut numbers = place.split(':');
    let major = u64::from_str_radix(numbers.next()?, 16).ok()?;
    let minor = u64::from_str_radix(numbers.next()?, 16).ok()?;
    let ino: u64 = numbers.next()?.parse().ok()?;
    ((major, minor) == parts(file.dev) && ino == file.ino).then_some(pid.parse().ok()?)
}

/// Major and minor number of a device, as Linux puts them together (`makedev(3)`).
fn parts(dev: u64) -> (u64, u64) {
    let major = (dev >> 8 & 0xfff) | (dev >> 32 & !0xfff);
    let minor = (dev & 0xff) | (dev >> 12 & !0xff);
    (major, minor & 0xffff_ffff)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_device_are_those_that_the_system_shows() {
        assert_eq!(parts(0xfd01), (0xfd, 1));
        assert_eq!(parts(0x10_3012), (0x30, 0x112));
    }
}
