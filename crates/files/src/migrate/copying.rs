//! A copy of a whole folder: each file compared, each folder on the disk.

use super::Progress;
use super::survey::{DEPTH_MAX, Walk, too_deep};
use crate::copy::refuse_irregular;
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::{Facts, regular_only};
use crate::integrity::{Algorithm, copy_hashed};
use crate::publish::{Durability, write_whole};
use crate::system::{self, Attributes, Dir};
use crate::target::Target;
use crate::temp::{MODE_PRIVATE, Owner, Temp, without_group};
use std::ffi::OsStr;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::sync::Arc;

/// Until it is whole, the copy of a folder is its owner's alone.
pub(super) const STAGED_MODE: u32 = 0o700;

const LEFT: &str = "the old folder is as it was";

/// Copies folders, and tells how far it has come.
pub(super) struct Copying<'a> {
    pub(super) walk: Walk<'a>,
    pub(super) done: Progress,
    pub(super) progress: &'a mut dyn FnMut(Progress),
}

impl Copying<'_> {
    /// Copies all that is in the folder `from` to the empty folder `to`; on the disk when it returns `Ok`.
    pub(super) fn folder(
        &mut self,
        from: &Dir,
        to: &Arc<Dir>,
        below: &Path,
        depth: usize,
    ) -> Result<(), Error> {
        let whole = self.walk.root.join(below);
        let attempt = Attempt::new("copy", &whole, LEFT);
        let failed = |error| attempt.failed(error);
        if depth > DEPTH_MAX {
            return Err(too_deep(&attempt));
        }
        for name in self.walk.names(&attempt, from, below)? {
            let facts = from.facts(&name).map_err(failed)?;
            let path = below.join(&name);
            if facts.is_folder() {
                to.create_dir(&name, STAGED_MODE).map_err(failed)?;
                let inner = from.open_child(&name).map_err(failed)?;
                let copy = Arc::new(to.open_child(&name).map_err(failed)?);
                self.folder(&inner, &copy, &path, depth + 1)?;
            } else if facts.is_symlink() {
                link(from, to, &name, &facts)
                    .map_err(|error| attempt_at(&whole.join(&name)).failed(error))?;
            } else {
                self.file(from, to, &name, &path)?;
            }
        }
        let facts = from.own_facts().map_err(failed)?;
        dress(to, &facts).map_err(failed)?;
        to.sync()
            .map_err(|error| attempt.failed_as(ErrorKind::NotDurable, error))
    }

    fn file(&mut self, from: &Dir, to: &Arc<Dir>, name: &OsStr, path: &Path) -> Result<(), Error> {
        let whole = self.walk.root.join(path);
        let attempt = attempt_at(&whole);
        let failed = |error| attempt.failed(error);
        let (mut file, facts) = regular_only(&attempt, from.open_regular(name))?;
        refuse_irregular(&attempt, &facts)?;
        let target = Target {
            dir: Arc::clone(to),
            name: name.to_owned(),
            old: None,
            is_behind_link: false,
        };
        let mut sum = None;
        let (before, progress) = (self.done, &mut *self.progress);
        let attributes = Attributes::of(&file).map_err(failed)?;
        let durable = Durability::Durable;
        let temp = write_whole(&attempt, &target, MODE_PRIVATE, durable, |temp| {
            file.rewind()?;
            let mut counted = Counted {
                temp,
                done: before,
                progress,
            };
            sum = Some(copy_hashed(&mut file, &mut counted, Algorithm::Sha256)?.1);
            temp.dress_as(&facts, Some(&attributes), Owner::Kept, facts.mode)?;
            system::set_modified(temp.file(), facts.modified)
        })?;
        if system::facts_of_file(&file).map_err(failed)? != facts {
            return Err(changed(&attempt));
        }
        temp.publish_new(name).map_err(failed)?;
        let (mut copy, _) = to.open_regular(name).map_err(failed)?;
        // What is compared is what the disk has, as far as the system lets itself be asked.
        system::forget_memory_of(&copy);
        let read = copy_hashed(&mut copy, &mut io::sink(), Algorithm::Sha256).map_err(failed)?;
        if Some(read.1) != sum {
            let reason = "the copy is not what was written to it; see what the kernel log says";
            return Err(attempt.refused(ErrorKind::Damaged, reason));
        }
        self.done.bytes = before.bytes.saturating_add(read.0);
        self.done.files += 1;
        (self.progress)(self.done);
        Ok(())
    }
}

fn attempt_at(path: &Path) -> Attempt<'_> {
    Attempt::new("copy", path, LEFT)
}

pub(super) fn changed(attempt: &Attempt<'_>) -> Error {
    let reason = "somebody wrote to it meanwhile; stop whoever does, and run it again";
    attempt.refused(ErrorKind::Changed, reason)
}

/// The copy of a link says what the link says.
fn link(from: &Dir, to: &Dir, name: &OsStr, facts: &Facts) -> io::Result<()> {
    let target = from.read_link(name)?;
    to.symlink(&target, name)?;
    let made = to.facts(name)?;
    if (made.uid, made.gid) != (facts.uid, facts.gid) {
        // Whose a link is matters to nobody who follows it; only root may give it away.
        drop(to.set_owner_of_link(name, facts.uid, facts.gid));
    }
    to.set_modified_of_link(name, facts.modified)
}

/// Gives the copy of a folder owner, mode and time of the folder.
fn dress(to: &Dir, facts: &Facts) -> io::Result<()> {
    let made = to.own_facts()?;
    let is_kept = (made.uid, made.gid) == (facts.uid, facts.gid)
        || to.set_owner(facts.uid, facts.gid).is_ok();
    let mode = if is_kept {
        facts.mode & 0o7777
    } else {
        without_group(facts.mode & 0o777)
    };
    if made.mode & 0o7777 != mode {
        to.set_mode(mode)?;
    }
    to.set_modified(facts.modified)
}

/// Removes the folder `name` and all that is in it, and follows nothing; `Ok` also where there is none.
pub(super) fn discard(dir: &Dir, name: &OsStr) -> io::Result<()> {
    let facts = match dir.facts(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        facts => facts?,
    };
    discard_found(dir, name, &facts, 0)
}

fn discard_found(dir: &Dir, name: &OsStr, facts: &Facts, depth: usize) -> io::Result<()> {
    if !facts.is_folder() {
        return dir.unlink(name);
    }
    let inner = dir.open_child(name)?;
    if depth > DEPTH_MAX + 1 || inner.own_facts()?.dev != dir.own_facts()?.dev {
        return Err(io::Error::other("it is not what was left there"));
    }
    if facts.mode & 0o700 != 0o700 {
        inner.set_mode(STAGED_MODE)?;
    }
    for child in inner.names()? {
        let facts = inner.facts(&child)?;
        discard_found(&inner, &child, &facts, depth + 1)?;
    }
    dir.remove_dir(name)
}

/// Writes to a file, and tells how much.
struct Counted<'a, 'p> {
    temp: &'a mut Temp,
    done: Progress,
    progress: &'a mut (dyn FnMut(Progress) + 'p),
}

impl Write for Counted<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.temp.write(bytes)?;
        self.done.bytes = self.done.bytes.saturating_add(written as u64);
        (self.progress)(self.done);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.flush()
    }
}
