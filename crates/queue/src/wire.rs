//! Numbers and strings as little-endian bytes, read with every bound checked.

#![warn(clippy::indexing_slicing)]

/// The bytes end early, or say something that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads a value after the other; never past the end.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// Bytes behind their length in 16 bits.
    pub(crate) fn short_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// Text behind its length in 16 bits.
    pub(crate) fn short_text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.short_bytes()?).map_err(|_| Malformed)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// That nothing is left over.
    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

/// Appends values to bytes.
pub(crate) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    /// Bytes behind their length in 16 bits; what is longer is cut.
    fn put_short_bytes(&mut self, bytes: &[u8]) {
        let cut = bytes.get(..usize::from(u16::MAX)).unwrap_or(bytes);
        self.put_u16(cut.len() as u16);
        self.put(cut);
    }

    /// Text behind its length in 16 bits; what is longer is cut between two characters.
    fn put_short_text(&mut self, text: &str) {
        let end = text.floor_char_boundary(usize::from(u16::MAX));
        self.put_short_bytes(text.get(..end).unwrap_or_default().as_bytes());
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test that cannot go on ends")]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_read_back() {
        let mut bytes = Vec::new();
        bytes.put_u8(1);
        bytes.put_u16(2);
        bytes.put_u32(3);
        bytes.put_u64(4);
        bytes.put_short_text("fünf");
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(2));
        assert_eq!(reader.u32(), Ok(3));
        assert_eq!(reader.u64(), Ok(4));
        assert_eq!(reader.short_text(), Ok("fünf"));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut reader = Reader::new(&[255, 255, 1]);
        assert_eq!(reader.short_bytes(), Err(Malformed));
        assert_eq!(Reader::new(&[1]).u16(), Err(Malformed));
        assert_eq!(Reader::new(&[1]).finish(), Err(Malformed));
    }

    #[test]
    fn text_that_is_too_long_is_cut_between_characters() {
        let mut bytes = Vec::new();
        bytes.put_short_text(&"é".repeat(40_000));
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.short_text().unwrap().chars().count(), 32_767);
    }
}
