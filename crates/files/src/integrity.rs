//! Whether a file is still what it was: its checksum, and a file beside it that remembers it.

mod sidecar;

use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::{facts_of, open_regular};
use sha2::Digest as _;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

pub use sidecar::{checksum_line, sidecar_path, verify_sidecar, write_sidecar};

/// How much is read at once: large enough that the calls cost nothing beside the hash, small enough for the processor's cache.
const PIECE: usize = 256 * 1024;

/// The longest checksum, in bytes.
const LONGEST: usize = 32;

/// How a checksum is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-256, for everything that is new.
    #[default]
    Sha256,
    /// BLAKE3: faster above some KiB, and as strong.
    Blake3,
    /// SHA-1, for files whose checksum others published. It sees accidents, and no longer whoever means harm.
    Sha1,
    /// MD5, likewise.
    Md5,
}

/// The checksum of a content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum {
    algorithm: Algorithm,
    /// Zeros behind the end of a shorter one.
    bytes: [u8; LONGEST],
}

/// What comparing a file with its remembered checksum says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// It is what it was.
    Verified(Checksum),
    /// It is not.
    Mismatch {
        /// What was remembered.
        expected: Checksum,
        /// What it has now.
        found: Checksum,
    },
    /// Nobody knows: nothing was remembered that could be compared; the reason is for people.
    Unknown(String),
}

/// The text is no checksum of that algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAChecksum;

/// The checksum of the file at `path`, read in pieces of 256 KiB whatever its length.
///
/// # Errors
///
/// [`ErrorKind::NotFound`]; [`ErrorKind::IsSymlink`] and [`ErrorKind::NotRegular`]; [`ErrorKind::Permission`];
/// [`ErrorKind::Changed`] where somebody wrote to it meanwhile.
pub fn checksum(path: &Path, algorithm: Algorithm) -> Result<Checksum, Error> {
    let attempt = Attempt::new("compute the checksum of", path, "");
    let (mut file, before) = open_regular(path)?;
    let sum = of_file(&mut file, algorithm).map_err(|error| attempt.failed(error))?;
    if facts_of(&file)? != before {
        return Err(attempt.refused(ErrorKind::Changed, "somebody wrote to it meanwhile"));
    }
    Ok(sum)
}

fn of_file(file: &mut File, algorithm: Algorithm) -> io::Result<Checksum> {
    copy_hashed(file, &mut io::sink(), algorithm).map(|(_, sum)| sum)
}

/// Hands everything from `from` on to `to`; answers its length, and its checksum.
pub(crate) fn copy_hashed(
    from: &mut dyn Read,
    to: &mut dyn Write,
    algorithm: Algorithm,
) -> io::Result<(u64, Checksum)> {
    let mut hasher = Hasher::new(algorithm);
    let mut piece = vec![0; PIECE];
    let mut len = 0;
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok((len, hasher.end())),
            Ok(read) => piece.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(read);
        to.write_all(read)?;
        len += read.len() as u64;
    }
}

/// A checksum that is computed piece by piece.
#[derive(Debug)]
pub struct Hasher {
    algorithm: Algorithm,
    state: State,
}

enum State {
    Sha256(sha2::Sha256),
    Blake3(Box<blake3::Hasher>),
    Sha1(sha1::Sha1),
    Md5(md5::Md5),
}

impl Hasher {
    /// One that has seen nothing.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Blake3 => State::Blake3(Box::default()),
            Algorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            Algorithm::Md5 => State::Md5(md5::Md5::new()),
        };
        Self { algorithm, state }
    }

    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.state {
            State::Sha256(state) => state.update(piece),
            State::Blake3(state) => drop(state.update(piece)),
            State::Sha1(state) => state.update(piece),
            State::Md5(state) => state.update(piece),
        }
    }

    /// The checksum of all pieces.
    pub fn end(self) -> Checksum {
        match self.state {
            State::Sha256(state) => Checksum::new(self.algorithm, &state.finalize()),
            State::Blake3(state) => Checksum::new(self.algorithm, state.finalize().as_bytes()),
            State::Sha1(state) => Checksum::new(self.algorithm, &state.finalize()),
            State::Md5(state) => Checksum::new(self.algorithm, &state.finalize()),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

// === impl Algorithm ===

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sha256, Self::Blake3, Self::Sha1, Self::Md5];

    /// Its name, which is also the extension of its sidecars: `sha256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
            Self::Sha1 => "sha1",
            Self::Md5 => "md5",
        }
    }

    /// The length of its checksums, in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha1 => 20,
            Self::Md5 => 16,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Checksum ===

impl Checksum {
    fn new(algorithm: Algorithm, sum: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        for (to, from) in bytes.iter_mut().zip(sum) {
            *to = *from;
        }
        Self { algorithm, bytes }
    }

    /// The checksum of bytes in memory.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.end()
    }

    /// How it was computed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..self.algorithm.length())
            .unwrap_or_default()
    }

    /// Reads the hexadecimal form, in upper or lower case.
    ///
    /// # Errors
    ///
    /// [`NotAChecksum`] where it has another length than this algorithm's, or other characters.
    pub fn from_hex(algorithm: Algorithm, text: &str) -> Result<Self, NotAChecksum> {
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|digit| digit.to_digit(16).map(|value| value as u8))
            .collect();
        let digits = digits
            .filter(|digits| digits.len() == 2 * algorithm.length())
            .ok_or(NotAChecksum)?;
        let bytes: Vec<u8> = digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        Ok(Self::new(algorithm, &bytes))
    }
}

/// In lower case.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.algorithm)
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownAlgorithm)
    }
}

/// There is no algorithm of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownAlgorithm;

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there are sha256, blake3, sha1 and md5")
    }
}

impl std::error::Error for UnknownAlgorithm {}

impl fmt::Display for NotAChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a checksum: it has another length, or other characters than 0 to 9 and a to f",
        )
    }
}

impl std::error::Error for NotAChecksum {}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests play the writer")]
mod tests {
    use super::*;

    /// What the standards say of `abc`: FIPS 180-4, RFC 1321, and the test vectors of BLAKE3's authors.
    #[test]
    fn a_checksum_is_that_of_the_standard() {
        let of = |algorithm| Checksum::of(algorithm, b"abc").to_string();
        assert_eq!(
            Algorithm::ALL.map(of),
            [
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
                "a9993e364706816aba3e25717850c26c9cd0d89d",
                "900150983cd24fb0d6963f7d28e17f72",
            ]
        );
    }

    #[test]
    fn a_file_of_any_length_has_the_checksum_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let bytes: Vec<u8> = (0..len).map(|place| place as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            for algorithm in Algorithm::ALL {
                assert_eq!(
                    checksum(&path, algorithm).unwrap(),
                    Checksum::of(algorithm, &bytes),
                    "{algorithm} of {len} bytes"
                );
            }
        }
    }

    #[test]
    fn what_is_no_file_has_no_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |path: &Path| checksum(path, Algorithm::Sha256).unwrap_err().kind();
        assert_eq!(kind(&folder.path().join("missing")), ErrorKind::NotFound);
        assert_eq!(kind(folder.path()), ErrorKind::NotRegular);
    }

    #[test]
    fn the_written_form_is_read_back_in_either_case_and_nothing_else() {
        for algorithm in Algorithm::ALL {
            let sum = Checksum::of(algorithm, b"x");
            let text = sum.to_string();
            assert_eq!(Checksum::from_hex(algorithm, &text), Ok(sum));
            assert_eq!(Checksum::from_hex(algorithm, &text.to_uppercase()), Ok(sum));
            for wrong in [
                &text[1..],
                &format!("{text}0"),
                &format!("g{}", &text[1..]),
                "",
            ] {
                assert!(Checksum::from_hex(algorithm, wrong).is_err(), "{wrong}");
            }
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
        assert_eq!("crc32".parse::<Algorithm>(), Err(UnknownAlgorithm));
    }
}
