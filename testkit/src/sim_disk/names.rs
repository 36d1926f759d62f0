//! The names in the folders: shown, on the platter, and on the way.

use mainstay_queue::disk::Folder;
use std::collections::BTreeMap;

type Listing = BTreeMap<String, usize>;

/// A change of a folder that is not on the platter yet.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Create(String, usize),
    /// From, to, and which file.
    Rename(String, String, usize),
    Remove(String),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    shown: [Listing; 3],
    kept: [Listing; 3],
    unsynced: Vec<(Folder, NameChange)>,
}

impl NameChange {
    fn apply(&self, listing: &mut Listing) {
        match self {
            Self::Create(name, inode) => {
                listing.insert(name.clone(), *inode);
            }
            Self::Rename(from, to, inode) => {
                listing.remove(from);
                listing.insert(to.clone(), *inode);
            }
            Self::Remove(name) => {
                listing.remove(name);
            }
        }
    }

    fn names(&self) -> [&str; 2] {
        match self {
            Self::Create(name, _) | Self::Remove(name) => [name, name],
            Self::Rename(from, to, _) => [from, to],
        }
    }
}

impl Names {
    pub(super) fn get(&self, folder: Folder, name: &str) -> Option<usize> {
        self.shown[folder as usize].get(name).copied()
    }

    pub(super) fn list(&self, folder: Folder) -> impl Iterator<Item = (&String, &usize)> {
        self.shown[folder as usize].iter()
    }

    /// All files that have a name.
    pub(super) fn shown(&self) -> impl Iterator<Item = usize> {
        self.shown
            .iter()
            .flat_map(|listing| listing.values().copied())
    }

    pub(super) fn change(&mut self, folder: Folder, change: NameChange) {
        change.apply(&mut self.shown[folder as usize]);
        self.unsynced.push((folder, change));
    }

    pub(super) fn sync(&mut self, folder: Folder) {
        let kept = &mut self.kept[folder as usize];
        self.unsynced.retain(|(of, change)| {
            let stays = *of != folder;
            if !stays {
                change.apply(kept);
            }
            stays
        });
    }

    /// The power went: each change arrived or did not, as `arrives` says; never one that follows from another that did
    /// not, because it names the same file.
    pub(super) fn settle(&mut self, mut arrives: impl FnMut() -> bool) {
        let mut lost: Vec<(Folder, String)> = Vec::new();
        for (folder, change) in std::mem::take(&mut self.unsynced) {
            let follows = change
                .names()
                .iter()
                .any(|name| lost.iter().any(|(of, gone)| *of == folder && gone == name));
            if !follows && arrives() {
                change.apply(&mut self.kept[folder as usize]);
            } else {
                lost.extend(change.names().map(|name| (folder, name.to_owned())));
            }
        }
        self.shown.clone_from(&self.kept);
    }

    /// Gives every file that has a name another number.
    pub(super) fn renumber(&mut self, mut number: impl FnMut(usize) -> usize) {
        for listing in &mut self.shown {
            for inode in listing.values_mut() {
                *inode = number(*inode);
            }
        }
        self.kept.clone_from(&self.shown);
    }
}
