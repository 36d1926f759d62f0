//! Content that a later process can make again from its name.

use crate::random::Random;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// `len` bytes and a line before them that says what they are.
pub fn content(name: &str, number: u64, len: usize) -> Vec<u8> {
    let mut bytes = format!("{name} {number} {len}\n").into_bytes();
    let seed = name
        .bytes()
        .fold(number, |seed, byte| seed.wrapping_mul(31) ^ u64::from(byte));
    bytes.extend(Random::new(seed).bytes(len));
    bytes
}

/// The name and the number of some content, if it is whole.
pub(super) fn read(bytes: &[u8]) -> Option<(String, u64)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut words = line.split(' ');
    let (name, number, len) = (words.next()?, words.next()?, words.next()?);
    let (number, len) = (number.parse().ok()?, len.parse().ok()?);
    (content(name, number, len) == bytes).then(|| (name.to_owned(), number))
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_is_cut_or_changed_is_not_taken_for_itself() {
        let mut whole = content("a", 3, 100);
        assert_eq!(read(&whole), Some(("a".to_owned(), 3)));
        assert_eq!(read(&whole[..whole.len() - 1]), None);
        assert_eq!(read(b""), None);
        *whole.last_mut().expect("a byte") ^= 1;
        assert_eq!(read(&whole), None);
    }
}
