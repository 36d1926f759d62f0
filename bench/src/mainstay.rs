//! The queue of this project, through its public front.

use anyhow::{Context, Result};
use mainstay_bench::{BODY, GROUP, Measured, Shape, Waits, side_by_side};
use mainstay_queue::{Batch, Config, Io, LaneId, Lease, NewDocument, Queue};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The queue at work.
pub(crate) fn measure(shape: Shape, folder: &Path, io: Io) -> Result<Measured> {
    // What was delivered is kept for ten minutes by default; here it is let go at once, as the others do.
    let config = Config {
        retain_after_ack: Duration::ZERO,
        io,
        ..Config::default()
    };
    let (queue, _) = Queue::open(folder.join("queue"), config)?;
    let bench = Bench {
        lane: queue.declare_lane("bench")?,
        queue,
        runtime: tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?,
    };
    let measured = bench.measure(shape)?;
    bench.queue.close_blocking();
    Ok(measured)
}

struct Bench {
    queue: Queue,
    lane: LaneId,
    runtime: Runtime,
}

impl Bench {
    fn measure(&self, shape: Shape) -> Result<Measured> {
        let documents = shape.documents();
        match shape {
            Shape::Single => Measured::of(documents, |waits| {
                self.runtime.block_on(self.single(documents, waits))
            }),
            Shape::Batches => Measured::of(documents, |waits| {
                self.runtime.block_on(self.batches(documents, waits))
            }),
            Shape::Producers => Measured::of(documents, |waits| self.producers(documents, waits)),
            Shape::Acknowledge => {
                self.runtime
                    .block_on(self.batches(documents, &mut Waits::default()))?;
                Measured::of(documents, |waits| {
                    self.runtime.block_on(async {
                        for _ in 0..documents / GROUP {
                            self.acknowledge(waits).await?;
                        }
                        Ok(())
                    })
                })
            }
            Shape::Churn => Measured::of(documents, |waits| {
                self.runtime.block_on(async {
                    for _ in 0..documents / GROUP {
                        self.batches(GROUP, waits).await?;
                        self.acknowledge(&mut Waits::default()).await?;
                    }
                    Ok(())
                })
            }),
        }
    }

    fn document(&self) -> NewDocument {
        NewDocument::new(vec![self.lane], vec![7; BODY])
    }

    async fn single(&self, documents: usize, waits: &mut Waits) -> Result<()> {
        for _ in 0..documents {
            let begun = Instant::now();
            self.queue.enqueue(self.document()).await?;
            waits.note(begun.elapsed());
        }
        Ok(())
    }

    async fn batches(&self, documents: usize, waits: &mut Waits) -> Result<()> {
        for _ in 0..documents / GROUP {
            let batch = Batch {
                documents: (0..GROUP).map(|_| self.document()).collect(),
                claims: Vec::new(),
            };
            let begun = Instant::now();
            self.queue.enqueue_batch(batch).await?;
            waits.note(begun.elapsed());
        }
        Ok(())
    }

    fn producers(&self, documents: usize, waits: &mut Waits) -> Result<()> {
        let (queue, lane) = (self.queue.clone(), self.lane);
        let all = side_by_side(documents, move |_| {
            let queue = queue.clone();
            async move {
                queue
                    .enqueue(NewDocument::new(vec![lane], vec![7; BODY]))
                    .await?;
                Ok(())
            }
        })?;
        waits.append(all);
        Ok(())
    }

    /// Takes 64 documents and acknowledges them together.
    async fn acknowledge(&self, waits: &mut Waits) -> Result<()> {
        let mut leases = Vec::with_capacity(GROUP);
        for _ in 0..GROUP {
            leases.push(
                self.queue
                    .try_lease(self.lane)
                    .context("a document is ready")?,
            );
        }
        let begun = Instant::now();
        for answer in Lease::ack_all(leases).await {
            answer?;
        }
        waits.note(begun.elapsed());
        Ok(())
    }
}
