//! The folder that keeps what was received: one file for each key, whole or absent.

use super::key::Key;
use crate::exit::{Exit, Failure};
use mainstay_files::{ErrorKind, Lock, Writer};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Not a key, so never taken for a document.
const LOCK_FILE: &str = ".receiver.lock";

/// What is stored, and who is storing what at this moment.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    entries: Mutex<HashMap<Key, Entry>>,
    /// Told whenever an arrival ended, either way.
    arrived: Notify,
    counters: Counters,
    _lock: Lock,
}

#[derive(Debug, Clone)]
enum Entry {
    Arriving,
    Stored { file_name: String, len: u64 },
}

/// What was done since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Keys that were answered with "already there".
    pub(crate) duplicates: AtomicU64,
    /// Requests that were answered with an error or not at all.
    pub(crate) refused: AtomicU64,
}

/// What `GET /status` answers.
#[derive(Debug, Serialize)]
pub(crate) struct StoreStatus {
    stored: u64,
    bytes: u64,
    duplicates: u64,
    refused: u64,
}

/// What a key turned out to be.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nobody has stored it: it is ours to store.
    New(Arrival),
    /// It was stored before, in this file.
    There(PathBuf),
}

/// The right to store one key; given back when dropped.
#[derive(Debug)]
pub(crate) struct Arrival {
    store: Arc<Store>,
    key: Key,
}

impl Store {
    /// Opens the folder, makes it if it is missing, and lists what it has.
    ///
    /// # Errors
    /// Another receiver has it, or the folder cannot be made or read.
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
        let shown = dir.display();
        let cannot = |what: &str| {
            Failure::new(
                Exit::StartFailed,
                format!("cannot {what} the store `{shown}`"),
            )
        };
        mainstay_files::create_dir_all(dir, 0o755).map_err(|error| {
            cannot("make")
                .because(error)
                .help("name another folder with --store, or let this user write there")
        })?;
        let lock = Lock::acquire(&dir.join(LOCK_FILE)).map_err(|error| match error.kind() {
            ErrorKind::Locked => {
                Failure::new(Exit::InUse, format!("cannot use the store `{shown}`"))
                    .because(error)
                    .help("stop the other receiver, or choose another folder with --store")
            }
            _ => cannot("lock").because(error),
        })?;
        mainstay_files::sweep(dir).map_err(|error| cannot("clean up").because(error))?;
        let entries = list(dir).map_err(|error| cannot("list").because(error))?;
        Ok(Self {
            dir: dir.to_owned(),
            entries: Mutex::new(entries),
            arrived: Notify::new(),
            counters: Counters::default(),
            _lock: lock,
        })
    }

    /// Finds out whether `key` is stored; waits while another request is storing it.
    pub(crate) async fn find(self: &Arc<Self>, key: &Key) -> Found {
        loop {
            let mut arrived = std::pin::pin!(self.arrived.notified());
            // Registered before looking, so that an arrival that ends in between is not missed.
            arrived.as_mut().enable();
            {
                let mut entries = self.entries();
                match entries.get(key) {
                    Some(Entry::Stored { file_name, .. }) => {
                        return Found::There(self.dir.join(file_name));
                    }
                    Some(Entry::Arriving) => {}
                    None => {
                        entries.insert(key.clone(), Entry::Arriving);
                        return Found::New(Arrival {
                            store: self.clone(),
                            key: key.clone(),
                        });
                    }
                }
            }
            arrived.await;
        }
    }

    /// How many documents and bytes it keeps, and what happened since the start.
    pub(crate) fn status(&self) -> StoreStatus {
        let mut status = StoreStatus {
            stored: 0,
            bytes: 0,
            duplicates: self.counters.duplicates.load(Ordering::Relaxed),
            refused: self.counters.refused.load(Ordering::Relaxed),
        };
        for entry in self.entries().values() {
            if let Entry::Stored { len, .. } = entry {
                status.stored += 1;
                status.bytes += len;
            }
        }
        status
    }

    /// The counters that the server keeps up to date.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrival {
    /// Starts the file of this document; nobody sees it before [`keep`](Self::keep).
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub(crate) fn writer(&self, file_name: &str) -> Result<Writer, mainstay_files::Error> {
        Writer::create(&self.store.dir.join(file_name))
    }

    /// Makes the document durable under its final name; from here on the key is answered with "already there".
    ///
    /// # Errors
    /// As [`Writer::commit_new`]; nothing is stored.
    pub(crate) fn keep(
        self,
        writer: Writer,
        file_name: String,
        len: u64,
    ) -> Result<(), mainstay_files::Error> {
        writer.commit_new()?;
        self.store
            .entries()
            .insert(self.key.clone(), Entry::Stored { file_name, len });
        Ok(())
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        {
            let mut entries = self.store.entries();
            if matches!(entries.get(&self.key), Some(Entry::Arriving)) {
                entries.remove(&self.key);
            }
        }
        self.store.arrived.notify_waiters();
    }
}

fn list(dir: &Path) -> std::io::Result<HashMap<Key, Entry>> {
    let mut entries = HashMap::new();
    for item in std::fs::read_dir(dir)? {
        let item = item?;
        let Ok(file_name) = item.file_name().into_string() else {
            continue;
        };
        let metadata = item.metadata()?;
        if let Some(key) = Key::of_file(&file_name).filter(|_| metadata.is_file()) {
            entries.insert(
                key,
                Entry::Stored {
                    file_name,
                    len: metadata.len(),
                },
            );
        }
    }
    Ok(entries)
}
