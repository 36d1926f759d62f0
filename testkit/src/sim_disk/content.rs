//! What a file holds: shown to readers, on the platter, and on the way from the one to the other.

use std::sync::Arc;

/// A page of the cache, in bytes.
const PAGE: usize = 4096;

/// The bytes of a file; pages that were never written are zeros and take no memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) len: u64,
    pages: Vec<Option<Arc<[u8; PAGE]>>>,
}

/// A change of a file that is not on the platter yet.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Bytes(u64, Arc<[u8]>),
    Zeros(u64, u64),
    Len(u64),
}

/// A file, whatever its name is.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) shown: Content,
    pub(super) kept: Content,
    pub(super) unsynced: Vec<Change>,
    /// A sync failed: what is shown and what is kept differ by more than what is unsynced.
    pub(super) lies: bool,
}

impl Content {
    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> usize {
        let wanted = (bytes.len() as u64).min(self.len.saturating_sub(offset)) as usize;
        let mut done = 0;
        while done < wanted {
            let at = offset as usize + done;
            let (page, start) = (at / PAGE, at % PAGE);
            let step = (PAGE - start).min(wanted - done);
            let target = &mut bytes[done..done + step];
            match self.pages.get(page).and_then(Option::as_ref) {
                Some(page) => target.copy_from_slice(&page[start..start + step]),
                None => target.fill(0),
            }
            done += step;
        }
        wanted
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        self.len = self.len.max(offset + bytes.len() as u64);
        let mut done = 0;
        while done < bytes.len() {
            let at = offset as usize + done;
            let start = at % PAGE;
            let step = (PAGE - start).min(bytes.len() - done);
            self.page(at / PAGE)[start..start + step].copy_from_slice(&bytes[done..done + step]);
            done += step;
        }
    }

    pub(super) fn zero(&mut self, offset: u64, len: u64) {
        let end = offset + len;
        self.len = self.len.max(end);
        let mut at = offset;
        while at < end {
            let (page, start) = ((at as usize) / PAGE, (at as usize) % PAGE);
            let step = ((PAGE - start) as u64).min(end - at);
            if let Some(Some(known)) = self.pages.get_mut(page) {
                if step as usize == PAGE {
                    self.pages[page] = None;
                } else {
                    Arc::make_mut(known)[start..start + step as usize].fill(0);
                }
            }
            at += step;
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let old = self.len;
            self.zero(len, old - len);
            self.pages.truncate((len as usize).div_ceil(PAGE));
        }
        self.len = len;
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Bytes(offset, bytes) => self.write(bytes, *offset),
            Change::Zeros(offset, len) => self.zero(*offset, *len),
            Change::Len(len) => self.set_len(*len),
        }
    }

    pub(super) fn flip(&mut self, bit: u64) {
        let at = (bit / 8) as usize;
        self.page(at / PAGE)[at % PAGE] ^= 1 << (bit % 8);
    }

    fn page(&mut self, number: usize) -> &mut [u8; PAGE] {
        if self.pages.len() <= number {
            self.pages.resize(number + 1, None);
        }
        Arc::make_mut(self.pages[number].get_or_insert_with(|| Arc::new([0; PAGE])))
    }
}

impl Inode {
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        self.change(if bytes.iter().all(|byte| *byte == 0) {
            Change::Zeros(offset, bytes.len() as u64)
        } else {
            Change::Bytes(offset, bytes.into())
        });
    }

    pub(super) fn change(&mut self, change: Change) {
        self.shown.apply(&change);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        if self.lies {
            for change in self.unsynced.drain(..) {
                self.kept.apply(&change);
            }
        } else {
            self.kept.clone_from(&self.shown);
            self.unsynced.clear();
        }
    }

    /// Readers are shown what is on the platter, and what is on the way to it.
    pub(super) fn drop_cache(&mut self) {
        if self.lies {
            self.shown = self.kept.clone();
            for change in &self.unsynced {
                self.shown.apply(change);
            }
            self.lies = false;
        }
    }
}
