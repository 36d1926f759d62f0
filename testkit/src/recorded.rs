//! Disks whose every write and flush is recorded, together with what a program says meanwhile.
//!
//! The kernel sees two files that are served here, and a loop device and a file system on each. A third file takes what the
//! program says. So all of it comes through one door, in one order: what was said after a flush was said after that flush.

mod content;
mod fuse;

use crate::image::{self, Image, Kind};
use anyhow::{Result, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use content::Content;

/// The names of the disks.
pub const DISKS: [&str; 2] = ["near", "far"];

/// The file that takes what is said, among those that are served.
const SAID: usize = DISKS.len();
const NAMES: [&str; 3] = ["near.disk", "far.disk", "said"];

/// A recording does not become longer than this, in bytes; workloads write some megabytes.
const BYTES_MAX: usize = 512 * 1024 * 1024;

/// What was seen at the door.
#[derive(Clone, Debug)]
pub enum Event {
    /// Bytes were written to a disk, which may still lose them.
    Write {
        /// Its place among [`DISKS`].
        disk: usize,
        /// Where.
        offset: u64,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// Whatever a disk was given so far, it keeps.
    Flush {
        /// Its place among [`DISKS`].
        disk: usize,
    },
    /// The program said something.
    Said(String),
}

/// What disks held in the beginning, and what was seen since.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The content of each of [`DISKS`].
    pub before: Vec<Content>,
    /// In the order in which it came.
    pub events: Vec<Event>,
}

/// Behind the door.
#[derive(Debug, Default)]
struct State {
    disks: Vec<Content>,
    events: Option<Vec<Event>>,
    bytes: usize,
}

impl State {
    fn note(&mut self, event: Event) {
        if let Event::Write { bytes, .. } = &event {
            self.bytes += bytes.len();
        }
        if let Some(events) = self.events.as_mut().filter(|_| self.bytes <= BYTES_MAX) {
            events.push(event);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Door {
    state: Arc<Mutex<State>>,
}

impl Door {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fuse::Files for Door {
    fn names(&self) -> &[&'static str] {
        &NAMES
    }

    fn len(&self, file: usize) -> u64 {
        self.state().disks.get(file).map_or(0, Content::len)
    }

    fn read(&self, file: usize, offset: u64, len: usize) -> Vec<u8> {
        let state = self.state();
        let disk = state.disks.get(file);
        disk.map_or(Vec::new(), |disk| disk.read(offset, len))
    }

    fn write(&mut self, file: usize, offset: u64, bytes: &[u8]) {
        let mut state = self.state();
        if file == SAID {
            state.note(Event::Said(String::from_utf8_lossy(bytes).into_owned()));
        } else if let Some(disk) = state.disks.get_mut(file) {
            disk.write(offset, bytes);
            let bytes = bytes.into();
            let disk = file;
            state.note(Event::Write {
                disk,
                offset,
                bytes,
            });
        }
    }

    fn sync(&mut self, file: usize) {
        if file != SAID {
            self.state().note(Event::Flush { disk: file });
        }
    }
}

/// Two disks that are recorded, mounted; all of it goes when it is dropped.
#[derive(Debug)]
pub struct RecordedDisks {
    // In the order in which they have to go: each lies on the next.
    images: Vec<Image>,
    _served: fuse::Served,
    door: Door,
    said: PathBuf,
}

impl RecordedDisks {
    /// Makes them, mounted in `folder` by their names.
    ///
    /// # Errors
    /// If the machine does not allow it: no root, no FUSE, no loop device, no program that makes the file system.
    pub fn make(folder: &Path, kind: Kind) -> Result<Self> {
        let door = Door::default();
        let draft = folder.join("draft");
        for _ in DISKS {
            let file = File::options()
                .create_new(true)
                .read(true)
                .write(true)
                .open(&draft)?;
            file.set_len(kind.size())?;
            image::make_file_system(&draft, kind)?;
            let content = Content::of(&file)?;
            door.state().disks.push(content);
            fs::remove_file(&draft)?;
        }
        let shown = folder.join("recorded");
        let served = fuse::Served::start(&shown, door.clone())?;
        let images: Result<Vec<Image>> = DISKS
            .iter()
            .zip(NAMES)
            .map(|(name, file)| Image::attach(&shown.join(file), &folder.join(name), kind))
            .collect();
        Ok(Self {
            images: images?,
            _served: served,
            door,
            said: shown.join(NAMES[SAID]),
        })
    }

    /// Where a disk is mounted.
    pub fn path(&self, disk: usize) -> &Path {
        self.images[disk].path()
    }

    /// Where a program says what is to be recorded, in whole lines.
    ///
    /// # Errors
    /// What the system says.
    pub fn said(&self) -> Result<File> {
        Ok(File::options().write(true).open(&self.said)?)
    }

    /// Begins a recording, with all that was written so far on the disks.
    ///
    /// # Errors
    /// If the disks cannot be synced.
    pub fn begin(&self) -> Result<Recording> {
        for image in &self.images {
            mainstay_files::sync_filesystem(image.path())?;
        }
        let mut state = self.door.state();
        state.events = Some(Vec::new());
        state.bytes = 0;
        Ok(Recording {
            before: state.disks.clone(),
            events: Vec::new(),
        })
    }

    /// Ends it; what was not flushed by now may still be lost.
    ///
    /// # Errors
    /// If it became too long.
    pub fn end(&self, mut recording: Recording) -> Result<Recording> {
        let mut state = self.door.state();
        ensure!(state.bytes <= BYTES_MAX, "the recording is too long");
        recording.events = state.events.take().unwrap_or_default();
        Ok(recording)
    }
}

impl Recording {
    /// What was said before an event.
    pub fn said_before(&self, event: usize) -> String {
        let said = self.events[..event].iter().filter_map(|event| match event {
            Event::Said(text) => Some(text.as_str()),
            _ => None,
        });
        said.collect()
    }
}
