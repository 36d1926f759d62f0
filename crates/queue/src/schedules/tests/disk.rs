//! A disk in memory that knows what would be left of it if the power went now.

use crate::disk::{Disk, DiskFile, Entry, Folder};
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

type Names = BTreeMap<(Folder, String), usize>;

/// Clones are the same disk. Each call is a step of the schedule: others may go on before it.
#[derive(Clone, Debug, Default)]
pub(super) struct MemDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    names: Names,
    durable_names: Names,
    files: Vec<File>,
    chance: u8,
}

/// What a reader is shown, and what was synced.
#[derive(Debug, Default)]
struct File {
    shown: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    disk: MemDisk,
    file: usize,
}

impl MemDisk {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap())
    }

    /// Whether these bytes would still be there after a power cut.
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        self.with(|state| {
            state.durable_names.values().any(|file| {
                let durable = &state.files[*file].durable;
                let begins = |(at, byte): (usize, &u8)| {
                    *byte == bytes[0] && durable[at..].starts_with(bytes)
                };
                durable.iter().enumerate().any(begins)
            })
        })
    }

    /// What is left of it if the power goes now.
    pub(super) fn after_power_cut(&self) -> Self {
        let left = self.with(|state| State {
            names: state.durable_names.clone(),
            durable_names: state.durable_names.clone(),
            files: (state.files.iter())
                .map(|file| File {
                    shown: file.durable.clone(),
                    durable: file.durable.clone(),
                })
                .collect(),
            chance: state.chance,
        });
        Self {
            state: Arc::new(Mutex::new(left)),
        }
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for MemDisk {
    fn list(&self, folder: Folder) -> io::Result<Vec<Entry>> {
        Ok(self.with(|state| {
            let here = state.names.iter().filter(|((of, _), _)| *of == folder);
            here.map(|((_, name), file)| Entry {
                name: name.clone(),
                len: state.files[*file].shown.len() as u64,
            })
            .collect()
        }))
    }

    fn create(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = self.with(|state| {
            let key = (folder, name.to_owned());
            if state.names.contains_key(&key) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            state.files.push(File::default());
            state.names.insert(key, state.files.len() - 1);
            Ok(state.files.len() - 1)
        })?;
        let disk = self.clone();
        Ok(Box::new(Open { disk, file }))
    }

    fn open(&self, folder: Folder, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let key = (folder, name.to_owned());
        let file = self.with(|state| state.names.get(&key).copied());
        let file = file.ok_or_else(not_found)?;
        let disk = self.clone();
        Ok(Box::new(Open { disk, file }))
    }

    fn rename(&self, folder: Folder, from: &str, to: &str) -> io::Result<()> {
        self.with(|state| {
            let file = state.names.remove(&(folder, from.to_owned()));
            let file = file.ok_or_else(not_found)?;
            state.names.insert((folder, to.to_owned()), file);
            Ok(())
        })
    }

    fn remove(&self, folder: Folder, name: &str) -> io::Result<()> {
        let gone = self.with(|state| state.names.remove(&(folder, name.to_owned())));
        gone.map(drop).ok_or_else(not_found)
    }

    fn sync_folder(&self, folder: Folder) -> io::Result<()> {
        self.with(|state| {
            state.durable_names.retain(|(of, _), _| *of != folder);
            let here = state.names.iter().filter(|((of, _), _)| *of == folder);
            let here: Vec<_> = here.map(|(key, file)| (key.clone(), *file)).collect();
            state.durable_names.extend(here);
        });
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(1 << 30)
    }

    fn fresh_bytes(&self) -> [u8; 16] {
        self.with(|state| {
            state.chance = state.chance.wrapping_add(1);
            [state.chance; 16]
        })
    }
}

impl DiskFile for Open {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.with(|state| state.files[self.file].shown.len()) as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(self.disk.with(|state| {
            let shown = &state.files[self.file].shown;
            let here = shown.get(offset as usize..).unwrap_or_default();
            let read = here.len().min(bytes.len());
            bytes[..read].copy_from_slice(&here[..read]);
            read
        }))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.with(|state| {
            let shown = &mut state.files[self.file].shown;
            let end = offset as usize + bytes.len();
            if shown.len() < end {
                shown.resize(end, 0);
            }
            shown[offset as usize..end].copy_from_slice(bytes);
        });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.with(|state| {
            let file = &mut state.files[self.file];
            file.durable.clone_from(&file.shown);
        });
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk
            .with(|state| state.files[self.file].shown.resize(len as usize, 0));
        Ok(())
    }
}
