//! Numbers that say what cannot be, under a checksum that holds: what a fault of ours would write, or somebody who knows
//! the secret. Nothing has to be right then, but nothing panics, goes round in circles, or asks for memory that the file
//! has no bytes for: every single allocation of a start and of reading all documents is measured.

use super::cases::violation;
use super::judge::open;
use super::memory::Image;
use super::originals::{Original, SEGMENT};
use crate::allocation;
use crate::verdict::Verdict;
use mainstay_queue::disk::Folder;
use sha2::{Digest, Sha256};
use std::ops::Range;

/// A lie is written to this many bytes at the front of each record: all that have lengths in them, and the first headers.
const FRONT: usize = 112;

/// The lies: one less than a power of two, which is where lengths overflow.
const BITS: [u32; 7] = [1, 8, 15, 16, 31, 32, 63];

/// At once, a reader may ask for twice what the file has that lies, and for so many bytes more.
const ALLOWANCE: usize = 64 * 1024;

/// Writes lies into the segment and the snapshot; returns how many.
pub(super) fn run(original: &Original) -> Result<usize, Verdict> {
    let mut cases = 0;
    let most = honest(original)?;
    let mut judge = |what: String, image: Image, input: usize| {
        cases += 1;
        let (opened, largest) = allocation::largest(|| open(&image, &original.config));
        let error = match opened {
            _ if most.max(2 * input + ALLOWANCE) < largest => {
                format!("{largest} bytes of memory at once for a file of {input}")
            }
            Ok(_) => return Ok(()),
            Err(error) if error.contains("is read as") => return Ok(()),
            Err(error) => error,
        };
        Err(violation(format!("{what}: {error}"), original.seed, &image))
    };
    let segment = original.segment();
    let seed = seed_of(segment, 2);
    for record in original.map.records() {
        let front = record.start + 4..(record.start + FRONT).min(record.end);
        for (at, bits) in front.flat_map(|at| BITS.map(|bits| (at, bits))) {
            let mut bytes = segment.to_vec();
            lie(&mut bytes[record.clone()], at - record.start, bits);
            seal(&mut bytes, record.clone(), seed);
            let what = format!("2^{bits} - 1 at byte {at} of {SEGMENT}");
            judge(
                what,
                original.image.with(Folder::Root, SEGMENT, bytes),
                segment.len(),
            )?;
        }
    }
    let Some(snapshot) = original.image.get(Folder::Root, "snapshot") else {
        return Ok(cases);
    };
    let end = snapshot.len() - 4;
    let seed = seed_of(segment, 0);
    for (at, bits) in (0..end).flat_map(|at| BITS.map(|bits| (at, bits))) {
        let mut bytes = snapshot.to_vec();
        lie(&mut bytes[..end], at, bits);
        let crc = crc32c::crc32c_append(seed, &bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
        let what = format!("2^{bits} - 1 at byte {at} of the snapshot");
        judge(
            what,
            original.image.with(Folder::Root, "snapshot", bytes),
            // What a lying snapshot makes of the segment is copied aside, into memory here.
            end + segment.len(),
        )?;
    }
    if let Some(lanes) = original.image.get(Folder::Root, "lanes") {
        let end = lanes.len() - 4;
        for (at, bits) in (0..end).flat_map(|at| BITS.map(|bits| (at, bits))) {
            let mut bytes = lanes.to_vec();
            lie(&mut bytes[..end], at, bits);
            let crc = crc32c::crc32c_append(seed, &bytes[..end]);
            bytes[end..].copy_from_slice(&crc.to_le_bytes());
            let what = format!("2^{bits} - 1 at byte {at} of the names of the lanes");
            judge(what, original.image.with(Folder::Root, "lanes", bytes), end)?;
        }
    }
    Ok(cases)
}

/// The most bytes that a start asks for at once where nothing lies, with the snapshot and without: what it needs for the
/// other files.
fn honest(original: &Original) -> Result<usize, Verdict> {
    let without = original.image.without(Folder::Root, "snapshot");
    let starts = [&original.image, &without];
    let largest = starts.map(|image| allocation::largest(|| open(image, &original.config)).1);
    let most = largest.into_iter().max().unwrap_or(0);
    // A program whose memory is not counted asks for none.
    if (1..=2 * original.segment().len() + ALLOWANCE).contains(&most) {
        Ok(most)
    } else {
        let broken = format!("a start where nothing lies asks for {most} bytes of memory at once");
        Err(Verdict::HarnessBroken(broken))
    }
}

/// The seed of a segment's checksums, as `docs/formats/queue.md` has it.
fn seed_of(segment: &[u8], id: u64) -> u32 {
    let mut hasher = Sha256::new();
    hasher.update(&segment[16..32]);
    hasher.update(id.to_le_bytes());
    let [a, b, c, d, ..] = <[u8; 32]>::from(hasher.finalize());
    u32::from_le_bytes([a, b, c, d])
}

/// Writes one less than 2 to the power of `bits`, as wide as that number is.
fn lie(bytes: &mut [u8], at: usize, bits: u32) {
    let number = (1_u64 << bits) - 1;
    let width = (bits as usize).div_ceil(8).next_power_of_two();
    let end = (at + width).min(bytes.len());
    bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
}

/// Makes the checksum of a record right again; of as much as it says that it has, where that lies in the segment.
fn seal(bytes: &mut [u8], record: Range<usize>, seed: u32) {
    let says = u32::from_le_bytes([4, 5, 6, 7].map(|at| bytes[record.start + at])) as usize;
    let end = (record.start + 32).saturating_add(says).min(bytes.len());
    let crc = crc32c::crc32c_append(seed, &bytes[record.start + 4..end]);
    bytes[record.start..record.start + 4].copy_from_slice(&crc.to_le_bytes());
}
