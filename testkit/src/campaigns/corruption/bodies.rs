//! A body in a file of its own: whatever becomes of its bytes, it is not handed out, it is counted, and all others are there.

use super::cases::{Broken, judge_all};
use super::damages::{Damaged, at_every_length, blocks, flip};
use super::judge::{Judged, open};
use super::memory::Image;
use crate::verdict::Verdict;
use anyhow::{Context, Result};
use mainstay_queue::disk::Folder;
use mainstay_queue::{Config, Io, NewBody, NewDocument, Queue};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::Path;

/// Five blocks and a part of one: small, so that each bit has its turn. A body of any length may be in a file.
const BYTES: usize = 5 * 4096 + 123;

/// What a disk writes, and what a file system does.
const PIECES: [usize; 2] = [512, 4096];

/// In the short form every so many bits are flipped, and the file is cut at every so many lengths: primes.
const BIT_STRIDE: usize = 97;
const CUT_STRIDE: usize = 61;

/// A queue with two bodies of one length in files, and a document without.
struct Original {
    seed: u64,
    image: Image,
    config: Config,
    /// The body that is damaged, and the other.
    bodies: [Vec<u8>; 2],
}

/// Damages a body; returns how many bits were flipped, and how many other cases there were.
pub(super) fn run(seed: u64, is_long: bool) -> Result<Result<(usize, usize), Verdict>> {
    let (original, foreign) = (make(seed)?, make(seed + 1)?);
    let body = &original.bodies[0];
    let (bits, lengths) = if is_long {
        (1, 1)
    } else {
        (BIT_STRIDE, CUT_STRIDE)
    };
    let log = original.image.get(Folder::Root, "seg-0000000001.log");
    let donors: [(&str, &[u8]); 3] = [
        ("another document", &original.bodies[1]),
        ("another queue", &foreign.bodies[0]),
        ("the log", log.context("there is a log")?),
    ];
    let mut longer = body.clone();
    longer.resize(BYTES + 4096, 0);
    let mut cases: Vec<Damaged> = at_every_length(body, BYTES, lengths).collect();
    cases.extend(blocks(body, BYTES, &PIECES, &donors));
    cases.push(Damaged {
        what: "continued with zeros".to_owned(),
        bytes: Some(longer),
    });
    let flipped = (BYTES * 8).div_ceil(bits);
    let judged = judge_all(seed, flipped, &|number| {
        judge(&original, &flip(body, number * bits))
    })
    .and_then(|_| {
        judge_all(seed, cases.len(), &|number| {
            judge(&original, &cases[number])
        })
    })
    .and_then(|_| judge_all(seed, 1, &|_| judge_swapped(&original)));
    Ok(judged.map(|_| (flipped, cases.len() + 1)))
}

fn make(seed: u64) -> Result<Original> {
    let folder = tempfile::tempdir()?;
    let config = Config {
        segment_bytes: 64 * 1024,
        first_segment_bytes: 64 * 1024,
        reserve_bytes: 0,
        io: Io::Buffered,
        ..Config::default()
    };
    let mut random = crate::Random::new(seed);
    let bodies = [random.bytes(BYTES), random.bytes(BYTES)];
    let (queue, _) = Queue::open(folder.path(), config.clone())?;
    let lane = queue.declare_lane("main")?;
    queue.enqueue_blocking(NewDocument::new(vec![lane], b"small".to_vec()))?;
    for body in &bodies {
        let mut writer = queue.body_writer()?;
        writer.write(body)?;
        let mut document = NewDocument::new(vec![lane], Vec::new());
        document.body = NewBody::File(writer.finish()?);
        queue.enqueue_blocking(document)?;
    }
    queue.close_blocking();
    drop(queue);
    let original = Original {
        seed,
        image: load(folder.path())?,
        config,
        bodies,
    };
    // The judge has to find nothing where nothing was done.
    judge_image(&original, &original.image, &[0, 1])
        .map_err(anyhow::Error::msg)
        .context("a queue with bodies that is whole")?;
    Ok(original)
}

/// The name of a body's file.
fn name(body: &[u8]) -> String {
    let mut name = String::new();
    for byte in Sha256::digest(body) {
        write!(name, "{byte:02x}").expect("writing to a string does not fail");
    }
    name
}

fn judge(original: &Original, case: &Damaged) -> Result<Judged, Broken> {
    let name = name(&original.bodies[0]);
    let image = match &case.bytes {
        Some(bytes) => original.image.with(Folder::Bodies, &name, bytes.clone()),
        None => original.image.without(Folder::Bodies, &name),
    };
    judged(original, image, &[1], &case.what)
}

/// Each of two bodies has the name of the other.
fn judge_swapped(original: &Original) -> Result<Judged, Broken> {
    let [one, other] = &original.bodies;
    let image = original
        .image
        .with(Folder::Bodies, &name(one), other.clone());
    let image = image.with(Folder::Bodies, &name(other), one.clone());
    judged(original, image, &[], "swapped with another")
}

fn judged(
    original: &Original,
    image: Image,
    whole: &[usize],
    what: &str,
) -> Result<Judged, Broken> {
    match judge_image(original, &image, whole) {
        Ok(()) => Ok(Judged::default()),
        Err(error) => {
            let what = format!("a body, {what} (seed {}): {error}", original.seed);
            Err(Broken { what, image })
        }
    }
}

/// That these bodies and the document without are there, and that every other is counted and reported, once.
fn judge_image(original: &Original, image: &Image, whole: &[usize]) -> Result<(), String> {
    let seen = open(image, &original.config)?;
    let mut expected: Vec<&[u8]> = vec![b"small"];
    expected.extend(whole.iter().map(|number| &*original.bodies[*number]));
    let mut there: Vec<&[u8]> = seen.documents.values().map(|(body, _)| &**body).collect();
    expected.sort_unstable();
    there.sort_unstable();
    let ledger = seen.ledger;
    let (queued, lost) = (1 + whole.len() as u64, 2 - whole.len() as u64);
    let is_right = there == expected
        && (ledger.accepted, ledger.queued, ledger.unreadable) == (3, queued, lost)
        && seen.damage.len() as u64 == lost;
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
