//! Folders that lose, tear and refuse, all of it from one seed: those of `mainstay-files`, and whoever stands on it.
//!
//! What a reader is shown lies in a real folder, in memory where there is one; that is the page cache. Every call of the
//! thread is made here ([`Machine`]), so beside it stands what is on the platter: a content with the sync of its file, a name
//! with the sync of its folder. When the power goes, any part of what was on its way may have arrived, in any order, and
//! contents torn at any sector; the real folder is made to look like it, by renaming, so that every file that is left keeps its
//! number.
//!
//! As on ext4, XFS and btrfs a rename between two folders happens as a whole or not at all, and the sync of a new folder puts
//! the folder itself there, too. It is weaker than they are in one thing: such a rename is certain only once the folder was
//! synced that it leads to, whatever becomes of the one that it left. A sync that fails brings a part of a content to the platter, and nothing of what else
//! it was about ever, unless it is changed again; only that of a whole file system loses no contents, because whose they
//! were nobody could say.

mod content;
mod cut;
mod faults;
mod machine;
mod names;
mod outsider;

pub use crate::sim_fault::{EIO, Fault, On};
pub use content::SECTOR;
pub use faults::Gone;
pub use mainstay_files::simulated::{Machine, Started, start};
pub use outsider::at;

use crate::random::Random;
use faults::Faults;
use names::{Folder, NameChange, Node};
use rustix::fs::{Mode, OFlags};
use std::cell::{RefCell, RefMut};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Folders whose power can be cut.
pub struct SimTree {
    root: PathBuf,
    state: RefCell<State>,
    /// What somebody else does in the middle of ours, and in which call from now on.
    meanwhile: RefCell<Option<(u64, Meanwhile)>>,
}

type Meanwhile = Box<dyn FnOnce()>;

struct State {
    random: Random,
    folders: Vec<Folder>,
    files: Vec<FileNode>,
    /// By the number that the real file system gave.
    by_number: HashMap<u64, Node>,
    /// What was changed and is not certain to be on the platter.
    pending: Vec<NameChange>,
    /// Where files wait that have no name now, and may have one again after a cut.
    morgue: OwnedFd,
    faults: Faults,
    count: u32,
    /// Every call in words, where somebody wants to see them.
    trace: Option<Diary>,
}

/// What happened, in words.
pub type Diary = Arc<Mutex<Vec<String>>>;

/// A file, whatever its name is.
#[derive(Debug, Default)]
struct FileNode {
    number: u64,
    /// Where it lies really; `None` for the morgue.
    place: Option<(usize, OsString)>,
    links: usize,
    /// What is on the platter; nothing where it was never synced.
    kept: Vec<u8>,
    /// Whether something was written since its last sync.
    is_dirty: bool,
    /// What a sync failed for: another one says Ok, and does nothing.
    lies: Option<Vec<u8>>,
    /// Whether it ever had a name on the platter.
    was_kept: bool,
    /// Which of those it is that were dropped.
    tag: Option<u64>,
}

/// On which file system something lies.
pub type Volume = u8;

impl SimTree {
    /// An empty tree below `root`, which has to be an empty folder; everything that it does by chance follows from `seed`.
    ///
    /// # Errors
    /// Where the real file system refuses a folder.
    pub fn new(root: &Path, seed: u64) -> io::Result<Self> {
        let (tree, morgue) = (root.join("tree"), root.join("morgue"));
        std::fs::create_dir(&tree)?;
        std::fs::create_dir(&morgue)?;
        let mut state = State {
            random: Random::new(seed ^ 0x7ee5),
            folders: Vec::new(),
            files: Vec::new(),
            by_number: HashMap::new(),
            pending: Vec::new(),
            morgue: open_folder(&morgue)?,
            faults: Faults::default(),
            count: 0,
            trace: None,
        };
        state.know_folder(open_folder(&tree)?, PathBuf::new(), 0)?;
        Ok(Self {
            root: tree,
            state: RefCell::new(state),
            meanwhile: RefCell::new(None),
        })
    }

    /// The real path of what has this one in the tree.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Notes every call from now on.
    pub fn trace(&self, diary: Diary) {
        self.state().trace = Some(diary);
    }

    /// Lets somebody else do something just before the `call`-th call from now on, 1 being the next.
    pub fn meanwhile(&self, call: u64, act: impl FnOnce() + 'static) {
        *self.meanwhile.borrow_mut() = Some((call, Box::new(act)));
    }

    /// Nobody else does anything.
    pub fn alone(&self) {
        *self.meanwhile.borrow_mut() = None;
    }

    fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Every call comes through here: it may be refused, or be the one that the process ends in.
    fn enter(
        &self,
        call: &'static str,
        on: On,
        what: impl FnOnce(&State) -> String,
    ) -> io::Result<()> {
        let mut meanwhile = self.meanwhile.borrow_mut();
        if let Some((left, _)) = &mut *meanwhile {
            *left = left.saturating_sub(1);
        }
        let act = meanwhile.take_if(|(left, _)| *left == 0);
        drop(meanwhile);
        if let Some((_, act)) = act.filter(|_| !self.is_gone()) {
            act();
        }
        let mut state = self.state();
        let turn = state.faults.turn(call, on);
        // Looks would fill pages, and say nothing unless they fail.
        let is_told = on != On::Looks || turn.is_err();
        if let Some(diary) = state.trace.as_ref().filter(|_| is_told) {
            let came = match &turn {
                Ok(()) => String::new(),
                Err(faults::Refusal::Fails(error)) => format!(" FAILS: {error}"),
                Err(faults::Refusal::Gone) => " THE PROCESS IS GONE".to_owned(),
            };
            let line = format!("    {call} {}{came}", what(&state));
            diary
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        }
        drop(state);
        match turn {
            Ok(()) => Ok(()),
            Err(faults::Refusal::Fails(error)) => Err(error),
            Err(faults::Refusal::Gone) => Err(faults::gone()),
        }
    }
}

impl fmt::Debug for SimTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTree")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl State {
    fn know_folder(&mut self, fd: OwnedFd, path: PathBuf, volume: Volume) -> io::Result<usize> {
        let number = rustix::fs::fstat(&fd)?.st_ino;
        let folder = self.folders.len();
        self.folders.push(Folder::new(fd, number, path, volume));
        self.by_number.insert(number, Node::Folder(folder));
        Ok(folder)
    }

    fn folder(&self, fd: BorrowedFd<'_>) -> Option<usize> {
        match self.node(fd)? {
            Node::Folder(folder) => Some(folder),
            Node::File(_) => None,
        }
    }

    fn node(&self, fd: BorrowedFd<'_>) -> Option<Node> {
        let number = rustix::fs::fstat(fd).ok()?.st_ino;
        self.by_number.get(&number).copied()
    }

    /// The folder with this path in the tree, if it is there.
    fn folder_at(&self, relative: &Path) -> Option<usize> {
        let mut folder = 0;
        for part in relative {
            match self.folders[folder].shown.get(part)? {
                Node::Folder(below) => folder = *below,
                Node::File(_) => return None,
            }
        }
        Some(folder)
    }

    fn file_at(&self, folder: usize, name: &OsStr) -> Option<usize> {
        match self.folders[folder].shown.get(name)? {
            Node::File(file) => Some(*file),
            Node::Folder(_) => None,
        }
    }

    fn shown_path(&self, fd: BorrowedFd<'_>) -> String {
        match self.node(fd) {
            Some(Node::Folder(folder)) => self.folders[folder].path.display().to_string(),
            Some(Node::File(file)) => match &self.files[file].place {
                Some((folder, name)) => self.folders[*folder].path.join(name).display().to_string(),
                None => "a file without a name".to_owned(),
            },
            None => "outside".to_owned(),
        }
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn open_below(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests;
