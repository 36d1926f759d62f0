//! Many cases on all cores, each judged; the first that breaks a promise is kept.

use super::judge::{Harm, Judged, judge};
use super::memory::Image;
use super::originals::{Original, SEGMENT};
use crate::verdict::Verdict;
use mainstay_queue::disk::Folder;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A segment after something was done to it.
pub(super) struct Case {
    /// What was done, in words.
    pub(super) what: String,
    pub(super) bytes: Vec<u8>,
    pub(super) harm: Harm,
}

/// A promise that was broken, and the queue that shows it.
pub(super) struct Broken {
    pub(super) what: String,
    pub(super) image: Image,
}

/// Judges so many cases of a queue's segment.
pub(super) fn run_all(
    original: &Original,
    count: usize,
    case: &(dyn Fn(usize) -> Case + Sync),
) -> Result<Judged, Verdict> {
    judge_all(original.seed, count, &|number| {
        let case = case(number);
        let image = original.image.with(Folder::Root, SEGMENT, case.bytes);
        judge(original, &image, &case.harm).map_err(|error| Broken {
            what: format!(
                "{} after {}, {}: {error}",
                SEGMENT,
                original.ending.words(),
                case.what
            ),
            image,
        })
    })
}

/// Judges so many cases of anything.
pub(super) fn judge_all(
    seed: u64,
    count: usize,
    judge: &(dyn Fn(usize) -> Result<Judged, Broken> + Sync),
) -> Result<Judged, Verdict> {
    let next = AtomicUsize::new(0);
    let total = Mutex::new(Judged::default());
    let first = Mutex::new(None::<(usize, Verdict)>);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut mine = Judged::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if count <= number {
                break;
            }
            match judge(number) {
                Ok(judged) => mine.add(judged),
                Err(Broken { what, image }) => {
                    note(&first, number, || violation(what, seed, &image));
                    // Nobody goes further than this one.
                    next.fetch_max(count, Ordering::Relaxed);
                }
            }
        }
        if let Ok(mut total) = total.lock() {
            total.add(mine);
        }
    };
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    match first.into_inner() {
        Ok(None) => Ok(total.into_inner().unwrap_or_default()),
        Ok(Some((_, verdict))) => Err(verdict),
        Err(_) => Err(Verdict::HarnessBroken("a judge panicked".to_owned())),
    }
}

fn note(first: &Mutex<Option<(usize, Verdict)>>, number: usize, verdict: impl FnOnce() -> Verdict) {
    if let Ok(mut first) = first.lock()
        && first.as_ref().is_none_or(|(before, _)| number < *before)
    {
        *first = Some((number, verdict()));
    }
}

/// A broken promise, with the queue that showed it.
pub(super) fn violation(what: String, seed: u64, image: &Image) -> Verdict {
    Verdict::Violation {
        what,
        seed,
        kept: keep(image),
    }
}

/// Writes a queue's folder where a person can open it.
fn keep(image: &Image) -> Option<PathBuf> {
    let folder = tempfile::Builder::new()
        .prefix("mainstay-corruption-")
        .disable_cleanup(true)
        .tempdir()
        .ok()?;
    let folder = folder.path().to_owned();
    for (place, path) in [
        (Folder::Root, folder.clone()),
        (Folder::Bodies, folder.join("bodies")),
        (Folder::Damaged, folder.join("damaged")),
    ] {
        fs::create_dir_all(&path).ok()?;
        for name in image.names(place) {
            let bytes = image.get(place, name)?;
            fs::write(path.join(name), bytes.as_slice()).ok()?;
        }
    }
    Some(folder)
}
