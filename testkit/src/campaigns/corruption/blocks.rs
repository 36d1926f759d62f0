//! Blocks that a disk lost, or wrote in the wrong place, or forgot to write; and a file that ends too early.

use super::cases::{Case, run_all};
use super::judge::{Harm, Judged};
use super::originals::{Original, SEGMENT_BYTES};
use crate::verdict::Verdict;

/// The smallest piece that a disk writes, and the smallest that the queue does.
const SECTOR: usize = 512;
const BLOCK: usize = 4096;
const BLOCKS: usize = SEGMENT_BYTES / BLOCK;

/// What takes a block's place.
#[derive(Clone, Copy, Debug)]
enum Instead<'a> {
    Zeros,
    /// The block of this number of the same segment; both stay or both move.
    Same {
        from: usize,
        swapped: bool,
    },
    /// The block of this number of other bytes.
    Other {
        from: usize,
        of: &'a [u8],
        name: &'static str,
    },
}

/// Segments whose blocks turn up in the wrong place.
pub(super) struct Others {
    /// What the file held in its life before.
    pub(super) earlier: Vec<u8>,
    /// The same segment of another queue.
    pub(super) foreign: Vec<u8>,
}

/// Puts wrong blocks in every place; returns what was seen, and how many cases there were.
pub(super) fn run(original: &Original, others: &Others) -> Result<(Judged, usize), Verdict> {
    let mut cases = Vec::new();
    for size in [SECTOR, BLOCK] {
        for place in 0..SEGMENT_BYTES / size {
            cases.push((size, place, Instead::Zeros));
            for (of, name) in [
                (&others.earlier, "its life before"),
                (&others.foreign, "another queue"),
            ] {
                let from = place;
                cases.push((size, place, Instead::Other { from, of, name }));
            }
        }
    }
    for place in 0..BLOCKS {
        for from in 0..BLOCKS {
            if from != place {
                let swapped = false;
                cases.push((BLOCK, place, Instead::Same { from, swapped }));
                let (of, name) = (&others.foreign, "another queue");
                cases.push((BLOCK, place, Instead::Other { from, of, name }));
            }
            if from < place {
                let swapped = true;
                cases.push((BLOCK, place, Instead::Same { from, swapped }));
            }
        }
    }
    let count = cases.len();
    let case = |number: usize| {
        let (size, place, instead) = cases[number];
        replaced(original.segment(), size, place, instead)
    };
    run_all(original, count, &case).map(|judged| (judged, count))
}

fn replaced(segment: &[u8], size: usize, place: usize, instead: Instead<'_>) -> Case {
    let here = place * size..(place + 1) * size;
    let mut bytes = segment.to_vec();
    let mut harm = Harm::at(here.clone());
    let what = match instead {
        Instead::Zeros => {
            bytes[here.clone()].fill(0);
            format!("bytes {here:?} zeroed")
        }
        Instead::Same { from, swapped } => {
            let there = from * size..(from + 1) * size;
            bytes[here.clone()].copy_from_slice(&segment[there.clone()]);
            harm.moves_groups = true;
            if swapped {
                bytes[there.clone()].copy_from_slice(&segment[here.clone()]);
                harm.swapped = there.clone();
                format!("bytes {here:?} and {there:?} swapped")
            } else {
                format!("bytes {here:?} replaced by a copy of {there:?}")
            }
        }
        Instead::Other { from, of, name } => {
            let there = from * size..(from + 1) * size;
            bytes[here.clone()].copy_from_slice(&of[there.clone()]);
            format!("bytes {here:?} replaced by {there:?} of {name}")
        }
    };
    if bytes == segment {
        harm = Harm::at(here.start..here.start);
    }
    Case { what, bytes, harm }
}

/// Ends the file at every length; returns what was seen, and how many cases there were.
pub(super) fn cut(original: &Original, stride: usize) -> Result<(Judged, usize), Verdict> {
    let count = SEGMENT_BYTES.div_ceil(stride);
    let case = |number: usize| {
        let len = number * stride;
        let harm = Harm {
            cuts: true,
            ..Harm::at(len..SEGMENT_BYTES)
        };
        Case {
            what: format!("cut to {len} bytes"),
            bytes: original.segment()[..len].to_vec(),
            harm,
        }
    };
    run_all(original, count, &case).map(|judged| (judged, count))
}
