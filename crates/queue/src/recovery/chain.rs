//! Which segments make up the log.

use super::Loader;
use crate::damage::Damage;
use crate::error::Error;
use crate::format::read_block;
use crate::frame::SegmentKey;
use crate::group::{GROUP_HEADER, GroupHead};
use crate::scan::{begins_whole, confirms_itself, is_whole};
use crate::segment::{self, FIRST_GROUP, SegmentHead};
use crate::snapshot::Covered;
use crate::watermark::Watermark;

/// What is wrong with a segment that is needed and not there.
pub(super) const MISSING: &str = "the segment is missing";

impl Loader<'_> {
    /// Leaves out the newest segments whose first write is torn: it was never confirmed, and what their heads say of the
    /// segment before is not so. That one still has what recovery was copying when the power went.
    pub(super) fn leave_out_torn_beginnings(
        &mut self,
        watermark: Watermark,
        covered: Option<Covered>,
    ) -> Result<(), Error> {
        let known = covered.map_or(0, |covered| covered.upto.segment);
        let known = known.max(watermark.segment);
        while let Some((id, head)) = self.heads.last_key_value().map(|(id, head)| (*id, *head)) {
            if id <= known || self.was_written(id, head)? {
                break;
            }
            self.report.torn_groups += 1;
            self.heads.remove(&id);
        }
        Ok(())
    }

    /// Whether the first write to a segment is there, or was: a bit of it may have rotted since.
    fn was_written(&self, id: u64, head: Option<SegmentHead>) -> Result<bool, Error> {
        let key = SegmentKey::new(&self.secret, id);
        let file = self.open(id)?;
        let cannot = |error| self.cannot_read(id, error);
        // A segment has its full length before its first write: this one was cut, and not by the power.
        if head.is_some_and(|head| self.segments.get(&id).is_some_and(|len| *len < head.size)) {
            return Ok(true);
        }
        let has_head =
            head.is_some() || SegmentHead::is_nearly(&read_block(self.disk, id)?, &self.secret, id);
        if has_head && begins_whole(&*file, &key).map_err(cannot)? {
            return Ok(true);
        }
        let first = head.map(|head| head.sequence);
        confirms_itself(&*file, &key, first).map_err(cannot)
    }

    /// The heads of a segment's groups, up to the first that cannot be read.
    fn each_group(&self, id: u64, mut each: impl FnMut(&GroupHead)) -> Result<(), Error> {
        let key = SegmentKey::new(&self.secret, id);
        let file = self.open(id)?;
        let (mut offset, mut last_sequence) = (FIRST_GROUP, 0);
        let mut head = [0; GROUP_HEADER];
        loop {
            let read = file
                .read_at(&mut head, offset)
                .map_err(|error| self.cannot_read(id, error))?;
            let Ok(group) = GroupHead::parse(head.get(..read).unwrap_or_default(), &key) else {
                return Ok(());
            };
            if group.sequence <= last_sequence {
                // A block in the wrong place.
                return Ok(());
            }
            last_sequence = group.last_sequence();
            each(&group);
            offset += group.len as u64;
        }
    }

    /// The oldest segment that is still needed, as the newest group says that is whole or was `confirmed`; 0 if there is
    /// none. One that was torn was never taken in, and what it says holds after all before it.
    pub(super) fn cursor(&self, confirmed: u64) -> Result<u64, Error> {
        for id in self.heads.keys().rev().copied() {
            let (mut offset, mut newest, mut before) = (FIRST_GROUP, None, None);
            self.each_group(id, |group| {
                before = newest
                    .map(|(_, group): (u64, GroupHead)| group.facts.oldest)
                    .max(before);
                newest = Some((offset, *group));
                offset += group.len as u64;
            })?;
            let Some((offset, group)) = newest else {
                continue;
            };
            let key = SegmentKey::new(&self.secret, id);
            let is_whole = group.last_sequence() <= confirmed
                || is_whole(&*self.open(id)?, &key, offset)
                    .map_err(|error| self.cannot_read(id, error))?;
            if is_whole {
                return Ok(group.facts.oldest);
            }
            if let Some(oldest) = before {
                return Ok(oldest);
            }
        }
        Ok(0)
    }

    /// The segments that make up the log, oldest first, each with where the log ends in it where a later one says so.
    pub(super) fn chain(&mut self, cursor: u64) -> Vec<(u64, Option<u64>)> {
        let mut chain = Vec::new();
        let Some(mut id) = self.heads.keys().next_back().copied() else {
            return chain;
        };
        let mut sealed = None;
        loop {
            chain.push((id, sealed));
            let head = self.heads.get(&id).copied().flatten();
            let (previous, end) = match head {
                Some(head) => (head.previous, Some(head.previous_end)),
                // Its own head is damaged: the log came from the one before, and how far it went there is not known.
                None => (
                    self.heads.range(..id).next_back().map_or(0, |(id, _)| *id),
                    None,
                ),
            };
            if previous == 0 || previous < cursor || id <= previous {
                break;
            }
            if self.segments.contains_key(&previous) {
                (id, sealed) = (previous, end);
                continue;
            }
            self.report.damage.push(Damage {
                file: segment::file_name(previous),
                start: 0,
                end: end.unwrap_or(0),
                what: MISSING.to_owned(),
                copied_to: None,
            });
            // What is older is still needed, and still there.
            let Some(older) = self.heads.range(..previous).next_back().map(|(id, _)| *id) else {
                break;
            };
            (id, sealed) = (older, None);
        }
        chain.reverse();
        chain
    }

    /// The segment that a clean stop ended in, and behind which nothing was written, may be missing: then nothing goes on in
    /// it.
    pub(super) fn look_for_last(&mut self, covered: Covered) {
        let Watermark { segment, end, .. } = covered.upto;
        let name = segment::file_name(segment);
        let is_known = |damage: &Damage| damage.file == name;
        if !self.segments.contains_key(&segment) && !self.report.damage.iter().any(is_known) {
            self.report.damage.push(Damage {
                file: name,
                start: 0,
                end,
                what: MISSING.to_owned(),
                copied_to: None,
            });
        }
    }

    /// Segments that were looked for because the group that says that they are not needed is not the first: no damage.
    pub(super) fn forget_missing_before(&mut self, cursor: u64) {
        self.report.damage.retain(|damage| {
            let of = segment::id_of(&damage.file);
            damage.what != MISSING || of.is_none_or(|id| cursor <= id)
        });
    }
}
