//! The calls, made on the real folder and remembered beside it.

use super::On;
use super::content::in_morgue;
use super::names::{NameChange, Node};
use super::{FileNode, SimTree, State, open_below};
use mainstay_files::simulated::{Change, Machine, Place};
use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::BorrowedFd;

impl Machine for SimTree {
    fn pass(&self, call: &'static str) -> io::Result<()> {
        let on = match call {
            "create" | "write" | "chmod" | "chown" | "utime" => On::Changes,
            _ => On::Looks,
        };
        self.enter(call, on, |_| String::new())
    }

    fn made(&self, (folder, name): Place<'_>, file: BorrowedFd<'_>) {
        let mut state = self.state();
        if let (Some(folder), Ok(stat)) = (state.folder(folder), rustix::fs::fstat(file)) {
            state.made(folder, name, stat.st_ino);
        }
    }

    fn change(&self, call: &'static str, change: Change<'_>) -> io::Result<()> {
        let on = match change {
            Change::SyncFile(_) | Change::SyncFolder(_) | Change::SyncAll(_) => On::Syncs,
            _ => On::Changes,
        };
        let entered = self.enter(call, on, |state| state.told(&change));
        let mut state = self.state();
        match entered {
            Ok(()) => state.done(&change),
            Err(error) => {
                if !state.faults.is_over() {
                    state.failed(&change)?;
                }
                Err(error)
            }
        }
    }

    fn random(&self) -> u64 {
        self.state().random.number()
    }

    fn count(&self) -> u32 {
        let mut state = self.state();
        state.count += 1;
        state.count
    }
}

impl State {
    fn told(&self, change: &Change<'_>) -> String {
        let place =
            |(folder, name): &Place<'_>| format!("{}/{}", self.shown_path(*folder), name.display());
        match change {
            Change::CreateFolder(at, _) | Change::Remove(at) | Change::RemoveFolder(at) => {
                place(at)
            }
            Change::Replace(from, to) | Change::Rename(from, to) | Change::Link(from, to) => {
                format!("{} to {}", place(from), place(to))
            }
            Change::SyncFile(fd) | Change::SyncFolder(fd) | Change::SyncAll(fd) => {
                self.shown_path(*fd)
            }
        }
    }

    fn done(&mut self, change: &Change<'_>) -> io::Result<()> {
        match *change {
            Change::CreateFolder((folder, name), mode) => {
                rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(mode))?;
                match self.folder(folder) {
                    Some(folder) => self.made_folder(folder, name).map(drop),
                    None => Ok(()),
                }
            }
            Change::Replace(from, to) => self.rename(from, to, true),
            Change::Rename(from, to) => self.rename(from, to, false),
            Change::Link(from, to) => self.link(from, to),
            Change::Remove((folder, name)) => match self.folder(folder) {
                Some(known) if self.file_at(known, name).is_some() => self.remove(known, name),
                _ => Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?),
            },
            Change::RemoveFolder((folder, name)) => {
                rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?;
                if let Some(folder) = self.folder(folder) {
                    self.folders[folder].shown.remove(name);
                    self.folders[folder].kept.remove(name);
                }
                Ok(())
            }
            Change::SyncFile(fd) => match self.node(fd) {
                Some(Node::File(file)) => self.sync_file(file),
                _ => Ok(()),
            },
            Change::SyncFolder(fd) => {
                if let Some(folder) = self.folder(fd) {
                    self.sync_folders(|number, _| number == folder);
                }
                Ok(())
            }
            Change::SyncAll(fd) => {
                let Some(folder) = self.folder(fd) else {
                    return Ok(());
                };
                let volume = self.folders[folder].volume;
                for file in self.files_on(volume) {
                    self.sync_file(file)?;
                }
                self.sync_folders(|_, folder| folder.volume == volume);
                Ok(())
            }
        }
    }

    /// What a call does that is refused: a sync that fails is worse than none.
    fn failed(&mut self, change: &Change<'_>) -> io::Result<()> {
        match *change {
            Change::SyncFile(fd) => {
                if let Some(Node::File(file)) = self.node(fd) {
                    self.fail_file(file)?;
                }
            }
            Change::SyncFolder(fd) => {
                if let Some(folder) = self.folder(fd) {
                    self.fail_folders(|number, _| number == folder);
                }
            }
            Change::SyncAll(fd) => {
                if let Some(folder) = self.folder(fd) {
                    let volume = self.folders[folder].volume;
                    self.fail_folders(|_, folder| folder.volume == volume);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The files that have a name on this file system.
    fn files_on(&self, volume: super::Volume) -> Vec<usize> {
        let on = |file: &&usize| {
            let place = self.files[**file].place.as_ref();
            place.is_some_and(|(folder, _)| self.folders[*folder].volume == volume)
        };
        let all: Vec<usize> = (0..self.files.len()).collect();
        all.iter().filter(on).copied().collect()
    }

    pub(super) fn made(&mut self, folder: usize, name: &OsStr, number: u64) -> usize {
        let file = self.files.len();
        let place = (folder, name.to_owned());
        self.files.push(FileNode::new(number, place.clone()));
        self.by_number.insert(number, Node::File(file));
        self.change(NameChange::new(Node::File(file), None, Some(place)));
        file
    }

    pub(super) fn made_folder(&mut self, parent: usize, name: &OsStr) -> io::Result<usize> {
        let fd = open_below(&self.folders[parent].fd, name)?;
        let (path, volume) = (
            self.folders[parent].path.join(name),
            self.folders[parent].volume,
        );
        let folder = self.know_folder(fd, path, volume)?;
        let place = (parent, name.to_owned());
        self.change(NameChange::new(Node::Folder(folder), None, Some(place)));
        Ok(folder)
    }

    fn rename(&mut self, from: Place<'_>, to: Place<'_>, replaces: bool) -> io::Result<()> {
        let (from_folder, to_folder) = (self.folder(from.0), self.folder(to.0));
        let (Some(source), Some(target)) = (from_folder, to_folder) else {
            return Ok(rustix::fs::renameat(from.0, from.1, to.0, to.1)?);
        };
        if self.folders[source].volume != self.folders[target].volume {
            return Err(Errno::XDEV.into());
        }
        if replaces && self.file_at(target, to.1).is_some() {
            self.forget(target, to.1)?;
        }
        rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE)?;
        self.renamed((source, from.1), (target, to.1));
        Ok(())
    }

    pub(super) fn renamed(&mut self, from: (usize, &OsStr), to: (usize, &OsStr)) {
        let Some(node) = self.folders[from.0].shown.get(from.1).copied() else {
            return;
        };
        let (goes, comes) = ((from.0, from.1.to_owned()), (to.0, to.1.to_owned()));
        if let Node::File(file) = node {
            self.files[file].place = Some(comes.clone());
        }
        self.change(NameChange::new(node, Some(goes), Some(comes)));
    }

    fn link(&mut self, from: Place<'_>, to: Place<'_>) -> io::Result<()> {
        let (source, target) = (self.folder(from.0), self.folder(to.0));
        if let (Some(source), Some(target)) = (source, target)
            && self.folders[source].volume != self.folders[target].volume
        {
            return Err(Errno::XDEV.into());
        }
        rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())?;
        if let (Some(source), Some(target)) = (source, target)
            && let Some(file) = self.file_at(source, from.1)
        {
            self.files[file].links += 1;
            let place = (target, to.1.to_owned());
            self.change(NameChange::new(Node::File(file), None, Some(place)));
        }
        Ok(())
    }

    /// A file loses a name; its last one leads to the morgue, from where a cut may bring it back.
    pub(super) fn remove(&mut self, folder: usize, name: &OsStr) -> io::Result<()> {
        let Some(file) = self.forget(folder, name)? else {
            return Err(Errno::NOENT.into());
        };
        let place = (folder, name.to_owned());
        self.change(NameChange::new(Node::File(file), Some(place), None));
        Ok(())
    }

    /// Takes a name away from where it lies really; the listing is as before.
    pub(super) fn forget(&mut self, folder: usize, name: &OsStr) -> io::Result<Option<usize>> {
        let Some(file) = self.file_at(folder, name) else {
            return Ok(None);
        };
        let fd = &self.folders[folder].fd;
        if self.files[file].links > 1 {
            rustix::fs::unlinkat(fd, name, AtFlags::empty())?;
            self.files[file].links -= 1;
            let is_gone = self.files[file].place == Some((folder, name.to_owned()));
            if is_gone {
                self.files[file].place = self.another_place(file, folder, name);
            }
        } else {
            let number = self.files[file].number;
            rustix::fs::renameat(fd, name, &self.morgue, in_morgue(number))?;
            self.files[file].place = None;
        }
        Ok(Some(file))
    }

    fn another_place(&self, file: usize, folder: usize, name: &OsStr) -> Option<(usize, OsString)> {
        let all = self.folders.iter().enumerate();
        let mut places = all.flat_map(|(number, of)| {
            of.shown
                .iter()
                .map(move |(name, node)| (number, name, *node))
        });
        places
            .find(|(number, other, node)| {
                *node == Node::File(file) && (*number, other.as_os_str()) != (folder, name)
            })
            .map(|(number, other, _)| (number, other.clone()))
    }
}
