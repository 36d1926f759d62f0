//! What keeps the log short and ready, away from those who wait: segments made ahead, recycled and given back,
//! long-lived documents copied forward, snapshots.

use super::{LogStore, Mode, Writer, lock};
use crate::disk::{Disk, Folder};
use crate::document::{DocumentId, State};
use crate::error::is_disk_full;
use crate::index::{Location, Now};
use crate::log::Purpose;
use crate::making::Next;
use crate::record::{self, Kind};
use crate::segment;
use crate::snapshot::{self, Covered, Source, moved_lanes};
use crate::spare::{LEAST_SEGMENT, Spare, make_reserve, make_segment};
use crate::sync::atomic::Ordering;
use std::io;

/// Segments that nothing needs any more are kept for a new life as long as there are fewer than this.
const SPARES: usize = 2;

/// With less than this many bytes left on the disk, nothing is kept that was delivered: twice the default reserve.
const LOW_SPACE: u64 = 8 * 1024 * 1024;

/// A full disk is tried again once it has this many bytes more than when it was found full.
const ROOM_AGAIN: u64 = 256 * 1024;

/// More than any document takes in the log: a body that is kept in it, its names and headers.
const DOCUMENT_ROOM: u64 = 384 * 1024;

/// With this many bytes there is room for a segment with any single document, though perhaps not for a large batch.
const ENOUGH_ROOM: u64 = 1536 * 1024;

/// Files are cut by this much at a time before they are removed: removing 64 MiB at once holds up a sync for 12–16 ms
/// (measured on ext4 with discard).
const SHRINK_STEP: u64 = 4 * 1024 * 1024;

/// Documents copied forward in one group, at most.
const MOVE_DOCUMENTS: usize = 1024;
const MOVE_BYTES: usize = 1024 * 1024;

/// What maintenance came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Whether something it wanted did not succeed, so that it is to be called again soon.
    pub again_soon: bool,
    /// Whether there may be room where there was none.
    pub made_room: bool,
}

impl LogStore {
    /// Does what is due. Blocks for the disk, but holds up nobody who commits.
    pub fn maintain(&self) -> Maintained {
        let _one_at_a_time = lock(&self.house);
        let mut done = Maintained::default();
        self.retire();
        self.keep_reserve(&mut done);
        self.make_spares(&mut done);
        self.remove_bodies();
        self.look_for_room(&mut done);
        self.snapshot_if_due();
        // For those who ask while something is written.
        self.log_bytes();
        done
    }

    /// Lets go of what was delivered and kept if the disk is nearly full; returns whether it did.
    pub fn yield_room(&self) -> bool {
        let low = |free: u64| free < LOW_SPACE;
        if self.sent().0 == 0 || !self.disk.free_bytes().is_ok_and(low) {
            return false;
        }
        tracing::warn!("the disk is nearly full: delivered documents are no longer kept");
        let mut writer = lock(&self.writer);
        let mut index = self.index();
        index.release_sent();
        writer.unreferenced.append(&mut index.take_unreferenced());
        true
    }

    /// Whether [`maintain`](LogStore::maintain) has something to do.
    pub fn wants_maintenance(&self) -> bool {
        let writer = lock(&self.writer);
        writer.log.has_retired(writer.cursor)
            || writer.cursor != 0 && !writer.leftover.is_empty()
            || !writer.unreferenced.is_empty()
            || writer.log.wants_spare()
            || writer.log.reserve_missing().is_some()
            || writer.snapshot_due <= writer.log.written_bytes()
            || matches!(self.mode(), Mode::Full(_))
    }

    /// Gives segments that nothing needs a new life, or their space back.
    fn retire(&self) {
        loop {
            let (retired, wanted) = {
                let mut writer = lock(&self.writer);
                let cursor = writer.cursor;
                if cursor == 0 {
                    // What the last run wrote last may say that they are not needed, and not be on the disk.
                    return;
                }
                let mut retired = std::mem::take(&mut writer.leftover);
                retired.append(&mut writer.log.take_retired(cursor));
                // The reserve comes first: without it nothing is taken in on a full disk.
                let room = match writer.log.reserve_missing() {
                    Some(_) => 0,
                    None => SPARES.saturating_sub(writer.log.spares()),
                };
                let full = writer.log.full_size();
                let mut wanted = Vec::new();
                for spare in &retired {
                    let id = (spare.size == full && wanted.len() < room)
                        .then(|| writer.log.reserve_id());
                    if let Some(id) = id {
                        wanted.push((spare.id, id));
                    }
                }
                (retired, wanted)
            };
            if retired.is_empty() {
                return;
            }
            for spare in retired {
                self.forget_reader(spare.id);
                match wanted.iter().find(|(from, _)| *from == spare.id) {
                    Some((_, id)) => self.recycle(&spare, *id),
                    None => self.give_back_space(&spare),
                }
            }
        }
    }

    /// A recycled segment keeps its old bytes: no record of a former life passes the check of the new one.
    fn recycle(&self, spare: &Spare, id: u64) {
        let (from, to) = (segment::file_name(spare.id), segment::file_name(id));
        let renamed = self
            .disk
            .rename(Folder::Root, &from, &to)
            .and_then(|()| self.disk.sync_folder(Folder::Root));
        match renamed {
            Ok(()) => self.add_spare(Spare {
                id,
                size: spare.size,
            }),
            Err(error) => tracing::warn!(segment = from, %error, "a segment could not be recycled"),
        }
    }

    /// Takes documents in again once the log has room for one, or the full disk has more than when it was found full; looks
    /// again until then.
    fn look_for_room(&self, done: &mut Maintained) {
        if !matches!(self.mode(), Mode::Full(_)) {
            return;
        }
        let has_room = {
            let writer = lock(&self.writer);
            // Without a reserve, what is taken in might leave no room to acknowledge it.
            writer.log.reserve_missing().is_none() && self.has_room_for_one(&writer)
        };
        let before = self.free_when_full.load(Ordering::Relaxed);
        let has_more = |free| ENOUGH_ROOM <= free || before + ROOM_AGAIN <= free;
        if has_room || self.disk.free_bytes().is_ok_and(has_more) {
            self.set_mode(Mode::Writable);
            done.made_room = true;
        } else {
            done.again_soon = true;
        }
    }

    /// Whether the segments that are there have room for any single document.
    pub(super) fn has_room_for_one(&self, writer: &Writer) -> bool {
        let one = DOCUMENT_ROOM.min(writer.log.full_size() / 2);
        writer.log.has_room_for(one, self.preamble().len() as u64)
    }

    fn add_spare(&self, spare: Spare) {
        let refused = lock(&self.writer).log.add_spare(spare);
        if let Some(spare) = refused {
            self.give_back_space(&spare);
        }
    }

    fn give_back_space(&self, spare: &Spare) {
        let name = segment::file_name(spare.id);
        let result = shrink(&*self.disk, &name, spare.size)
            .and_then(|()| self.disk.remove(Folder::Root, &name));
        if let Err(error) = result
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(segment = name, %error, "a segment that nothing needs could not be removed; the next start tries again");
        }
    }

    fn keep_reserve(&self, done: &mut Maintained) {
        let Some(size) = lock(&self.writer).log.reserve_missing() else {
            return;
        };
        let next = |_, _| {
            if self.making.is_closing() {
                Next::Stop
            } else {
                Next::Go
            }
        };
        match make_reserve(&*self.disk, size, &next) {
            Ok(size) => lock(&self.writer).log.set_reserve(size),
            Err(error) => {
                tracing::debug!(%error, "no room for the reserve");
                done.again_soon = true;
            }
        }
    }

    /// Nothing is made ahead any more: whoever opens the queue next is not to wait for it.
    pub(crate) fn stop_making_ahead(&self) {
        self.making.close();
    }

    fn make_spares(&self, done: &mut Maintained) {
        while !self.making.is_closing() {
            let (busy, id, size) = {
                let mut writer = lock(&self.writer);
                if !writer.log.wants_spare() {
                    break;
                }
                let busy = self.making.begin();
                (busy, writer.log.reserve_id(), writer.log.next_size())
            };
            let next = |filled, piece| self.making.next(filled, piece);
            match make_segment(&*self.disk, id, size, LEAST_SEGMENT, &next) {
                Ok(size) => busy.made(Spare { id, size }),
                Err(error) => {
                    if is_disk_full(&error) {
                        tracing::debug!(%error, "no room for a segment ahead");
                    } else if error.kind() != io::ErrorKind::Interrupted {
                        tracing::warn!(%error, "no segment could be made ahead");
                    }
                    done.again_soon = true;
                    return;
                }
            }
            // Whoever waited for it has it already.
            let refused = {
                let mut writer = lock(&self.writer);
                let made = self.making.take();
                made.and_then(|spare| writer.log.add_spare(spare))
            };
            if let Some(spare) = refused {
                self.give_back_space(&spare);
            }
        }
    }

    fn remove_bodies(&self) {
        let mut unreferenced = std::mem::take(&mut lock(&self.writer).unreferenced);
        unreferenced.append(&mut self.bodies.take_left());
        if !unreferenced.is_empty() {
            self.bodies.remove(&unreferenced, |hash| {
                self.index().body_references().contains_key(hash)
            });
        }
    }

    fn snapshot_if_due(&self) {
        let mut writer = lock(&self.writer);
        if writer.snapshot_due <= writer.log.written_bytes() {
            // Counted from what is left, whether it succeeds or not: it saves time at a start and nothing else.
            writer.snapshot_due = writer.log.written_bytes() + self.snapshot_every;
            let covered = Covered {
                upto: writer.log.confirmed(),
                clean: false,
            };
            if let Err(error) = self.write_snapshot(&writer, covered) {
                tracing::warn!(%error, "no snapshot could be written; the next start reads more of the log");
            }
        }
    }

    /// While the writer is held, nothing that the log says changes in the index.
    fn write_snapshot(&self, _: &Writer, covered: Covered) -> io::Result<()> {
        let source = Source {
            index: || self.index(),
            covered,
            retention: self.retain,
            now: self.now(),
        };
        snapshot::write(&*self.disk, &self.secret, &source)
    }

    /// Ends cleanly: the next start reads the snapshot and nothing else. Nothing depends on it.
    pub fn close(&self) {
        let writer = lock(&self.writer);
        let covered = Covered {
            upto: writer.log.confirmed(),
            clean: true,
        };
        if covered.upto.segment == 0 {
            return;
        }
        if let Err(error) = self.write_snapshot(&writer, covered) {
            tracing::warn!(%error, "no snapshot could be written; the next start reads the log instead");
        }
    }

    // === Copying forward ===

    /// Whether the log holds so much that is settled that its oldest documents are worth copying to its end.
    pub fn wants_cleaning(&self) -> bool {
        let writer = lock(&self.writer);
        if self.wants_fresh_segment(&writer) {
            return true;
        }
        let index = self.index();
        let active = writer.log.active_id();
        let Some(oldest) = index
            .oldest_segment()
            .map(u64::from)
            .filter(|oldest| *oldest < active)
        else {
            return false;
        };
        let live = index.live_log_bytes();
        let settled = writer.log.occupied_bytes(oldest).saturating_sub(live);
        let oldest_live = index
            .segments()
            .get(&(oldest as u32))
            .map_or(0, |live| live.bytes);
        let pressed = matches!(self.mode(), Mode::Full(_))
            && settled > 2 * oldest_live
            && oldest_live + oldest_live / 8 <= writer.log.room_to_copy();
        pressed || settled > live + 2 * writer.log.full_size()
    }

    /// Whether the disk is full, and the segment in use holds most of what the log could give back: nearly all in it is
    /// settled, and what is not fits into half of the reserve.
    fn wants_fresh_segment(&self, writer: &Writer) -> bool {
        if !matches!(self.mode(), Mode::Full(_)) || self.has_room_for_one(writer) {
            return false;
        }
        let live = self.index().live_log_bytes();
        let one = DOCUMENT_ROOM.min(writer.log.full_size() / 2);
        live + live / 8 <= writer.log.reserve() / 2 && live + one <= writer.log.active_end()
    }

    /// Goes on in a segment that was made ahead, or in the reserve, so that the one in use can be given back.
    fn begin_fresh_segment(&self, writer: &mut Writer) -> bool {
        writer.log.seal_active();
        writer.group.clear();
        let facts = self.facts(writer);
        let begun = writer.append(&facts, Purpose::Settlement, &|| self.preamble());
        if let Err(error) = &begun {
            tracing::warn!(?error, "no fresh segment could be begun on the full disk");
        } else {
            writer.log.note_confirmed(facts.totals);
        }
        begun.is_ok()
    }

    /// Copies a part of the oldest segment's documents to the end of the log. Returns whether it did.
    pub fn clean_step(&self) -> bool {
        let mut writer = lock(&self.writer);
        if self.wants_fresh_segment(&writer) {
            return self.begin_fresh_segment(&mut writer);
        }
        let Some(oldest) = self.index().oldest_segment() else {
            return false;
        };
        if u64::from(oldest) >= writer.log.active_id() {
            return false;
        }
        let ids = self.index().in_segment(oldest, MOVE_DOCUMENTS);
        writer.group.clear();
        let now = self.now();
        let mut moved = Vec::new();
        for id in ids {
            let Some(payload) = self.moved_payload(id, now) else {
                continue;
            };
            if moved.len() + 1 < MOVE_DOCUMENTS && writer.group.len() + payload.len() <= MOVE_BYTES
                || moved.is_empty()
            {
                let offset = writer.group.push(Kind::Move, &payload);
                moved.push((id, offset, payload.len() as u32));
            } else {
                break;
            }
        }
        if writer.group.is_empty() {
            return false;
        }
        let facts = self.facts(&writer);
        match writer.append(&facts, Purpose::Settlement, &|| self.preamble()) {
            Ok(placement) => {
                let mut index = self.index();
                for (id, offset, len) in moved {
                    let offset = placement.offset as u32 + offset;
                    index.relocate(
                        id,
                        Location {
                            segment: placement.segment as u32,
                            offset,
                            len,
                        },
                    );
                }
                let totals = index.totals();
                drop(index);
                writer.log.note_confirmed(totals);
                true
            }
            Err(error) => {
                tracing::warn!(?error, "documents could not be copied forward");
                false
            }
        }
    }

    /// A document as a MOVE record; `None` if it went or cannot be read (which is then reported).
    fn moved_payload(&self, id: DocumentId, now: Now) -> Option<Vec<u8>> {
        let (view, kept_until) = {
            let index = self.index();
            let view = index.get(id)?;
            let is_sent = view.lanes.iter().all(|lane| lane.state == State::Sent);
            (view, is_sent.then(|| index.kept_until_of(id)).flatten())
        };
        let Ok((kind, payload)) = self.read_record(id, view.location) else {
            // Reading it the usual way reports it, and lets go of it if it is lost.
            self.load_document(id).err();
            return None;
        };
        let store = record::store_part(kind, &payload).ok()?;
        let created = record::decode_store(store).ok()?.head.created;
        let sent = kept_until.map_or(0, |until| {
            let left = until.since(now.moment).min(self.retain);
            now.wall
                .saturating_sub(self.retain.saturating_sub(left).as_millis() as u64)
        });
        let lanes = moved_lanes(&view.lanes, sent);
        Some(record::encode_move(view.order, created, &lanes, store))
    }

    /// Writes an empty group if that makes segments free that are not needed. Called when nothing else is to be done.
    pub fn advance_cursor(&self) -> bool {
        let mut writer = lock(&self.writer);
        let facts = self.facts(&writer);
        let has_leftover = writer.cursor == 0 && !writer.leftover.is_empty();
        if facts.oldest <= writer.cursor || !has_leftover && !writer.log.has_retired(facts.oldest) {
            return false;
        }
        writer.group.clear();
        let written = writer
            .append(&facts, Purpose::Settlement, &|| self.preamble())
            .is_ok();
        writer.log.note_confirmed(facts.totals);
        written
    }
}

fn shrink(disk: &dyn Disk, name: &str, size: u64) -> io::Result<()> {
    if size <= SHRINK_STEP {
        return Ok(());
    }
    let file = disk.open(Folder::Root, name)?;
    let mut left = size;
    while SHRINK_STEP < left {
        left -= SHRINK_STEP;
        file.set_len(left)?;
    }
    Ok(())
}
