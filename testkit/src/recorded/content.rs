//! What lies on a disk, in memory, without the zeros.

use anyhow::Result;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// What is kept, or not, as one; a page.
const BLOCK: usize = 4096;

/// The bytes of a disk; a copy shares what neither of the two changes.
#[derive(Clone, Debug)]
pub struct Content {
    len: u64,
    /// By number; whatever is missing is zero.
    blocks: BTreeMap<u64, Arc<[u8; BLOCK]>>,
}

impl Content {
    /// A disk of zeros, `len` bytes long.
    pub fn new(len: u64) -> Self {
        Self {
            len,
            blocks: BTreeMap::new(),
        }
    }

    /// What lies in a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(file: &File) -> Result<Self> {
        let mut content = Self::new(file.metadata()?.len());
        let mut block = [0; BLOCK];
        for number in 0..content.len / BLOCK as u64 {
            file.read_exact_at(&mut block, number * BLOCK as u64)?;
            if block != [0; BLOCK] {
                content.blocks.insert(number, Arc::new(block));
            }
        }
        Ok(content)
    }

    /// Makes a file hold this and nothing else; zeros are holes.
    ///
    /// # Errors
    /// What the system says.
    pub fn pour_into(&self, file: &File) -> Result<()> {
        file.set_len(0)?;
        file.set_len(self.len)?;
        for (number, block) in &self.blocks {
            file.write_all_at(&block[..], number * BLOCK as u64)?;
        }
        Ok(())
    }

    /// Its length, in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no room at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is there, up to `len` bytes.
    pub fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let len = self.len.saturating_sub(offset).min(len as u64) as usize;
        let mut bytes = vec![0; len];
        for (number, inner, part) in parts(offset, len) {
            if let Some(block) = self.blocks.get(&number) {
                bytes[part.clone()].copy_from_slice(&block[inner..inner + part.len()]);
            }
        }
        bytes
    }

    /// Takes what is written; what lies behind the end is left out.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        let len = self.len.saturating_sub(offset).min(bytes.len() as u64) as usize;
        for (number, inner, part) in parts(offset, len) {
            let block = self
                .blocks
                .entry(number)
                .or_insert_with(|| Arc::new([0; BLOCK]));
            let into = &mut Arc::make_mut(block)[inner..inner + part.len()];
            into.copy_from_slice(&bytes[part]);
        }
    }
}

/// The blocks that a range touches: the number of each, where the range begins in it, and which part of the range it has.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let inner = (at % BLOCK as u64) as usize;
        let part = done..len.min(done + BLOCK - inner);
        done = part.end;
        (!part.is_empty()).then_some((at / BLOCK as u64, inner, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_a_copy_keeps_what_it_had() {
        let mut disk = Content::new(3 * BLOCK as u64);
        disk.write(4000, &[1; 200]);
        let before = disk.clone();
        disk.write(4096, &[2; 10]);
        let expected = |second: u8| [vec![0], vec![1; 96], vec![second; 10], vec![1; 94], vec![0]];
        assert_eq!(disk.read(3999, 202), expected(2).concat());
        assert_eq!(before.read(3999, 202), expected(1).concat());
    }

    #[test]
    fn nothing_is_read_or_written_behind_the_end() {
        let mut disk = Content::new(BLOCK as u64);
        disk.write(4090, &[1; 20]);
        assert_eq!(disk.read(4090, 100), [1; 6]);
        assert_eq!(disk.read(5000, 1), Vec::<u8>::new());
        assert_eq!(disk.blocks.len(), 1);
    }

    #[test]
    fn a_file_gets_all_of_it_and_loses_what_it_had() {
        let mut disk = Content::new(4 * BLOCK as u64);
        disk.write(5000, b"here");
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[9; 16_000], 0).unwrap();
        disk.pour_into(&file).unwrap();
        let back = Content::of(&file).unwrap();
        assert_eq!(back.len(), disk.len());
        assert_eq!(back.read(0, 16_384), disk.read(0, 16_384));
        assert_eq!(back.blocks.len(), 1);
    }
}
