//! SQLite as people use it for a queue: one table, WAL, `synchronous = FULL`, one transaction for each group.

use anyhow::Result;
use mainstay_bench::Engine;
use rusqlite::Connection;
use std::path::Path;

pub(crate) struct Sqlite(Connection);

impl Sqlite {
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let connection = Connection::open(folder.join("queue.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection
            .execute_batch("CREATE TABLE queue (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
        Ok(Self(connection))
    }
}

impl Engine for Sqlite {
    fn store(&mut self, records: &[Vec<u8>]) -> Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO queue (body) VALUES (?1)")?;
            for record in records {
                insert.execute([record])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn acknowledge(&mut self, count: usize) -> Result<()> {
        let mut delete = self.0.prepare_cached(
            "DELETE FROM queue WHERE id IN (SELECT id FROM queue ORDER BY id LIMIT ?1)",
        )?;
        delete.execute([i64::try_from(count)?])?;
        Ok(())
    }
}
