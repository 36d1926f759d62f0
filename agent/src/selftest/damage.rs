//! Copies of a queue, each with some bytes of its log or bodies changed, zeroed or cut off.

use super::chance::Chance;
use super::{Ground, Verdict, blocking, library};
use crate::exit::Failure;
use mainstay_queue::disk::{Disk, Folder, RealDisk};
use mainstay_queue::{Error, Io};
use std::fmt;
use std::path::Path;

/// Documents in the queue.
const DOCUMENTS: u32 = 200;

/// Copies that are damaged in a short run.
const COPIES: u64 = 32;

/// What a file system loses at once, in bytes.
const BLOCK: u64 = 4096;

/// A flipped bit lies in one record.
const FLIP_COSTS: u64 = 1;

/// Two blocks hold parts of at most three groups, with one small document each.
const ZEROS_COST: u64 = 3;

/// So often a place is looked for where something was written; segments made ahead are empty.
const LOOKS: usize = 1_000;

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip { at: u64 },
    Zero { at: u64 },
    Cut { at: u64 },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flip { at } => write!(f, "a bit flipped at byte {at}"),
            Self::Zero { at } => write!(f, "two blocks zeroed at byte {at}"),
            Self::Cut { at } => write!(f, "cut off at byte {at}"),
        }
    }
}

/// Tries it.
///
/// # Errors
/// None; all it meets is in the verdict.
pub(super) async fn try_out(ground: &Ground) -> Result<Verdict, Failure> {
    let ground = ground.clone();
    blocking(move || damage_copies(&ground)).await
}

fn damage_copies(ground: &Ground) -> Result<Verdict, String> {
    let start = ground.clock.now();
    let whole = ground.folder.join("whole");
    fill(&whole).map_err(|error| format!("a queue could not be filled: {error}"))?;
    let mut chance = ground.chance();
    let (mut copies, mut lost) = (0, 0);
    while copies < COPIES && !ground.stop.is_cancelled() || ground.goes_on(start) {
        let copy = tempfile::TempDir::new_in(&ground.folder)
            .map_err(|error| format!("no folder for a copy: {error}"))?;
        let queue = copy.path().join("queue");
        copy_queue(&whole, &queue)
            .map_err(|error| format!("a queue could not be copied: {error}"))?;
        let (what, damage) = spoil(&queue, &mut chance)
            .map_err(|error| format!("a copy could not be damaged: {error}"))?;
        let found = look(&queue, damage);
        lost +=
            found.map_err(|found| format!("`{what}`, {damage}: {found} (seed {})", ground.seed))?;
        copies += 1;
    }
    Ok(Verdict::Pass(format!(
        "{copies} damaged copies with {DOCUMENTS} documents each: all opened, {lost} documents lost and counted, none wrong"
    )))
}

fn fill(folder: &Path) -> Result<(), Error> {
    let (queue, lane) = library::open(folder)?;
    for number in 0..DOCUMENTS {
        library::store(&queue, lane, number)?;
    }
    queue.close_blocking();
    Ok(())
}

fn copy_queue(from: &Path, to: &Path) -> Result<(), mainstay_files::Error> {
    for folder in ["", "bodies"] {
        let (from, to) = (from.join(folder), to.join(folder));
        mainstay_files::create_dir_all(&to, 0o700)?;
        let entries = std::fs::read_dir(&from).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.path().is_file() && entry.file_name() != "LOCK") {
            mainstay_files::copy_new(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Damages one file; says which, and how.
fn spoil(queue: &Path, chance: &mut Chance) -> std::io::Result<(String, Damage)> {
    let disk = RealDisk::open(queue, Io::Buffered)?;
    let mut files: Vec<(Folder, String, u64)> = Vec::new();
    for folder in [Folder::Root, Folder::Bodies] {
        let entries = disk.list(folder)?.into_iter();
        let entries = entries.filter(|entry| {
            matches!(folder, Folder::Bodies) || entry.name.starts_with("seg-") && 0 < entry.len
        });
        files.extend(entries.map(|entry| (folder, entry.name, entry.len)));
    }
    files.sort_by(|one, other| one.1.cmp(&other.1));
    let (folder, name, at) = somewhere(&disk, &files, chance)?;
    let len = files
        .iter()
        .find(|file| file.1 == name)
        .map_or(0, |file| file.2);
    let file = disk.open(folder, &name)?;
    let damage = match chance.below(4) {
        0 => Damage::Cut { at },
        1 => Damage::Zero {
            at: at / BLOCK * BLOCK,
        },
        _ => Damage::Flip { at },
    };
    match damage {
        Damage::Flip { at } => {
            let mut byte = [0];
            file.read_at(&mut byte, at)?;
            byte[0] ^= 1 << chance.below(8);
            file.write_at(&byte, at)?;
        }
        Damage::Zero { at } => {
            let zeros = vec![0; (2 * BLOCK).min(len - at) as usize];
            file.write_at(&zeros, at)?;
        }
        Damage::Cut { at } => file.set_len(at)?,
    }
    file.sync()?;
    Ok((name, damage))
}

/// A place where something was written, in one of the files.
fn somewhere(
    disk: &RealDisk,
    files: &[(Folder, String, u64)],
    chance: &mut Chance,
) -> std::io::Result<(Folder, String, u64)> {
    for _ in 0..LOOKS {
        let Some((folder, name, len)) = files.get(chance.below(files.len() as u64) as usize) else {
            break;
        };
        // Most is in the log: a body is chosen every fourth time.
        if matches!(folder, Folder::Bodies) && chance.below(4) != 0 {
            continue;
        }
        let at = chance.below(*len);
        let mut byte = [0];
        disk.open(*folder, name)?.read_at(&mut byte, at)?;
        if byte != [0] {
            return Ok((*folder, name.clone(), at));
        }
    }
    Err(std::io::Error::other("the queue holds nothing"))
}

/// Opens a damaged queue and takes everything out of it; how many documents were lost, or what is wrong.
fn look(folder: &Path, damage: Damage) -> Result<u64, String> {
    let (queue, lane) =
        library::open(folder).map_err(|error| format!("it did not open: {error}"))?;
    let back = library::take(&queue, lane, usize::MAX)
        .map_err(|error| format!("it could not be emptied: {error}"))?;
    let ledger = queue.ledger();
    queue.close_blocking();
    if let Some(number) = back.changed.first() {
        return Err(format!("document {number} came back with another content"));
    }
    if let Some((number, times)) = back.whole.iter().find(|(_, times)| **times != 1) {
        return Err(format!("document {number} came {times} times"));
    }
    let lost = ledger.unreadable + u64::from(back.damaged);
    if back.whole.len() as u64 + lost != u64::from(DOCUMENTS) || !ledger.is_balanced() {
        return Err(format!(
            "{} documents came back and {lost} were reported lost, of {DOCUMENTS}",
            back.whole.len()
        ));
    }
    let most = match damage {
        Damage::Flip { .. } => FLIP_COSTS,
        Damage::Zero { .. } => ZEROS_COST,
        Damage::Cut { .. } => u64::from(DOCUMENTS),
    };
    if most < lost {
        return Err(format!("{lost} documents were lost, where {most} may be"));
    }
    Ok(lost)
}
