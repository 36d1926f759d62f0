//! Documents into a real queue, each on the disk before it counts.

use super::{DOCUMENT, Ground, Taken};
use crate::exit::{Exit, Failure};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mainstay_clock::Moment;
use mainstay_queue::{Batch, Config, Error, LaneId, NewDocument, Queue};

/// Producers at once, and documents in a batch.
const WIDTH: usize = 64;

/// No part stores more than this, so that the room that was asked for is enough, in bytes.
const BYTES_MAX: u64 = 1 << 30;

/// Who hands documents over, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// One producer, who waits for each.
    One,
    /// Many at once, each of whom waits for each of his own.
    Many,
    /// One producer, who waits for each batch.
    Batches,
}

/// Measures on a queue of its own.
///
/// # Errors
/// The queue cannot be opened or used.
pub(super) async fn measure(ground: &Ground, load: Load) -> Result<Taken, Failure> {
    let cannot = |what: &str| Failure::new(Exit::NoOutput, format!("cannot {what} a queue"));
    let folder = tempfile::TempDir::new_in(&ground.folder)
        .map_err(|error| cannot("make a folder for").because(error))?;
    let (place, config) = (
        folder.path().to_owned(),
        Config {
            clock: ground.clock.clone(),
            ..Config::default()
        },
    );
    let opening = tokio::task::spawn_blocking(move || {
        let (queue, _) = Queue::open(&place, config)?;
        let lane = queue.declare_lane("bench/nowhere")?;
        Ok::<_, Error>((queue, lane))
    });
    let died = |died| Failure::new(Exit::Unexpected, "opening a queue died").because(died);
    let (queue, lane) = opening
        .await
        .map_err(died)?
        .map_err(|error| cannot("open").because(error))?;
    let taken = produce(ground, &queue, lane, load).await;
    queue.close().await;
    let taken = taken.map_err(|error| cannot("measure").because(error))?;
    folder
        .close()
        .map_err(|error| cannot("remove").because(error))?;
    Ok(taken)
}

async fn produce(ground: &Ground, queue: &Queue, lane: LaneId, load: Load) -> Result<Taken, Error> {
    let (producers, batch) = match load {
        Load::One => (1, 1),
        Load::Many => (WIDTH, 1),
        Load::Batches => (1, WIDTH),
    };
    let mut taken = Taken::default();
    let start = ground.clock.now();
    let mut under_way: FuturesUnordered<_> = (0..producers)
        .map(|_| store(ground, queue, lane, batch, start))
        .collect();
    let mut last = start;
    while let Some(done) = under_way.next().await {
        let (began, ended) = done?;
        last = ended;
        taken.add(ended.since(began), batch as u64);
        let is_over = ground.time <= ended.since(start)
            || BYTES_MAX <= taken.count() * DOCUMENT as u64
            || ground.stop.is_cancelled();
        if !is_over {
            under_way.push(store(ground, queue, lane, batch, ended));
        }
    }
    Ok(taken.end(last.since(start)))
}

/// Stores once; answers when that began and when it was on the disk.
async fn store(
    ground: &Ground,
    queue: &Queue,
    lane: LaneId,
    batch: usize,
    began: Moment,
) -> Result<(Moment, Moment), Error> {
    let document = || NewDocument::new(vec![lane], vec![b'm'; DOCUMENT]);
    let documents = Batch {
        documents: (0..batch).map(|_| document()).collect(),
        claims: Vec::new(),
    };
    queue.enqueue_batch(documents).await?;
    Ok((began, ground.clock.now()))
}
