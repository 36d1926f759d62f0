//! The readers of foreign bytes, for the targets in `fuzz/`: not part of the API, and only there with the feature
//! `fuzzing`.
//!
//! Checksums would keep a fuzzer out: nearly nothing that it makes up passes one. Here they are made right first, so that
//! it meets what stands behind them.

use crate::disk::{Disk, DiskFile, Entry, Folder};
use crate::document::DocumentId;
use crate::format;
use crate::frame::SegmentKey;
use crate::group::{BLOCK, GROUP_HEADER};
use crate::index::{Index, Now, Retention};
use crate::record::{self, Kind};
use crate::scan::{Found, Known, scan};
use crate::segment::{FIRST_GROUP, SegmentHead};
use crate::snapshot;
use crate::watermark::Watermark;
use crate::wire::Reader;
use mainstay_clock::Moment;
use std::io;
use std::sync::Arc;
use std::time::Duration;

const SECRET: [u8; 16] = [7; 16];
const SEGMENT: u64 = 1;

/// Reads bytes as a segment, with the checksums in them made right.
///
/// # Panics
/// If the scan says what cannot be: a record outside of the file, or one before the one that came before it.
pub fn segment(bytes: &[u8]) {
    let key = SegmentKey::new(&SECRET, SEGMENT);
    let mut image = vec![0; FIRST_GROUP as usize];
    image.extend_from_slice(bytes);
    for at in (FIRST_GROUP as usize..image.len().saturating_sub(GROUP_HEADER)).step_by(8) {
        if image[at + 8..at + 16] == SEGMENT.to_le_bytes() {
            let says = u32::from_le_bytes([4, 5, 6, 7].map(|byte| image[at + byte])) as usize;
            let end = (at + 32).saturating_add(says).min(image.len());
            let crc = key.crc(&image[at + 4..end]);
            image[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        }
    }
    let known = [
        Known::default(),
        Known {
            sealed_end: Some(image.len() as u64 / 2),
            ..Known::default()
        },
        Known {
            confirmed: u64::from(bytes.first().copied().unwrap_or(0)),
            confirmed_end: image.len() as u64,
            ..Known::default()
        },
    ];
    let len = image.len() as u64;
    let file = Bytes(Arc::new(image));
    for known in known {
        let mut before = 0;
        let end = scan(&file, &key, FIRST_GROUP, 0, known, &mut |found| {
            if let Found::Record {
                kind,
                sequence,
                payload,
                offset,
            } = found
            {
                assert!(before < sequence, "records in their order");
                assert!(offset + payload.len() as u64 <= len, "records in the file");
                before = sequence;
                drop(record::decode(kind, payload));
            }
        });
        assert!(end.is_ok(), "bytes in memory can be read");
    }
}

/// Reads bytes as the payload of a record of each kind.
pub fn record(bytes: &[u8]) {
    for kind in (0..=u8::MAX).filter_map(Kind::from_byte) {
        drop(record::decode(kind, bytes));
        record::store_part(kind, bytes).ok();
    }
    drop(record::decode_store(bytes));
}

/// Reads bytes as FORMAT and as the head of a segment.
pub fn head(bytes: &[u8]) {
    format::parse_format(&String::from_utf8_lossy(bytes));
    let mut block = bytes.to_vec();
    block.resize(BLOCK, 0);
    SegmentHead::parse(&block, SEGMENT).ok();
    let crc = SegmentKey::new(&SECRET, SEGMENT).crc(&block[..80]);
    block[16..32].copy_from_slice(&SECRET);
    block[80..84].copy_from_slice(&crc.to_le_bytes());
    SegmentHead::parse(&block, SEGMENT).ok();
    Watermark::read(&mut Reader::new(bytes)).ok();
}

/// Reads bytes as a snapshot, behind a head and before a checksum that are right; looks at every document in it.
pub fn snapshot(bytes: &[u8]) {
    let mut image = b"MNSTYSNP".to_vec();
    image.extend_from_slice(&1_u32.to_le_bytes());
    image.extend_from_slice(&1_u32.to_le_bytes());
    image.extend_from_slice(&SECRET);
    image.extend_from_slice(bytes);
    let crc = SegmentKey::new(&SECRET, 0).crc(&image);
    image.extend_from_slice(&crc.to_le_bytes());
    let retention = Retention {
        time: Duration::from_mins(10),
        documents: 100,
        bytes: 1024 * 1024,
    };
    let mut index = Index::new(retention, Duration::from_secs(30));
    let now = Now {
        moment: Moment::ORIGIN,
        wall: 1_790_000_000_000,
    };
    let read = snapshot::read(&Bytes(Arc::new(image)), &SECRET, &mut index, now);
    if !matches!(read, Ok(snapshot::Read::Restored(_))) {
        // Nothing of it is believed.
        return;
    }
    index.order_sent();
    index.expire(now.moment);
    let ids: Vec<DocumentId> = index.views().map(|view| view.id).collect();
    for id in ids {
        index.drop_unreadable(id);
    }
}

/// A file that is the same whatever it is called; a disk of it alone.
#[derive(Clone, Debug)]
struct Bytes(Arc<Vec<u8>>);

impl DiskFile for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        assert!(
            bytes.len() <= 2 * self.0.len() + 64 * 1024,
            "no more memory than twice the file"
        );
        let here = self.0.get(offset as usize..).unwrap_or_default();
        let read = here.len().min(bytes.len());
        bytes[..read].copy_from_slice(&here[..read]);
        Ok(read)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

impl Disk for Bytes {
    fn list(&self, _: Folder) -> io::Result<Vec<Entry>> {
        Ok(Vec::new())
    }

    fn create(&self, _: Folder, _: &str) -> io::Result<Box<dyn DiskFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open(&self, _: Folder, _: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.clone()))
    }

    fn rename(&self, _: Folder, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: Folder, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_folder(&self, _: Folder) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(0)
    }
}
