//! okaywal: one entry with all records of a group, which one sync covers. It cannot remove single records.

use anyhow::Result;
use mainstay_bench::Engine;
use okaywal::{LogVoid, WriteAheadLog};
use std::path::Path;

pub struct Okay(WriteAheadLog);

impl Okay {
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self(WriteAheadLog::recover(
            folder.join("okaywal"),
            LogVoid,
        )?))
    }
}

impl Engine for Okay {
    fn store(&mut self, records: &[Vec<u8>]) -> Result<()> {
        let mut entry = self.0.begin_entry()?;
        for record in records {
            entry.write_chunk(record)?;
        }
        entry.commit()?;
        Ok(())
    }
}
