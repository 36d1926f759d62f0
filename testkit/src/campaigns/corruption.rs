//! Every bit of a segment and of the files beside it flipped, and worse: detected, named, counted, and never handed out.
//!
//! All of it happens in memory, on the queue's real code: a queue is made, one thing in its folder is changed, and it
//! is opened and read as a whole. A second reader of the format (`map.rs`) says which bytes mean something; every
//! other byte may change without a trace, and none of these. The queue ends in four ways, because what a start may
//! believe depends on it.

mod blocks;
mod bodies;
mod cases;
mod damages;
mod files;
mod flips;
mod judge;
mod lies;
mod map;
mod memory;
mod originals;

use super::Effort;
use crate::verdict::{Figure, Verdict};
use anyhow::{Context, Result};
use judge::{Harm, Judged, judge};
use mainstay_queue::disk::Folder;
use originals::{Ending, Original, SEGMENT};
use std::time::Instant;

/// In the short form a segment is cut at every length that is a multiple of this; in the long form at every length.
const CUT_STRIDE: usize = 7;

pub(super) fn run(effort: Effort) -> Verdict {
    match campaign(effort) {
        Ok(Ok(tally)) => {
            let others = tally.blocks + tally.cuts + tally.files + tally.lies;
            Verdict::Pass(tally.words())
                .with(Figure::BitFlips, (tally.flips + tally.file_flips) as u64)
                .with(Figure::Damages, others as u64)
        }
        Ok(Err(verdict)) => verdict,
        Err(error) => Verdict::from(error),
    }
}

/// What was done.
#[derive(Debug, Default)]
struct Tally {
    flips: usize,
    flip_seconds: f64,
    blocks: usize,
    cuts: usize,
    /// Bits of the files beside the segment.
    file_flips: usize,
    files: usize,
    lies: usize,
    judged: Judged,
}

impl Tally {
    fn words(&self) -> String {
        format!(
            "{} bits flipped ({:.0} a second), {} blocks lost or misplaced, {} lengths cut, {} bits of other files and {} other damages of them, {} false numbers; {} of the segment were damage, {} torn tails, {} in dead bytes, {} where a clean start reads nothing",
            self.flips,
            self.flips as f64 / self.flip_seconds.max(0.001),
            self.blocks,
            self.cuts,
            self.file_flips,
            self.files,
            self.lies,
            self.judged.damaged,
            self.judged.torn,
            self.judged.dead,
            self.judged.unread,
        )
    }
}

fn campaign(effort: Effort) -> Result<Result<Tally, Verdict>> {
    let mut tally = Tally::default();
    for ending in Ending::ALL {
        let original = originals::make(effort.seed, ending)?;
        // The judge has to find nothing where nothing was done.
        judge(&original, &original.image, &Harm::at(0..0))
            .map_err(anyhow::Error::msg)
            .context("a queue that is whole")?;
        if let Err(verdict) = harm(&original, effort, &mut tally)? {
            return Ok(Err(verdict));
        }
    }
    match bodies::run(effort.seed, effort.is_long)? {
        Ok((flips, others)) => {
            tally.file_flips += flips;
            tally.files += others;
            println!("  {flips} bits and {others} other damages of a body in a file");
        }
        Err(verdict) => return Ok(Err(verdict)),
    }
    Ok(Ok(tally))
}

fn harm(original: &Original, effort: Effort, tally: &mut Tally) -> Result<Result<(), Verdict>> {
    let foreign = originals::make(original.seed + 1, original.ending)?;
    let others = others(original, &foreign)?;
    let mut phases = || {
        let start = Instant::now();
        let (judged, flips) = flips::run(original, effort.is_long)?;
        tally.judged.add(judged);
        tally.flips += flips;
        tally.flip_seconds += start.elapsed().as_secs_f64();
        let (judged, blocks) = blocks::run(original, &others)?;
        tally.judged.add(judged);
        tally.blocks += blocks;
        let stride = if effort.is_long { 1 } else { CUT_STRIDE };
        let (judged, cuts) = blocks::cut(original, stride)?;
        tally.judged.add(judged);
        tally.cuts += cuts;
        if files::are_there(original.ending) {
            let (flips, others) = files::run(original, &foreign)?;
            tally.file_flips += flips;
            tally.files += others;
            tally.lies += lies::run(original)?;
        }
        println!(
            "  {flips} bits, {blocks} blocks, {cuts} lengths after {}",
            original.ending.words()
        );
        Ok(())
    };
    Ok(phases())
}

/// Blocks that may turn up in the segment: of its earlier life, and of another queue.
fn others(original: &Original, foreign: &Original) -> Result<blocks::Others> {
    Ok(blocks::Others {
        earlier: original.earlier.clone(),
        foreign: foreign
            .image
            .get(Folder::Root, SEGMENT)
            .context("the other queue has the segment too")?
            .to_vec(),
    })
}
