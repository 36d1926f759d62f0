//! What a power cut may leave, by what was recorded: all that was flushed, and of what came after any part.

use crate::random::Random;
use crate::recorded::{Content, Event, Recording};
use std::collections::{BTreeMap, BTreeSet};

/// Up to so many writes between two flushes, every subset of them is made.
const EXHAUSTIVE_MAX: usize = 10;

/// Of more writes so many subsets are drawn.
const DRAWN: usize = 200;

/// For each subset so many states have a write that is torn.
const TORN: usize = 4;

/// What a disk writes as one at least; of what is larger any part may be missing. Below it nothing is torn here, though nobody
/// promises us that: these writes are the file system's, whose own journal counts on whole sectors, and a disk that it cannot mount
/// says nothing of us. The simulation tears our writes at every byte.
const SECTOR: usize = 512;

/// What describes the file system lies before this, on ext4 in two sectors under one checksum; the whole file system is gone where it is
/// torn, which is mended with a copy of it and not by us. The system writes it in place when everything is synced.
const SUPERBLOCK_END: u64 = 4096;

/// What is on the disks after the power went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The power goes before this event.
    pub(super) at: usize,
    /// Writes before it that the disks lost.
    pub(super) lost: Vec<usize>,
    /// A write of which some sectors are on the disk, and the seed of which.
    pub(super) torn: Option<(usize, u64)>,
}

/// An instant at which something differs from the one before: something is about to be kept, or was about to be said.
struct Moment {
    at: usize,
    /// Writes that the disks may still lose.
    volatile: Vec<usize>,
}

fn moments(recording: &Recording) -> Vec<Moment> {
    let mut moments = Vec::new();
    let mut volatile: Vec<(usize, usize)> = Vec::new();
    let mut moment = |at, volatile: &[(usize, usize)]| {
        let volatile = volatile.iter().map(|(event, _)| *event).collect();
        moments.push(Moment { at, volatile });
    };
    for (at, event) in recording.events.iter().enumerate() {
        match event {
            Event::Write { disk, .. } => volatile.push((at, *disk)),
            Event::Said(_) => moment(at, &volatile),
            Event::Flush { disk } => {
                moment(at, &volatile);
                volatile.retain(|(_, other)| other != disk);
            }
        }
    }
    moment(recording.events.len(), &volatile);
    moments
}

/// Every state that the power may leave, each once: those of a moment together, in the order in which it came.
pub(super) fn all(recording: &Recording, seed: u64) -> Vec<Vec<State>> {
    let mut random = Random::new(seed);
    let mut known = BTreeSet::new();
    let mut all = Vec::new();
    for Moment { at, volatile } in moments(recording) {
        let mut states = Vec::new();
        for lost in losses(&volatile, &mut random) {
            let mut torn = || torn(recording, &volatile, &lost, &mut random);
            let with_torn = (0..TORN).filter_map(|_| Some(Some(torn()?)));
            for torn in std::iter::once(None).chain(with_torn) {
                let state = State {
                    at,
                    lost: lost.clone(),
                    torn,
                };
                if known.insert(fingerprint(recording, &state)) {
                    states.push(state);
                }
            }
        }
        all.push(states);
    }
    all
}

/// Which of these writes are lost, in turn.
fn losses(volatile: &[usize], random: &mut Random) -> Vec<Vec<usize>> {
    if volatile.len() <= EXHAUSTIVE_MAX {
        let subset = |mask: u64| {
            let is_lost = |place: &usize| mask & (1 << place) != 0;
            let places = (0..volatile.len()).filter(is_lost);
            places.map(|place| volatile[place]).collect()
        };
        return (0..1 << volatile.len()).map(subset).collect();
    }
    let draw = |number: usize| match number {
        0 => Vec::new(),
        1 => volatile.to_vec(),
        _ => {
            // Few, half, or nearly all.
            let eighths = [1, 4, 7][random.below(3) as usize];
            let writes = volatile.iter().copied();
            writes.filter(|_| random.below(8) < eighths).collect()
        }
    };
    (0..DRAWN).map(draw).collect()
}

/// One of the writes that are not lost, to be torn.
fn torn(
    recording: &Recording,
    volatile: &[usize],
    lost: &[usize],
    random: &mut Random,
) -> Option<(usize, u64)> {
    let can_tear = |event: &&usize| {
        !lost.contains(event)
            && matches!(
                &recording.events[**event],
                Event::Write { offset, bytes, .. } if SUPERBLOCK_END <= *offset && SECTOR < bytes.len()
            )
    };
    let kept: Vec<&usize> = volatile.iter().filter(can_tear).collect();
    let one = kept.get(random.below(kept.len().max(1) as u64) as usize)?;
    Some((**one, random.number()))
}

/// The same for two states that have the same writes on the disks and the same words said.
fn fingerprint(recording: &Recording, state: &State) -> (usize, u64, Option<(usize, u64)>) {
    let (mut said, mut writes) = (0, 0);
    for (at, event) in recording.events[..state.at].iter().enumerate() {
        match event {
            Event::Said(_) => said += 1,
            Event::Write { .. } if !state.lost.contains(&at) => {
                writes ^= Random::new(at as u64 + 1).number();
            }
            Event::Write { .. } | Event::Flush { .. } => {}
        }
    }
    (said, writes, state.torn)
}

/// Some of all, drawn by the seed, and as evenly from each moment as there are; in the order in which they came.
pub(super) fn sample(mut all: Vec<Vec<State>>, count: usize, seed: u64) -> Vec<State> {
    let mut random = Random::new(seed);
    for states in &mut all {
        shuffle(states, &mut random);
    }
    let mut order: Vec<usize> = (0..all.len()).collect();
    let mut drawn: BTreeMap<usize, Vec<State>> = BTreeMap::new();
    let mut left = count.min(all.iter().map(Vec::len).sum());
    while 0 < left {
        shuffle(&mut order, &mut random);
        for moment in &order {
            if let (Some(state), true) = (all[*moment].pop(), 0 < left) {
                drawn.entry(*moment).or_default().push(state);
                left -= 1;
            }
        }
    }
    drawn.into_values().flatten().collect()
}

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for end in (1..items.len()).rev() {
        items.swap(end, random.below(end as u64 + 1) as usize);
    }
}

/// Makes states one after the other, in the order in which they came.
pub(super) struct Maker<'a> {
    recording: &'a Recording,
    /// What all states from here on have.
    kept: Vec<Content>,
    /// Events before this one are kept or in `waiting`.
    at: usize,
    /// Writes that a state may lose.
    waiting: Vec<usize>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(recording: &'a Recording) -> Self {
        Self {
            recording,
            kept: recording.before.clone(),
            at: 0,
            waiting: Vec::new(),
        }
    }

    /// The content of the disks in a state that is not earlier than the one before.
    pub(super) fn make(&mut self, state: &State) -> Vec<Content> {
        for at in self.at..state.at {
            match &self.recording.events[at] {
                Event::Write { .. } => self.waiting.push(at),
                Event::Said(_) => {}
                Event::Flush { disk } => self.keep(*disk),
            }
        }
        self.at = self.at.max(state.at);
        let mut disks = self.kept.clone();
        for at in self.waiting.iter().filter(|at| !state.lost.contains(at)) {
            let seed = state
                .torn
                .and_then(|(torn, seed)| (torn == *at).then_some(seed));
            write(&mut disks, &self.recording.events[*at], seed);
        }
        disks
    }

    fn keep(&mut self, flushed: usize) {
        let events = &self.recording.events;
        let kept = &mut self.kept;
        self.waiting.retain(|at| {
            let is_kept = matches!(&events[*at], Event::Write { disk, .. } if *disk == flushed);
            if is_kept {
                write(kept, &events[*at], None);
            }
            !is_kept
        });
    }
}

/// Writes all of it, or with a seed some of its sectors.
fn write(disks: &mut [Content], event: &Event, seed: Option<u64>) {
    let Event::Write {
        disk,
        offset,
        bytes,
    } = event
    else {
        return;
    };
    let Some(seed) = seed else {
        return disks[*disk].write(*offset, bytes);
    };
    let sectors = bytes.len().div_ceil(SECTOR);
    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
        if is_written(number, sectors, seed) {
            disks[*disk].write(offset + (number * SECTOR) as u64, sector);
        }
    }
}

/// Whether a sector of a torn write is on the disk: those at its beginning, those at its end, or any.
fn is_written(number: usize, sectors: usize, seed: u64) -> bool {
    let mut random = Random::new(seed);
    let way = random.below(3);
    let border = 1 + random.below(sectors as u64 - 1) as usize;
    match way {
        0 => number < border,
        1 => border <= number,
        // One surely is, and the next surely is not.
        _ if number + 1 == border || number == border => number < border,
        _ => Random::new(seed ^ number as u64).number() >> 63 == 0,
    }
}

#[cfg(test)]
mod tests;
