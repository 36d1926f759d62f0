//! Who is measured, and at what.

use crate::BODY;
use anyhow::{Context, Result};
use mainstay_queue::store::{Op, Outcome, Store};
use mainstay_queue::{Batch, Config, LaneId, NewDocument, Queue, SqliteStore};
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How documents come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// One producer that waits for each.
    Single,
    /// Batches of 64.
    Batches,
    /// 64 producers side by side, each waiting for each of its own.
    Producers,
}

impl Shape {
    pub(crate) const ALL: [Self; 3] = [Self::Single, Self::Batches, Self::Producers];

    fn documents(self) -> usize {
        match self {
            Self::Single => 4_000,
            Self::Batches | Self::Producers => 64_000,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "one producer",
            Self::Batches => "batches of 64",
            Self::Producers => "64 producers",
        })
    }
}

/// Who stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Candidate {
    /// The same bytes to a file that was filled with zeros, one `fdatasync` for each commit, no index.
    Raw,
    /// The queue.
    Queue,
    /// The reference store on SQLite, WAL, `synchronous = FULL`.
    Sqlite,
}

impl Candidate {
    pub(crate) const ALL: [Self; 3] = [Self::Raw, Self::Queue, Self::Sqlite];

    pub(crate) fn measure(self, shape: Shape, folder: &Path) -> Result<Measured> {
        match self {
            Self::Raw => raw(shape, folder),
            Self::Queue => queue(shape, folder),
            Self::Sqlite => sqlite(shape, folder),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw disk",
            Self::Queue => "mainstay-queue",
            Self::Sqlite => "SQLite",
        })
    }
}

/// What one run came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    documents: usize,
    time: Duration,
    disk: Disk,
}

impl Measured {
    pub(crate) fn rate(&self) -> f64 {
        self.documents as f64 / self.time.as_secs_f64()
    }

    pub(crate) fn flushes_per_document(&self) -> f64 {
        self.disk.flushes as f64 / self.documents as f64
    }

    pub(crate) fn kib_per_document(&self) -> f64 {
        self.disk.written as f64 / 1024.0 / self.documents as f64
    }
}

/// What the disks of this machine have done so far, all of them together.
#[derive(Clone, Copy, Debug)]
struct Disk {
    flushes: u64,
    written: u64,
}

impl Disk {
    /// /proc/diskstats: sectors written (of 512 bytes) is field 10, flushes field 19; partitions are left out, because
    /// the disk counts for them.
    fn now() -> Self {
        let text = fs::read_to_string("/proc/diskstats").unwrap_or_default();
        let mut disk = Self {
            flushes: 0,
            written: 0,
        };
        for line in text.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let number = |place: usize| {
                fields
                    .get(place)
                    .and_then(|field| field.parse::<u64>().ok())
                    .unwrap_or(0)
            };
            let name = fields.get(2).copied().unwrap_or_default();
            if Path::new("/sys/block").join(name).exists() {
                disk.written += number(9) * 512;
                disk.flushes += number(18);
            }
        }
        disk
    }

    fn since(self, before: Self) -> Self {
        Self {
            flushes: self.flushes - before.flushes,
            written: self.written - before.written,
        }
    }
}

fn timed(documents: usize, work: impl FnOnce() -> Result<()>) -> Result<Measured> {
    let disk = Disk::now();
    let begun = Instant::now();
    work()?;
    Ok(Measured {
        documents,
        time: begun.elapsed(),
        disk: Disk::now().since(disk),
    })
}

fn raw(shape: Shape, folder: &Path) -> Result<Measured> {
    let documents = shape.documents();
    // The 64 producers settle at groups of about 33 (performance notes), which the control is given.
    let group = match shape {
        Shape::Single => 1,
        Shape::Batches => 64,
        Shape::Producers => 33,
    };
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(folder.join("raw"))?;
    let block = (group * (BODY + 64)).next_multiple_of(4096);
    let zeros = vec![0; 1 << 20];
    let size = (documents / group + 1) * block;
    for offset in (0..size).step_by(zeros.len()) {
        file.write_all_at(&zeros, offset as u64)?;
    }
    file.sync_all()?;
    let bytes = vec![7; block];
    timed(documents, || {
        for commit in 0..documents / group {
            file.write_all_at(&bytes, (commit * block) as u64)?;
            file.sync_data()?;
        }
        Ok(())
    })
}

fn document(lane: LaneId) -> NewDocument {
    NewDocument::new(vec![lane], vec![7; BODY])
}

fn queue(shape: Shape, folder: &Path) -> Result<Measured> {
    let (queue, _) = Queue::open(folder.join("queue"), Config::default())?;
    let lane = queue.declare_lane("bench")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let documents = shape.documents();
    let measured = timed(documents, || {
        runtime.block_on(async {
            match shape {
                Shape::Single => {
                    for _ in 0..documents {
                        queue.enqueue(document(lane)).await?;
                    }
                }
                Shape::Batches => {
                    for _ in 0..documents / 64 {
                        let documents = (0..64).map(|_| document(lane)).collect();
                        queue
                            .enqueue_batch(Batch {
                                documents,
                                claims: Vec::new(),
                            })
                            .await?;
                    }
                }
                Shape::Producers => {
                    let producers: Vec<_> = (0..64)
                        .map(|_| {
                            let queue = queue.clone();
                            tokio::spawn(async move {
                                for _ in 0..documents / 64 {
                                    queue.enqueue(document(lane)).await?;
                                }
                                Ok::<_, mainstay_queue::Error>(())
                            })
                        })
                        .collect();
                    for producer in producers {
                        producer.await??;
                    }
                }
            }
            Ok(())
        })
    })?;
    queue.close_blocking();
    Ok(measured)
}

fn sqlite(shape: Shape, folder: &Path) -> Result<Measured> {
    let store = SqliteStore::open(&folder.join("reference.db"), &Config::default())?;
    let answer = store
        .commit(&[Op::DeclareLane("bench".to_owned())])
        .answers
        .remove(0)?;
    let Outcome::Lane(lane) = answer else {
        anyhow::bail!("a lane is declared")
    };
    let documents = shape.documents();
    // Behind a writer thread of its own it would see the same groups as the raw disk.
    let group = match shape {
        Shape::Single => 1,
        Shape::Batches => 64,
        Shape::Producers => 33,
    };
    timed(documents, || {
        for _ in 0..documents / group {
            let op = Op::Enqueue {
                documents: (0..group).map(|_| document(lane)).collect(),
                claims: Vec::new(),
            };
            store
                .commit(&[op])
                .answers
                .remove(0)
                .context("SQLite did not confirm")?;
        }
        Ok(())
    })
}
