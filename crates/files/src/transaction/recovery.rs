//! What was decided is completed, what was not goes: as often as it takes.

use super::journal::{Change, Journal};
use super::{ALIVE, JOURNAL, Transactions, checksum_if_any, discard, read_if_any};
use crate::directory::{remove, sync_dir};
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::{facts, open_regular};
use crate::lock::Lock;
use crate::system::Dir;
use crate::temp_name::TempName;
use crate::writer::Writer;
use std::io;
use std::path::{Path, PathBuf};

/// How often a free name is looked for beside a file that somebody changed.
const NAMES_MAX: u32 = 1000;

/// What a recovery found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Transactions that were decided, and are complete now.
    pub completed: u64,
    /// Transactions that were not decided, and have left nothing.
    pub rolled_back: u64,
    /// Files that somebody had changed between the crash and the recovery: what they had written is here now.
    pub kept_aside: Vec<PathBuf>,
}

/// Does it for all; the lock says that nobody else does.
pub(super) fn recover(transactions: &Transactions, _held: &Lock) -> Result<Recovered, Error> {
    let attempt = Attempt::new("recover transactions in", &transactions.folder, "");
    let failed = |error| attempt.failed(error);
    let mut recovered = Recovered::default();
    let names = Dir::open(&transactions.folder)
        .and_then(|dir| dir.names())
        .map_err(failed)?;
    for name in names {
        let folder = transactions.folder.join(&name);
        if TempName::parse(&name).is_none() || !facts(&folder).is_ok_and(|facts| facts.is_folder())
        {
            continue;
        }
        match read_if_any(&folder.join(JOURNAL))? {
            Some(bytes) => {
                let Some(journal) = Journal::decode(&bytes) else {
                    let reason = "its journal is damaged; look at the files that it names, and remove its folder";
                    let attempt = Attempt::new("recover", &folder, "it was left as it is");
                    return Err(attempt.refused(ErrorKind::Damaged, reason));
                };
                recovered.kept_aside.extend(complete(&folder, &journal)?);
                recovered.completed += 1;
            }
            // Whoever is at work holds this.
            None => match Lock::acquire(&folder.join(ALIVE)) {
                Ok(_abandoned) => {
                    discard(&folder)?;
                    recovered.rolled_back += 1;
                }
                Err(error) if error.kind() == ErrorKind::Locked => {}
                Err(error) => return Err(error),
            },
        }
    }
    Ok(recovered)
}

/// Brings every file to what the journal says, and then removes the transaction. Answers where it put what others had written.
pub(super) fn complete(folder: &Path, journal: &Journal) -> Result<Vec<PathBuf>, Error> {
    let mut kept_aside = Vec::new();
    for (number, change) in journal.changes.iter().enumerate() {
        let now = checksum_if_any(&change.path)?;
        if now == change.new {
            // It was written, but who knows whether its folder was synced.
            sync_parent(&change.path)?;
            continue;
        }
        if now != change.old && now.is_some() {
            kept_aside.push(keep_aside(&change.path)?);
        }
        apply(&folder.join(number.to_string()), change)?;
    }
    discard(folder)?;
    Ok(kept_aside)
}

fn apply(staged: &Path, change: &Change) -> Result<(), Error> {
    if change.new.is_none() {
        remove(&change.path)?;
        return sync_parent(&change.path);
    }
    let attempt = Attempt::new("write", &change.path, "it is as it was");
    let (mut content, _) = open_regular(staged)?;
    let mut writer = Writer::create(&change.path)?;
    io::copy(&mut content, &mut writer).map_err(|error| attempt.failed(error))?;
    writer.commit()
}

fn sync_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(folder) => match sync_dir(folder) {
            // Where the folder is gone there is nothing to confirm.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            synced => synced,
        },
        None => Ok(()),
    }
}

/// Copies what somebody wrote beside where it was, and says where.
fn keep_aside(path: &Path) -> Result<PathBuf, Error> {
    let mut number = 1;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".changed-{number}"));
        let aside = PathBuf::from(name);
        match crate::copy_new(path, &aside) {
            Err(error) if error.kind() == ErrorKind::Exists && number < NAMES_MAX => number += 1,
            copied => return copied.map(|()| aside),
        }
    }
}
