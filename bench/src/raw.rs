//! The limit: the same bytes to a file that was filled with zeros before, in the same groups, and no index.

use anyhow::Result;
use mainstay_bench::{BODY, Engine, Shape};
use mainstay_queue::disk::AlignedBuf;
use rustix::fs::OFlags;
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Records start with their length and their CRC-32C.
const HEADER: usize = 8;
const BLOCK: usize = 4096;

/// How the disk is told to keep what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Through the page cache, and one `fdatasync` for each group.
    Synced,
    /// Past the page cache, each write forced to the medium (`O_DIRECT|O_DSYNC`).
    Direct,
}

pub(crate) struct Raw {
    file: File,
    how: How,
    buffer: AlignedBuf,
    offset: u64,
    size: u64,
}

impl Raw {
    pub(crate) fn open(folder: &Path, how: How, shape: Shape) -> Result<Self> {
        let path = folder.join("raw");
        // Every commit is padded to whole blocks: the most that any shape can come to, with its acknowledgements.
        let largest = shape.documents() * (BODY + HEADER) + shape.documents() * BLOCK;
        // The queue has files of this size too, and writes them from the beginning again.
        let size = (largest as u64).min(160 << 20).next_multiple_of(1 << 20);
        let file = File::create_new(&path)?;
        let zeros = vec![0; 1 << 20];
        for offset in (0..size).step_by(zeros.len()) {
            file.write_all_at(&zeros, offset)?;
        }
        file.sync_all()?;
        let flags = match how {
            How::Synced => OFlags::empty(),
            How::Direct => OFlags::DIRECT | OFlags::DSYNC,
        };
        let file = File::options()
            .write(true)
            .custom_flags(flags.bits() as i32)
            .open(&path)?;
        Ok(Self {
            file,
            how,
            buffer: AlignedBuf::new(),
            offset: 0,
            size,
        })
    }
}

impl Engine for Raw {
    fn store(&mut self, records: &[Vec<u8>]) -> Result<()> {
        self.buffer.clear();
        for record in records {
            let len = u32::try_from(record.len())?;
            self.buffer.extend(&len.to_le_bytes());
            self.buffer.extend(&crc32c::crc32c(record).to_le_bytes());
            self.buffer.extend(record);
        }
        // Without direct writes nothing has to be padded, but then the next commit writes the same block again.
        let padded = self.buffer.len().next_multiple_of(BLOCK);
        self.buffer.pad_to(padded);
        if self.size < self.offset + padded as u64 {
            self.offset = 0;
        }
        self.file
            .write_all_at(self.buffer.as_slice(), self.offset)?;
        if self.how == How::Synced {
            self.file.sync_data()?;
        }
        self.offset += padded as u64;
        Ok(())
    }
}
