//! What the store says of itself, while it writes too.

use super::LogStore;
use crate::document::{LaneId, LaneInfo, State};
use crate::index::Since;
use crate::status::{LaneStatus, Status};
use crate::store::Store;
use crate::sync::atomic::Ordering;

impl LogStore {
    /// The bytes of all segments, as they were last known: a disk that hangs keeps nobody who only asks.
    fn known_log_bytes(&self) -> u64 {
        if let Ok(writer) = self.writer.try_lock() {
            let bytes = writer.log.disk_bytes();
            self.log_bytes_known.store(bytes, Ordering::Relaxed);
        }
        self.log_bytes_known.load(Ordering::Relaxed)
    }

    /// How the queue is doing. It waits for no disk: nobody holds the index while one is waited for.
    pub fn status(&self) -> Status {
        // Waits for what was stored a moment ago to be in the index.
        let ledger = self.ledger();
        let (waiting_documents, waiting_bytes) = self.usage();
        let now = self.now();
        let oldest = |lane: LaneId| self.index().oldest(lane);
        let age = |since: Since| since.age(now).as_secs();
        let lane_status = |lane: LaneInfo| LaneStatus {
            ready: self.depth(lane.id, State::Ready),
            leased: self.depth(lane.id, State::Leased),
            waiting: self.depth(lane.id, State::Waiting),
            dead: self.depth(lane.id, State::Dead),
            oldest_seconds: oldest(lane.id).map(age),
            name: lane.name,
        };
        Status {
            ledger,
            mode: self.mode(),
            lanes: self.lanes().into_iter().map(lane_status).collect(),
            waiting_documents,
            waiting_bytes,
            kept_documents: self.sent().0,
            log_bytes: self.known_log_bytes(),
            damage: self.damage(),
        }
    }
}
