//! Every bit of a segment, one at a time.

use super::cases::{Case, run_all};
use super::judge::{Harm, Judged};
use super::originals::{Ending, Original, SEGMENT_BYTES};
use crate::verdict::Verdict;

/// In the short form the endings beside the first have every bit flipped whose number is a multiple of this: a prime, so
/// that all bits of a byte and all bytes of a record have their turn.
const STRIDE: usize = 61;

/// Flips bits and returns what was seen, and how many.
pub(super) fn run(original: &Original, is_long: bool) -> Result<(Judged, usize), Verdict> {
    let stride = match original.ending {
        Ending::Killed => 1,
        _ if is_long => 1,
        _ => STRIDE,
    };
    let bits = SEGMENT_BYTES * 8 / stride;
    let case = |number: usize| {
        let bit = number * stride;
        let mut bytes = original.segment().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Case {
            what: format!("bit {bit} of the segment flipped (byte {})", bit / 8),
            bytes,
            harm: Harm::at(bit / 8..bit / 8 + 1),
        }
    };
    run_all(original, bits, &case).map(|judged| (judged, bits))
}
