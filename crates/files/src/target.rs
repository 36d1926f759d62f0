//! Where a write will land: an open folder and a name in it.

use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::Facts;
use crate::system::{self, Attributes, Dir};
use crate::temp::{MODE_PLAIN, MODE_PRIVATE, Owner, Temp};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The place of a file: the folder is held open, so that nobody can put another one in its place meanwhile.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) dir: Arc<Dir>,
    pub(crate) name: OsString,
    /// What is there now, after a link was followed.
    pub(crate) old: Option<Facts>,
    /// Whether the path itself is a symbolic link.
    pub(crate) is_behind_link: bool,
}

impl Target {
    /// Finds where `path` leads; a symbolic link there is followed once, where that is safe.
    pub(crate) fn find(attempt: &Attempt<'_>, path: &Path) -> Result<Self, Error> {
        let target = Self::find_unfollowed(attempt, path)?;
        match target.old {
            Some(old) if old.is_symlink() => target.follow(attempt),
            _ => Ok(target),
        }
    }

    /// Finds the place itself, link or not.
    pub(crate) fn find_unfollowed(attempt: &Attempt<'_>, path: &Path) -> Result<Self, Error> {
        let (folder, name) = split(attempt, path)?;
        let dir = Dir::open(folder).map_err(|error| attempt.failed_at_folder(folder, error))?;
        let old = facts_if_any(&dir, name).map_err(|error| attempt.failed(error))?;
        Ok(Self {
            dir: Arc::new(dir),
            name: name.to_owned(),
            old,
            is_behind_link: false,
        })
    }

    fn follow(self, attempt: &Attempt<'_>) -> Result<Self, Error> {
        let failed = |error| attempt.failed(error);
        // Whoever may write to the folder may have put the link there, to have us write somewhere else.
        refuse_where_others_write(
            attempt,
            &self.dir,
            "a symbolic link in a folder that others can write to",
        )?;
        let link = self.dir.read_link(&self.name).map_err(failed)?;
        let (folder, name) = split(attempt, &link)?;
        let dir = self
            .dir
            .open_below(folder)
            .map_err(|error| attempt.failed_at_folder(folder, error))?;
        refuse_where_others_write(
            attempt,
            &dir,
            "a symbolic link into a folder that others can write to",
        )?;
        let old = facts_if_any(&dir, name).map_err(failed)?;
        if old.is_some_and(|old| old.is_symlink()) {
            let reason = "a symbolic link to a symbolic link, and only one is followed; give the path that it leads to";
            return Err(attempt.refused(ErrorKind::IsSymlink, reason));
        }
        Ok(Self {
            dir: Arc::new(dir),
            name: name.to_owned(),
            old,
            is_behind_link: true,
        })
    }

    /// Refuses what a file can never replace; the system would say so too, but only after all was written.
    pub(crate) fn refuse_other_types(&self, attempt: &Attempt<'_>) -> Result<(), Error> {
        match self.old {
            Some(old) if !old.is_regular() => Err(attempt.refused(
                ErrorKind::NotRegular,
                "a folder, pipe, socket or device has that name",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses where there is anything at all; the rename would say so too, but only after all was written.
    pub(crate) fn refuse_existing(&self, attempt: &Attempt<'_>) -> Result<(), Error> {
        if self.is_behind_link || self.old.is_some() {
            return Err(attempt.refused(ErrorKind::Exists, "something is there already"));
        }
        Ok(())
    }

    /// What a write that fails leaves behind.
    pub(crate) fn left(&self) -> &'static str {
        if self.old.is_some() {
            "previous version kept"
        } else {
            "nothing was written"
        }
    }

    /// The file whose place will be taken, with its mode and owner; a link that is replaced has none worth keeping.
    pub(crate) fn replaced(&self) -> Option<Facts> {
        self.old.filter(|old| !old.is_symlink())
    }

    /// Gives a file what the one has whose place it takes: owner, mode and what else stands with it. With a mode of its own it has
    /// neither that one's mode nor its access list.
    pub(crate) fn dress(&self, temp: &mut Temp, fixed_mode: Option<u32>) -> io::Result<()> {
        let Some(old) = self.replaced() else {
            return Ok(());
        };
        let attributes = match fixed_mode {
            None => self.attributes()?,
            Some(_) => None,
        };
        let mode = fixed_mode.unwrap_or(old.mode);
        temp.dress_as(&old, attributes.as_ref(), Owner::Kept, mode)
    }

    /// What the file there has besides its bytes, mode and owner; none where it cannot be read.
    pub(crate) fn attributes(&self) -> io::Result<Option<Attributes>> {
        let (file, _) = match self.dir.open_regular(&self.name) {
            Err(error) if is_out_of_reach(&error) => return Ok(None),
            opened => opened?,
        };
        Attributes::of(&file).map(Some)
    }

    /// The mode that a file which will replace this one starts with.
    pub(crate) fn mode_at_start(&self) -> u32 {
        if self.replaced().is_some() {
            MODE_PRIVATE
        } else {
            MODE_PLAIN
        }
    }
}

/// The folder and the name that a path consists of.
pub(crate) fn split<'p>(
    attempt: &Attempt<'_>,
    path: &'p Path,
) -> Result<(&'p Path, &'p OsStr), Error> {
    let Some(name) = path.file_name() else {
        return Err(attempt.refused(ErrorKind::NameInvalid, "the path does not end in a name"));
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((folder, name))
}

/// The whole path of a file, which may be there or not, without symbolic links where that can be told.
///
/// A link at the path itself is followed as by a write: once, and not where others could have put it.
pub(crate) fn whole(path: &Path) -> Result<PathBuf, Error> {
    let attempt = Attempt::new("find", path, "");
    let failed = |error| attempt.failed(error);
    let (folder, name) = split(&attempt, path)?;
    let folder = match std::fs::canonicalize(folder) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return std::path::absolute(path).map_err(failed);
        }
        Err(error) => return Err(failed(error)),
    };
    let target = Target::find_unfollowed(&attempt, path)?;
    if target.old.is_none_or(|old| !old.is_symlink()) {
        return Ok(folder.join(name));
    }
    let link = target.dir.read_link(&target.name).map_err(failed)?;
    target.follow(&attempt)?;
    let (below, name) = split(&attempt, &link)?;
    let folder = std::fs::canonicalize(folder.join(below)).map_err(failed)?;
    Ok(folder.join(name))
}

/// It is gone by now, or nobody lets us read it: then there is nothing to be kept.
fn is_out_of_reach(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
}

/// What `name` is, if there is anything.
pub(crate) fn facts_if_any(dir: &Dir, name: &OsStr) -> io::Result<Option<Facts>> {
    match dir.facts(name) {
        Ok(facts) => Ok(Some(facts)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The sticky bit does not help: it keeps others from removing our link, not from having put theirs there first.
fn refuse_where_others_write(attempt: &Attempt<'_>, dir: &Dir, what: &str) -> Result<(), Error> {
    let facts = dir.own_facts().map_err(|error| attempt.failed(error))?;
    let is_trusted = facts.uid == system::own_uid() || facts.uid == 0;
    if is_trusted && !facts.is_writable_by_others() {
        return Ok(());
    }
    let reason = format!("{what} is not followed; give the path that it leads to");
    Err(attempt.refused(ErrorKind::IsSymlink, &reason))
}
