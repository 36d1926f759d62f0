//! What other programs do with the files: nothing of it is refused, and nothing of it synced unless they say so.

use super::names::Node;
use super::{SimTree, Volume};
use rustix::fs::{Mode, OFlags, RenameFlags};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

impl SimTree {
    /// Makes a folder that was always there.
    ///
    /// # Errors
    /// Where the real file system refuses it, or the folder above is not there.
    pub fn lay_folder(&self, relative: &str, volume: Volume) -> io::Result<()> {
        let mut state = self.state();
        let (parent, name) = split(relative);
        let parent = state.folder_at(parent).ok_or(io::ErrorKind::NotFound)?;
        rustix::fs::mkdirat(&state.folders[parent].fd, name, Mode::from_raw_mode(0o700))?;
        let folder = state.made_folder(parent, name)?;
        state.folders[folder].volume = volume;
        state.sync_folders(|_, _| true);
        Ok(())
    }

    /// Makes a file with this content, last changed then, which is known by this number.
    ///
    /// # Errors
    /// Where something has the name.
    pub fn drop_file(
        &self,
        relative: &str,
        content: &[u8],
        modified: SystemTime,
        tag: Option<u64>,
    ) -> io::Result<File> {
        let mut state = self.state();
        let (parent, name) = split(relative);
        let parent = state.folder_at(parent).ok_or(io::ErrorKind::NotFound)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let mut file = File::from(rustix::fs::openat(
            &state.folders[parent].fd,
            name,
            flags,
            mode,
        )?);
        file.write_all(content)?;
        file.set_modified(modified)?;
        let number = rustix::fs::fstat(&file)?.st_ino;
        let made = state.made(parent, name, number);
        state.files[made].tag = tag;
        Ok(file)
    }

    /// Writes more to a file that is open.
    ///
    /// # Errors
    /// Those of the real file system.
    pub fn write(&self, mut file: &File, more: &[u8], modified: SystemTime) -> io::Result<()> {
        let mut state = self.state();
        file.write_all(more)?;
        file.set_modified(modified)?;
        if let Some(Node::File(known)) = state.node(file.as_fd()) {
            state.files[known].is_dirty = true;
        }
        Ok(())
    }

    /// Opens a file to write more to it; `None` where it is not there any more.
    pub fn open_to_write(&self, relative: &str) -> Option<File> {
        let state = self.state();
        let (parent, name) = split(relative);
        let file = state.file_at(state.folder_at(parent)?, name)?;
        state
            .open_really(file, OFlags::WRONLY | OFlags::APPEND)
            .ok()
    }

    /// Gives a file another name, where nothing has it; answers whether it did.
    pub fn rename(&self, from: &str, to: &str) -> bool {
        let mut state = self.state();
        let ((from_folder, from), (to_folder, to)) = (split(from), split(to));
        let folders = (state.folder_at(from_folder), state.folder_at(to_folder));
        let (Some(source), Some(target)) = folders else {
            return false;
        };
        let (source_fd, target_fd) = (&state.folders[source].fd, &state.folders[target].fd);
        let flags = RenameFlags::NOREPLACE;
        let renamed = rustix::fs::renameat_with(source_fd, from, target_fd, to, flags).is_ok();
        if renamed {
            state.renamed((source, from), (target, to));
        }
        renamed
    }

    /// Removes a file; answers whether it was there.
    pub fn remove(&self, relative: &str) -> bool {
        let mut state = self.state();
        let (parent, name) = split(relative);
        let parent = state.folder_at(parent);
        parent.is_some_and(|parent| state.remove(parent, name).is_ok())
    }

    /// Puts a file and its name on the platter, as a careful producer does.
    ///
    /// # Errors
    /// Those of the real file system.
    pub fn sync(&self, relative: &str) -> io::Result<()> {
        let mut state = self.state();
        let (parent, name) = split(relative);
        let Some(parent) = state.folder_at(parent) else {
            return Ok(());
        };
        if let Some(file) = state.file_at(parent, name) {
            state.sync_file(file)?;
        }
        state.sync_folders(|number, _| number == parent);
        Ok(())
    }

    /// The names in a folder; none where it is not there.
    pub fn names(&self, relative: &str) -> Vec<String> {
        let state = self.state();
        let folder = state.folder_at(Path::new(relative));
        let names = folder.map(|folder| state.folders[folder].shown.keys());
        names
            .into_iter()
            .flatten()
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }

    /// The files in a folder and those below it, by name, as they are shown.
    ///
    /// # Errors
    /// Those of the real file system.
    pub fn contents(&self, relative: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
        let state = self.state();
        let mut found = Vec::new();
        let mut folders: Vec<usize> = state.folder_at(Path::new(relative)).into_iter().collect();
        while let Some(folder) = folders.pop() {
            for (name, node) in &state.folders[folder].shown {
                match node {
                    Node::Folder(below) => folders.push(*below),
                    Node::File(file) => {
                        let name = name.to_string_lossy().into_owned();
                        found.push((name, state.shown(*file)?));
                    }
                }
            }
        }
        Ok(found)
    }

    /// What a reader is shown of the file of this number; `None` where it has no name any more.
    ///
    /// # Errors
    /// Those of the real file system.
    pub fn content(&self, tag: u64) -> io::Result<Option<Vec<u8>>> {
        let state = self.state();
        let of = |node: &super::FileNode| node.tag == Some(tag) && node.place.is_some();
        state
            .files
            .iter()
            .position(of)
            .map(|file| state.shown(file))
            .transpose()
    }

    /// Whether this is the path of the file of this number.
    pub fn is_at(&self, relative: &str, tag: u64) -> bool {
        let state = self.state();
        let (parent, name) = split(relative);
        let file = state
            .folder_at(parent)
            .and_then(|parent| state.file_at(parent, name));
        file.is_some_and(|file| state.files[file].tag == Some(tag))
    }

    /// Whether the file of this number ever had a name on the platter.
    pub fn was_kept(&self, tag: u64) -> bool {
        let state = self.state();
        let mut files = state.files.iter();
        files.any(|node| node.tag == Some(tag) && node.was_kept)
    }
}

fn split(relative: &str) -> (&Path, &OsStr) {
    let path = Path::new(relative);
    (
        path.parent().unwrap_or(Path::new("")),
        path.file_name().unwrap_or_default(),
    )
}

/// So long after the epoch.
pub fn at(wall_ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(wall_ms)
}
