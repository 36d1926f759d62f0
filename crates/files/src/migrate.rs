//! A whole folder gets another place: what happens in between leaves the old one complete, or the new one.

mod copying;
mod journal;
mod obstacles;
mod run;
mod survey;

pub use obstacles::Obstacle;

use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::{Facts, facts};
use crate::inspect::RESERVE;
use crate::space::{Space, free_space};
use crate::system::Dir;
use crate::target::split;
use journal::Journal;
use mainstay_clock::SharedClock;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use survey::{Survey, Walk, survey};

/// The longest name that every file system takes, in bytes.
const NAME_MAX: usize = 255;

/// What is put behind a name while a migration is under way, or afterwards: `.old-20261121T164137Z-99`, and no longer.
const SUFFIX_MAX: usize = 24;

/// The move of a folder to another place, on the same file system or on another one.
///
/// On one file system it is renamed. Otherwise, or where [`copying`](Self::copying) asks for it, a copy grows beside the new
/// place, each file is compared with what was read, and only when all of it is on the disk it gets its name; then the old folder
/// is renamed, and stays. A [`run`](Self::run) that was cut at any point is finished or begun anew by the next one:
///
/// ```text
/// /srv/data                          the old folder, complete until the last step
/// /mnt/data.migrating-0f3a9c21       the copy, while it grows
/// /mnt/data.migration                the journal: what the next run has to know
/// /mnt/data                          the new folder, complete from its first moment on
/// /srv/data.old-20261121T164137Z     the old folder afterwards; nobody removes it
/// ```
///
/// Nothing is ever overwritten: the new place is missing, or an empty folder. Links are copied as they are, and never
/// followed. The file `LOCK` in the old folder is held meanwhile, where there is one, as a running program holds it.
///
/// ```
/// use mainstay_files::Migration;
/// # let root = tempfile::TempDir::new()?;
/// # let (old, new) = (root.path().join("old"), root.path().join("new"));
/// # mainstay_files::create_dir_all(&old, 0o700)?;
/// # mainstay_files::create_new(&old.join("state.json"), b"{}")?;
/// let migration = Migration::new(&old, &new)?;
/// assert!(migration.plan()?.obstacles.is_empty());
/// migration.run(&mut |_| ())?;
/// assert_eq!(std::fs::read(new.join("state.json"))?, b"{}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Migration {
    old: PathBuf,
    new: PathBuf,
    reserve: Space,
    left_out: Vec<OsString>,
    is_copied: bool,
    clock: SharedClock,
}

/// How a folder gets to its new place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By its name: no byte is copied, and the old place is empty afterwards.
    Rename,
    /// By a copy; the old folder stays, under another name.
    Copy,
}

/// What a migration would do; nothing was changed to find it out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// How the folder gets there.
    pub way: Way,
    /// Files in it.
    pub files: u64,
    /// Folders in it.
    pub folders: u64,
    /// Symbolic links in it.
    pub links: u64,
    /// Bytes of all files together.
    pub bytes: u64,
    /// What the new place has to have left, the reserve included; nothing where it is renamed.
    pub needed: Space,
    /// What is left there; none where the system does not say.
    pub free: Option<Space>,
    /// Whether an earlier run was cut: the next one finishes it, or begins anew.
    pub is_unfinished: bool,
    /// What is in the way; a run would be refused for the first of these.
    pub obstacles: Vec<Obstacle>,
}

/// How far a copy has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Files that are whole and were compared.
    pub files: u64,
    /// Of so many.
    pub files_total: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Of so many.
    pub bytes_total: u64,
}

/// What a migration came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migrated {
    /// How it was done.
    pub way: Way,
    /// Where the folder is now, without links.
    pub new: PathBuf,
    /// Where the old folder is now; none where it was renamed and is the new one.
    pub kept: Option<PathBuf>,
    /// Whether an earlier run had done most of it.
    pub was_unfinished: bool,
}

impl Migration {
    /// The move of the folder `old` to `new`; nothing is done yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NameInvalid`]: one is in the other, or both are the same, or a path has no name. [`ErrorKind::IsSymlink`]:
    /// `old` is a link. [`ErrorKind::NotRegular`]: it is no folder. It may be missing, where an earlier run moved it.
    pub fn new(old: &Path, new: &Path) -> Result<Self, Error> {
        let attempt = Attempt::new("migrate", old, "nothing was changed").to(new);
        let (old, new) = (place(&attempt, old)?, place(&attempt, new)?);
        let attempt = Attempt::new("migrate", &old, "nothing was changed").to(&new);
        refuse_strange(&attempt, &old)?;
        refuse_nested(&attempt, &old, &new)?;
        refuse_long(&attempt, &old)?;
        refuse_long(&attempt, &new)?;
        Ok(Self {
            old,
            new,
            reserve: RESERVE,
            left_out: Vec::new(),
            is_copied: false,
            clock: mainstay_clock::system(),
        })
    }

    /// Leaves so much room at the new place, instead of [`RESERVE`].
    #[must_use]
    pub fn reserving(self, reserve: Space) -> Self {
        Self { reserve, ..self }
    }

    /// Copies where a rename would do as well, so that the old folder stays.
    #[must_use]
    pub fn copying(self) -> Self {
        Self {
            is_copied: true,
            ..self
        }
    }

    /// Does not copy what has this name directly in the old folder: a socket that is made anew, for one.
    #[must_use]
    pub fn leaving_out(mut self, name: &OsStr) -> Self {
        self.left_out.push(name.to_owned());
        self
    }

    /// Takes the time for the name of the old folder from here.
    #[must_use]
    pub fn clocked_by(self, clock: SharedClock) -> Self {
        Self { clock, ..self }
    }

    /// Where the folder is, without links.
    pub fn old(&self) -> &Path {
        &self.old
    }

    /// Where it is to be, without links.
    pub fn new_place(&self) -> &Path {
        &self.new
    }

    /// What a run would do, and what is in its way.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]: there is no old folder, and no earlier run. [`ErrorKind::Permission`] and others: something in
    /// it cannot be looked at.
    pub fn plan(&self) -> Result<Plan, Error> {
        self.plan_telling(&mut |_, _| ())
    }

    /// Like [`plan`](Self::plan), and tells every path below the old folder that would go along.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan).
    pub fn plan_telling(&self, each: &mut dyn FnMut(&Path, &Facts)) -> Result<Plan, Error> {
        let earlier = Journal::read(&self.new)?;
        if let Some(earlier) = &earlier {
            self.refuse_other(earlier)?;
        }
        let way = self.way();
        let mut plan = Plan {
            way,
            files: 0,
            folders: 0,
            links: 0,
            bytes: 0,
            needed: Space {
                bytes: 0,
                inodes: 0,
            },
            free: None,
            is_unfinished: earlier.is_some(),
            obstacles: Vec::new(),
        };
        if plan.is_unfinished && facts(&self.old).is_err() {
            return Ok(plan);
        }
        let dir = self.open_old()?;
        let found = survey(self.walk(), &dir, each)?;
        plan.free = self.free();
        plan.obstacles = self.obstacles(way, &found, plan.free, plan.is_unfinished);
        (plan.files, plan.folders, plan.links) = (found.files, found.folders, found.links);
        plan.bytes = found.bytes;
        if way == Way::Copy {
            plan.needed = self.needed(&found);
        }
        Ok(plan)
    }

    /// Moves the folder; `progress` is told after each piece that was copied, and each file.
    ///
    /// When it returns `Ok` the new folder is complete and on the disk. Memory is needed for the names of one folder and those
    /// above it, and for one piece of a file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`]: a program uses the old folder, or another migration of it runs; the message says which process.
    /// [`ErrorKind::Exists`]: something is at the new place. [`ErrorKind::NotRegular`]: a pipe, socket or device cannot be
    /// copied. [`ErrorKind::Changed`]: somebody wrote to the old folder meanwhile. [`ErrorKind::DiskFull`], also before anything
    /// is written. In all of these the old folder is as it was, and nothing is at the new place. Where the message says that the
    /// new folder is complete, as with [`ErrorKind::Unconfirmed`], another run does the rest.
    pub fn run(&self, progress: &mut dyn FnMut(Progress)) -> Result<Migrated, Error> {
        run::run(self, progress)
    }

    fn attempt(&self) -> Attempt<'_> {
        Attempt::new("migrate", &self.old, "the old folder is as it was").to(&self.new)
    }

    fn walk(&self) -> Walk<'_> {
        Walk {
            root: &self.old,
            left_out: &self.left_out,
        }
    }

    fn open_old(&self) -> Result<Dir, Error> {
        let attempt = self.attempt();
        let (parent, name) = split(&attempt, &self.old)?;
        let parent =
            Dir::open(parent).map_err(|error| attempt.failed_at_folder(&self.old, error))?;
        parent
            .open_child(name)
            .map_err(|error| attempt.failed_at_folder(&self.old, error))
    }

    /// A rename does where both places are on one file system.
    fn way(&self) -> Way {
        let nearest = inspect_nearest(&self.new);
        match (facts(&self.old), nearest) {
            (Ok(old), Some(new)) if old.dev == new.dev && !self.is_copied => Way::Rename,
            _ => Way::Copy,
        }
    }

    /// What is left at the new place; nothing is tried there, so that it stays empty.
    fn free(&self) -> Option<Space> {
        let mut folders = self.new.ancestors();
        folders.find_map(|folder| free_space(folder).ok())
    }

    fn needed(&self, found: &Survey) -> Space {
        Space {
            bytes: found.needed.bytes.saturating_add(self.reserve.bytes),
            inodes: found.needed.inodes.saturating_add(self.reserve.inodes),
        }
    }

    /// The journal at the new place has to be of this very migration.
    fn refuse_other(&self, earlier: &Journal) -> Result<(), Error> {
        if earlier.old == self.old {
            return Ok(());
        }
        let reason = format!(
            "a migration of `{}` to the same place was begun; finish that one first",
            crate::Shown(&earlier.old)
        );
        Err(self.attempt().refused(ErrorKind::Exists, &reason))
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rename => "rename",
            Self::Copy => "copy",
        })
    }
}

/// The deepest folder that is there, of those that lead to `path`.
fn inspect_nearest(path: &Path) -> Option<Facts> {
    path.ancestors().skip(1).find_map(|folder| {
        let dir = Dir::open(folder).ok()?;
        dir.own_facts().ok()
    })
}

/// A path from the root on, without links where that can be told; its last names may be missing.
fn place(attempt: &Attempt<'_>, path: &Path) -> Result<PathBuf, Error> {
    let whole = std::path::absolute(path).map_err(|error| attempt.failed(error))?;
    let mut missing = Vec::new();
    let mut rest = whole.as_path();
    loop {
        let (folder, name) = split(attempt, rest)?;
        missing.push(name);
        match std::fs::canonicalize(folder) {
            Ok(real) => {
                return Ok(missing
                    .iter()
                    .rev()
                    .fold(real, |path, name| path.join(name)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => rest = folder,
            Err(error) => return Err(attempt.failed(error)),
        }
    }
}

fn refuse_strange(attempt: &Attempt<'_>, old: &Path) -> Result<(), Error> {
    match facts(old) {
        Ok(facts) if facts.is_symlink() => Err(attempt.refused(
            ErrorKind::IsSymlink,
            "it is a symbolic link; give the path that it leads to",
        )),
        Ok(facts) if !facts.is_folder() => {
            Err(attempt.refused(ErrorKind::NotRegular, "it is not a folder"))
        }
        _ => Ok(()),
    }
}

/// Names are compared, and what they lead to: one folder may be mounted at two places.
fn refuse_nested(attempt: &Attempt<'_>, old: &Path, new: &Path) -> Result<(), Error> {
    let is_at = |folder: Option<Facts>, path: &Path| {
        path.ancestors().any(|above| {
            let there = facts(above).ok();
            folder.is_some_and(|folder| there.is_some_and(|there| there.is_same_file(&folder)))
        })
    };
    let refused = |reason| Err(attempt.refused(ErrorKind::NameInvalid, reason));
    if old == new {
        return refused("both are the same folder");
    }
    if new.starts_with(old) || is_at(facts(old).ok(), new) {
        return refused("the new place is in the old folder, or is the same");
    }
    if old.starts_with(new) || is_at(facts(new).ok(), old) {
        return refused("the old folder is in the new one");
    }
    Ok(())
}

fn refuse_long(attempt: &Attempt<'_>, path: &Path) -> Result<(), Error> {
    let len = path.file_name().map_or(0, OsStr::len);
    if len + SUFFIX_MAX <= NAME_MAX {
        return Ok(());
    }
    let reason = format!("a name of more than {} bytes", NAME_MAX - SUFFIX_MAX);
    Err(attempt.refused(ErrorKind::TooLong, &reason))
}
