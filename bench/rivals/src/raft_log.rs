//! raft-engine: one log batch with a key for each record, synced; a record is removed by its key.

use anyhow::Result;
use mainstay_bench::Engine;
use raft_engine::{Config, Engine as Log, LogBatch};
use std::path::Path;

/// The region that all records belong to.
const REGION: u64 = 1;

pub struct Raft {
    log: Log,
    next: u64,
    oldest: u64,
}

impl Raft {
    pub fn open(folder: &Path) -> Result<Self> {
        let config = Config {
            dir: folder.join("raft").to_string_lossy().into_owned(),
            ..Config::default()
        };
        Ok(Self {
            log: Log::open(config)?,
            next: 0,
            oldest: 0,
        })
    }
}

impl Engine for Raft {
    fn store(&mut self, records: &[Vec<u8>]) -> Result<()> {
        let mut batch = LogBatch::with_capacity(records.len());
        for record in records {
            batch.put(REGION, self.next.to_be_bytes().to_vec(), record.clone())?;
            self.next += 1;
        }
        self.log.write(&mut batch, true)?;
        Ok(())
    }

    fn acknowledge(&mut self, count: usize) -> Result<()> {
        let mut batch = LogBatch::with_capacity(count);
        for _ in 0..count {
            batch.delete(REGION, self.oldest.to_be_bytes().to_vec());
            self.oldest += 1;
        }
        self.log.write(&mut batch, true)?;
        Ok(())
    }
}
