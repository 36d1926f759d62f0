//! The names in the folders: shown, on the platter, and on the way.

use super::{State, Volume};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    Folder(usize),
    File(usize),
}

pub(super) type Listing = BTreeMap<OsString, Node>;

#[derive(Debug)]
pub(super) struct Folder {
    pub(super) fd: OwnedFd,
    pub(super) number: u64,
    /// Its path in the tree, for people.
    pub(super) path: PathBuf,
    pub(super) volume: Volume,
    pub(super) shown: Listing,
    pub(super) kept: Listing,
    /// A sync failed: another one says Ok, and does nothing, until a name in it changes.
    pub(super) lies: bool,
}

/// A change of names that is not certain to be on the platter: one that goes, one that comes, or both.
#[derive(Clone, Debug)]
pub(super) struct NameChange {
    pub(super) node: Node,
    pub(super) goes: Option<(usize, OsString)>,
    pub(super) comes: Option<(usize, OsString)>,
}

impl Folder {
    pub(super) fn new(fd: OwnedFd, number: u64, path: PathBuf, volume: Volume) -> Self {
        Self {
            fd,
            number,
            path,
            volume,
            shown: Listing::new(),
            kept: Listing::new(),
            lies: false,
        }
    }
}

impl NameChange {
    pub(super) fn new(
        node: Node,
        goes: Option<(usize, OsString)>,
        comes: Option<(usize, OsString)>,
    ) -> Self {
        Self { node, goes, comes }
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &(usize, OsString)> {
        self.goes.iter().chain(&self.comes)
    }

    /// The folder whose sync makes it certain: the one that a name comes to, or else goes from.
    fn certain_with(&self) -> Option<usize> {
        let place = self.comes.as_ref().or(self.goes.as_ref());
        place.map(|place| place.0)
    }

    fn is_in(&self, folder: usize) -> bool {
        self.places().any(|place| place.0 == folder)
    }
}

/// Places that changes have in common: what did not arrive, so that nothing that follows from it can, or what did.
#[derive(Default)]
pub(super) struct Lost {
    places: BTreeSet<(usize, OsString)>,
    folders: BTreeSet<usize>,
}

impl Lost {
    pub(super) fn is_before(&self, change: &NameChange) -> bool {
        change
            .places()
            .any(|place| self.places.contains(place) || self.folders.contains(&place.0))
    }

    pub(super) fn add(&mut self, change: &NameChange) {
        self.places.extend(change.places().cloned());
        if let (Node::Folder(folder), Some(_)) = (change.node, &change.comes) {
            self.folders.insert(folder);
        }
    }
}

impl State {
    /// Shows a change of names, and remembers that the platter does not know it yet.
    pub(super) fn change(&mut self, change: NameChange) {
        if let Some((folder, name)) = &change.goes {
            self.folders[*folder].shown.remove(name);
            self.folders[*folder].lies = false;
        }
        if let Some((folder, name)) = &change.comes {
            self.folders[*folder]
                .shown
                .insert(name.clone(), change.node);
            self.folders[*folder].lies = false;
        }
        self.pending.push(change);
    }

    /// The platter gets to know a change.
    pub(super) fn keep(&mut self, change: &NameChange) {
        if let Some((folder, name)) = &change.goes {
            self.folders[*folder].kept.remove(name);
        }
        if let Some((folder, name)) = &change.comes {
            self.folders[*folder].kept.insert(name.clone(), change.node);
            if let Node::File(file) = change.node {
                self.files[file].was_kept = true;
            }
        }
    }

    /// The names in these folders are put on the platter.
    pub(super) fn sync_folders(&mut self, is_synced: impl Fn(usize, &Folder) -> bool) {
        let synced: BTreeSet<usize> = (0..self.folders.len())
            .filter(|number| {
                let folder = &self.folders[*number];
                !folder.lies && is_synced(*number, folder)
            })
            .collect();
        // What is certain makes certain what it follows from.
        let mut needed = Lost::default();
        needed.folders.extend(&synced);
        let mut certain = Vec::new();
        for change in self.pending.iter().rev() {
            let with = change.certain_with();
            let is_certain = with.is_some_and(|folder| synced.contains(&folder))
                || change.places().any(|place| needed.places.contains(place))
                || matches!(change.node, Node::Folder(folder) if needed.folders.contains(&folder));
            if is_certain {
                needed.places.extend(change.places().cloned());
                needed
                    .folders
                    .extend(change.places().map(|(folder, _)| *folder));
            }
            certain.push(is_certain);
        }
        for change in std::mem::take(&mut self.pending) {
            if certain.pop() == Some(true) {
                self.keep(&change);
            } else {
                self.pending.push(change);
            }
        }
    }

    /// The sync of these folders failed.
    pub(super) fn fail_folders(&mut self, is_synced: impl Fn(usize, &Folder) -> bool) {
        for number in 0..self.folders.len() {
            let has_changed = self.pending.iter().any(|change| change.is_in(number));
            if has_changed && is_synced(number, &self.folders[number]) {
                self.folders[number].lies = true;
            }
        }
    }
}
