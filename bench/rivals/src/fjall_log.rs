//! fjall: one batch with a key for each record, `SyncData`; a record is removed by its key.

use anyhow::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use mainstay_bench::Engine;
use std::path::Path;

pub struct Fjall {
    database: Database,
    records: Keyspace,
    next: u64,
    oldest: u64,
}

impl Fjall {
    pub fn open(folder: &Path) -> Result<Self> {
        let database = Database::builder(folder.join("fjall")).open()?;
        let records = database.keyspace("queue", KeyspaceCreateOptions::default)?;
        Ok(Self {
            database,
            records,
            next: 0,
            oldest: 0,
        })
    }
}

impl Engine for Fjall {
    fn store(&mut self, records: &[Vec<u8>]) -> Result<()> {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for record in records {
            batch.insert(&self.records, self.next.to_be_bytes(), record.as_slice());
            self.next += 1;
        }
        Ok(batch.commit()?)
    }

    fn acknowledge(&mut self, count: usize) -> Result<()> {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for _ in 0..count {
            batch.remove(&self.records, self.oldest.to_be_bytes());
            self.oldest += 1;
        }
        Ok(batch.commit()?)
    }
}
