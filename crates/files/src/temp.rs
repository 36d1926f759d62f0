//! A file that has no name yet that anyone waits for: written beside its target, and gone unless it is published.

use crate::facts::Facts;
use crate::system::{self, Attributes, Dir};
use crate::temp_name::TempName;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// How many names are tried before giving up; a name is taken only where someone puts files of our pattern there.
const NAMES_MAX: usize = 16;

/// New files are readable by all, less what the umask takes, as any program's are.
pub(crate) const MODE_PLAIN: u32 = 0o644;

/// Files that replace another start private, until they have its mode; secrets stay so.
pub(crate) const MODE_PRIVATE: u32 = 0o600;

/// Whose a file will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The old one's, where the system allows it.
    Kept,
    /// Ours.
    Us,
}

/// The temporary file; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Temp {
    dir: Arc<Dir>,
    name: OsString,
    file: Option<File>,
    is_present: bool,
}

impl Temp {
    /// Makes an empty file of a new name beside `target`.
    ///
    /// It is locked as long as it is open: that tells [`sweep()`](crate::sweep()) in any other process, in whatever container,
    /// that somebody is still at work.
    pub(crate) fn create(dir: &Arc<Dir>, target: &OsStr, mode: u32) -> io::Result<Self> {
        let mut tried = 0;
        loop {
            let name = TempName::new().beside(target);
            match dir.create_new(&name, mode) {
                Ok(file) => {
                    // A file system without locks still has process number and age to go by.
                    drop(file.try_lock());
                    return Ok(Self {
                        dir: Arc::clone(dir),
                        name,
                        file: Some(file),
                        is_present: true,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tried < NAMES_MAX => {
                    tried += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn file(&mut self) -> &mut File {
        self.file
            .as_mut()
            .expect("the file is closed only when the temp is published")
    }

    /// Gives it `mode`, `attributes` and, where wanted, the owner of the file that it replaces or copies.
    ///
    /// Where the owner is not kept (only root may give files away), the group gets no more than everybody has. The bits that
    /// let a program run as somebody else are never given. What is right already is not set: FAT would refuse.
    pub(crate) fn dress_as(
        &mut self,
        old: &Facts,
        attributes: Option<&Attributes>,
        owner: Owner,
        mode: u32,
    ) -> io::Result<()> {
        let file = self.file();
        let own = system::facts_of_file(file)?;
        let is_kept = (own.uid, own.gid) == (old.uid, old.gid)
            || (owner == Owner::Kept && system::set_owner(file, old.uid, old.gid).is_ok());
        if let Some(attributes) = attributes {
            attributes.give_to(file, is_kept)?;
        }
        let mode = if is_kept {
            mode & 0o777
        } else {
            without_group(mode)
        };
        if own.mode & 0o777 == mode {
            Ok(())
        } else {
            system::set_mode(file, mode)
        }
    }

    /// What was written so far, to be read from its beginning.
    pub(crate) fn reopened(&self) -> io::Result<File> {
        Ok(self.dir.open_regular(&self.name)?.0)
    }

    /// Puts the bytes on the disk. Where this fails the file is of no use any more: a second sync would lie.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        system::sync_file(self.file())
    }

    /// Gives the file its name, in place of whatever has it.
    pub(crate) fn publish(mut self, name: &OsStr) -> io::Result<()> {
        self.dir.rename(&self.name, name)?;
        self.is_present = false;
        Ok(())
    }

    /// Gives the file its name where nobody has it.
    pub(crate) fn publish_new(mut self, name: &OsStr) -> io::Result<()> {
        match self.dir.rename_noreplace(&self.name, &self.dir, name) {
            Ok(()) => self.is_present = false,
            // The second name does it as well; dropping this removes the first.
            Err(error) if system::is_noreplace_unknown(&error) => {
                self.dir.link(&self.name, &self.dir, name)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Write for Temp {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        system::pass_write()?;
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if self.is_present {
            // What cannot be removed now is swept at the next start.
            drop(self.dir.unlink(&self.name));
        }
    }
}

/// The mode with the group's bits cut down to those that everybody has.
pub(crate) fn without_group(mode: u32) -> u32 {
    let others = mode & 0o007;
    (mode & 0o707) | (mode & (others << 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_not_the_old_one_gets_no_more_than_everybody() {
        assert_eq!(without_group(0o100_640), 0o600);
        assert_eq!(without_group(0o100_664), 0o644);
        assert_eq!(without_group(0o100_644), 0o644);
        assert_eq!(without_group(0o100_660), 0o600);
    }
}
