//! The power goes, the cache is dropped, bits rot.

use super::content::{Change, Content, Inode};
use super::{SimDisk, State};
use crate::random::Random;
use mainstay_queue::disk::Folder;
use std::ops::Range;

/// The smallest unit that a disk writes, in bytes; any may be torn all the same, for nothing is assumed to be atomic.
const SECTOR: u64 = 512;

/// Torn so that it begins at one of these places of a file, a segment's head has its former id, or a part of it, and else is new.
const HEAD_ID: Range<u64> = 33..41;

/// What becomes of what was on its way when the power went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is not the power that went but the process: all of it is shown, and none of it is on the platter yet.
    Killed,
    /// None of it arrived.
    AllLost,
    /// All of it arrived.
    AllKept,
    /// The names arrived and the bytes did not: the metadata is ahead of the data.
    NamesKept,
    /// The bytes arrived, each write torn, and the names did not.
    Torn,
    /// Each write and each name by chance.
    Any,
}

impl SimDisk {
    /// The power goes, now or since the call that was to be cut, and comes back: what is shown is what is on the
    /// platter. Files that were open are dead. No call is refused any more.
    pub fn restart(&self, outcome: Outcome) {
        let mut state = self.state();
        let State {
            random,
            names,
            inodes,
            faults,
            life,
            ..
        } = &mut *state;
        match outcome {
            Outcome::Killed => {
                faults.restart();
                *life += 1;
                return;
            }
            Outcome::AllLost | Outcome::Torn => names.settle(|| false),
            Outcome::AllKept | Outcome::NamesKept => names.settle(|| true),
            Outcome::Any => {
                // A journal keeps the order of names: all before some point. Other file systems do not.
                let mut left = random.below(6);
                let ordered = random.below(2) == 0;
                names.settle(|| {
                    if ordered {
                        left = left.saturating_sub(1);
                        left != 0
                    } else {
                        random.below(2) == 0
                    }
                });
            }
        }
        let mut survivors = Vec::new();
        names.renumber(|old| {
            let mut inode = inodes[old].clone();
            match outcome {
                Outcome::AllLost | Outcome::NamesKept => inode.unsynced.clear(),
                Outcome::AllKept => {
                    for change in std::mem::take(&mut inode.unsynced) {
                        inode.kept.apply(&change);
                    }
                }
                Outcome::Torn => {
                    for change in std::mem::take(&mut inode.unsynced) {
                        tear(&mut inode.kept, &change, random);
                    }
                }
                Outcome::Any | Outcome::Killed => settle(&mut inode, random),
            }
            inode.shown = inode.kept.clone();
            inode.lies = false;
            survivors.push(inode);
            survivors.len() - 1
        });
        *inodes = survivors;
        faults.restart();
        *life += 1;
        if let Some(trace) = &mut state.trace {
            trace.push(format!("the power comes back; {outcome:?}"));
        }
    }

    /// The cache is dropped: what a failed sync did not bring to the platter is not shown any more.
    pub fn drop_caches(&self) {
        for inode in &mut self.state().inodes {
            inode.drop_cache();
        }
    }

    /// Flips a bit of a file, on the platter and in the cache, somewhere before byte `below` if the file is longer.
    /// Returns where, or `None` where no file with bytes has a name that begins so.
    pub fn rot(&self, folder: Folder, prefix: &str, below: u64) -> Option<String> {
        let mut state = self.state();
        let State {
            random,
            names,
            inodes,
            ..
        } = &mut *state;
        let there: Vec<(String, usize)> = names
            .list(folder)
            .filter(|(name, inode)| name.starts_with(prefix) && inodes[**inode].kept.len != 0)
            .map(|(name, inode)| (name.clone(), *inode))
            .collect();
        if there.is_empty() {
            return None;
        }
        let (name, inode) = &there[random.below(there.len() as u64) as usize];
        let inode = &mut inodes[*inode];
        let bit = random.below(inode.kept.len.min(below) * 8);
        inode.kept.flip(bit);
        if bit / 8 < inode.shown.len {
            inode.shown.flip(bit);
        }
        Some(format!("bit {bit} of {name}"))
    }
}

/// A sync failed: a part arrives, and nothing else of it ever will, whatever readers are shown.
pub(super) fn lose(inode: &mut Inode, random: &mut Random) {
    settle(inode, random);
    inode.lies = true;
}

/// Each unsynced change arrives, does not, or is torn; now and then in another order than it was made in.
fn settle(inode: &mut Inode, random: &mut Random) {
    let mut changes = std::mem::take(&mut inode.unsynced);
    if 1 < changes.len() && random.below(8) == 0 {
        for place in (1..changes.len()).rev() {
            changes.swap(place, random.below(place as u64 + 1) as usize);
        }
    }
    let mood = random.below(5);
    for change in &changes {
        match (mood, random.below(3)) {
            (0, _) | (2.., 0) => {}
            (1, _) | (2.., 1) => inode.kept.apply(change),
            _ => tear(&mut inode.kept, change, random),
        }
    }
}

/// A part of a change arrives: some of its sectors, or all bytes before or behind some place, in the middle of a sector too.
fn tear(kept: &mut Content, change: &Change, random: &mut Random) {
    let (offset, len) = match change {
        Change::Len(len) => {
            if random.below(2) == 0 {
                kept.set_len(*len);
            }
            return;
        }
        Change::Bytes(offset, bytes) => (*offset, bytes.len() as u64),
        Change::Zeros(offset, len) => (*offset, *len),
    };
    let end = offset + len;
    if random.below(2) == 0 {
        // The length is there, what lies behind it is not.
        let longer = kept.len.max(end);
        kept.set_len(longer);
    }
    let mut part = |from: u64, to: u64| match change {
        Change::Bytes(start, bytes) => {
            kept.write(&bytes[(from - start) as usize..(to - start) as usize], from);
        }
        _ => kept.zero(from, to - from),
    };
    // Of the head of a segment whose id alone is that of the file's former life, and all else new and whole, nobody can tell
    // whether it was torn or has rotted: the queue takes it for rot, says so, and loses nothing. Every other place is torn.
    let head_has_its_id = |place: u64| {
        if HEAD_ID.contains(&place) {
            (HEAD_ID.start - 1).max(offset)
        } else {
            place
        }
    };
    match random.below(3) {
        0 if len != 0 => part(offset, offset + random.below(len)),
        1 if len != 0 => part(head_has_its_id(offset + random.below(len)), end),
        _ => {
            let mut at = offset;
            while at < end {
                let next = ((at / SECTOR + 1) * SECTOR).min(end);
                if random.below(2) == 0 {
                    part(at, next);
                }
                at = next;
            }
        }
    }
}
