//! Earlier versions of files, to go back to.

mod archive;

mod entry;

mod id;

mod manifest;

mod pruning;

mod put_back;

mod retention;

mod saved;

mod scrub;

mod shelf;

mod state;

pub use archive::{Archive, FolderArchive};
pub use entry::{Backup, Listed, Reason, Usage};
pub(crate) use id::utc;
pub use id::{BackupId, NotABackupId};
pub use retention::Retention;
pub use scrub::{ScrubSummary, Scrubbed};
pub use state::{FileState, FileStatus, Loaded, Origin};

use crate::directory::create_dir_all;
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::{Facts, facts};
use crate::integrity::{Algorithm, Checksum, Integrity, copy_hashed};
use crate::options::WriteOptions;
use crate::system;
use crate::target::whole;
use crate::writer::Writer;
use mainstay_clock::SharedClock;
use shelf::{FOLDER_MODE, HeldShelf, Shelf, Taking};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A folder of backups, of any number of files.
///
/// Several processes may use one folder at a time. All calls block.
///
/// ```
/// # let folder = tempfile::TempDir::new()?;
/// # let path = folder.path().join("settings.json");
/// let backups = mainstay_files::Backups::open(&folder.path().join("backups"))?;
/// backups.replace(&path, b"{\"volume\": 3}")?;
/// backups.replace(&path, b"{\"volume\": 9}")?;
///
/// let newest = &backups.list(&path)?.backups[0];
/// backups.restore(newest, &path)?;
/// assert_eq!(std::fs::read(&path)?, b"{\"volume\": 3}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Backups {
    folder: PathBuf,
    retention: Retention,
    archive: Option<Arc<dyn Archive>>,
    patience: Duration,
    clock: SharedClock,
    made_by: String,
    options: WriteOptions,
}

impl Backups {
    /// Uses the folder at `folder`, which is made (mode 0700) with the first backup.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`]: the path is relative, and the current folder is gone.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let folder = std::path::absolute(folder)
            .map_err(|error| Attempt::new("use for backups", folder, "").failed(error))?;
        let (process, user) = (std::process::id(), system::own_uid());
        Ok(Self {
            folder,
            retention: Retention::default(),
            archive: None,
            patience: Duration::from_secs(10),
            clock: mainstay_clock::system(),
            made_by: format!("process {process}, user {user}"),
            options: WriteOptions::new(),
        })
    }

    /// Keeps so many.
    #[must_use]
    pub fn retaining(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Keeps all there are, until [`remove`](Self::remove) is told which may go.
    #[must_use]
    pub(crate) fn keeping_all(self) -> Self {
        self.retaining(Retention {
            keep: NonZeroUsize::MAX,
            ..Retention::default()
        })
    }

    pub(crate) fn wall(&self) -> u64 {
        self.clock.wall()
    }

    /// Hands those that are too many to `archive` before they go.
    #[must_use]
    pub fn archiving_to(self, archive: Arc<dyn Archive>) -> Self {
        Self {
            archive: Some(archive),
            ..self
        }
    }

    /// Remembers this as the program that makes them, with its version.
    #[must_use]
    pub fn made_by(self, program: &str) -> Self {
        Self {
            made_by: format!("{program}, {}", self.made_by),
            ..self
        }
    }

    /// Waits so long for another process that changes backups of the same file.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Writes in this way; a restore follows links as it says, and is otherwise always durable and compared.
    ///
    /// A symbolic link is backed up by nobody, so [`Symlinks::Replace`](crate::Symlinks::Replace) refuses one like
    /// [`Symlinks::Refuse`](crate::Symlinks::Refuse).
    #[must_use]
    pub fn writing(self, options: WriteOptions) -> Self {
        Self { options, ..self }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn clocked_by(self, clock: SharedClock) -> Self {
        Self { clock, ..self }
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a backup of the file at `path`; it survives a power cut from when this returns `Ok`.
    ///
    /// A symbolic link is followed: it is the file that is backed up. Afterwards those that are too many are pruned; that this
    /// fails is no error here, and the next time finds them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] and others where the file cannot be read; [`ErrorKind::Changed`] where somebody wrote to it
    /// meanwhile; [`ErrorKind::Locked`] where another process changes its backups for longer than we wait;
    /// [`ErrorKind::DiskFull`] and others. No backup was made, and every other is there.
    pub fn create(&self, path: &Path) -> Result<Backup, Error> {
        let path = whole(path)?;
        let held = self.hold(&path)?;
        let attempt = Attempt::new("back up", &path, "no backup was made");
        let (made, facts) = self.take(&held, &attempt, &path, Reason::Manual)?;
        self.remember(&held, &path, &facts, made.hash);
        drop(self.prune_held(&held, None));
        Ok(made)
    }

    /// Puts `bytes` in the place of the file at `path`, or makes it, after a backup of what is there.
    ///
    /// Answers the backup; none where no file was there. The file itself is written as by [`replace()`](crate::replace()).
    ///
    /// # Errors
    ///
    /// As [`replace()`](crate::replace()) and [`create`](Self::create). Where the backup fails the file is not touched.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<Option<Backup>, Error> {
        self.write(path, |writer| writer.write_all(bytes))
    }

    /// Like [`replace`](Self::replace), for a content of any length that is written piece by piece.
    ///
    /// The backup is made when `fill` is done, right before the new content takes its place.
    ///
    /// # Errors
    ///
    /// As [`replace`](Self::replace), and whatever `fill` answers. Where that, or a check, refuses the content, the file is not
    /// touched, and no backup made.
    pub fn write(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut Writer) -> io::Result<()>,
    ) -> Result<Option<Backup>, Error> {
        let path = self.place(path)?;
        let attempt = Attempt::new("write", &path, "nothing was changed");
        let mut writer = self.options.clone().hashing().writer(&path)?;
        fill(&mut writer).map_err(|error| attempt.failed(error))?;
        let prepared = writer.prepared()?;
        let held = self.hold(&path)?;
        let backup = self.before(&held, &path, Reason::BeforeOverwrite)?;
        if let (facts, Some(hash)) = prepared.publish()? {
            self.remember(&held, &path, &facts, hash);
        }
        drop(self.prune_held(&held, None));
        Ok(backup)
    }

    /// Removes the file at `path` after a backup of it, from which it can be restored.
    ///
    /// It stays removed after a power cut from when this returns `Ok`.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create); the file is still there. [`ErrorKind::Unconfirmed`]: it is gone, but a power cut may bring
    /// it back.
    pub fn delete(&self, path: &Path) -> Result<Backup, Error> {
        let attempt = Attempt::new("delete", path, "it is still there");
        let before = facts(path)?;
        if before.is_symlink() {
            let reason = "it is a symbolic link; give the path that it leads to";
            return Err(attempt.refused(ErrorKind::IsSymlink, reason));
        }
        let path = whole(path)?;
        let held = self.hold(&path)?;
        let (backup, _) = self.take(&held, &attempt, &path, Reason::BeforeDelete)?;
        let now = facts(&path)?;
        if !now.is_same_file(&before) || now.modified != before.modified || now.len != before.len {
            return Err(attempt.refused(ErrorKind::Changed, "somebody replaced it meanwhile"));
        }
        crate::remove(&path)?;
        crate::sync_dir(path.parent().unwrap_or(&path))?;
        drop(self.prune_held(&held, None));
        Ok(backup)
    }

    /// Puts the content, mode and owner of a backup at `to`, after a backup of what is there; the time of modification is now.
    ///
    /// Answers the backup of what was there. The content is read and compared first, while nobody can prune it, and is
    /// compared once more while it is written. What is too many is pruned only then, and never the one restored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`]: the backup is not what it was; [`ErrorKind::NotFound`]: it is gone, or the folder of `to` is;
    /// others as [`replace`](Self::replace). In every case what is at `to` was not touched.
    pub fn restore(&self, backup: &Backup, to: &Path) -> Result<Option<Backup>, Error> {
        self.restore_for(backup, to, Reason::BeforeRestore)
    }

    fn restore_for(
        &self,
        backup: &Backup,
        to: &Path,
        reason: Reason,
    ) -> Result<Option<Backup>, Error> {
        let to = self.place(to)?;
        let held = self.hold(&to)?;
        let writer = self.filled(backup, &to)?;
        let before = self.before(&held, &to, reason)?;
        let facts = writer.commit_as(backup.uid, backup.gid, backup.mode)?;
        self.remember(&held, &to, &facts, backup.hash);
        drop(self.prune_held(&held, Some(backup.id)));
        Ok(before)
    }

    /// The content of a backup, compared and written beside `to`, where nobody sees it yet.
    fn filled(&self, backup: &Backup, to: &Path) -> Result<Writer, Error> {
        let attempt = Attempt::new("restore", to, "nothing was changed");
        let shelf = self.shelf(&backup.path);
        self.refuse_damaged(&attempt, backup)?;
        let mut content = shelf.open(&backup.hash)?;
        let mut writer = Writer::create_secret(to)?;
        let (_, hash) = copy_hashed(&mut content, &mut writer, Algorithm::Sha256)
            .map_err(|error| attempt.failed(error))?;
        if hash != backup.hash {
            let reason = format!("its backup {} changed while it was read", backup.id);
            return Err(attempt.refused(ErrorKind::Damaged, &reason));
        }
        Ok(writer)
    }

    fn refuse_damaged(&self, attempt: &Attempt<'_>, backup: &Backup) -> Result<(), Error> {
        let reason = match self.shelf(&backup.path).verify(backup)? {
            Integrity::Verified(_) => return Ok(()),
            Integrity::Mismatch { .. } => {
                format!("its backup {} is damaged, take another one", backup.id)
            }
            Integrity::Unknown(why) => format!("its backup {} is of no use: {why}", backup.id),
        };
        Err(attempt.refused(ErrorKind::Damaged, &reason))
    }

    /// The backups of the file at `path`, newest first; the file itself need not be there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Permission`] and others, where the folder cannot be read.
    pub fn list(&self, path: &Path) -> Result<Listed, Error> {
        self.shelf(&whole(path)?).list()
    }

    /// The backups of all files, newest first.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn list_all(&self) -> Result<Listed, Error> {
        let mut all = Listed::default();
        for shelf in self.shelves()? {
            let mut listed = shelf.list()?;
            all.backups.append(&mut listed.backups);
            all.unreadable.append(&mut listed.unreadable);
        }
        all.backups
            .sort_by(|a, b| b.id.cmp(&a.id).then_with(|| a.path.cmp(&b.path)));
        Ok(all)
    }

    /// Reads a backup to its end, and says whether it is what it was.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Permission`] and others, where its content is there and cannot be opened.
    pub fn verify(&self, backup: &Backup) -> Result<Integrity, Error> {
        self.shelf(&backup.path).verify(backup)
    }

    /// Reads the content of a backup into `out`; it was compared before the first byte is handed over.
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore), and whatever `out` answers.
    pub fn read(&self, backup: &Backup, out: &mut dyn Write) -> Result<(), Error> {
        let attempt = Attempt::new("read the backup of", &backup.path, "");
        let shelf = self.shelf(&backup.path);
        let mut content = shelf.open(&backup.hash)?;
        self.refuse_damaged(&attempt, backup)?;
        io::copy(&mut content, out).map_err(|error| attempt.failed(error))?;
        Ok(())
    }

    /// How much room all backups take.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn usage(&self) -> Result<Usage, Error> {
        let mut usage = Usage::default();
        for shelf in self.shelves()? {
            let listed = shelf.list()?.backups;
            let mut hashes: Vec<&Checksum> = listed.iter().map(|backup| &backup.hash).collect();
            hashes.sort_by_key(|hash| hash.as_bytes());
            hashes.dedup();
            usage.files += u64::from(!listed.is_empty());
            usage.backups += listed.len() as u64;
            usage.bytes += hashes
                .into_iter()
                .map(|hash| shelf.bytes_of(hash))
                .sum::<u64>();
        }
        Ok(usage)
    }

    /// The whole path of a file that is to be written, unless it is a link and the options follow none.
    fn place(&self, path: &Path) -> Result<PathBuf, Error> {
        let attempt = Attempt::new("write", path, "nothing was changed");
        self.options.refuse_kept_link(&attempt, path)?;
        whole(path)
    }

    fn shelf(&self, path: &Path) -> Shelf {
        Shelf {
            folder: self.folder.join(manifest::shelf_name(path)),
        }
    }

    fn shelves(&self) -> Result<Vec<Shelf>, Error> {
        let attempt = Attempt::new("list the backups in", &self.folder, "");
        let names = match system::Dir::open(&self.folder).and_then(|dir| dir.names()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names.map_err(|error| attempt.failed(error))?,
        };
        let folders = names.into_iter().map(|name| self.folder.join(name));
        Ok(folders
            .filter(|folder| facts(folder).is_ok_and(|facts| facts.is_folder()))
            .map(|folder| Shelf { folder })
            .collect())
    }

    fn hold(&self, path: &Path) -> Result<HeldShelf, Error> {
        create_dir_all(&self.folder, FOLDER_MODE)?;
        self.shelf(path).hold(self.patience)
    }

    /// A backup of what is about to go; none where nothing is there, or where the newest backup is of the same content.
    fn before(
        &self,
        held: &HeldShelf,
        path: &Path,
        reason: Reason,
    ) -> Result<Option<Backup>, Error> {
        let attempt = Attempt::new("back up", path, "it was not touched");
        match facts(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            there => there.map(drop)?,
        }
        let (backup, _) = self.take(held, &attempt, path, reason)?;
        Ok(Some(backup))
    }

    fn take(
        &self,
        held: &HeldShelf,
        attempt: &Attempt<'_>,
        path: &Path,
        reason: Reason,
    ) -> Result<(Backup, Facts), Error> {
        let taking = match reason {
            Reason::Manual => Taking::Copy,
            Reason::BeforeOverwrite
            | Reason::BeforeRestore
            | Reason::BeforeDelete
            | Reason::Damaged => Taking::Link,
        };
        let (facts, hash) = held.take_in(attempt, path, taking)?;
        let listed = held.shelf().list()?;
        let saved = held.shelf().saved()?;
        if let Some(newest) = listed.backups.first()
            && newest.stands_for(reason, saved.as_ref())
            && (newest.hash, newest.mode, newest.uid, newest.gid)
                == (hash, facts.mode & 0o7777, facts.uid, facts.gid)
        {
            // It is kept already, and need not push out an older one.
            return Ok((newest.clone(), facts));
        }
        let backup = Backup {
            id: BackupId::next(self.clock.wall(), held.shelf().newest_id()?),
            path: path.to_owned(),
            len: facts.len,
            hash,
            mode: facts.mode & 0o7777,
            uid: facts.uid,
            gid: facts.gid,
            modified: facts.modified,
            reason,
            made_by: self.made_by.clone(),
        };
        held.record(&backup)?;
        Ok((backup, facts))
    }
}
