//! The queue that is opened again and again, and never closed: each start finds an unfinished tail and has to recover.
//!
//! On a disk that confirms what it has not written, it shows as well what must never be.

use super::content::{content, hash};
use super::{Place, queue};
use anyhow::{Context, Result, bail};
use mainstay_queue::disk::{Disk, DiskFile, Entry, Folder, RealDisk};
use mainstay_queue::store::{Op, Outcome, Store, Verdict};
use mainstay_queue::{ClaimId, DocumentId, LaneId, LogStore, NewDocument};
use std::io;
use std::sync::Arc;

/// So often it is opened.
const LIVES: u64 = 4;

pub(super) fn run(place: &Place) -> Result<()> {
    run_on(place, |disk| Arc::new(disk))
}

/// Nothing that it says is so.
pub(super) fn run_unsynced(place: &Place) -> Result<()> {
    run_on(place, |disk| Arc::new(Unsynced(disk)))
}

fn run_on(place: &Place, disk: fn(RealDisk) -> Arc<dyn Disk>) -> Result<()> {
    let folder = queue::folder(place);
    let config = queue::config();
    for life in 0..LIVES {
        let lived = || -> Result<()> {
            mainstay_files::create_dir_all(&folder, 0o700)?;
            let real = RealDisk::open(&folder, config.io)?;
            let (store, _) = LogStore::open(disk(real), &config)?;
            let mut life = Life {
                lane: lane(&store)?,
                store,
                number: 100 * life,
            };
            life.live()
            // It is not closed: the next start finds what a kill leaves.
        };
        if let Err(error) = lived() {
            println!("refused a life: {error:#}");
        }
    }
    Ok(())
}

fn lane(store: &LogStore) -> Result<LaneId> {
    let answers = store
        .commit(&[Op::DeclareLane("reports".to_owned())])
        .answers;
    match answers.into_iter().next() {
        Some(Ok(Outcome::Lane(lane))) => Ok(lane),
        other => bail!("a lane is answered {other:?}"),
    }
}

struct Life {
    store: LogStore,
    lane: LaneId,
    number: u64,
}

impl Life {
    fn live(&mut self) -> Result<()> {
        for len in [100, 5_000, 9_000] {
            let document = self.document(len);
            self.enqueue(vec![document], Vec::new())?;
        }
        self.settle()?;
        let claim = ClaimId::new();
        let together: Vec<NewDocument> = (0..3).map(|_| self.document(3_000)).collect();
        let ids: Vec<String> = together
            .iter()
            .map(|document| document.id.to_string())
            .collect();
        println!("batch {claim} {}", ids.join(" "));
        self.enqueue(together, vec![claim])?;
        self.settle()?;
        self.store.maintain();
        Ok(())
    }

    fn document(&mut self, len: usize) -> NewDocument {
        self.number += 1;
        let bytes = content("document", self.number, len);
        let document = NewDocument::new(vec![self.lane], bytes.clone());
        println!("offer {} {}", document.id, hash(&bytes));
        document
    }

    fn enqueue(&self, documents: Vec<NewDocument>, claims: Vec<ClaimId>) -> Result<()> {
        let ids: Vec<DocumentId> = documents.iter().map(|document| document.id).collect();
        self.commit(Op::Enqueue { documents, claims })?;
        for id in ids {
            println!("stored {id}");
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        let id = self.store.lease(self.lane).context("nothing is offered")?;
        println!("settling {id} sent");
        self.commit(Op::Settle {
            id,
            lane: self.lane,
            verdict: Verdict::Acknowledged,
            note: String::new(),
        })?;
        println!("settled {id} sent");
        Ok(())
    }

    fn commit(&self, op: Op) -> Result<()> {
        for answer in self.store.commit(&[op]).answers {
            answer?;
        }
        Ok(())
    }
}

/// A disk that says yes to every sync, and does nothing.
#[derive(Debug)]
struct Unsynced(RealDisk);

impl Disk for Unsynced {
    fn list(&self, folder: Folder) -> io::Result<Vec<Entry>> {
        self.0.list(folder)
    }

    fn create(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(self.0.create(folder, name)?)))
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(self.0.open(folder, name)?)))
    }

    fn rename(&self, folder: Folder, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(folder, from, to)
    }

    fn remove(&self, folder: Folder, name: &str) -> io::Result<()> {
        self.0.remove(folder, name)
    }

    fn sync_folder(&self, _: Folder) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }
}

#[derive(Debug)]
struct UnsyncedFile(Box<dyn DiskFile>);

impl DiskFile for UnsyncedFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}
