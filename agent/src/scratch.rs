//! A folder to try things in, on the disk that the data folder lies on; it goes when it is dropped.

use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::terminal;
use crate::units::Size;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What its name begins with.
const PREFIX: &str = "mainstay-scratch-";

/// The folder.
#[derive(Debug)]
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// Makes the folder in the data folder; where there is none yet, in the nearest folder above it.
    ///
    /// # Errors
    /// It cannot be made, or the disk has less than `room` bytes left.
    pub(crate) fn make(data: &DataDir, room: u64) -> Result<Self, Failure> {
        let base = nearest(data.path());
        let cannot = || {
            let message = format!("cannot make a folder to work in below `{}`", base.display());
            Failure::new(Exit::NoOutput, message)
        };
        let free = mainstay_files::free_space(&base).map_err(|error| cannot().because(error))?;
        if free.bytes < room {
            let message = format!(
                "`{}` has {} left, and this needs {}",
                base.display(),
                Size(free.bytes),
                Size(room)
            );
            let help = "make room, or name a folder on another disk with --data";
            return Err(Failure::new(Exit::NoOutput, message).help(help));
        }
        for left in leftovers(&base) {
            terminal::warn(&format!(
                "`{}` was left by a process that was killed; it can be removed",
                left.display()
            ));
        }
        let folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir_in(&base)
            .map_err(|error| {
                cannot()
                    .because(error)
                    .help("run it as the user that the data folder belongs to, or name another with --data")
            })?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes it away, and says so where that fails.
    pub(crate) fn remove(self) {
        let path = self.path().to_owned();
        if let Err(error) = self.0.close() {
            terminal::warn(&format!(
                "`{}` could not be removed: {error}",
                path.display()
            ));
        }
    }
}

fn nearest(data: &Path) -> PathBuf {
    let there = data.ancestors().find(|path| path.is_dir());
    there.unwrap_or(Path::new("/")).to_owned()
}

/// What processes left that run no more.
fn leftovers(base: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| is_left(path)).collect()
}

fn is_left(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let pid = name
        .and_then(|name| name.strip_prefix(PREFIX))
        .and_then(|rest| rest.split('-').next())
        .and_then(|pid| pid.parse().ok())
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_beside_the_data_and_goes_with_everything_in_it() {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::at(&root.path().join("not/there/yet")).unwrap();
        let scratch = Scratch::make(&data, 1).unwrap();
        let path = scratch.path().join("inner");
        mainstay_files::create_dir_all(&path, 0o700).unwrap();
        assert!(path.starts_with(root.path()));
        assert!(leftovers(root.path()).is_empty(), "its process runs");
        scratch.remove();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_disk_with_too_little_room_is_refused_before_anything_is_written() {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::at(root.path()).unwrap();
        let refused = Scratch::make(&data, u64::MAX).unwrap_err();
        assert_eq!(refused.exit(), Exit::NoOutput);
        assert!(refused.to_string().contains("make room"), "{refused}");
    }
}
