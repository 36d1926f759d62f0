//! How one document gets into the folder: whole, on the disk, once, and over nothing that is there.
//!
//! ```text
//! <folder>/.mainstay/<id>           1 stage    the document, whole and on the disk, not delivered yet
//! <folder>/.mainstay/<id>.placing   2 mark     on the disk before anything can be seen in the folder
//! <folder>/NAME                     3 place    the staged file is renamed; if NAME is taken: NAME (2) …
//!                                   4 confirm  both folders are synced: delivered
//! ```
//!
//! Renaming takes the staged file away in the same instant in which the document appears. So the two names in `.mainstay` say
//! at every moment how far an earlier attempt came:
//!
//! | staged | mark | means | a repeat |
//! |---|---|---|---|
//! | – | – | nothing was done | begins at 1 |
//! | yes | – or yes | not visible yet | begins at 1, and writes the staged file anew |
//! | with two names | yes | it was placed by a file system that cannot rename so, which was cut off half-way | as the next |
//! | – | yes | it was placed, wherever its reader has put it since | is answered "already there" |
//!
//! So a repeat never makes a second file, whether the process died after any of the steps, the power failed, or a reader took
//! the file away within a millisecond. The mark goes when the queue has recorded the delivery.

use super::name::candidates;
use crate::destination::{DAMAGED, matches};
use crate::{Checked, Content, Outcome};
use mainstay_files::{Error as FileError, ErrorKind, Writer};
use mainstay_resilience::Category;
use mainstay_wire::shown_path;
use sha2::{Digest, Sha256};
use std::error::Error as StdError;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The folder in the folder.
const OWN: &str = ".mainstay";

/// A file is copied in pieces of this size, in bytes.
const PIECE: usize = 256 * 1024;

/// One document on its way into one folder.
#[derive(Debug)]
pub(super) struct Placement {
    pub(super) folder: PathBuf,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) mode: u32,
    pub(super) hash: Option<[u8; 32]>,
    pub(super) body: Content,
    placed: Option<PathBuf>,
}

/// One step; what was done before it holds whatever becomes of it.
type Step = fn(&mut Placement) -> Result<(), Outcome>;

/// The steps in the order that makes a repeat safe.
pub(super) const STEPS: [Step; 4] = [
    Placement::stage,
    Placement::mark,
    Placement::place,
    Placement::confirm,
];

impl Placement {
    pub(super) fn new(
        folder: PathBuf,
        id: String,
        name: String,
        mode: u32,
        hash: Option<[u8; 32]>,
        body: Content,
    ) -> Self {
        Self {
            folder,
            id,
            name,
            mode,
            hash,
            body,
            placed: None,
        }
    }

    /// All steps that an earlier attempt has not done.
    pub(super) fn run(mut self) -> Outcome {
        if let Err(outcome) = self.prepare() {
            return outcome;
        }
        if self.was_placed() {
            // The process may have died before it synced what it had placed; a power cut could still take it back.
            return self
                .confirm()
                .map_or_else(|outcome| outcome, |()| Outcome::AlreadyThere);
        }
        for step in STEPS {
            if let Err(outcome) = step(&mut self) {
                return outcome;
            }
        }
        Outcome::Delivered
    }

    /// Sees that the folder is there, and makes the one inside it.
    pub(super) fn prepare(&self) -> Result<(), Outcome> {
        is_there(&self.folder)?;
        let own = self.folder.join(OWN);
        match mainstay_files::facts(&own) {
            Ok(facts) if facts.is_folder() => Ok(()),
            Ok(_) => Err(hold(
                &own,
                "is in the way: Mainstay needs a folder of this name; move it elsewhere",
            )),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                mainstay_files::create_dir_all(&own, 0o700).map_err(|error| failed(&error))
            }
            Err(error) => Err(failed(&error)),
        }
    }

    pub(super) fn was_placed(&self) -> bool {
        if !exists(&mark(&self.folder, &self.id)) {
            return false;
        }
        match mainstay_files::facts(&self.staged()) {
            Ok(staged) => 1 < staged.nlink,
            // What cannot be looked at is taken to be there: one file too many is better than one too few.
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    fn staged(&self) -> PathBuf {
        self.folder.join(OWN).join(&self.id)
    }

    fn stage(&mut self) -> Result<(), Outcome> {
        let staged = self.staged();
        let mut writer = Writer::create(&staged).map_err(|error| failed(&error))?;
        match &mut self.body {
            Content::Bytes(bytes) if !matches(bytes, self.hash) => {
                return Err(Outcome::unsendable(DAMAGED));
            }
            Content::Bytes(bytes) => writer.write_all(bytes).map_err(|error| unwritten(&error))?,
            Content::File(file, len) => copy(file, *len, self.hash, &mut writer)?,
        }
        writer.commit().map_err(|error| failed(&error))?;
        set_mode(&staged, self.mode).map_err(|error| unwritten(&error))
    }

    fn mark(&mut self) -> Result<(), Outcome> {
        match mainstay_files::create_new(&mark(&self.folder, &self.id), b"") {
            // From an earlier attempt; `confirm` syncs its folder.
            Err(error) if error.kind() == ErrorKind::Exists => Ok(()),
            other => other.map_err(|error| failed(&error)),
        }
    }

    fn place(&mut self) -> Result<(), Outcome> {
        let staged = self.staged();
        for name in candidates(&self.name, &self.id) {
            let place = self.folder.join(name);
            match mainstay_files::rename_noreplace(&staged, &place) {
                Ok(()) => {
                    self.placed = Some(place);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Exists => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(Outcome::unsendable(format!(
            "every name like `{}` is taken in `{}`; clear the folder",
            self.name,
            shown_path(&self.folder)
        )))
    }

    fn confirm(&mut self) -> Result<(), Outcome> {
        let synced = mainstay_files::sync_dir(&self.folder)
            .and_then(|()| mainstay_files::sync_dir(&self.folder.join(OWN)));
        synced.map_err(|error| {
            self.take_back();
            failed(&error)
        })
    }

    /// What the disk did not confirm does not count as placed: a second sync could pass without the bytes being there. A second
    /// file is then better than none.
    fn take_back(&self) {
        let moved = self
            .placed
            .as_ref()
            .map(|place| mainstay_files::rename_noreplace(place, &self.staged()));
        if !matches!(moved, Some(Ok(()))) {
            drop(mainstay_files::remove(&mark(&self.folder, &self.id)));
        }
    }
}

/// Whether a document could be placed: the folder is there, and a file can be made in it.
pub(super) fn look(folder: &Path) -> Checked {
    let looked = is_there(folder)
        .and_then(|()| mainstay_files::probe(folder).map_err(|error| failed(&error)));
    if let Err(outcome) = looked {
        return Checked::failing(outcome.reason().unwrap_or_default());
    }
    Checked::ready(format!("a file can be made in `{}`", shown_path(folder)))
}

fn is_there(folder: &Path) -> Result<(), Outcome> {
    let unreachable =
        |problem: &str| Outcome::unreachable(format!("`{}` {problem}", shown_path(folder)));
    match std::fs::metadata(folder) {
        Ok(facts) if facts.is_dir() => Ok(()),
        Ok(_) => Err(hold(folder, "is a file; name a folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unreachable(
            "is not there; create the folder, or mount what belongs there",
        )),
        Err(error) => Err(unreachable(&format!("cannot be reached: {error}"))),
    }
}

/// The mark of a document: placing has begun.
pub(super) fn mark(folder: &Path, id: &str) -> PathBuf {
    folder.join(OWN).join(format!("{id}.placing"))
}

/// Where staged files and marks are.
pub(super) fn own_folder(folder: &Path) -> PathBuf {
    folder.join(OWN)
}

fn exists(path: &Path) -> bool {
    mainstay_files::facts(path).is_ok()
}

fn copy(
    file: &mut std::fs::File,
    len: u64,
    hash: Option<[u8; 32]>,
    writer: &mut Writer,
) -> Result<(), Outcome> {
    let unread = |error: io::Error| {
        let reason = format!("cannot read the body of the document: {error}");
        Outcome::retry(Category::Resource, reason)
    };
    file.seek(SeekFrom::Start(0)).map_err(unread)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut left = len;
    while left > 0 {
        let part = &mut piece[..PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        file.read_exact(part).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Outcome::unsendable(format!(
                "{DAMAGED}: its file is shorter than the {len} bytes stored"
            )),
            _ => unread(error),
        })?;
        hasher.update(&*part);
        writer.write_all(part).map_err(|error| unwritten(&error))?;
        left -= part.len() as u64;
    }
    if hash.is_some_and(|hash| hasher.finalize()[..] != hash) {
        return Err(Outcome::unsendable(DAMAGED));
    }
    Ok(())
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// The folder's access list is inherited.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same interface as on Unix")]
fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

fn hold(path: &Path, problem: &str) -> Outcome {
    Outcome::hold(format!("`{}` {problem}", shown_path(path)))
}

/// What an error of the file system means: almost always something that the next document would meet too.
fn failed(error: &FileError) -> Outcome {
    let mut reason = error.to_string();
    if let Some(source) = error.source() {
        reason = format!("{reason} ({source})");
    }
    match error.kind() {
        ErrorKind::NameInvalid | ErrorKind::TooLong => Outcome::unsendable(reason),
        ErrorKind::DiskFull | ErrorKind::Quota => {
            Outcome::hold(format!("{reason}; make room, then it goes on by itself"))
        }
        ErrorKind::Permission => Outcome::hold(format!(
            "{reason}; let the user that Mainstay runs as write there"
        )),
        _ => Outcome::hold(reason),
    }
}

fn unwritten(error: &io::Error) -> Outcome {
    match ErrorKind::of(error) {
        ErrorKind::DiskFull | ErrorKind::Quota => {
            Outcome::hold(format!("{error}; make room, then it goes on by itself"))
        }
        _ => Outcome::hold(error.to_string()),
    }
}
