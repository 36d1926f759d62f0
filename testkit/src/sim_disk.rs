//! A disk in memory that loses, tears and refuses, all of it from one seed.
//!
//! It keeps two things apart for every file and every name: what a reader is shown (the page cache), and what is on the
//! platter. A write reaches the platter with the next sync of its file, a name with the next sync of its folder. When
//! the power goes, any part of what was on its way may have arrived, in any order, torn at any sector or byte; names
//! arrive or do not, but a name never without what it follows from. A sync that fails brings a part of what was written
//! to the platter, and the rest never: readers go on seeing all of it until the cache is dropped.

mod content;
mod faults;
mod names;
mod power;

pub use crate::sim_fault::{EIO, Fault, On};
pub use power::Outcome;

use crate::random::Random;
use content::{Change, Inode};
use faults::Faults;
use mainstay_queue::disk::{Disk, DiskFile, Entry, Folder};
use names::{NameChange, Names};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More calls than any run makes: whoever needs more is caught in a loop.
const CALLS_MAX: u64 = 200_000;

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug)]
struct State {
    random: Random,
    names: Names,
    inodes: Vec<Inode>,
    faults: Faults,
    /// The bytes that all files together may have; none for a disk without an end.
    capacity: Option<u64>,
    /// Counted up with every cut: files that were opened before it are of no use any more.
    life: u64,
    /// Every call in words, where somebody wants to see them.
    trace: Option<Vec<String>>,
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: usize,
    name: String,
    life: u64,
}

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It is done.
    Goes,
    /// The power goes in the middle of it.
    IsCut,
}

impl SimDisk {
    /// An empty disk; everything that it does by chance follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                random: Random::new(seed),
                names: Names::default(),
                inodes: Vec::new(),
                faults: Faults::default(),
                capacity: None,
                life: 0,
                trace: None,
            })),
        }
    }

    /// Another disk with the same content, the same chance, and no faults.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut state = self.state().clone();
        state.faults = Faults::default();
        state.trace = None;
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Notes every call from now on.
    pub fn trace(&self) {
        self.state().trace = Some(Vec::new());
    }

    /// The calls that were noted since this was asked last.
    pub fn take_trace(&self) -> Vec<String> {
        self.state()
            .trace
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Lets the files have so many bytes in all; `None` for as many as they want.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Whether the disk can be full.
    pub fn is_bounded(&self) -> bool {
        self.state().capacity.is_some()
    }

    /// The bytes of all files.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, state: &State, inode: usize, name: &str) -> Box<dyn DiskFile> {
        Box::new(SimFile {
            disk: self.clone(),
            inode,
            name: name.to_owned(),
            life: state.life,
        })
    }
}

impl State {
    /// Every call comes through here: it may be refused, or be the one that the power goes in.
    fn enter(&mut self, on: On, what: impl FnOnce() -> String) -> io::Result<Turn> {
        let turn = self.faults.turn(on);
        if let Some(trace) = &mut self.trace {
            let came = match &turn {
                Ok(Turn::Goes) => String::new(),
                Ok(Turn::IsCut) => " CUT".to_owned(),
                Err(error) => format!(" FAILS: {error}"),
            };
            trace.push(format!("{}{came}", what()));
        }
        assert!(
            self.faults.calls() < CALLS_MAX,
            "more than {CALLS_MAX} calls of the disk: something loops"
        );
        turn
    }

    fn used(&self) -> u64 {
        self.names
            .shown()
            .map(|inode| self.inodes[inode].shown.len)
            .sum()
    }

    fn left(&self) -> u64 {
        self.capacity
            .map_or(1 << 40, |capacity| capacity.saturating_sub(self.used()))
    }
}

/// What the call gave that the power went in: nothing, to nobody.
fn cut<T>(turn: Turn, done: T) -> io::Result<T> {
    match turn {
        Turn::Goes => Ok(done),
        Turn::IsCut => Err(faults::stopped()),
    }
}

impl Disk for SimDisk {
    fn list(&self, folder: Folder) -> io::Result<Vec<Entry>> {
        let mut state = self.state();
        state.enter(On::Looks, || format!("list {folder:?}"))?;
        let entries = state.names.list(folder).map(|(name, inode)| Entry {
            name: name.clone(),
            len: state.inodes[*inode].shown.len,
        });
        Ok(entries.collect())
    }

    fn create(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        if state.names.get(folder, name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let turn = state.enter(On::Changes, || format!("create {folder:?}/{name}"))?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        let name_change = NameChange::Create(name.to_owned(), inode);
        state.names.change(folder, name_change);
        cut(turn, self.file(&state, inode, name))
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.enter(On::Looks, || format!("open {folder:?}/{name}"))?;
        let inode = state
            .names
            .get(folder, name)
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(&state, inode, name))
    }

    fn rename(&self, folder: Folder, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let turn = state.enter(On::Changes, || format!("rename {folder:?}/{from} to {to}"))?;
        let inode = state
            .names
            .get(folder, from)
            .ok_or(io::ErrorKind::NotFound)?;
        let change = NameChange::Rename(from.to_owned(), to.to_owned(), inode);
        state.names.change(folder, change);
        cut(turn, ())
    }

    fn remove(&self, folder: Folder, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.names.get(folder, name).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let turn = state.enter(On::Changes, || format!("remove {folder:?}/{name}"))?;
        state
            .names
            .change(folder, NameChange::Remove(name.to_owned()));
        cut(turn, ())
    }

    fn sync_folder(&self, folder: Folder) -> io::Result<()> {
        let mut state = self.state();
        let turn = state.enter(On::Syncs, || format!("sync {folder:?}"))?;
        if turn == Turn::Goes {
            state.names.sync(folder);
        }
        cut(turn, ())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let mut state = self.state();
        state.enter(On::Looks, || "free bytes".to_owned())?;
        Ok(state.left())
    }

    fn fresh_bytes(&self) -> [u8; 16] {
        let mut state = self.state();
        let (high, low) = (state.random.number(), state.random.number());
        ((u128::from(high) << 64) | u128::from(low)).to_le_bytes()
    }
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.life == self.life {
            Ok(state)
        } else {
            Err(io::Error::other("opened before the power went"))
        }
    }

    /// A write, as far as the disk has room for it.
    fn write(&self, state: &mut State, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        let grows = end.saturating_sub(state.inodes[self.inode].shown.len);
        let left = if grows == 0 { 0 } else { state.left() };
        let fits = if left < grows {
            (bytes.len() as u64).saturating_sub(grows - left) as usize
        } else {
            bytes.len()
        };
        if fits != 0 {
            state.inodes[self.inode].write(&bytes[..fits], offset);
        }
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// A sync that failed: a part of what was written arrives, the rest never does.
    fn fail(&self, state: &mut State) {
        let State { random, inodes, .. } = state;
        power::lose(&mut inodes[self.inode], random);
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.state()?;
        state.enter(On::Looks, || format!("length of {}", self.name))?;
        Ok(state.inodes[self.inode].shown.len)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state()?;
        state.enter(On::Looks, || {
            format!("read {} {offset}+{}", self.name, bytes.len())
        })?;
        Ok(state.inodes[self.inode].shown.read(bytes, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let turn = state.enter(On::Changes, || {
            format!("write {} {offset}+{}", self.name, bytes.len())
        });
        match turn {
            Ok(turn) => {
                self.write(&mut state, bytes, offset)?;
                cut(turn, ())
            }
            Err(error) => {
                // What was refused may have been written in part.
                if !state.faults.is_stopped() {
                    let part = state.random.below(bytes.len() as u64 + 1) as usize;
                    self.write(&mut state, &bytes[..part], offset).ok();
                }
                Err(error)
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state()?;
        match state.enter(On::Syncs, || format!("sync {}", self.name)) {
            Ok(Turn::Goes) => {
                state.inodes[self.inode].sync();
                Ok(())
            }
            Ok(Turn::IsCut) => Err(faults::stopped()),
            Err(error) => {
                if !state.faults.is_stopped() {
                    self.fail(&mut state);
                }
                Err(error)
            }
        }
    }

    fn commit_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let what = || format!("commit {} {offset}+{}", self.name, bytes.len());
        match state.enter(On::Syncs, what) {
            Ok(turn) => {
                self.write(&mut state, bytes, offset)?;
                if turn == Turn::Goes {
                    state.inodes[self.inode].sync();
                }
                cut(turn, ())
            }
            Err(error) => {
                if !state.faults.is_stopped() {
                    self.write(&mut state, bytes, offset).ok();
                    self.fail(&mut state);
                }
                Err(error)
            }
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let turn = state.enter(On::Changes, || format!("cut {} to {len}", self.name))?;
        state.inodes[self.inode].change(Change::Len(len));
        cut(turn, ())
    }
}

#[cfg(test)]
mod tests;
