//! The folder that holds the backups of one file.
//!
//! ```text
//! 9f86d081884c7d65…-settings.json/
//!   lock                                  whoever changes something here
//!   saved                                 what the file was when it was last saved
//!   20261121T142253.123Z-0000.backup      what is remembered of one backup
//!   ba7816bf8f01cfea….content             a content, named by its SHA-256; backups that are alike share it
//!   2c26b46b68ffc68f….zst                 one that is compressed
//! ```
//!
//! A backup is there when its `.backup` is, and that is made last and removed first: a content that no `.backup` names is a
//! leftover, and goes with the next change.

use super::manifest;
use super::saved::Saved;
use super::state::PacedRead;
use super::{Backup, BackupId, Listed};
use crate::copy;
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::{Facts, facts, facts_of, open_regular};
use crate::integrity::{Algorithm, Checksum, Integrity, copy_hashed};
use crate::lock::Lock;
use crate::target::Target;
use crate::temp::Owner;
use crate::{Writer, create_dir_all, create_new, remove, replace, sync_dir, sync_file};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

const BACKUP: &str = "backup";
const PLAIN: &str = "content";
const COMPRESSED: &str = "zst";
const SAVED: &str = "saved";

/// zstd's own default: a quarter to a tenth of a text's length at some hundred MB/s.
const LEVEL: i32 = 3;

/// Backups are their owner's alone: a backup of a secret is a secret.
pub(super) const FOLDER_MODE: u32 = 0o700;

/// The folder, to look at.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    pub(super) folder: PathBuf,
}

/// The folder, while nobody else changes anything in it.
#[derive(Debug)]
pub(super) struct HeldShelf {
    shelf: Shelf,
    _lock: Lock,
}

/// How a content comes into the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taking {
    /// By a second name, where that is possible: its first name is about to be another file's, or nobody's.
    Link,
    /// By its bytes, because the file stays and may be written to.
    Copy,
}

impl Shelf {
    /// Keeps everybody else from changing anything; makes the folder where it is missing.
    pub(super) fn hold(&self, patience: Duration) -> Result<HeldShelf, Error> {
        create_dir_all(&self.folder, FOLDER_MODE)?;
        let lock = Lock::acquire_within(&self.folder.join("lock"), patience)?;
        // What a killed process left half-written; where this fails it is there a while longer.
        drop(crate::sweep(&self.folder));
        Ok(HeldShelf {
            shelf: self.clone(),
            _lock: lock,
        })
    }

    /// What is there, newest first.
    pub(super) fn list(&self) -> Result<Listed, Error> {
        let attempt = Attempt::new("list the backups in", &self.folder, "");
        let mut listed = Listed::default();
        for name in self.names(&attempt)? {
            let name = Path::new(&name);
            if name.extension().is_none_or(|extension| extension != BACKUP) {
                continue;
            }
            let path = self.folder.join(name);
            // One that somebody removed just now is none.
            let Some(bytes) = read_small(&path)? else {
                continue;
            };
            match manifest::decode(&bytes) {
                Some(backup) if self.manifest(backup.id) == path => listed.backups.push(backup),
                _ => listed.unreadable.push(path),
            }
        }
        listed
            .backups
            .sort_by_key(|backup| std::cmp::Reverse(backup.id));
        listed.unreadable.sort();
        Ok(listed)
    }

    /// The name of the newest backup, also where it cannot be understood.
    pub(super) fn newest_id(&self) -> Result<Option<BackupId>, Error> {
        let attempt = Attempt::new("list the backups in", &self.folder, "");
        let names = self.names(&attempt)?.into_iter();
        let ids = names.filter_map(|name| {
            let (stem, kind) = name.to_str()?.rsplit_once('.')?;
            (kind == BACKUP).then(|| stem.parse().ok())?
        });
        Ok(ids.max())
    }

    fn names(&self, attempt: &Attempt<'_>) -> Result<Vec<std::ffi::OsString>, Error> {
        match crate::system::Dir::open(&self.folder).and_then(|dir| dir.names()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            names => names.map_err(|error| attempt.failed(error)),
        }
    }

    /// Opens a content to be read from its beginning; whatever happens to its name then, it can be read to its end.
    pub(super) fn open(&self, hash: &Checksum) -> Result<Box<dyn Read + Send>, Error> {
        match open_regular(&self.content(hash, PLAIN)) {
            Ok((file, _)) => Ok(Box::new(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let path = self.content(hash, COMPRESSED);
                let (file, _) = open_regular(&path)?;
                let decoder = zstd::Decoder::new(file)
                    .map_err(|error| Attempt::new("read", &path, "").failed(error))?;
                Ok(Box::new(decoder))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a content to its end, and says whether it is what it was.
    pub(super) fn verify(&self, backup: &Backup) -> Result<Integrity, Error> {
        self.verify_paced(backup, &mut |_| {})
    }

    /// Like [`verify`](Self::verify), and calls `pace` with each number of bytes.
    pub(super) fn verify_paced(
        &self,
        backup: &Backup,
        pace: &mut dyn FnMut(u64),
    ) -> Result<Integrity, Error> {
        let mut content = match self.open(&backup.hash) {
            Ok(inner) => PacedRead { inner, pace },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Integrity::Unknown("its content is not there".into()));
            }
            Err(error) => return Err(error),
        };
        // One byte more than there should be is enough to know that it is another.
        let mut bounded = (&mut content).take(backup.len.saturating_add(1));
        match copy_hashed(&mut bounded, &mut io::sink(), Algorithm::Sha256) {
            Ok((_, found)) if found == backup.hash => Ok(Integrity::Verified(found)),
            Ok((_, found)) => Ok(Integrity::Mismatch {
                expected: backup.hash,
                found,
            }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Err(Attempt::new("read the backup of", &backup.path, "").failed(error))
            }
            // What was compressed, and is damaged, cannot be read at all.
            Err(error) => Ok(Integrity::Unknown(format!(
                "its content cannot be read: {error}"
            ))),
        }
    }

    /// What is remembered of the file; none where nothing is, or what is remembered is damaged.
    pub(super) fn saved(&self) -> Result<Option<Saved>, Error> {
        let bytes = read_small(&self.folder.join(SAVED))?;
        Ok(bytes.and_then(|bytes| Saved::decode(&bytes)))
    }

    /// How many bytes a backup's content takes on the disk; 0 where it is missing.
    pub(super) fn bytes_of(&self, hash: &Checksum) -> u64 {
        let len = |kind| facts(&self.content(hash, kind)).map_or(0, |facts| facts.len);
        len(PLAIN) + len(COMPRESSED)
    }

    fn content(&self, hash: &Checksum, kind: &str) -> PathBuf {
        self.folder.join(format!("{hash}.{kind}"))
    }

    fn manifest(&self, id: BackupId) -> PathBuf {
        self.folder.join(format!("{id}.{BACKUP}"))
    }
}

impl HeldShelf {
    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Makes a content durable here, and answers what it is.
    pub(super) fn take_in(
        &self,
        attempt: &Attempt<'_>,
        source: &Path,
        taking: Taking,
    ) -> Result<(Facts, Checksum), Error> {
        let (mut file, before) = open_regular(source)?;
        let (_, hash) = copy_hashed(&mut file, &mut io::sink(), Algorithm::Sha256)
            .map_err(|error| attempt.failed(error))?;
        if facts_of(&file)? != before {
            return Err(attempt.refused(ErrorKind::Changed, "somebody wrote to it meanwhile"));
        }
        let place = self.shelf.content(&hash, PLAIN);
        match facts(&place) {
            Ok(there) if there.is_same_file(&before) => {
                // A backup of it was begun before an overwrite that never came; who knows whether it was synced.
                if taking == Taking::Copy || sync_file(&file).is_err() {
                    self.replace_content(attempt, source, &place, &before)?;
                }
            }
            Ok(_) if self.is_whole(&hash)? => {}
            // What it should hold is at hand: that mends it.
            Ok(_) => self.replace_content(attempt, source, &place, &before)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.add_content(attempt, source, &place, (&file, &before), taking)?;
            }
            Err(error) => return Err(error),
        }
        Ok((before, hash))
    }

    fn is_whole(&self, hash: &Checksum) -> Result<bool, Error> {
        let sum = crate::checksum(&self.shelf.content(hash, PLAIN), Algorithm::Sha256)?;
        Ok(sum == *hash)
    }

    fn add_content(
        &self,
        attempt: &Attempt<'_>,
        source: &Path,
        place: &Path,
        (file, before): (&File, &Facts),
        taking: Taking,
    ) -> Result<(), Error> {
        // Of a file with several names we cannot know who writes through the others.
        if taking == Taking::Link && before.nlink == 1 && link(attempt, source, place)? {
            let is_it = is_unchanged(&facts(place)?, before);
            // Whoever wrote the file may never have synced it.
            if is_it && sync_file(file).is_ok() {
                return sync_dir(&self.shelf.folder);
            }
            remove(place)?;
            // Where it was not confirmed its bytes are written to a new file, because a second sync of the same one would lie.
            // It has one name again, which counts as a change of the file and is ours.
            let now = facts_of(file)?;
            if is_it && is_unchanged(&now, before) {
                return copy_content(attempt, source, place, &now);
            }
            return Err(attempt.refused(ErrorKind::Changed, "somebody replaced it meanwhile"));
        }
        copy_content(attempt, source, place, before)
    }

    /// Puts fresh bytes in the place of a content that is damaged, or is still the file itself.
    fn replace_content(
        &self,
        attempt: &Attempt<'_>,
        source: &Path,
        place: &Path,
        before: &Facts,
    ) -> Result<(), Error> {
        let fresh = place.with_extension("fresh");
        remove(&fresh)?;
        copy_content(attempt, source, &fresh, before)?;
        let from = Target::find_unfollowed(attempt, &fresh)?;
        let name = place.file_name().unwrap_or_default();
        from.dir
            .rename(&from.name, name)
            .map_err(|error| attempt.failed(error))?;
        sync_dir(&self.shelf.folder)
    }

    /// Remembers what the file is now.
    pub(super) fn remember(&self, saved: &Saved) -> Result<(), Error> {
        replace(&self.shelf.folder.join(SAVED), &saved.encode())
    }

    /// Makes a backup of a content that is here be there.
    pub(super) fn record(&self, backup: &Backup) -> Result<(), Error> {
        create_new(&self.shelf.manifest(backup.id), &manifest::encode(backup))
    }

    /// Removes what is remembered of these, and then every content that nothing names any more.
    pub(super) fn discard(&self, backups: &[&Backup]) -> Result<(), Error> {
        for backup in backups {
            remove(&self.shelf.manifest(backup.id))?;
        }
        if !backups.is_empty() {
            sync_dir(&self.shelf.folder)?;
        }
        self.discard_unnamed()
    }

    fn discard_unnamed(&self) -> Result<(), Error> {
        let listed = self.shelf.list()?;
        if !listed.unreadable.is_empty() {
            // They may name any of the contents.
            return Ok(());
        }
        let named: HashSet<String> = listed
            .backups
            .iter()
            .map(|backup| backup.hash.to_string())
            .collect();
        let attempt = Attempt::new("look into", &self.shelf.folder, "");
        for name in self.shelf.names(&attempt)? {
            let path = self.shelf.folder.join(&name);
            let is_content = path
                .extension()
                .is_some_and(|kind| kind == PLAIN || kind == COMPRESSED || kind == "fresh");
            let is_named = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .is_some_and(|stem| named.contains(stem));
            if is_content && !is_named {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Compresses the content of a backup that is not compressed yet.
    pub(super) fn compress(&self, backup: &Backup) -> Result<(), Error> {
        let plain = self.shelf.content(&backup.hash, PLAIN);
        let small = self.shelf.content(&backup.hash, COMPRESSED);
        let attempt = Attempt::new("compress", &plain, "it is as it was");
        let mut file = match open_regular(&plain) {
            Ok((file, _)) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        remove(&small)?;
        let mut writer = Writer::create(&small)?;
        let failed = |error| attempt.failed(error);
        let mut encoder = zstd::Encoder::new(&mut writer, LEVEL).map_err(failed)?;
        encoder.include_checksum(true).map_err(failed)?;
        let (_, found) = copy_hashed(&mut file, &mut encoder, Algorithm::Sha256).map_err(failed)?;
        encoder.finish().map_err(failed)?;
        if found != backup.hash {
            // It is damaged: compressed, nobody could look at what is left of it.
            return Ok(());
        }
        writer.commit_new()?;
        remove(&plain)
    }
}

/// A short file, or none where it is not there.
fn read_small(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let file = match open_regular(path) {
        Ok((file, _)) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(manifest::LEN_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| Attempt::new("read", path, "").failed(error))?;
    Ok(Some(bytes))
}

/// Whether a file is the one that it was, and nobody has written to it.
fn is_unchanged(now: &Facts, before: &Facts) -> bool {
    now.is_same_file(before) && (now.len, now.modified) == (before.len, before.modified)
}

/// Whether the file system gave the second name.
fn link(attempt: &Attempt<'_>, source: &Path, place: &Path) -> Result<bool, Error> {
    let from = Target::find_unfollowed(attempt, source)?;
    let to = Target::find_unfollowed(attempt, place)?;
    // Another file system, a file of somebody else, one that knows no second names: then it is copied.
    Ok(from.dir.link(&from.name, &to.dir, &to.name).is_ok())
}

fn copy_content(
    attempt: &Attempt<'_>,
    source: &Path,
    place: &Path,
    before: &Facts,
) -> Result<(), Error> {
    let from = Target::find_unfollowed(attempt, source)?;
    let to = Target::find_unfollowed(attempt, place)?;
    let (copied, _) = copy::copy(attempt, &from, &to, Owner::Us)?;
    if copied == *before {
        return Ok(());
    }
    remove(place)?;
    Err(attempt.refused(ErrorKind::Changed, "somebody replaced it meanwhile"))
}
