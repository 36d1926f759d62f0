//! Takes the log in, group by group.

use super::Loader;
use super::chain::MISSING;
use super::losses::Losses;
use crate::damage::Damage;
use crate::damage::copy_aside;
use crate::disk::DiskFile;
use crate::error::Error;
use crate::frame::SegmentKey;
use crate::group::GroupHead;
use crate::index::{Index, Location, Now};
use crate::ledger::Totals;
use crate::record;
use crate::scan::{Found, Known, ScanEnd, scan};
use crate::segment::{self, FIRST_GROUP, SegmentHead};
use crate::snapshot::Covered;
use crate::watermark::Watermark;

impl Loader<'_> {
    pub(super) fn replay(
        &mut self,
        chain: &[(u64, Option<u64>)],
        covered: Option<Covered>,
        watermark: Watermark,
    ) -> Result<Replayed, Error> {
        let confirmed = watermark
            .sequence
            .max(covered.map_or(0, |covered| covered.upto.sequence));
        let mut replayed = Replayed::default();
        if let Some(covered) = covered {
            replayed.last = ScanEnd {
                end: covered.upto.end,
                last_sequence: covered.upto.sequence,
                torn: false,
            };
            replayed.is_counting = true;
            replayed.losses.begin(covered.upto.sequence);
        }
        for (place, (id, sealed_end)) in chain.iter().enumerate() {
            let (mut from, mut last) = (
                FIRST_GROUP,
                self.step_into(chain, place, covered, &mut replayed),
            );
            if let Some(covered) = covered {
                if *id < covered.upto.segment {
                    continue;
                }
                if *id == covered.upto.segment {
                    (from, last) = (covered.upto.end, covered.upto.sequence);
                }
            }
            let is_last = place + 1 == chain.len();
            let known = Known {
                sealed_end: *sealed_end,
                confirmed: if is_last { confirmed } else { 0 },
                confirmed_end: if watermark.segment == *id {
                    watermark.end
                } else {
                    0
                },
            };
            self.replay_segment(*id, from, last, known, &mut replayed)?;
        }
        Ok(replayed)
    }

    /// Goes on to the next segment of the chain; returns the last sequence before it, 0 where that is not known.
    fn step_into(
        &self,
        chain: &[(u64, Option<u64>)],
        place: usize,
        covered: Option<Covered>,
        replayed: &mut Replayed,
    ) -> u64 {
        let (id, _) = chain[place];
        // The oldest, and nothing before it is needed that the snapshot did not contain or the disk has lost.
        let is_oldest = place == 0
            && covered.is_none_or(|covered| covered.upto.segment < id)
            && self
                .report
                .damage
                .iter()
                .all(|damage| damage.what != MISSING);
        let Some(head) = self.heads.get(&id).copied().flatten() else {
            if is_oldest {
                replayed.losses.begin_anywhere();
                return 0;
            }
            return replayed.last.last_sequence;
        };
        if is_oldest && head.previous == 0 && head.sequence == 1 {
            // The first of the queue: before it there was nothing, and the account began with nothing.
            replayed.is_counting = true;
            replayed.losses.begin(0);
            return 0;
        }
        let before = place.checked_sub(1).map(|place| chain[place].0);
        let last = head.sequence.saturating_sub(1);
        if (is_oldest || before == Some(head.previous)) && !replayed.has_gap {
            // What lies behind the end of the segment before was never confirmed, or is copied to here.
            replayed.losses.pass_over(last);
        } else {
            replayed.has_gap |= replayed.last.last_sequence < last;
        }
        last
    }

    fn replay_segment(
        &mut self,
        id: u64,
        from: u64,
        last: u64,
        known: Known,
        replayed: &mut Replayed,
    ) -> Result<(), Error> {
        replayed.last_group = None;
        let file = self.open(id)?;
        let name = segment::file_name(id);
        if self.heads.get(&id).is_some_and(Option::is_none) {
            self.note_damage(
                &name,
                &*file,
                0,
                FIRST_GROUP,
                "the head of the segment is unreadable",
            );
        }
        if let Some(head) = self.heads.get(&id).copied().flatten() {
            self.note_short(&name, &*file, head.size)?;
        }
        let key = SegmentKey::new(&self.secret, id);
        let mut taker = Taker {
            index: &mut *self.index,
            now: self.now,
            segment: id as u32,
            damage: Vec::new(),
            totals_after: None,
            replayed: &mut *replayed,
        };
        let end = scan(&*file, &key, from, last, known, &mut |found| {
            taker.take(&found);
        });
        let damage = taker.finish();
        let end = end.map_err(|error| self.cannot_read(id, error))?;
        for (start, end, what) in damage {
            self.note_damage(&name, &*file, start, end, what);
        }
        self.report.torn_groups += u64::from(end.torn);
        let last_sequence = end.last_sequence.max(replayed.last.last_sequence);
        replayed.last = ScanEnd {
            last_sequence,
            ..end
        };
        Ok(())
    }

    /// A segment has its full length before it is used: one that is shorter was cut.
    fn note_short(&mut self, name: &str, file: &dyn DiskFile, size: u64) -> Result<(), Error> {
        let len = file
            .len()
            .map_err(|error| Error::io(format!("cannot read `{name}`"), error))?;
        if len < size {
            self.note_damage(name, file, len, size, "the file was cut");
        }
        Ok(())
    }

    fn note_damage(&mut self, name: &str, file: &dyn DiskFile, start: u64, end: u64, what: &str) {
        tracing::error!(
            file = name,
            start,
            end,
            what,
            "damage in the queue; the rest is read"
        );
        let copied_to = if self.copy_damage {
            copy_aside(self.disk, name, file, start, end)
        } else {
            None
        };
        self.report.damage.push(Damage {
            file: name.to_owned(),
            start,
            end,
            what: what.to_owned(),
            copied_to,
        });
    }
}

/// Takes what a scan finds into the index.
struct Taker<'a> {
    index: &'a mut Index,
    now: Now,
    segment: u32,
    damage: Vec<(u64, u64, &'static str)>,
    /// What the ledger is behind a group that recovery copied.
    totals_after: Option<Totals>,
    replayed: &'a mut Replayed,
}

impl Taker<'_> {
    fn take(&mut self, found: &Found<'_>) {
        match *found {
            Found::Group { ref head, offset } => self.group(head, offset),
            Found::Record {
                kind,
                sequence,
                payload,
                offset,
            } => {
                self.replayed.losses.see(sequence);
                let location = Location {
                    segment: self.segment,
                    offset: offset as u32,
                    len: payload.len() as u32,
                };
                if let Ok(record) = record::decode(kind, payload) {
                    self.index.apply(&record, sequence, location, self.now);
                } else {
                    self.damage
                        .push((offset, offset, "a record says what cannot be"));
                    self.replayed.has_gap = true;
                }
            }
            Found::Damage { start, end, what } => {
                self.damage.push((start, end, what));
                self.replayed.has_gap = true;
            }
        }
    }

    fn group(&mut self, head: &GroupHead, offset: u64) {
        self.replayed.losses.see(head.sequence);
        if let Some(totals) = self.totals_after.take() {
            self.replayed.state(self.index, totals);
        }
        if head.facts.copied {
            self.totals_after = Some(head.facts.totals);
        } else {
            self.replayed.state(self.index, head.facts.totals);
        }
        self.replayed.groups += 1;
        self.replayed.cursor = self.replayed.cursor.max(head.facts.oldest);
        self.replayed.last_group = Some((offset, head.facts.confirmed));
    }

    fn finish(self) -> Vec<(u64, u64, &'static str)> {
        if let Some(totals) = self.totals_after {
            self.replayed.state(self.index, totals);
        }
        self.damage
    }
}

/// What reading the log came to.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) groups: u64,
    /// The oldest segment that was still needed, as the last group says.
    pub(super) cursor: u64,
    pub(super) last: ScanEnd,
    /// Where the last group of the last segment lies, and which sequence it says was confirmed before it.
    last_group: Option<(u64, u64)>,
    /// What is missing, as far as the log states it.
    pub(super) losses: Losses,
    /// Whether there is an account already that the next that is stated can be held against.
    is_counting: bool,
    /// Whether something could not be read since the last that was stated.
    has_gap: bool,
}

impl Default for Replayed {
    fn default() -> Self {
        Self {
            groups: 0,
            cursor: 0,
            last: ScanEnd {
                end: FIRST_GROUP,
                last_sequence: 0,
                torn: false,
            },
            last_group: None,
            losses: Losses::default(),
            is_counting: false,
            has_gap: false,
        }
    }
}

impl Replayed {
    /// Takes over the account that the log states at this point.
    fn state(&mut self, index: &mut Index, totals: Totals) {
        if self.is_counting {
            self.losses.note(index.totals(), totals, self.has_gap);
        } else if self.has_gap {
            self.losses.doubt();
        }
        (self.is_counting, self.has_gap) = (true, false);
        index.set_totals(totals);
    }

    /// Takes over the account that the watermark states, unless the log goes further.
    pub(super) fn end_with(&mut self, index: &mut Index, watermark: Watermark, totals: Totals) {
        // A record of the last group that was read may be lost too. Where none was read, the snapshot says more.
        if self.last.last_sequence < watermark.sequence
            || self.last.last_sequence == watermark.sequence && self.groups != 0
        {
            // What lay behind is lost.
            self.losses.see(watermark.sequence + 1);
            self.has_gap |= self.last.last_sequence < watermark.sequence;
            self.state(index, totals);
        }
    }

    /// Where the confirmed part of the last segment ends.
    pub(super) fn confirmed_end(&self, segment: u64, watermark: Watermark) -> u64 {
        let end = self.last.end;
        // Each group says that the ones before it were confirmed; the last may not have been.
        let known = self.last_group.map_or(end, |(start, _)| start.min(end));
        if watermark.segment == segment && watermark.end <= end {
            // It may be from long ago.
            return watermark.end.max(known);
        }
        known
    }

    /// Whether nothing says that even the first write to the last segment was confirmed.
    pub(super) fn is_unconfirmed(&self, head: &SegmentHead, watermark: Watermark) -> bool {
        watermark.segment != head.id
            && self
                .last_group
                .is_some_and(|(_, confirmed)| confirmed < head.sequence)
    }
}
