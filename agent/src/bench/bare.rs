//! The bare disk: one block after the other into a file of zeros, each confirmed before the next.

use super::{Ground, Taken};
use crate::exit::{Exit, Failure};
use mainstay_queue::Io;
use mainstay_queue::disk::{AlignedBuf, Disk, Folder, RealDisk};
use std::io;

/// What is written at once: the page and the sector of every disk in use, in bytes.
const BLOCK: usize = 4096;

/// The file that is written to, over and over: larger than what a disk merges, small enough to be made in a moment.
const FILE: usize = 32 * 1024 * 1024;

/// Zeros that are written at once when the file is made.
const PIECE: usize = 1024 * 1024;

const NAME: &str = "bare";

/// Measures; `None` where direct writes were asked for and the file system does not take them.
///
/// # Errors
/// The disk refuses.
pub(super) async fn measure(ground: &Ground, io: Io) -> Result<Option<Taken>, Failure> {
    let ground = ground.clone();
    let measuring = tokio::task::spawn_blocking(move || write_blocks(&ground, io));
    let died = |died| Failure::new(Exit::Unexpected, "measuring the disk died").because(died);
    measuring
        .await
        .map_err(died)?
        .map_err(|error| Failure::new(Exit::NoOutput, "cannot measure the disk").because(error))
}

fn write_blocks(ground: &Ground, io: Io) -> io::Result<Option<Taken>> {
    let disk = RealDisk::open(&ground.folder, io)?;
    let file = disk.create(Folder::Root, NAME)?;
    let zeros = vec![0; PIECE];
    for start in (0..FILE).step_by(PIECE) {
        file.write_at(&zeros, start as u64)?;
    }
    file.sync()?;
    let file = disk.open_for_commits(Folder::Root, NAME)?;
    let is_direct = file.system_file().is_none();
    let taken = if io == Io::Auto && !is_direct {
        None
    } else {
        let mut block = AlignedBuf::new();
        block.extend(&[b'm'; BLOCK]);
        let mut taken = Taken::default();
        let start = ground.clock.now();
        let mut last = start;
        for place in (0..FILE).step_by(BLOCK).cycle() {
            file.commit_at(block.as_slice(), place as u64)?;
            let now = ground.clock.now();
            taken.add(now.since(last), 1);
            last = now;
            if ground.time <= now.since(start) || ground.stop.is_cancelled() {
                break;
            }
        }
        Some(taken.end(last.since(start)))
    };
    disk.remove(Folder::Root, NAME)?;
    Ok(taken)
}
