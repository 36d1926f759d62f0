//! The steps of a migration, each of which the next run can go on from.

use super::copying::{Copying, STAGED_MODE, changed, discard};
use super::journal::{Journal, Phase, with_suffix};
use super::survey::{LOCK, Survey, survey};
use super::{Migrated, Migration, Progress, Way};
use crate::backup::utc;
use crate::directory::{create_dir_all, remove_empty_dir, sync_filesystem};
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::facts;
use crate::lock::Lock;
use crate::rename::rename_between;
use crate::sweep::sweep;
use crate::system::{self, Dir};
use crate::target::{facts_if_any, split};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names tried for the old folder: more migrations in one second are no accident.
const NAMES_MAX: u32 = 99;

const COMPLETE: &str = "the new folder is complete; run it again for the rest";

/// The old folder, which no other migration and no program of ours uses meanwhile.
struct Hold {
    dir: Dir,
    lock: Option<Lock>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.dir.unlock();
    }
}

/// A place: the folder that it is in, held open, and its name there.
struct Spot<'a> {
    parent: Dir,
    name: &'a OsStr,
}

pub(super) fn run(
    migration: &Migration,
    progress: &mut dyn FnMut(Progress),
) -> Result<Migrated, Error> {
    for place in [&migration.old, &migration.new] {
        // What a run that was killed had in hand there. Where it cannot be removed, it is in nobody's way.
        drop(place.parent().map(sweep));
    }
    let held = hold(migration)?;
    if let Some(earlier) = Journal::read(&migration.new)? {
        migration.refuse_other(&earlier)?;
        if let Some(migrated) = go_on(migration, &earlier, held.as_ref())? {
            return Ok(migrated);
        }
    }
    let Some(held) = held else {
        let reason = "there is no such folder";
        return Err(migration.attempt().refused(ErrorKind::NotFound, reason));
    };
    let way = migration.way();
    let found = look(migration, &held, way)?;
    let parent = migration.new.parent().unwrap_or(Path::new("/"));
    create_dir_all(parent, STAGED_MODE)?;
    if way == Way::Rename
        && let Some(migrated) = rename(migration, &found)?
    {
        return Ok(migrated);
    }
    if way == Way::Rename {
        // The file system would not: then what stands in the way of a copy counts.
        look(migration, &held, Way::Copy)?;
    }
    copy(migration, &held, progress)
}

/// Holds the old folder; none where there is none.
fn hold(migration: &Migration) -> Result<Option<Hold>, Error> {
    let dir = match migration.open_old() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        dir => dir?,
    };
    let attempt = migration.attempt();
    if !dir.lock_alone().map_err(|error| attempt.failed(error))? {
        let reason = "another migration of it runs";
        return Err(attempt.refused(ErrorKind::Locked, reason));
    }
    let mut held = Hold { dir, lock: None };
    let path = migration.old.join(LOCK);
    if is_there(&path)? {
        held.lock = Some(Lock::acquire(&path)?);
    }
    Ok(Some(held))
}

/// Looks for what is in the way, and refuses the first of it.
fn look(migration: &Migration, held: &Hold, way: Way) -> Result<Survey, Error> {
    let found = survey(migration.walk(), &held.dir, &mut |_, _| ())?;
    match migration
        .obstacles(way, &found, migration.free(), false)
        .first()
    {
        Some(obstacle) => Err(migration.stopped_by(obstacle)),
        None => Ok(found),
    }
}

/// Renames the folder; none where only a copy gets it there.
fn rename(migration: &Migration, found: &Survey) -> Result<Option<Migrated>, Error> {
    let attempt = migration.attempt();
    let failed = |error| attempt.failed(error);
    let (old, new) = (
        spot(&attempt, &migration.old)?,
        spot(&attempt, &migration.new)?,
    );
    let aside = migration.old.clone();
    let journal = Journal::new(Way::Rename, &migration.old, aside, found.stamp);
    journal.begin(&migration.new)?;
    if let Err(error) = clear(&migration.new) {
        drop(Journal::end(&migration.new));
        return Err(error);
    }
    if let Err(error) = rename_between(&old.parent, old.name, &new.parent, new.name) {
        drop(Journal::end(&migration.new));
        // Without permission a copy gets no further; what the file system cannot do, a copy can.
        let is_for_a_copy =
            error.kind() == io::ErrorKind::CrossesDevices || system::is_never_permitted(&error);
        return if is_for_a_copy {
            Ok(None)
        } else {
            Err(failed(error))
        };
    }
    confirm(&attempt, &new)?;
    confirm(&attempt, &old)?;
    end(migration, &journal, false).map(Some)
}

/// Copies the folder, and gives the copy its name.
fn copy(
    migration: &Migration,
    held: &Hold,
    progress: &mut dyn FnMut(Progress),
) -> Result<Migrated, Error> {
    // Until the copy is on the disk, the old folder is all there is. A disk that does not confirm it is one more reason to go.
    drop(sync_filesystem(&migration.old));
    let found = survey(migration.walk(), &held.dir, &mut |_, _| ())?;
    let aside = free_name(migration)?;
    let mut journal = Journal::new(Way::Copy, &migration.old, aside, found.stamp);
    journal.begin(&migration.new)?;
    let switched = stage(migration, held, &journal, &found, progress).and_then(|()| {
        journal.come_to_switching(&migration.new)?;
        switch(migration, &journal)
    });
    if let Err(error) = switched {
        drop(undo(migration, &journal));
        return Err(error);
    }
    put_aside(migration, &journal)?;
    end(migration, &journal, false)
}

/// Copies everything, and sees whether anything happened to the old folder meanwhile.
fn stage(
    migration: &Migration,
    held: &Hold,
    journal: &Journal,
    found: &Survey,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Error> {
    let attempt = migration.attempt();
    let failed = |error| attempt.failed(error);
    let staged = journal.staged(&migration.new);
    let staged = spot(&attempt, &staged)?;
    staged
        .parent
        .create_dir(staged.name, STAGED_MODE)
        .map_err(failed)?;
    let to = Arc::new(staged.parent.open_child(staged.name).map_err(failed)?);
    let mut copying = Copying {
        walk: migration.walk(),
        done: Progress {
            files_total: found.files,
            bytes_total: found.bytes,
            ..Progress::default()
        },
        progress,
    };
    copying.folder(&held.dir, &to, Path::new(""), 0)?;
    if survey(migration.walk(), &held.dir, &mut |_, _| ())?.exact != found.exact {
        return Err(changed(&attempt));
    }
    Ok(())
}

/// The copy takes its name; from here on the new folder is complete.
fn switch(migration: &Migration, journal: &Journal) -> Result<(), Error> {
    let attempt = migration.attempt();
    let staged = journal.staged(&migration.new);
    let (from, to) = (spot(&attempt, &staged)?, spot(&attempt, &migration.new)?);
    clear(&migration.new)?;
    rename_in(&from.parent, from.name, to.name).map_err(|error| attempt.failed(error))
}

/// The old folder gets its other name, once the disk has confirmed the new one.
fn put_aside(migration: &Migration, journal: &Journal) -> Result<(), Error> {
    let attempt = migration.attempt().leaving(COMPLETE);
    confirm(&attempt, &spot(&attempt, &migration.new)?)?;
    let old = spot(&attempt, &migration.old)?;
    let aside = journal.aside.file_name().unwrap_or_default();
    rename_in(&old.parent, old.name, aside).map_err(|error| attempt.failed(error))?;
    confirm(&attempt, &old)
}

fn end(migration: &Migration, journal: &Journal, was_unfinished: bool) -> Result<Migrated, Error> {
    match Journal::end(&migration.new) {
        // All is done and confirmed; a journal that a power cut brings back says so, and the next run removes it.
        Err(error) if error.kind() == ErrorKind::Unconfirmed => {}
        ended => ended?,
    }
    Ok(Migrated {
        way: journal.way,
        new: migration.new.clone(),
        kept: (journal.way == Way::Copy).then(|| journal.aside.clone()),
        was_unfinished,
    })
}

/// Removes what was copied so far; what cannot be removed now is removed by the next run.
fn undo(migration: &Migration, journal: &Journal) -> Result<(), Error> {
    let attempt = migration.attempt();
    let staged = journal.staged(&migration.new);
    let staged = spot(&attempt, &staged)?;
    if let Some(facts) =
        facts_if_any(&staged.parent, staged.name).map_err(|error| attempt.failed(error))?
        && (!facts.is_folder() || facts.uid != system::own_uid())
    {
        let reason = "what has the name of the copy is none of ours";
        return Err(attempt.refused(ErrorKind::Permission, reason));
    }
    discard(&staged.parent, staged.name).map_err(|error| attempt.failed(error))?;
    Journal::end(&migration.new)
}

/// Goes on where an earlier run was cut: finishes it, or takes it back, so that it can begin anew (none).
fn go_on(
    migration: &Migration,
    earlier: &Journal,
    held: Option<&Hold>,
) -> Result<Option<Migrated>, Error> {
    let is_staged = is_there(&earlier.staged(&migration.new))?;
    let is_new = is_there(&migration.new)?;
    let is_aside = is_there(&earlier.aside)?;
    match (earlier.way, earlier.phase, held) {
        (Way::Rename, _, None) if is_new => {
            let attempt = migration.attempt().leaving(COMPLETE);
            confirm(&attempt, &spot(&attempt, &migration.new)?)?;
        }
        (Way::Copy, Phase::Switching, _) if is_aside && (is_staged || is_new) => {
            if is_staged {
                switch(migration, earlier)?;
            }
            let attempt = migration.attempt().leaving(COMPLETE);
            confirm(&attempt, &spot(&attempt, &migration.new)?)?;
            confirm(&attempt, &spot(&attempt, &earlier.aside)?)?;
        }
        (Way::Copy, Phase::Switching, Some(held)) if is_new && !is_staged => {
            refuse_changed(migration, earlier, held)?;
            put_aside(migration, earlier)?;
        }
        (_, _, Some(_)) => {
            undo(migration, earlier)?;
            return Ok(None);
        }
        (_, _, None) => return Err(lost(migration, earlier)),
    }
    end(migration, earlier, true).map(Some)
}

/// What cannot be told is neither.
fn is_there(path: &Path) -> Result<bool, Error> {
    match facts(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A program that went on in the old folder after the cut has written what the new one does not have.
fn refuse_changed(migration: &Migration, earlier: &Journal, held: &Hold) -> Result<(), Error> {
    let found = survey(migration.walk(), &held.dir, &mut |_, _| ())?;
    if found.stamp == earlier.stamp {
        return Ok(());
    }
    let attempt = migration.attempt().leaving("both folders are as they are");
    let reason = "the old folder changed after it was copied, so each may have what the other has not; give the new one another name, and run it again to copy anew";
    Err(attempt.refused(ErrorKind::Changed, reason))
}

fn lost(migration: &Migration, earlier: &Journal) -> Error {
    let attempt = migration.attempt().leaving("nothing was changed");
    let reason = format!(
        "neither the old folder nor the new one is where it was left; look for `{}`, and remove the journal `{}`",
        crate::Shown(&earlier.aside),
        crate::Shown(&Journal::path(&migration.new))
    );
    attempt.refused(ErrorKind::NotFound, &reason)
}

/// An empty folder at the new place makes room.
fn clear(new: &Path) -> Result<(), Error> {
    remove_empty_dir(new)
}

fn spot<'p>(attempt: &Attempt<'_>, path: &'p Path) -> Result<Spot<'p>, Error> {
    let (parent, name) = split(attempt, path)?;
    let parent = Dir::open(parent).map_err(|error| attempt.failed_at_folder(parent, error))?;
    Ok(Spot { parent, name })
}

fn confirm(attempt: &Attempt<'_>, spot: &Spot<'_>) -> Result<(), Error> {
    let attempt = attempt.leaving(COMPLETE);
    spot.parent
        .sync()
        .map_err(|error| attempt.failed_as(ErrorKind::Unconfirmed, error))
}

/// Renames a folder in one other; where the careful rename is not known, the plain one refuses as well what is not empty.
fn rename_in(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    match dir.rename_noreplace(from, dir, to) {
        Err(error) if system::is_noreplace_unknown(&error) => match facts_if_any(dir, to)? {
            None => dir.rename(from, to),
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
        },
        renamed => renamed,
    }
}

/// `NAME.old-20261121T164137Z`, and a number where there is one already.
fn free_name(migration: &Migration) -> Result<PathBuf, Error> {
    let time = utc(migration.clock.wall());
    for number in 0..=NAMES_MAX {
        let suffix = match number {
            0 => format!(".old-{time}Z"),
            number => format!(".old-{time}Z-{number}"),
        };
        let name = with_suffix(&migration.old, &suffix);
        if !is_there(&name)? {
            return Ok(name);
        }
    }
    let reason = "there are too many folders that were migrated this second";
    Err(migration.attempt().refused(ErrorKind::Exists, reason))
}
