//! The power goes: a file system in an image stops dead while documents are stored in it, and comes back with what had
//! reached the disk.

use super::chance::Chance;
use super::mount::Image;
use super::{Ground, Verdict, blocking, library};
use crate::exit::Failure;
use mainstay_queue::{LaneId, Queue};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Room for a queue and its segments made ahead, in bytes.
const IMAGE: usize = 64 * 1024 * 1024;

/// Cuts in a short run.
const CUTS: u32 = 6;

/// A cut comes within this time after the first document was stored.
const WITHIN: Duration = Duration::from_millis(250);

/// `_IOR('X', 125, u32)`: the file system goes down.
const GOING_DOWN: rustix::ioctl::Opcode = 0x8004_587d;

/// Nothing that is in memory reaches the disk any more, the journal included: as when the plug is pulled.
const NOTHING_MORE: u32 = 2;

/// Tries it.
///
/// # Errors
/// None; all it meets is in the verdict.
pub(super) async fn try_out(ground: &Ground) -> Result<Verdict, Failure> {
    let ground = ground.clone();
    blocking(move || cut_again_and_again(&ground)).await
}

fn cut_again_and_again(ground: &Ground) -> Result<Verdict, String> {
    let place = ground.folder.join("disk");
    let made = Image::make(&ground.folder.join("image"), IMAGE)
        .and_then(|image| Ok((image.mount(&place)?, image)));
    let (mut mounted, image) = match made {
        Ok(mounted) => mounted,
        Err(why) => return Ok(Verdict::NotMeasured(why)),
    };
    let start = ground.clock.now();
    let mut chance = ground.chance();
    let (mut cuts, mut documents) = (0, 0);
    while cuts < CUTS && !ground.stop.is_cancelled() || ground.goes_on(start) {
        let confirmed = match store_until_cut(ground, mounted.path(), &mut chance) {
            Ok(confirmed) => confirmed,
            Err(Refused::Here(why)) => return Ok(Verdict::NotMeasured(why)),
            Err(Refused::Broken(found)) => return Err(found),
        };
        drop(mounted);
        mounted = image
            .mount(&place)
            .map_err(|why| format!("after a power cut: {why}"))?;
        let found = check(mounted.path(), confirmed);
        found.map_err(|found| format!("{found} (seed {})", ground.seed))?;
        cuts += 1;
        documents += u64::from(confirmed);
    }
    Ok(Verdict::Pass(format!(
        "{cuts} power cuts (ext4 image), {documents} confirmed documents: all were there afterwards"
    )))
}

/// Why a cut was not made, or what went wrong before it.
enum Refused {
    Here(String),
    Broken(String),
}

/// Stores documents until the file system stops; how many were confirmed.
fn store_until_cut(ground: &Ground, disk: &Path, chance: &mut Chance) -> Result<u32, Refused> {
    let folder = disk.join("queue");
    let (queue, lane) = library::open(&folder)
        .map_err(|error| Refused::Broken(format!("the queue does not open: {error}")))?;
    let after = chance.time_below(WITHIN);
    let confirmed = AtomicU32::new(0);
    let runtime = tokio::runtime::Handle::current();
    let cut = std::thread::scope(|scope| {
        scope.spawn(|| store(&queue, lane, &confirmed));
        runtime.block_on(ground.clock.sleep(after));
        stop_dead(disk)
    });
    queue.close_blocking();
    cut.map_err(|why| Refused::Here(format!("the file system cannot be stopped: {why}")))?;
    Ok(confirmed.into_inner())
}

/// Stores one after the other, until it is refused.
fn store(queue: &Queue, lane: LaneId, confirmed: &AtomicU32) {
    // Fewer than the image has room for.
    for number in 0..2_000 {
        if library::store(queue, lane, number).is_err() {
            return;
        }
        confirmed.store(number + 1, Ordering::Release);
    }
}

fn stop_dead(disk: &Path) -> std::io::Result<()> {
    let folder = std::fs::File::open(disk)?;
    #[expect(unsafe_code, reason = "there is no safe call that stops a file system")]
    // SAFETY: the number is that of this call, which reads one u32; a file system that does not know it refuses.
    let stopped = unsafe {
        let setter = rustix::ioctl::Setter::<GOING_DOWN, u32>::new(NOTHING_MORE);
        rustix::ioctl::ioctl(folder.as_fd(), setter)
    };
    stopped.map_err(std::io::Error::from)
}

/// Opens the queue after the cut, and takes everything out of it.
fn check(disk: &Path, confirmed: u32) -> Result<(), String> {
    let (queue, lane) = library::open(&disk.join("queue"))
        .map_err(|error| format!("after a power cut the queue does not open: {error}"))?;
    let back = library::take(&queue, lane, usize::MAX)
        .map_err(|error| format!("after a power cut the queue cannot be emptied: {error}"))?;
    let ledger = queue.ledger();
    queue.close_blocking();
    if let Some(lost) = (0..confirmed).find(|number| !back.whole.contains_key(number)) {
        return Err(format!(
            "document {lost} of {confirmed} was confirmed, and is gone after a power cut"
        ));
    }
    if !back.changed.is_empty() || back.damaged > 0 || !ledger.is_balanced() {
        return Err(format!(
            "after a power cut {} documents have another content",
            back.changed.len() + back.damaged as usize
        ));
    }
    Ok(())
}
