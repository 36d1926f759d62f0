//! The files beside the log: FORMAT, snapshot, watermark, lanes, large bodies. Without them, or with any bit of them wrong, a
//! queue holds what it held.

use super::cases::violation;
use super::judge::{open, same};
use super::memory::Image;
use super::originals::{Ending, Original};
use crate::verdict::Verdict;
use anyhow::{Context, Result};
use mainstay_queue::disk::Folder;
use mainstay_queue::{Config, Io, NewBody, NewDocument, Queue};
use std::path::Path;

/// Bits of a large body that are flipped in the short form: every so many, a prime.
const BODY_STRIDE: usize = 10_007;
const BODY_BYTES: usize = 300 * 1024;

/// Damages FORMAT, snapshot, watermark and the names of the lanes in every bit and at every length; returns how many cases there were.
pub(super) fn run(original: &Original) -> Result<usize, Verdict> {
    let mut cases = 0;
    for name in ["FORMAT", "snapshot", "watermark", "lanes"] {
        let Some(bytes) = original.image.get(Folder::Root, name) else {
            continue;
        };
        for (what, changed) in damaged(bytes) {
            cases += 1;
            let image = match changed {
                Some(changed) => original.image.with(Folder::Root, name, changed),
                None => original.image.without(Folder::Root, name),
            };
            let seen = open(&image, &original.config).and_then(|seen| {
                if seen.recovery.torn_groups != 0 || seen.recovery.documents_unreadable != 0 {
                    return Err(format!("{:?}", seen.recovery));
                }
                same(&original.contents, &seen)
            });
            if let Err(error) = seen {
                let ending = original.ending.words();
                let what = format!("{name} after {ending}, {what}: {error}");
                return Err(violation(what, original.seed, &image));
            }
        }
    }
    Ok(cases)
}

/// Every bit flipped, every length, zeros, and no file at all.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = (String, Option<Vec<u8>>)> {
    // What lies behind is filled up with zeros that nobody reads.
    let said = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let flips = (0..said * 8).map(move |bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {bit} flipped"), Some(changed))
    });
    let cuts = (0..=said).map(move |len| (format!("cut to {len}"), Some(bytes[..len].to_vec())));
    let zeros = Some(vec![0; bytes.len()]);
    flips
        .chain(cuts)
        .chain([("zeroed".to_owned(), zeros), ("removed".to_owned(), None)])
}

/// Damages a large body; returns how many cases there were.
pub(super) fn bodies(seed: u64) -> Result<Result<usize, Verdict>> {
    let folder = tempfile::tempdir()?;
    let config = Config {
        segment_bytes: 64 * 1024,
        first_segment_bytes: 64 * 1024,
        reserve_bytes: 0,
        io: Io::Buffered,
        ..Config::default()
    };
    let large = crate::Random::new(seed).bytes(BODY_BYTES);
    let (queue, _) = Queue::open(folder.path(), config.clone())?;
    let lane = queue.declare_lane("main")?;
    queue.enqueue_blocking(NewDocument::new(vec![lane], b"small".to_vec()))?;
    let mut writer = queue.body_writer()?;
    writer.write(&large)?;
    let mut document = NewDocument::new(vec![lane], Vec::new());
    document.body = NewBody::File(writer.finish()?);
    queue.enqueue_blocking(document)?;
    queue.close_blocking();
    drop(queue);
    let image = load(folder.path())?;
    let name = image
        .names(Folder::Bodies)
        .next()
        .context("a large body is a file")?
        .to_owned();
    let flips = (0..BODY_BYTES * 8).step_by(BODY_STRIDE).map(|bit| {
        let mut changed = large.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {bit} flipped"), Some(changed))
    });
    let others = [0, 1, 4096, BODY_BYTES - 1].map(|len| Some(large[..len].to_vec()));
    let others = others.into_iter().chain([Some(vec![0; BODY_BYTES]), None]);
    let others = others.map(|bytes| ("cut, zeroed or removed".to_owned(), bytes));
    let mut cases = 0;
    for (what, changed) in flips.chain(others) {
        cases += 1;
        let image = match changed {
            Some(changed) => image.with(Folder::Bodies, &name, changed),
            None => image.without(Folder::Bodies, &name),
        };
        if let Err(error) = judge_body(&image, &config) {
            let what = format!("a large body, {what}: {error}");
            return Ok(Err(violation(what, seed, &image)));
        }
    }
    Ok(Ok(cases))
}

/// That the large one is not handed out, is counted and reported, and that the other is there.
fn judge_body(image: &Image, config: &Config) -> Result<(), String> {
    let seen = open(image, config)?;
    let ledger = seen.ledger;
    let is_right = seen.documents.len() == 1
        && seen.documents.values().all(|(body, _)| body == b"small")
        && (ledger.accepted, ledger.queued, ledger.unreadable) == (2, 1, 1)
        && seen.damage.len() == 1;
    if is_right {
        Ok(())
    } else {
        Err(format!("{ledger:?}, {:?}", seen.damage))
    }
}

fn load(root: &Path) -> Result<Image> {
    let mut image = Image::default();
    for (folder, path) in [
        (Folder::Root, root.to_owned()),
        (Folder::Bodies, root.join("bodies")),
    ] {
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                image = image.with(folder, &name, std::fs::read(entry.path())?);
            }
        }
    }
    Ok(image)
}

/// Whether the files beside the log are damaged after this ending too.
pub(super) fn are_there(ending: Ending) -> bool {
    matches!(ending, Ending::Killed | Ending::Clean)
}
