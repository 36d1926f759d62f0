//! Work for something that makes records durable.

use crate::measured::{Measured, Waits};
use crate::shape::{BODY, GROUP, Shape};
use anyhow::{Context, Result};
use std::thread;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// What an acknowledgement has to say: a document and a destination.
const ACKNOWLEDGEMENT: usize = 32;

/// The most records that one commit takes when many producers wait.
const COMMIT_MAX: usize = 1024;

/// Something that makes records durable, a group at a time.
pub trait Engine: Send + 'static {
    /// Stores records; when it returns, they survive a power cut.
    ///
    /// # Errors
    /// What the engine says.
    fn store(&mut self, records: &[Vec<u8>]) -> Result<()>;

    /// Removes the oldest `count` records durably. An engine that cannot remove writes that they are done.
    ///
    /// # Errors
    /// What the engine says.
    fn acknowledge(&mut self, count: usize) -> Result<()> {
        self.store(&vec![vec![7; ACKNOWLEDGEMENT]; count])
    }
}

/// Gives an engine a shape of work.
///
/// # Errors
/// What the engine says.
pub fn drive(mut engine: Box<dyn Engine>, shape: Shape) -> Result<Measured> {
    let documents = shape.documents();
    match shape {
        Shape::Single => Measured::of(documents, |waits| groups(&mut *engine, documents, 1, waits)),
        Shape::Batches => Measured::of(documents, |waits| {
            groups(&mut *engine, documents, GROUP, waits)
        }),
        Shape::Producers => Measured::of(documents, |waits| producers(engine, documents, waits)),
        Shape::Acknowledge => {
            groups(&mut *engine, documents, GROUP, &mut Waits::default())?;
            Measured::of(documents, |waits| {
                for _ in 0..documents / GROUP {
                    let begun = Instant::now();
                    engine.acknowledge(GROUP)?;
                    waits.note(begun.elapsed());
                }
                Ok(())
            })
        }
        Shape::Churn => Measured::of(documents, |waits| {
            for _ in 0..documents / GROUP {
                groups(&mut *engine, GROUP, GROUP, waits)?;
                engine.acknowledge(GROUP)?;
            }
            Ok(())
        }),
    }
}

fn groups(
    engine: &mut dyn Engine,
    documents: usize,
    group: usize,
    waits: &mut Waits,
) -> Result<()> {
    let records = vec![vec![7; BODY]; group];
    for _ in 0..documents / group {
        let begun = Instant::now();
        engine.store(&records)?;
        waits.note(begun.elapsed());
    }
    Ok(())
}

type Waiting = (Vec<u8>, oneshot::Sender<()>);

/// Producers on two threads, and one thread that commits what has come together.
fn producers(mut engine: Box<dyn Engine>, documents: usize, waits: &mut Waits) -> Result<()> {
    let (sender, mut receiver): (mpsc::Sender<Waiting>, _) = mpsc::channel(COMMIT_MAX);
    let writer = thread::spawn(move || {
        let mut waiting = Vec::new();
        while receiver.blocking_recv_many(&mut waiting, COMMIT_MAX) > 0 {
            let (records, answers): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
            engine.store(&records)?;
            for answer in answers {
                // Whoever asked waits for nothing else.
                answer.send(()).ok();
            }
        }
        anyhow::Ok(())
    });
    let all = side_by_side(documents, move |_| {
        let sender = sender.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            sender.send((vec![7; BODY], answer)).await?;
            answered.await.context("the engine has failed")
        }
    })?;
    waits.append(all);
    writer
        .join()
        .map_err(|_| anyhow::anyhow!("the writer died"))?
}

/// 64 tasks on two threads, each doing one thing after the other.
///
/// # Errors
/// The first error of any.
pub fn side_by_side<F, Fut>(documents: usize, once: F) -> Result<Waits>
where
    F: Fn(usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<()>> + Send,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..GROUP)
            .map(|task| {
                let once = once.clone();
                tokio::spawn(async move {
                    let mut waits = Waits::default();
                    for _ in 0..documents / GROUP {
                        let begun = Instant::now();
                        once(task).await?;
                        waits.note(begun.elapsed());
                    }
                    anyhow::Ok(waits)
                })
            })
            .collect();
        drop(once);
        let mut all = Waits::default();
        for task in tasks {
            all.append(task.await??);
        }
        Ok(all)
    })
}
