//! What a file holds: shown to readers, and on the platter.

use super::{FileNode, State};
use crate::random::Random;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

/// The smallest unit that a disk writes, in bytes.
pub const SECTOR: usize = 512;

impl State {
    /// Opens a file where it lies really.
    pub(super) fn open_really(&self, file: usize, flags: OFlags) -> io::Result<File> {
        let node = &self.files[file];
        let flags = flags | OFlags::CLOEXEC;
        let opened: OwnedFd = match &node.place {
            Some((folder, name)) => {
                rustix::fs::openat(&self.folders[*folder].fd, name, flags, Mode::empty())?
            }
            None => rustix::fs::openat(&self.morgue, in_morgue(node.number), flags, Mode::empty())?,
        };
        Ok(File::from(opened))
    }

    /// What readers are shown.
    pub(super) fn shown(&self, file: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open_really(file, OFlags::RDONLY)?
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The content of a file is put on the platter.
    pub(super) fn sync_file(&mut self, file: usize) -> io::Result<()> {
        if !self.files[file].is_dirty {
            return Ok(());
        }
        let shown = self.shown(file)?;
        let node = &mut self.files[file];
        if node.lies.as_ref() != Some(&shown) {
            node.kept = shown;
            node.is_dirty = false;
            node.lies = None;
        }
        Ok(())
    }

    /// The sync of a content failed: a part arrives, and nothing else of it ever will.
    pub(super) fn fail_file(&mut self, file: usize) -> io::Result<()> {
        if !self.files[file].is_dirty {
            return Ok(());
        }
        let shown = self.shown(file)?;
        let node = &mut self.files[file];
        if node.lies.is_none() {
            node.kept = torn(&node.kept, &shown, &mut self.random);
        }
        node.lies = Some(shown);
        Ok(())
    }

    /// Readers are shown what is on the platter.
    pub(super) fn show(&mut self, file: usize, bytes: Vec<u8>) -> io::Result<()> {
        let mut open = self.open_really(file, OFlags::WRONLY)?;
        let modified = open.metadata()?.modified()?;
        open.set_len(0)?;
        open.write_all(&bytes)?;
        open.set_modified(modified)?;
        self.files[file].kept = bytes;
        Ok(())
    }
}

impl FileNode {
    pub(super) fn new(number: u64, place: (usize, std::ffi::OsString)) -> Self {
        Self {
            number,
            place: Some(place),
            links: 1,
            is_dirty: true,
            ..Self::default()
        }
    }
}

/// Its name there.
pub(super) fn in_morgue(number: u64) -> String {
    number.to_string()
}

/// Some sectors of the new content, some of the old, and some zeros; as long as the one or the other.
pub(super) fn torn(kept: &[u8], shown: &[u8], random: &mut Random) -> Vec<u8> {
    let len = if random.below(3) == 0 {
        kept.len()
    } else {
        shown.len()
    };
    let mut bytes = vec![0; len];
    for start in (0..len).step_by(SECTOR) {
        let source = match random.below(3) {
            0 => kept,
            1 => shown,
            _ => continue,
        };
        let end = (start + SECTOR).min(len).min(source.len());
        if let Some(sector) = source.get(start..end) {
            bytes[start..end].copy_from_slice(sector);
        }
    }
    bytes
}
