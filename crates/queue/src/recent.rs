//! Records that were written a moment ago and will be asked for in the next one.
//!
//! Direct writes leave nothing in the page cache, so a document that is delivered at once would be read from the disk.

use crate::document::DocumentId;
use bytes::Bytes;
use hashbrown::HashMap;

/// The most bytes kept, and the largest record worth keeping.
const BYTES_MAX: usize = 4 * 1024 * 1024;
const RECORD_MAX: usize = 64 * 1024;

/// First in, first kept: while the queue is long nobody asks for the newest, and nothing is turned over for them.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    records: HashMap<DocumentId, Bytes>,
    bytes: usize,
}

impl Recent {
    pub(crate) fn keep(&mut self, id: DocumentId, record: &[u8]) {
        if record.len() <= RECORD_MAX && self.bytes + record.len() <= BYTES_MAX {
            self.bytes += record.len();
            let record = Bytes::copy_from_slice(record);
            if let Some(old) = self.records.insert(id, record) {
                self.bytes -= old.len();
            }
        }
    }

    /// Hands a record out; it is not kept for a second time.
    pub(crate) fn take(&mut self, id: DocumentId) -> Option<Bytes> {
        let record = self.records.remove(&id)?;
        self.bytes -= record.len();
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_gives_each_record_once() {
        let mut recent = Recent::default();
        let ids: Vec<DocumentId> = (0..200).map(|_| DocumentId::new()).collect();
        for id in &ids {
            recent.keep(*id, &vec![1; RECORD_MAX]);
        }
        assert_eq!(recent.bytes, BYTES_MAX);
        assert!(recent.take(ids[0]).is_some());
        assert!(recent.take(ids[0]).is_none());
        assert!(recent.take(ids[199]).is_none());
        assert_eq!(recent.bytes, BYTES_MAX - RECORD_MAX);
    }
}
