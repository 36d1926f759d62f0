//! A disk that is full: nothing is lost, acknowledgements go on, and documents are taken in again by themselves.

use super::{Ground, Verdict, blocking, library};
use crate::exit::Failure;
use crate::selftest::mount::{Image, Mount};
use mainstay_queue::{ErrorKind, LaneId, Queue};
use std::time::Duration;

/// Small, so that it is full in a moment; with a queue's segments, and the journal.
const IMAGE: usize = 24 * 1024 * 1024;

/// More documents than it has room for.
const MOST: u32 = 100_000;

/// After so long with room on the disk, documents have to be taken in again.
const PATIENCE: Duration = Duration::from_secs(20);

const LOOK: Duration = Duration::from_millis(50);

/// Tries it.
///
/// # Errors
/// None; all it meets is in the verdict.
pub(super) async fn try_out(ground: &Ground) -> Result<Verdict, Failure> {
    let ground = ground.clone();
    blocking(move || {
        let image = Image::make(&ground.folder.join("full.image"), IMAGE);
        match image.and_then(|image| image.mount(&ground.folder.join("full"))) {
            Err(why) => Ok(Verdict::NotMeasured(why)),
            Ok(mount) => {
                let start = ground.clock.now();
                let mut rounds = 0;
                let mut stored = 0;
                loop {
                    stored += fill_and_empty(&ground, &mount, rounds)?;
                    rounds += 1;
                    if !ground.goes_on(start) {
                        break;
                    }
                }
                Ok(Verdict::Pass(format!(
                    "filled {rounds} times (ext4 image) with {stored} documents: refused in time, acknowledged when full, taken in again, 0 lost"
                )))
            }
        }
    })
    .await
}

fn fill_and_empty(ground: &Ground, mount: &Mount, round: u32) -> Result<u64, String> {
    let folder = mount.path().join(format!("queue-{}", round % 2));
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: mainstay_queue::Error| format!("{what}: {error}")
    };
    let (queue, lane) = library::open(&folder).map_err(failed("the queue does not open"))?;
    let mut stored = fill(&queue, lane, 0)?;
    let first = library::take(&queue, lane, stored as usize / 2)
        .map_err(failed("a full disk takes no acknowledgement"))?;
    let more = refill(ground, &queue, lane, stored)?;
    stored += more;
    let rest =
        library::take(&queue, lane, usize::MAX).map_err(failed("the queue cannot be emptied"))?;
    let ledger = queue.ledger();
    queue.close_blocking();
    let came = first.whole.len() + rest.whole.len();
    let wrong = first.changed.len() + rest.changed.len();
    let damaged = first.damaged + rest.damaged;
    if came as u32 != stored || wrong > 0 || damaged > 0 || !ledger.is_balanced() {
        return Err(format!(
            "{stored} documents were stored and {came} came back, {wrong} of them changed"
        ));
    }
    Ok(u64::from(stored))
}

/// Stores until the disk is full; how many.
fn fill(queue: &Queue, lane: LaneId, from: u32) -> Result<u32, String> {
    for number in from..MOST {
        match library::store(queue, lane, number) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Full => return Ok(number - from),
            Err(error) => return Err(format!("a full disk is answered with: {error}")),
        }
    }
    Err("the disk was never full".to_owned())
}

/// Waits until a document is taken in again.
fn refill(ground: &Ground, queue: &Queue, lane: LaneId, number: u32) -> Result<u32, String> {
    let deadline = ground.clock.now() + PATIENCE;
    let runtime = tokio::runtime::Handle::current();
    while ground.clock.now() < deadline {
        match library::store(queue, lane, number) {
            Ok(()) => return Ok(1),
            Err(error) if error.kind() == ErrorKind::Full => {
                runtime.block_on(ground.clock.sleep(LOOK));
            }
            Err(error) => return Err(format!("with room again: {error}")),
        }
    }
    Err(format!(
        "half of the documents are delivered, and after {PATIENCE:?} no other is taken in"
    ))
}
