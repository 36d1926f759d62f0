//! Memory that direct writes can be made from.

use crate::wire::Put;

/// Bytes that start at a multiple of 4096 in memory.
#[derive(Debug)]
pub struct AlignedBuf {
    memory: Box<[u8]>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    const ALIGN: usize = 4096;
    const FIRST: usize = 64 * 1024;
    /// More than this is given back when it is emptied.
    const KEPT: usize = 1024 * 1024;

    /// An empty one.
    pub fn new() -> Self {
        Self::with_capacity(Self::FIRST)
    }

    fn with_capacity(capacity: usize) -> Self {
        let memory = vec![0; capacity + Self::ALIGN].into_boxed_slice();
        let start = memory.as_ptr().align_offset(Self::ALIGN);
        Self {
            memory,
            start,
            len: 0,
        }
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    /// The bytes, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }

    /// Empties it.
    pub fn clear(&mut self) {
        if self.capacity() > Self::KEPT {
            *self = Self::new();
        }
        self.len = 0;
    }

    /// Appends zeros until it holds `len` bytes.
    pub fn pad_to(&mut self, len: usize) {
        if self.len < len {
            self.reserve(len - self.len);
            let end = self.start + self.len;
            self.memory[end..self.start + len].fill(0);
            self.len = len;
        }
    }

    /// Appends bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        let end = self.start + self.len;
        self.memory[end..end + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn capacity(&self) -> usize {
        self.memory.len() - self.start
    }

    /// Makes room for so many bytes more, so that appending them moves nothing.
    pub fn reserve(&mut self, more: usize) {
        let needed = self.len + more;
        if self.capacity() < needed {
            let mut larger = Self::with_capacity(needed.next_power_of_two());
            larger.extend(self.as_slice());
            *self = larger;
        }
    }
}

impl Default for AlignedBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl Put for AlignedBuf {
    fn put(&mut self, bytes: &[u8]) {
        self.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_aligned_while_it_grows() {
        let mut bytes = AlignedBuf::new();
        for round in 0..40u8 {
            bytes.extend(&[round; 8000]);
            assert_eq!(bytes.as_slice().as_ptr().align_offset(4096), 0);
        }
        assert_eq!(bytes.len(), 320_000);
        assert_eq!(bytes.as_slice()[319_999], 39);
        bytes.pad_to(327_680);
        assert_eq!(bytes.as_slice()[320_000], 0);
    }
}
