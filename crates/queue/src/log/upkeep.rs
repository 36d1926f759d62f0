//! What maintenance asks of the log, and gives it: segments made ahead, the reserve, segments that are not needed any more.

use super::Log;
use crate::making::Making;
use crate::segment::FIRST_GROUP;
use crate::spare::Spare;
use crate::watermark::Watermark;
use std::sync::Arc;

impl Log {
    /// Whether so many bytes of records can be written without a segment that has still to be made.
    pub(crate) fn has_room_for(&self, bytes: u64, opening: u64) -> bool {
        let needed = bytes + opening;
        self.active.end + needed <= self.active.size
            || self
                .spares
                .iter()
                .any(|spare| FIRST_GROUP + needed <= spare.size)
    }

    /// The bytes that are written in the segment in use.
    pub(crate) fn active_end(&self) -> u64 {
        self.active.end
    }

    /// Nothing more goes into the segment in use: the next group begins another.
    pub(crate) fn seal_active(&mut self) {
        self.active.end = self.active.size;
    }

    /// So many bytes can be copied forward and leave half of the reserve for acknowledgements.
    pub(crate) fn room_to_copy(&self) -> u64 {
        let spare = self.spares.iter().map(|spare| spare.size).max();
        self.active
            .size
            .saturating_sub(self.active.end)
            .max(spare.unwrap_or(0))
            .max(self.reserve() / 2)
    }

    /// The bytes of the reserve; 0 while there is none.
    pub(crate) fn reserve(&self) -> u64 {
        self.reserve.unwrap_or(0)
    }

    /// The size of the next segment: each is four times the one before, up to the full size.
    pub(crate) fn next_size(&self) -> u64 {
        let last = self
            .spares
            .back()
            .map_or(self.active.size, |spare| spare.size);
        last.saturating_mul(4)
            .clamp(self.sizes.first, self.sizes.full)
    }

    /// Gives out the id for a segment that is about to be made ahead.
    pub(crate) fn reserve_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Takes a segment that was made ahead; gives it back if the log has gone past its id meanwhile.
    pub(crate) fn add_spare(&mut self, spare: Spare) -> Option<Spare> {
        if spare.id < self.active.key.id {
            return Some(spare);
        }
        self.sizes_on_disk.insert(spare.id, spare.size);
        self.spares.push_back(spare);
        None
    }

    pub(crate) fn spares(&self) -> usize {
        self.spares.len()
    }

    /// Whether a segment is to be made ahead: none is there, and a quarter of the one in use is written; until then one of
    /// those that are on their way out may take its place. The first ones, which grow, follow at once.
    pub(crate) fn wants_spare(&self) -> bool {
        let is_growing = self.active.size < self.sizes.full;
        self.spares.is_empty() && (is_growing || self.active.size / 4 <= self.active.end)
    }

    /// What is made ahead is begun and handed over through this.
    pub(crate) fn making(&self) -> &Arc<Making> {
        &self.making
    }

    pub(crate) fn reserve_missing(&self) -> Option<u64> {
        (self.reserve.is_none() && self.sizes.reserve != 0).then_some(self.sizes.reserve)
    }

    pub(crate) fn set_reserve(&mut self, size: u64) {
        self.reserve = Some(size);
    }

    pub(crate) fn confirmed(&self) -> Watermark {
        self.confirmed
    }

    pub(crate) fn active_id(&self) -> u64 {
        self.active.key.id
    }

    /// Segments before `cursor`: nothing in them is needed any more. They are forgotten here; the caller owns them.
    pub(crate) fn take_retired(&mut self, cursor: u64) -> Vec<Spare> {
        let keep = self
            .sizes_on_disk
            .split_off(&cursor.min(self.active.key.id));
        let retired = std::mem::replace(&mut self.sizes_on_disk, keep);
        self.written = self.written.split_off(&cursor.min(self.active.key.id));
        retired
            .into_iter()
            .map(|(id, size)| Spare { id, size })
            .collect()
    }

    /// Whether segments before `cursor` are still kept.
    pub(crate) fn has_retired(&self, cursor: u64) -> bool {
        self.sizes_on_disk
            .range(..cursor.min(self.active.key.id))
            .next()
            .is_some()
    }

    /// The bytes of all segments on the disk, those made ahead and the reserve included.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.sizes_on_disk.values().sum::<u64>() + self.reserve.unwrap_or(0)
    }

    /// The bytes of the files that hold the log from the segment `oldest` on; of the one that is written to, what is
    /// written. Those before it are on their way out, and no copying makes that quicker.
    pub(crate) fn occupied_bytes(&self, oldest: u64) -> u64 {
        let active = self.active.key.id;
        let sealed = self.written.range(oldest..active).map(|(id, _)| id);
        let sizes: u64 = sealed.filter_map(|id| self.sizes_on_disk.get(id)).sum();
        sizes + self.active.end
    }

    /// The bytes of the log itself, from the oldest segment to its end.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.written.values().sum()
    }

    pub(crate) fn full_size(&self) -> u64 {
        self.sizes.full
    }
}
