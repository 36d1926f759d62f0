//! The power goes, and comes back: the real folder is made to look like what is on the platter.

use super::content::{in_morgue, torn};
use super::names::{Lost, Node};
use super::{SimTree, State, Volume};
use crate::random::Random;
use crate::sim_disk::Outcome;
use rustix::fs::{AtFlags, RenameFlags};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;

impl SimTree {
    /// The process is gone, or the power, and a new one begins: nothing is refused any more.
    ///
    /// # Errors
    /// Where the real file system refuses what it has to look like.
    pub fn restart(&self, outcome: Outcome) -> io::Result<()> {
        self.begin_anew();
        self.alone();
        if outcome == Outcome::Killed {
            return Ok(());
        }
        let mut state = self.state();
        state.settle_names(outcome);
        state.show_kept()?;
        state.settle_contents(outcome)
    }
}

impl State {
    /// Each change of a name arrives or does not, on each file system by itself; never one that follows from another that did
    /// not.
    fn settle_names(&mut self, outcome: Outcome) {
        let mut moods: Vec<(Volume, Mood)> = Vec::new();
        let mut lost = Lost::default();
        for change in std::mem::take(&mut self.pending) {
            let volume = change
                .places()
                .next()
                .map_or(0, |place| self.folders[place.0].volume);
            let known = moods.iter().position(|mood| mood.0 == volume);
            let mood = known.unwrap_or_else(|| {
                moods.push((volume, Mood::of(outcome, &mut self.random)));
                moods.len() - 1
            });
            if moods[mood].1.arrives(&mut self.random) && !lost.is_before(&change) {
                self.keep(&change);
            } else {
                lost.add(&change);
            }
        }
        for folder in &mut self.folders {
            folder.lies = false;
        }
    }

    /// Moves everything to where the platter has it.
    fn show_kept(&mut self) -> io::Result<()> {
        for folder in 0..self.folders.len() {
            let shown = std::mem::take(&mut self.folders[folder].shown);
            for (name, node) in &shown {
                if self.folders[folder].kept.get(name) != Some(node) {
                    self.take_away(folder, name, *node)?;
                }
            }
            self.folders[folder].shown = shown;
        }
        let mut reached = BTreeSet::from([0]);
        let mut folders = vec![0];
        while let Some(folder) = folders.pop() {
            for (name, node) in self.folders[folder].kept.clone() {
                if self.folders[folder].shown.get(&name) != Some(&node) {
                    self.bring_back(folder, &name, node)?;
                }
                if let Node::Folder(below) = node
                    && reached.insert(below)
                {
                    folders.push(below);
                }
            }
        }
        for (number, folder) in self.folders.iter_mut().enumerate() {
            if !reached.contains(&number) {
                folder.kept.clear();
            }
            folder.shown = folder.kept.clone();
        }
        for file in &mut self.files {
            file.place.take_if(|place| !reached.contains(&place.0));
        }
        Ok(())
    }

    fn take_away(&mut self, folder: usize, name: &OsStr, node: Node) -> io::Result<()> {
        let from = &self.folders[folder].fd;
        let number = match node {
            Node::Folder(below) => self.folders[below].number,
            Node::File(file) if self.files[file].links > 1 => {
                rustix::fs::unlinkat(from, name, AtFlags::empty())?;
                self.files[file].links -= 1;
                let place = &mut self.files[file].place;
                place.take_if(|place| *place == (folder, name.to_owned()));
                return Ok(());
            }
            Node::File(file) => {
                self.files[file].place = None;
                self.files[file].number
            }
        };
        Ok(rustix::fs::renameat(
            from,
            name,
            &self.morgue,
            in_morgue(number),
        )?)
    }

    fn bring_back(&mut self, folder: usize, name: &OsStr, node: Node) -> io::Result<()> {
        let to = &self.folders[folder].fd;
        let place: (usize, OsString) = (folder, name.to_owned());
        match node {
            Node::File(file) => {
                if let Some((other, other_name)) = &self.files[file].place {
                    let from = &self.folders[*other].fd;
                    rustix::fs::linkat(from, other_name, to, name, AtFlags::empty())?;
                    self.files[file].links += 1;
                    return Ok(());
                }
                let number = in_morgue(self.files[file].number);
                let flags = RenameFlags::NOREPLACE;
                rustix::fs::renameat_with(&self.morgue, number, to, name, flags)?;
                self.files[file].place = Some(place);
            }
            Node::Folder(below) => {
                let number = in_morgue(self.folders[below].number);
                let flags = RenameFlags::NOREPLACE;
                rustix::fs::renameat_with(&self.morgue, number, to, name, flags)?;
            }
        }
        Ok(())
    }

    /// What was not synced of the contents arrives, does not, or is torn.
    fn settle_contents(&mut self, outcome: Outcome) -> io::Result<()> {
        for file in 0..self.files.len() {
            if !self.files[file].is_dirty || self.files[file].place.is_none() {
                continue;
            }
            let shown = self.shown(file)?;
            let random = &mut self.random;
            let node = &self.files[file];
            let lies = node.lies.as_ref() == Some(&shown);
            let arrived = match (outcome, random.below(3)) {
                _ if lies => node.kept.clone(),
                (Outcome::AllLost | Outcome::NamesKept, _) | (Outcome::Any, 0) => node.kept.clone(),
                (Outcome::AllKept, _) | (Outcome::Any, 1) => shown.clone(),
                _ => torn(&node.kept, &shown, random),
            };
            if arrived == shown {
                self.files[file].kept = arrived;
            } else {
                self.show(file, arrived)?;
            }
            self.files[file].is_dirty = false;
            self.files[file].lies = None;
        }
        Ok(())
    }
}

/// How the changes of one file system fare in a cut.
enum Mood {
    All,
    None,
    /// A journal keeps the order: all before some point.
    First(u64),
    /// Other file systems do not.
    Some,
}

impl Mood {
    fn of(outcome: Outcome, random: &mut Random) -> Self {
        match outcome {
            Outcome::AllLost | Outcome::Torn => Self::None,
            Outcome::AllKept | Outcome::NamesKept | Outcome::Killed => Self::All,
            Outcome::Any if random.below(2) == 0 => Self::First(random.below(6)),
            Outcome::Any => Self::Some,
        }
    }

    fn arrives(&mut self, random: &mut Random) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::First(left) => {
                let arrives = *left != 0;
                *left = left.saturating_sub(1);
                arrives
            }
            Self::Some => random.below(2) == 0,
        }
    }
}
