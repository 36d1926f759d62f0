//! Those who drop files, and what has to become of each.

use super::shelf::REJECTED;
use crate::random::Random;
use crate::sim_tree::{Diary, SimTree, at};
use std::fs::File;
use std::rc::Rc;
use std::sync::PoisonError;

/// The drop folder, in the tree.
pub(super) const DROP: &str = "share/drop";

/// More would make lives long and not worse.
const FILES_MAX: usize = 14;

/// One file that was dropped.
#[derive(Debug)]
pub(super) struct Dropped {
    /// Its last path in the tree, as far as its producer knows.
    pub(super) path: String,
    /// What it holds.
    pub(super) content: Vec<u8>,
    /// Contents that it had, or has: each may be a document besides.
    pub(super) may: Vec<Vec<u8>>,
    /// Whether it may be no document at all: its producer removed it, or lost it in a cut before it was on the platter.
    pub(super) is_withdrawn: bool,
    /// Whether the intake rejects what was dropped; what a cut makes of that it may take.
    pub(super) is_rejected: bool,
}

/// All producers together.
pub(super) struct Producer {
    pub(super) tree: Rc<SimTree>,
    pub(super) random: Random,
    pub(super) dropped: Vec<Dropped>,
    /// A file that is being written, slowly.
    slow: Option<(usize, File)>,
    pub(super) marker: Option<String>,
    pub(super) is_recursive: bool,
    pub(super) keeps: bool,
    pub(super) diary: Option<Diary>,
}

impl Producer {
    pub(super) fn new(tree: Rc<SimTree>, seed: u64, diary: Option<&Diary>) -> Self {
        Self {
            tree,
            random: Random::new(seed ^ 0xd309),
            dropped: Vec::new(),
            slow: None,
            marker: None,
            is_recursive: false,
            keeps: false,
            diary: diary.cloned(),
        }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if let Some(diary) = &self.diary {
            let mut diary = diary.lock().unwrap_or_else(PoisonError::into_inner);
            diary.push(format!("  producer: {}", what()));
        }
    }

    /// Does something.
    pub(super) fn act(&mut self, wall_ms: u64) {
        match self.random.below(12) {
            6 => self.go_on(wall_ms),
            7 if self.marker.is_none() => self.append(wall_ms),
            8 if self.marker.is_none() && !self.keeps => self.rename(),
            9 if self.marker.is_none() => self.remove(),
            _ => self.drop_one(wall_ms),
        }
    }

    fn drop_one(&mut self, wall_ms: u64) {
        if FILES_MAX <= self.dropped.len() {
            return;
        }
        let number = self.dropped.len();
        let content = self.new_content(number);
        let name = self.new_name(number);
        let folder = if self.is_recursive && self.random.below(3) == 0 {
            format!("{DROP}/sub")
        } else {
            DROP.to_owned()
        };
        let age = [0, 0, 1_000, 60_000][self.random.below(4) as usize];
        let modified = at(wall_ms.saturating_sub(age));
        let hidden = self.random.below(2) == 0;
        let path = if hidden {
            format!("{folder}/.{number}.tmp")
        } else {
            format!("{folder}/{name}")
        };
        let Ok(file) = self
            .tree
            .drop_file(&path, &content, modified, Some(number as u64))
        else {
            // That name is taken.
            return;
        };
        self.say(|| format!("{number} is dropped as {path}, {} bytes", content.len()));
        self.dropped.push(Dropped {
            path,
            is_rejected: content.first() == Some(&REJECTED),
            content,
            may: Vec::new(),
            is_withdrawn: false,
        });
        if hidden {
            drop(file);
            self.publish(number);
        } else if self.marker.is_none() && self.slow.is_none() && self.random.below(4) == 0 {
            self.slow = Some((number, file));
            return;
        }
        self.confirm(number);
    }

    /// Syncs a file as a careful producer does, and marks it.
    fn confirm(&mut self, number: usize) {
        let is_careful = self.random.below(2) == 0;
        let path = self.dropped[number].path.clone();
        if is_careful {
            self.say(|| format!("{path} is synced"));
            self.tree.sync(&path).unwrap_or_default();
        }
        if let Some(marker) = &self.marker {
            let marker = format!("{path}{marker}");
            drop(self.tree.drop_file(&marker, b"", at(0), None));
            if is_careful {
                self.tree.sync(&marker).unwrap_or_default();
            }
        }
    }

    /// Gives a file that was written under a hidden name the one that it is to have.
    fn publish(&mut self, number: usize) {
        let path = self.dropped[number].path.clone();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let name = format!("{folder}/{}", self.new_name(number));
        let to = if self.tree.rename(&path, &name) {
            name
        } else {
            let own = format!("{folder}/own-{number}.csv");
            if !self.tree.rename(&path, &own) {
                return;
            }
            own
        };
        self.say(|| format!("{path} becomes {to}"));
        self.dropped[number].path = to;
    }

    fn new_content(&mut self, number: usize) -> Vec<u8> {
        let kind = if self.random.below(12) == 0 {
            char::from(REJECTED)
        } else {
            'D'
        };
        let mut content = format!("{kind}{number}.0 ").into_bytes();
        let len = match self.random.below(24) {
            0 => return Vec::new(),
            1..18 => self.random.below(40),
            18..23 => self.random.below(4_000),
            _ => 5_000 + self.random.below(20_000),
        };
        let filler = self.random.bytes(len as usize);
        content.extend(filler);
        content
    }

    /// Often one that another file had, or has.
    fn new_name(&mut self, number: usize) -> String {
        match self.random.below(8) {
            0..4 => ["a.csv", "b", "ü %.csv", "c.tar.gz"][self.random.below(4) as usize].to_owned(),
            4 => format!("{}{number}.csv", "long".repeat(60)),
            _ => format!("{number}.csv"),
        }
    }

    /// The slow one goes on, or is done.
    fn go_on(&mut self, wall_ms: u64) {
        let Some((number, file)) = self.slow.take() else {
            return;
        };
        let more = self.random.bytes(20);
        self.tree
            .write(&file, &more, at(wall_ms))
            .unwrap_or_default();
        self.changed(number, &more);
        if self.random.below(2) == 0 {
            self.slow = Some((number, file));
        } else {
            self.say(|| format!("{number} is closed"));
        }
    }

    fn append(&mut self, wall_ms: u64) {
        let Some(number) = self.any() else { return };
        if let Some(file) = self.tree.open_to_write(&self.dropped[number].path) {
            // The name may lead to another file by now.
            let is_it = self.is_at(number);
            if is_it {
                let more = self.random.bytes(1 + number);
                self.tree
                    .write(&file, &more, at(wall_ms))
                    .unwrap_or_default();
                self.changed(number, &more);
            }
        }
    }

    fn changed(&mut self, number: usize, more: &[u8]) {
        self.say(|| format!("{} bytes more for {number}", more.len()));
        let now = self.tree.content(number as u64).ok().flatten();
        let dropped = &mut self.dropped[number];
        let before = std::mem::replace(&mut dropped.content, now.unwrap_or_default());
        // One that was empty begins only now.
        dropped.is_rejected |= dropped.content.first() == Some(&REJECTED);
        if self.keeps {
            dropped.may.push(before);
        }
    }

    fn rename(&mut self) {
        let Some(number) = self.any().filter(|number| self.is_at(*number)) else {
            return;
        };
        let to = format!("{DROP}/renamed-{number}.csv");
        let from = self.dropped[number].path.clone();
        if self.tree.rename(&from, &to) {
            self.say(|| format!("{from} becomes {to}"));
            self.dropped[number].path = to;
        }
    }

    fn remove(&mut self) {
        let Some(number) = self.any().filter(|number| self.is_at(*number)) else {
            return;
        };
        let path = self.dropped[number].path.clone();
        if self.tree.remove(&path) {
            self.say(|| format!("{path} is removed"));
            self.dropped[number].is_withdrawn = true;
        }
    }

    fn any(&mut self) -> Option<usize> {
        let count = self.dropped.len() as u64;
        (count != 0).then(|| self.random.below(count) as usize)
    }

    /// Whether the file of this number lies where its producer left it.
    fn is_at(&self, number: usize) -> bool {
        self.tree.is_at(&self.dropped[number].path, number as u64)
    }

    /// The power went: what was open is closed, and files are what the cut made of them.
    pub(super) fn cut(&mut self, documents: &[Vec<u8>]) -> Result<(), String> {
        self.slow = None;
        let copies = self.tree.contents("data/work");
        let copies = copies.map_err(|error| format!("cannot read the work folder: {error}"))?;
        for number in 0..self.dropped.len() {
            let found = self.tree.content(number as u64);
            let found = found.map_err(|error| format!("cannot read {number}: {error}"))?;
            let was_kept = self.tree.was_kept(number as u64);
            let dropped = &mut self.dropped[number];
            // What has lost its first bytes before looks like others.
            let is_told_apart = matches!(dropped.content.first(), Some(b'D' | &REJECTED));
            let is_copied = copies
                .iter()
                .any(|(name, copy)| *copy == dropped.content && !name.contains(".mainstay-tmp-"));
            let is_stored = is_copied || documents.contains(&dropped.content);
            let is_stored = is_told_apart && is_stored;
            match found {
                Some(found) if found != dropped.content => {
                    if self.keeps || !is_told_apart {
                        // As long and as old as before it is taken for what it was.
                        dropped.may.push(found);
                        dropped.is_withdrawn = true;
                    } else if is_stored {
                        dropped.may.push(found);
                    } else {
                        dropped.content = found;
                    }
                }
                // In the place of one that had its name since, it is another file there.
                Some(found) if self.keeps && dropped.is_withdrawn => dropped.may.push(found),
                None if !is_told_apart || (!is_stored && !was_kept) => dropped.is_withdrawn = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// They end well: what is half dropped is dropped, and what has no marker gets one.
    pub(super) fn leave(&mut self, wall_ms: u64) {
        if self.slow.take().is_some() {
            self.say(|| "the slow one closes its file".to_owned());
        }
        for folder in [DROP.to_owned(), format!("{DROP}/sub")] {
            for name in self.tree.names(&folder) {
                let path = format!("{folder}/{name}");
                let number = name.strip_prefix('.').and_then(|name| {
                    let number = name.strip_suffix(".tmp")?;
                    number.parse::<usize>().ok()
                });
                if let Some(number) = number {
                    let dropped = &mut self.dropped[number];
                    dropped.path = path;
                    if self.keeps {
                        // It may have had another name, and was another file then.
                        dropped.may.push(dropped.content.clone());
                    }
                    self.publish(number);
                }
            }
            let Some(marker) = self.marker.clone() else {
                continue;
            };
            for name in self.tree.names(&folder) {
                let path = format!("{folder}/{name}{marker}");
                if !name.starts_with('.') && !name.ends_with(&marker) && name != "sub" {
                    drop(self.tree.drop_file(&path, b"", at(wall_ms), None));
                }
            }
            let names = self.tree.names(&folder);
            let is_alone = |name: &&String| {
                let of = name.strip_suffix(&marker);
                of.is_some_and(|of| !names.iter().any(|name| name == of))
            };
            for name in names.iter().filter(is_alone) {
                self.tree.remove(&format!("{folder}/{name}"));
            }
        }
    }
}
