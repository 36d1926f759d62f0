//! A file that is written piece by piece, and appears whole.

use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::Facts;
use crate::integrity::{Algorithm, Checksum, Hasher};
use crate::options::{WriteOptions, read_back};
use crate::publish::{Durability, publish, publish_new, sync_failed};
use crate::system;
use crate::target::Target;
use crate::temp::{Owner, Temp};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a file is that is about to get its name, and its checksum where that was computed.
pub(crate) type Known = (Facts, Option<Checksum>);

/// A written file that has yet to get its name, from [`Writer::prepared`]; dropped without it, it leaves nothing behind.
#[derive(Debug)]
#[must_use = "without a commit nothing is written"]
pub struct Prepared {
    writer: Writer,
    known: Known,
}

/// Writes a file of any length that nobody sees before [`commit`](Self::commit).
///
/// Dropped without a commit it leaves nothing behind. It does not buffer: hand it large pieces.
///
/// ```
/// use std::io::Write;
///
/// # let folder = tempfile::TempDir::new()?;
/// # let path = folder.path().join("report.csv");
/// let mut writer = mainstay_files::Writer::create(&path)?;
/// writer.write_all(b"part;result\n")?;
/// assert!(!path.exists());
/// writer.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"part;result\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "without a commit nothing is written"]
pub struct Writer {
    path: PathBuf,
    target: Target,
    temp: Temp,
    options: WriteOptions,
    /// Of what was written so far, where somebody wants to know.
    hasher: Option<Hasher>,
    failed: Option<ErrorKind>,
}

impl Writer {
    /// Starts a file that will have the place of `target`.
    ///
    /// The folder is held open from here on. A symbolic link is followed as by [`replace()`](crate::replace()).
    ///
    /// # Errors
    ///
    /// As [`replace()`](crate::replace()), before anything is written; nothing is left behind.
    pub fn create(target: &Path) -> Result<Self, Error> {
        Self::create_with(target, WriteOptions::new())
    }

    /// Like [`create`](Self::create), for what only the owner may read until its commit says otherwise.
    pub(crate) fn create_secret(target: &Path) -> Result<Self, Error> {
        Self::create_with(target, WriteOptions::new().secret())
    }

    pub(crate) fn create_with(path: &Path, options: WriteOptions) -> Result<Self, Error> {
        let attempt = Attempt::new("write", path, "nothing was written");
        let target = options.target(&attempt, path)?;
        let mode = options.mode_at_start(&target);
        let temp =
            Temp::create(&target.dir, &target.name, mode).map_err(|error| attempt.failed(error))?;
        let hasher = options.hashes().then(|| Hasher::new(Algorithm::Sha256));
        Ok(Self {
            path: path.to_owned(),
            target,
            temp,
            options,
            hasher,
            failed: None,
        })
    }

    /// Puts what was written in the place of the target, with the old file's mode and owner; durable when it returns `Ok`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotDurable`]: the disk did not confirm the bytes. They have to be written again, with a new writer.
    /// - [`ErrorKind::Invalid`]: a check of its [`WriteOptions`] refused them.
    /// - [`ErrorKind::Unconfirmed`]: the new content is in place, but a power cut may bring the old one back.
    /// - Every other kind, also that of an earlier write that failed: the old content is untouched.
    pub fn commit(self) -> Result<(), Error> {
        self.prepared()?.commit()
    }

    /// Does all of [`commit`](Self::commit) that takes long: checked, on the disk, and compared, it only has to get its name. Up to
    /// there it can be given up.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit), without those of the name; the old content is untouched.
    pub fn prepared(mut self) -> Result<Prepared, Error> {
        let known = self.prepare()?;
        Ok(Prepared {
            writer: self,
            known,
        })
    }

    /// All that happens before it gets its name.
    fn prepare(&mut self) -> Result<Known, Error> {
        let path = self.path.clone();
        let attempt = Attempt::new("write", &path, self.target.left());
        refuse_after_failure(&attempt, self.failed)?;
        self.target
            .dress(&mut self.temp, self.options.fixed_mode())
            .map_err(|error| attempt.failed(error))?;
        self.seal(&attempt)
    }

    /// The last that happens before it gets its name: it is checked, put on the disk, and compared.
    fn seal(&mut self, attempt: &Attempt<'_>) -> Result<Known, Error> {
        self.options.check_written(attempt, &mut self.temp)?;
        if self.options.durability_wanted() == Durability::Durable {
            self.temp
                .sync()
                .map_err(|error| sync_failed(attempt, error))?;
        }
        let hash = self.hasher.take().map(Hasher::end);
        if let Some(hash) = hash.filter(|_| self.options.reads_back()) {
            read_back(attempt, &mut self.temp, hash)?;
        }
        let facts = system::facts_of_file(self.temp.file());
        Ok((facts.map_err(|error| attempt.failed(error))?, hash))
    }

    /// Like [`commit`](Self::commit), with this mode and owner in place of the old file's.
    pub(crate) fn commit_as(mut self, uid: u32, gid: u32, mode: u32) -> Result<Facts, Error> {
        let path = self.path.clone();
        let attempt = Attempt::new("write", &path, self.target.left());
        let facts = self.finish_as(&attempt, uid, gid, mode)?;
        publish(&attempt, &self.target, self.temp, Durability::Durable)?;
        Ok(facts)
    }

    /// Like [`commit_new`](Self::commit_new), with this mode and owner.
    pub(crate) fn commit_new_as(mut self, uid: u32, gid: u32, mode: u32) -> Result<Facts, Error> {
        let path = self.path.clone();
        let attempt = Attempt::new("write", &path, "nothing was written");
        self.target.refuse_existing(&attempt)?;
        let facts = self.finish_as(&attempt, uid, gid, mode)?;
        publish_new(&attempt, &self.target, self.temp, Durability::Durable)?;
        Ok(facts)
    }

    fn finish_as(
        &mut self,
        attempt: &Attempt<'_>,
        uid: u32,
        gid: u32,
        mode: u32,
    ) -> Result<Facts, Error> {
        refuse_after_failure(attempt, self.failed)?;
        let failed = |error| attempt.failed(error);
        let own = system::facts_of_file(self.temp.file()).map_err(failed)?;
        let wanted = Facts { uid, gid, ..own };
        // What the folder lets others do with new files is no part of what was kept.
        let attributes = match self.target.replaced() {
            Some(_) => self.target.attributes().map_err(failed)?,
            None => None,
        };
        let attributes = attributes.unwrap_or_default();
        self.temp
            .dress_as(&wanted, Some(&attributes), Owner::Kept, mode)
            .map_err(failed)?;
        Ok(self.seal(attempt)?.0)
    }

    /// Puts what was written at the target where nothing is there; durable when it returns `Ok`.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit), and [`ErrorKind::Exists`]: something is there, and was not touched.
    pub fn commit_new(mut self) -> Result<(), Error> {
        let path = self.path.clone();
        let attempt = Attempt::new("write", &path, "nothing was written");
        refuse_after_failure(&attempt, self.failed)?;
        self.target.refuse_existing(&attempt)?;
        self.seal(&attempt)?;
        let durability = self.options.durability_wanted();
        publish_new(&attempt, &self.target, self.temp, durability)
    }

    /// Keeps the first failure, because after it the file has a hole or an end too early.
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        let error = match result {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => error,
            other => return other,
        };
        let attempt = Attempt::new("write", &self.path, self.target.left());
        let error = attempt.failed(error);
        self.failed.get_or_insert(error.kind());
        Err(error.into())
    }
}

impl Prepared {
    /// Puts it in the place of the target; durable when it returns `Ok`.
    ///
    /// # Errors
    ///
    /// As [`Writer::commit`].
    pub fn commit(self) -> Result<(), Error> {
        self.publish().map(drop)
    }

    /// Puts it in the place of the target, and answers what it is, and its checksum where that was computed.
    pub(crate) fn publish(self) -> Result<Known, Error> {
        let Writer {
            path,
            target,
            temp,
            options,
            ..
        } = self.writer;
        let attempt = Attempt::new("write", &path, target.left());
        publish(&attempt, &target, temp, options.durability_wanted())?;
        Ok(self.known)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.temp.write(bytes);
        let written = self.note(result)?;
        if let (Some(hasher), Some(bytes)) = (&mut self.hasher, bytes.get(..written)) {
            hasher.update(bytes);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.temp.flush();
        self.note(result)
    }
}

fn refuse_after_failure(attempt: &Attempt<'_>, failed: Option<ErrorKind>) -> Result<(), Error> {
    match failed {
        Some(kind) => Err(attempt.refused(kind, "an earlier write to it failed")),
        None => Ok(()),
    }
}
