//! After a start: finishing what was begun.
//!
//! | in the work folder | the intake says | what is done |
//! |---|---|---|
//! | a file | committed | archived, moved or removed, as it would have been |
//! | a file | not committed | offered again, under the same claim |
//! | a copy | committed | its source is removed from the claimed folder, then it is archived |
//! | a copy | not committed | offered again, under the same claim |
//! | a marker alone | not committed | put back, tried until it is: the file that it marks was not taken |
//! | a marker alone | committed | removed: its file has left |
//! | a path alone | – | removed: the file that it belongs to was not taken |
//! | a copy without a claim to anything | – | removed |
//! | anything else | – | moved to quarantine, never removed |
//! | the list of folders that files went to | – | what happened in them is put on the disk |
//! | the memory of files that stay: what was about to be committed | not committed | offered again, under the same claim |
//!
//! | in the claimed folder of a drop folder on another file system | the intake says | what is done |
//! |---|---|---|
//! | a file, whose copy is in the work folder | – | see there |
//! | a file without a copy | not committed | copied, and offered under the same claim |
//! | a file without a copy | committed | removed: a power cut brought it back |

use crate::claim::Claim;
use crate::collector::{Book, Claimed, Collector, KEPT, LOCK, NAME, Place};
use crate::config::After;
use crate::entry::{Entry, Role, is_below};
use crate::error::Error;
use crate::folder::{Folder, why};
use crate::quarantine::Refused;
use crate::round::sync_foreign;
use crate::stray::Stray;
use crate::targets::TARGETS;
use mainstay_clock::Moment;
use mainstay_files as files;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The longest path that is read from an entry that holds one; the system takes no longer ones.
const PATH_MAX: u64 = 4_096;

/// What a start found in the work folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Files that were committed already, and are now archived, moved or removed.
    pub finished: usize,
    /// Files that were not committed; they are offered again, under their claims, before new ones are taken.
    pub pending: usize,
    /// Entries that we did not make, moved to quarantine.
    pub quarantined: usize,
    /// Claims of files that are still in the work folder, or may be in a drop folder that is away: all others that an intake
    /// still holds open for this pickup are finished, and can be closed.
    pub open: Vec<Claim>,
}

/// The entries of one claim.
#[derive(Debug, Default)]
struct Found {
    file: Option<(OsString, PathBuf)>,
    copy: Option<PathBuf>,
    marker: Option<(OsString, PathBuf)>,
    origin: Option<PathBuf>,
}

impl Collector {
    /// Looks through the work folder, and finishes what was begun.
    pub(crate) fn recover(&mut self, book: &dyn Book) -> Result<Recovered, Error> {
        self.confirm_earlier()?;
        let staying = match &mut self.kept {
            Some(kept) => kept.resolve(book)?,
            None => Vec::new(),
        };
        // All that was taken lies on the disk, and is found there again.
        self.pending.clear();
        self.unfinished.clear();
        self.strays.clear();
        self.leftovers.clear();
        for (claim, relative, seen) in staying {
            let claimed = Self::claimed_as(claim, &relative, Place::Drop, seen);
            self.pending.push(claimed);
        }
        // A drop folder on another file system has a part in it; where it is not there, that part waits until it comes.
        let root = self.attach(self.now());
        let before = self.shared.lock().status.quarantined;
        let found = self.list_work()?;
        let mut committed = Vec::new();
        for (claim, found) in found {
            match self.claimed_again(claim, &found) {
                Some(claimed) if book.is_committed(claim) => committed.push(claimed),
                Some(claimed) => self.pending.push(claimed),
                None if book.is_committed(claim) => committed.extend(self.left_of(claim, &found)),
                None => self.return_marker(claim, Place::Work, &found),
            }
        }
        let finished = committed.len();
        self.finish(committed, book);
        let finished = finished - self.unfinished.len();
        if let Some(root) = root {
            self.is_new_here = false;
            self.recover_claimed(&root, book);
        }
        self.count();
        let open = self
            .pending
            .iter()
            .chain(&self.unfinished)
            .map(|claimed| claimed.claim)
            .collect();
        let quarantined = (self.shared.lock().status.quarantined - before) as usize;
        Ok(Recovered {
            finished,
            pending: self.pending.len(),
            quarantined,
            open,
        })
    }

    /// Puts on the disk what an earlier life did here. Killed before its own syncs, it left names and contents that a power cut would
    /// still undo: a file would be back where it was dropped, or under a claim that nobody knows any more, and be a second document.
    fn confirm_earlier(&mut self) -> Result<(), Error> {
        self.targets
            .confirm()
            .map_err(|(folder, error)| Error::folder("sync", &folder, error))?;
        if let Some(kept) = &self.kept {
            kept.stir()?;
        }
        let synced = self.work.stir().and_then(|()| {
            if self.config.after == After::Delete {
                self.work.sync()
            } else {
                // With the contents of what is to be kept, and the folders that it went to.
                self.work.sync_filesystem()
            }
        });
        synced.map_err(|error| Error::folder("sync", &self.config.work, error))?;
        self.targets.forget();
        Ok(())
    }

    /// Reads the names in the work folder; what is not ours goes to quarantine.
    fn list_work(&mut self) -> Result<BTreeMap<Claim, Found>, Error> {
        let path = self.config.work.clone();
        let listed: Result<Vec<_>, _> = self.work.entries().and_then(Iterator::collect);
        let listed = listed.map_err(|error| {
            let help = format!(
                "it cannot be listed ({error}); see its owner and mode, and the kernel log"
            );
            Error::layout(&path, &help)
        })?;
        let mut found: BTreeMap<Claim, Found> = BTreeMap::new();
        for entry in listed {
            let name = entry.file_name();
            match Entry::read(&name) {
                Some(entry) => self.sort_in(&mut found, name, entry)?,
                None if is_known(&name) => {}
                None => self.refuse_unknown(&name),
            }
        }
        Ok(found)
    }

    fn sort_in(
        &self,
        found: &mut BTreeMap<Claim, Found>,
        name: OsString,
        entry: Entry,
    ) -> Result<(), Error> {
        if entry.role == Role::Scratch {
            drop(files::remove(&self.work_path(&name)));
            return Ok(());
        }
        let found = found.entry(entry.claim).or_default();
        match entry.role {
            Role::File => found.file = Some((name, entry.relative)),
            Role::Copy => found.copy = Some(entry.relative),
            Role::Marker => found.marker = Some((name, entry.relative)),
            Role::Origin => found.origin = self.read_origin(&name)?,
            Role::Scratch => {}
        }
        Ok(())
    }

    /// The whole path that an entry holds; `None` where it holds none. One that is not given now is not done without: its file would
    /// be archived under a name that is cut.
    fn read_origin(&self, name: &OsStr) -> Result<Option<PathBuf>, Error> {
        let path = self.work_path(name);
        let (file, _) = match files::open_regular(&path) {
            // Somebody put it there.
            Err(error) if error.kind() == files::ErrorKind::NotRegular => return Ok(None),
            opened => opened.map_err(|error| Error::folder("read", &path, error))?,
        };
        let mut bytes = Vec::new();
        file.take(PATH_MAX)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::unreadable(&path, &error))?;
        let origin = PathBuf::from(OsString::from_vec(bytes));
        Ok(is_below(&origin).then_some(origin))
    }

    /// An entry that we did not make: never removed, and never taken for a document.
    fn refuse_unknown(&mut self, name: &OsStr) {
        let original = self.config.work.join(name);
        let reason = "it lay in the work folder, and we did not put it there";
        let refused = Refused {
            folder: &self.work,
            name,
            original: &original,
            reason,
            may_copy: false,
        };
        match self.quarantine.put(&refused, self.clock.wall()) {
            Ok(_) => self.note_quarantined(Path::new(name), reason),
            Err(error) => {
                let told = format!(
                    "{reason}; it cannot be moved to quarantine: {}; move it away",
                    why(&error)
                );
                self.complain(Path::new(name), &told);
            }
        }
    }

    /// The file that these entries belong to; `None` where there is none.
    fn claimed_again(&self, claim: Claim, found: &Found) -> Option<Claimed> {
        let (place, relative) = match (&found.file, &found.copy) {
            (Some((_, relative)), _) => (Place::Work, relative),
            (None, Some(relative)) => (Place::Claimed, relative),
            (None, None) => return None,
        };
        Some(self.claimed_at(
            claim,
            place,
            found.origin.as_ref().unwrap_or(relative),
            found,
        ))
    }

    /// What is left of a file that was committed and has left: its marker, which would mark the next one of its name too early.
    fn left_of(&self, claim: Claim, found: &Found) -> Option<Claimed> {
        let (_, relative) = found.marker.as_ref()?;
        Some(self.claimed_at(claim, Place::Work, relative, found))
    }

    fn claimed_at(&self, claim: Claim, place: Place, relative: &Path, found: &Found) -> Claimed {
        let name = match &found.file {
            Some((name, _)) => name.clone(),
            None => Entry::name(claim, Role::File, relative).0,
        };
        let marker = match (place, self.filter.marker_of(relative)) {
            (Place::Claimed, Some(marker)) => Some(Entry::name(claim, Role::Marker, &marker).0),
            _ => found.marker.as_ref().map(|(name, _)| name.clone()),
        };
        Claimed {
            claim,
            relative: relative.to_owned(),
            place,
            name,
            marker,
            is_cut: found.origin.is_some(),
            seen: None,
            is_durable: true,
            is_in_doubt: true,
            due: Moment::ORIGIN,
            failures: 0,
            unreadable: 0,
        }
    }

    /// We died between the move of a marker and that of its file: the marker goes back, and the file is taken then.
    fn return_marker(&mut self, claim: Claim, place: Place, found: &Found) {
        let Some((held, relative)) = &found.marker else {
            return;
        };
        let whole = found
            .origin
            .as_ref()
            .and_then(|origin| self.filter.marker_of(origin));
        self.return_stray(Stray {
            claim,
            place,
            held: held.clone(),
            relative: whole.unwrap_or_else(|| relative.clone()),
            is_cut: found.origin.is_some(),
            is_late: false,
        });
    }

    // === the claimed folder ===

    /// Looks through the claimed folder of a drop folder that has just been found, and removes paths that belong to no file; where
    /// it cannot be read now, the next look tries again.
    pub(crate) fn recover_claimed(&mut self, root: &Folder, book: &dyn Book) {
        let folder = match root.below(Path::new(&self.claimed_name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened),
        };
        let listed = folder.transpose().and_then(|folder| {
            let found = folder.as_ref().map(claimed_in).transpose()?;
            Ok((folder, found.unwrap_or_default()))
        });
        let listed = listed.map_err(|error| {
            let path = self.config.drop.join(&self.claimed_name);
            Error::unreadable(&path, &error)
        });
        let listed = listed.and_then(|(folder, mut found)| {
            self.add_origins(&mut found)?;
            Ok((folder, found))
        });
        match listed {
            Ok((Some(folder), found)) => self.recover_found(&folder, found, book),
            Ok((None, _)) => {}
            Err(error) => {
                self.is_new_here = true;
                self.fail(error.to_string());
            }
        }
    }

    /// Finds the whole paths of files whose names are cut, and removes those that belong to none.
    fn add_origins(&self, found: &mut BTreeMap<Claim, Found>) -> Result<(), Error> {
        let listed = names(&self.work);
        for name in listed.map_err(|error| Error::unreadable(&self.config.work, &error))? {
            let Some(entry) = Entry::read(&name).filter(|entry| entry.role == Role::Origin) else {
                continue;
            };
            match found.get_mut(&entry.claim) {
                Some(found) => found.origin = self.read_origin(&name)?,
                None if self.is_held(entry.claim) => {}
                None => drop(files::remove(&self.work_path(&name))),
            }
        }
        Ok(())
    }

    fn recover_found(&mut self, folder: &Folder, found: BTreeMap<Claim, Found>, book: &dyn Book) {
        // An earlier life may have been killed before it did so: what is not sure to stay here goes back.
        let is_durable =
            found.is_empty() || (folder.stir().and_then(|()| sync_foreign(folder))).is_ok();
        let mut committed = Vec::new();
        for (claim, found) in found {
            if self.is_held(claim) {
                continue;
            }
            let Some((_, relative)) = &found.file else {
                self.return_marker(claim, Place::Claimed, &found);
                continue;
            };
            let mut claimed = self.claimed_at(
                claim,
                Place::Claimed,
                found.origin.as_ref().unwrap_or(relative),
                &found,
            );
            claimed.is_durable = is_durable;
            if book.is_committed(claim) {
                committed.push(claimed);
            } else {
                self.pending.push(claimed);
            }
        }
        self.finish(committed, book);
    }

    fn is_held(&self, claim: Claim) -> bool {
        self.pending
            .iter()
            .chain(&self.unfinished)
            .map(|claimed| claimed.claim)
            .chain(self.strays.iter().map(|stray| stray.claim))
            .any(|held| held == claim)
    }
}

fn names(folder: &Folder) -> io::Result<Vec<OsString>> {
    folder
        .entries()?
        .map(|entry| Ok(entry?.file_name()))
        .collect()
}

/// What was claimed into this folder.
fn claimed_in(folder: &Folder) -> io::Result<BTreeMap<Claim, Found>> {
    let mut found: BTreeMap<Claim, Found> = BTreeMap::new();
    for name in names(folder)? {
        match Entry::read(&name) {
            Some(entry) if entry.role == Role::File => {
                found.entry(entry.claim).or_default().file = Some((name, entry.relative));
            }
            Some(entry) if entry.role == Role::Marker => {
                found.entry(entry.claim).or_default().marker = Some((name, entry.relative));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// What else lies in a work folder: our own files, and those that a writer has not finished, which are swept.
fn is_known(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let is_unfinished =
        bytes.starts_with(b".") && bytes.windows(14).any(|part| part == b".mainstay-tmp-");
    [LOCK, NAME, KEPT, TARGETS].iter().any(|ours| name == *ours) || is_unfinished
}
