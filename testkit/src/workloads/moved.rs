//! A folder that gets another place, on its own disk and on another one, as often as it takes.

use super::Place;
use super::content::{content, read};
use super::facts::Facts;
use crate::tracer::unwatched;
use anyhow::Result;
use mainstay_files::{Migrated, Migration, Space};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// The files of a folder, and how long they are: one takes several pieces.
const FILES: [(&str, usize); 3] = [("state", 300), ("sub/empty", 0), ("sub/large", 300_000)];

/// How a folder gets to its new place.
const WAYS: [&str; 3] = ["renamed", "copied", "across"];

/// A folder of a round: where it is, and where it is to be.
struct Journey {
    old: PathBuf,
    new: PathBuf,
    way: &'static str,
    round: u64,
    /// Whether its old place is kept: a rename does on one file system.
    is_kept: bool,
}

fn journeys(place: &Place, round: u64) -> [Journey; 3] {
    let dev = |path: &Path| fs::metadata(path).map_or(0, |facts| facts.dev());
    let are_two = dev(&place.folder) != dev(&place.other);
    WAYS.map(|way| {
        let base = match way {
            "across" => &place.other,
            _ => &place.folder,
        };
        Journey {
            old: place.folder.join(format!("moved/{way}-{round}")),
            new: base.join(format!("moved-to/{way}-{round}")),
            is_kept: way == "copied" || (way == "across" && are_two),
            way,
            round,
        }
    })
}

pub(super) fn prepare(place: &Place) -> Result<()> {
    for journey in journeys(place, place.round) {
        fs::create_dir_all(journey.old.join("sub"))?;
        fs::write(journey.old.join("LOCK"), "")?;
        for (name, len) in FILES {
            fs::write(journey.old.join(name), journey.content(name, len))?;
        }
        symlink("sub/large", journey.old.join("link"))?;
    }
    // An empty folder at the new place is taken over.
    fs::create_dir_all(&journeys(place, place.round)[1].new)?;
    Ok(())
}

pub(super) fn run(place: &Place) {
    for round in 0..=place.round {
        for journey in journeys(place, round) {
            journey.go();
        }
    }
}

impl Journey {
    fn content(&self, name: &str, len: usize) -> Vec<u8> {
        content(&format!("{}/{name}", self.way), self.round, len)
    }

    /// One that has arrived is not begun again.
    fn go(&self) {
        if !self.old.exists() && !self.journal().exists() {
            return;
        }
        let what = format!("{} {}", self.old.display(), self.new.display());
        println!("migrating {what}");
        match self.migrate() {
            Ok(_) => println!("migrated {what}"),
            Err(error) => println!("refused {what}: {error}"),
        }
    }

    fn migrate(&self) -> Result<Migrated, mainstay_files::Error> {
        let nothing = Space {
            bytes: 0,
            inodes: 0,
        };
        let migration = Migration::new(&self.old, &self.new)?.reserving(nothing);
        match self.way {
            "copied" => migration.copying().run(&mut |_| ()),
            _ => migration.run(&mut |_| ()),
        }
    }

    fn journal(&self) -> PathBuf {
        let mut path = self.new.as_os_str().to_owned();
        path.push(".migration");
        path.into()
    }

    /// Whether all of it is there, and nothing else.
    fn is_whole(&self, folder: &Path) -> bool {
        let is_file_whole = |name: &str| {
            let bytes = fs::read(folder.join(name)).unwrap_or_default();
            read(&bytes) == Some((format!("{}/{name}", self.way), self.round))
        };
        let count = |folder: &Path| fs::read_dir(folder).map_or(0, Iterator::count);
        FILES.iter().all(|(name, _)| is_file_whole(name))
            && fs::read_link(folder.join("link")).is_ok_and(|to| to == Path::new("sub/large"))
            && (count(folder), count(&folder.join("sub"))) == (4, 2)
    }

    /// What lies beside the new place, or the old one, and begins with the folder's name.
    fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for path in [&self.old, &self.new] {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some(parent) = path.parent().filter(|parent| parent.exists()) else {
                continue;
            };
            for entry in fs::read_dir(parent)? {
                let entry = entry?.path();
                let other = entry.file_name().unwrap_or_default().to_string_lossy();
                if other.contains(&*name) && *name != *other {
                    found.push(entry);
                }
            }
        }
        Ok(found)
    }

    /// What is wrong before another run, and after it.
    fn differs(&self, is_confirmed: bool) -> Result<Vec<String>> {
        let mut wrong = unwatched(|| self.differs_before(is_confirmed));
        if unwatched(|| self.old.exists() || self.journal().exists())
            && let Err(error) = self.migrate()
        {
            let what = format!("does not get to its new place: {error}");
            wrong.push(format!("{} {what}", self.old.display()));
        }
        // What was in hand when the run was killed goes at the next sweep that is let; that of the migration may not have been.
        for path in [&self.old, &self.new] {
            path.parent().map(mainstay_files::sweep).transpose()?;
        }
        wrong.extend(unwatched(|| self.differs_after())?);
        Ok(wrong)
    }

    fn differs_before(&self, is_confirmed: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let is_empty =
            |path: &Path| fs::read_dir(path).is_ok_and(|mut names| names.next().is_none());
        let (old, new) = (self.is_whole(&self.old), self.is_whole(&self.new));
        let mut say = |what: &str| wrong.push(format!("{} {what}", self.old.display()));
        if !old && !new {
            say("is whole neither at its old place nor at its new one");
        }
        if !old && self.old.exists() {
            say("is in parts");
        }
        if !new && self.new.exists() && !is_empty(&self.new) {
            say("is in parts at its new place");
        }
        if is_confirmed && (!new || self.old.exists()) {
            say("was to be at its new place alone");
        }
        wrong
    }

    fn differs_after(&self) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let mut say = |what: &str| wrong.push(format!("{} {what}", self.old.display()));
        if !self.is_whole(&self.new) || self.old.exists() {
            say("is not at its new place after another run");
        }
        let left = self.leftovers()?;
        let (kept, others): (Vec<_>, Vec<_>) = left
            .iter()
            .partition(|path| path.to_string_lossy().contains(".old-"));
        if !others.is_empty() {
            say(&format!("leaves {others:?}"));
        }
        if kept.len() != usize::from(self.is_kept) || !kept.iter().all(|kept| self.is_whole(kept)) {
            say(&format!("is kept in {kept:?}"));
        }
        Ok(wrong)
    }
}

pub(super) fn check(place: &Place, facts: &Facts) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for round in 0..=place.round {
        for journey in journeys(place, round) {
            let old = journey.old.display().to_string();
            let is_confirmed = facts.migrations.get(&old) == Some(&true);
            wrong.extend(journey.differs(is_confirmed)?);
        }
    }
    Ok(wrong)
}
