//! Giving space back by hand, without waiting until the queue does so by itself.

use crate::log_store::LogStore;
use crate::queue::Queue;
use crate::store::Op;
use serde::{Deserialize, Serialize};

/// What has to stay free on the disk beside the copies: twice the default reserve.
const ROOM_LEFT: u64 = 8 * 1024 * 1024;

/// What compacting came to, in bytes of the log on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compacted {
    /// Before.
    pub before: u64,
    /// Now, with the segments that are made ahead.
    pub after: u64,
}

impl Queue {
    /// Copies what is still needed to the end of the log and gives back the segments before it, those with damage in them
    /// too. Nothing goes before its copy is durable; with too little room on the disk nothing is copied. Blocks.
    pub fn compact(&self) -> Compacted {
        // An empty operation has the writer let go of what was kept long enough.
        if let Err(error) = self.ask_writer(Op::CloseClaims(Vec::new())) {
            tracing::debug!(%error, "what was delivered is let go of later");
        }
        self.raw_store().compact()
    }
}

impl LogStore {
    fn compact(&self) -> Compacted {
        let before = self.log_bytes();
        let end = self.active_segment();
        // Each step moves a part of the oldest segment; what is moved lies behind `end`, so this comes to its end.
        while self.oldest_segment().is_some_and(|oldest| oldest < end)
            && self.has_room_to_compact()
            && self.clean_step()
        {}
        self.advance_cursor();
        self.maintain();
        Compacted {
            before,
            after: self.log_bytes(),
        }
    }

    fn has_room_to_compact(&self) -> bool {
        let needed = self.live_bytes() + ROOM_LEFT;
        self.free_bytes().is_ok_and(|free| needed <= free)
    }
}
