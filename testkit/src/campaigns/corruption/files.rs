//! The files beside the log: FORMAT, snapshot, watermark, lanes. Without them, with any bit of them wrong, or with blocks in
//! them that belong elsewhere, a queue holds what it held.

use super::cases::{Broken, judge_all};
use super::damages::{Damaged, at_every_length, blocks, flip};
use super::judge::{Judged, open, same};
use super::originals::{Ending, Original};
use crate::verdict::Verdict;
use mainstay_queue::disk::Folder;

/// The files that no document depends on.
const FILES: [&str; 4] = ["FORMAT", "snapshot", "watermark", "lanes"];

/// They are small: what a disk misplaces, and pieces that are smaller than any, so that each field has its turn.
const PIECES: [usize; 3] = [16, 512, 4096];

/// Damages them; `foreign` is another queue. Returns how many bits were flipped, and how many other cases there were.
pub(super) fn run(original: &Original, foreign: &Original) -> Result<(usize, usize), Verdict> {
    let (mut flipped, mut others) = (0, 0);
    for name in FILES {
        let Some(bytes) = original.image.get(Folder::Root, name) else {
            continue;
        };
        // What lies behind is filled up with zeros that nobody reads.
        let said = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let of = |from: &Original| from.image.get(Folder::Root, name).cloned();
        let mut donors = vec![(
            "its life before",
            original.stale.get(Folder::Root, name).cloned(),
        )];
        donors.push(("another queue", of(foreign)));
        for other in FILES.iter().filter(|other| **other != name) {
            let file = original.image.get(Folder::Root, other).cloned();
            donors.push((*other, file));
        }
        let donors: Vec<(&str, &[u8])> = donors
            .iter()
            .filter_map(|(name, bytes)| Some((*name, bytes.as_ref()?.as_slice())))
            .collect();
        let mut cases: Vec<Damaged> = (0..said * 8).map(|bit| flip(bytes, bit)).collect();
        flipped += cases.len();
        cases.extend(at_every_length(bytes, said, 1));
        cases.extend(blocks(bytes, said, &PIECES, &donors));
        others += cases.len();
        judge_all(original.seed, cases.len(), &|number| {
            judge(original, name, &cases[number])
        })?;
    }
    Ok((flipped, others - flipped))
}

fn judge(original: &Original, name: &str, case: &Damaged) -> Result<Judged, Broken> {
    let image = match &case.bytes {
        Some(bytes) => original.image.with(Folder::Root, name, bytes.clone()),
        None => original.image.without(Folder::Root, name),
    };
    let seen = open(&image, &original.config).and_then(|seen| {
        if seen.recovery.torn_groups != 0 || seen.recovery.documents_unreadable != 0 {
            return Err(format!("{:?}", seen.recovery));
        }
        same(&original.contents, &seen)
    });
    match seen {
        Ok(()) => Ok(Judged::default()),
        Err(error) => {
            let (ending, what) = (original.ending.words(), &case.what);
            let what = format!("{name} after {ending}, {what}: {error}");
            Err(Broken { what, image })
        }
    }
}

/// Whether the files beside the log are damaged after this ending too.
pub(super) fn are_there(ending: Ending) -> bool {
    matches!(ending, Ending::Killed | Ending::Clean)
}
