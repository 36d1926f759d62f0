//! Many files at once, with as few waits for the disk as can be.

use crate::error::{Attempt, Error, ErrorKind};
use crate::replace::replace;
use crate::system::Dir;
use crate::target::Target;
use crate::temp::Temp;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// So many files are open at a time; systems allow 1,024 in a process.
const GROUP: usize = 64;

/// So many syncs wait side by side. A journal takes whatever waits into one commit, and a disk into one flush; more than that
/// many gained nothing on ext4 and XFS.
const WAITING: usize = 32;

/// Puts each content in the place of the file at its path, or makes it; all are durable when this returns `Ok`.
///
/// Each file is all old or all new at every instant, as by [`replace()`]; together they are not: [`Transaction`](crate::Transaction)
/// does that. Groups of 64 wait for the disk together, which takes a tenth of the time of one after the other.
///
/// # Errors
///
/// As [`replace()`], for the first file that failed. Those before it in the list may have been replaced and those behind it not; none
/// is torn, and calling it again with the whole list does no harm.
pub fn replace_all(files: &[(&Path, &[u8])]) -> Result<(), Error> {
    files.chunks(GROUP).try_for_each(replace_group)
}

/// A file that is written, and has yet to get its name.
struct Staged<'f> {
    path: &'f Path,
    bytes: &'f [u8],
    target: Target,
    /// The numbers of the folder that it will be in.
    folder: (u64, u64),
    temp: Temp,
}

fn replace_group(files: &[(&Path, &[u8])]) -> Result<(), Error> {
    let staged: Result<Vec<Staged<'_>>, Error> = files
        .iter()
        .map(|(path, bytes)| stage(path, bytes))
        .collect();
    let mut staged = staged?;
    let synced = sync_side_by_side(&mut staged);
    // The folders in which names were given, by what they are: a link leads to another one than its own.
    let mut folders: BTreeMap<(u64, u64), (Arc<Dir>, &Path)> = BTreeMap::new();
    let mut failed = None;
    for (file, synced) in staged.into_iter().zip(synced) {
        let (dir, path, key) = (Arc::clone(&file.target.dir), file.path, file.folder);
        match file.put(synced.is_ok()) {
            Ok(()) => {
                folders.entry(key).or_insert((dir, path));
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    // What has its name by now is confirmed whatever came after it.
    for (dir, path) in folders.into_values() {
        if let Err(error) = dir.sync() {
            failed.get_or_insert(unconfirmed(path, error));
        }
    }
    failed.map_or(Ok(()), Err)
}

fn stage<'f>(path: &'f Path, bytes: &'f [u8]) -> Result<Staged<'f>, Error> {
    let attempt = Attempt::new("replace", path, "nothing was written");
    let target = Target::find(&attempt, path)?;
    target.refuse_other_types(&attempt)?;
    let attempt = attempt.leaving(target.left());
    let failed = |error| attempt.failed(error);
    let mut temp =
        Temp::create(&target.dir, &target.name, target.mode_at_start()).map_err(failed)?;
    temp.write_all(bytes).map_err(failed)?;
    target.dress(&mut temp, None).map_err(failed)?;
    let folder = target.dir.own_facts().map_err(failed)?;
    Ok(Staged {
        path,
        bytes,
        folder: (folder.dev, folder.ino),
        target,
        temp,
    })
}

/// Syncs each, and answers what became of each, in their order.
fn sync_side_by_side(staged: &mut [Staged<'_>]) -> Vec<io::Result<()>> {
    let share = staged.len().div_ceil(WAITING).max(1);
    let mut answers: Vec<io::Result<()>> = Vec::new();
    answers.resize_with(staged.len(), || Ok(()));
    let shares = staged.chunks_mut(share).zip(answers.chunks_mut(share));
    let shares: Vec<_> = shares.map(Mutex::new).collect();
    let sync = |share: &Mutex<(&mut [Staged<'_>], &mut [io::Result<()>])>| {
        let mut share = share.lock().unwrap_or_else(PoisonError::into_inner);
        let (files, answers) = &mut *share;
        for (file, answer) in files.iter_mut().zip(answers.iter_mut()) {
            *answer = file.temp.sync();
        }
    };
    // The first is done here, where one would only wait for the others: a single file asks for no thread at all.
    let (own, others) = shares.split_at(shares.len().min(1));
    thread::scope(|scope| {
        for share in others {
            let spawned = thread::Builder::new().spawn_scoped(scope, || sync(share));
            if spawned.is_err() {
                // No thread is to be had: then one after the other, here.
                sync(share);
            }
        }
        own.iter().for_each(sync);
    });
    drop(shares);
    answers
}

impl Staged<'_> {
    /// Gives it its name. One whose sync failed is written again, under another name: a second sync of the same file would lie.
    fn put(self, is_synced: bool) -> Result<(), Error> {
        if !is_synced {
            drop(self.temp);
            return replace(self.path, self.bytes);
        }
        let attempt = Attempt::new("replace", self.path, self.target.left());
        self.temp
            .publish(&self.target.name)
            .map_err(|error| attempt.failed(error))
    }
}

/// The error of a folder, told of the first file in it.
fn unconfirmed(path: &Path, error: io::Error) -> Error {
    let left = "the new contents in its folder are in place, but a power cut may undo them, write them again";
    Attempt::new("replace", path, left).failed_as(ErrorKind::Unconfirmed, error)
}
