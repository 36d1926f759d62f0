//! Short texts with a checksum behind them: what is remembered of files, for people and for us.
//!
//! The last line is `checksum ` and the SHA-256 of all that stands before it.

use crate::integrity::{Algorithm, Checksum};
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

/// Puts the checksum behind a text of whole lines.
pub(crate) fn seal(text: String) -> Vec<u8> {
    let sum = Checksum::of(Algorithm::Sha256, text.as_bytes());
    let mut bytes = text.into_bytes();
    bytes.extend(format!("checksum {sum}\n").into_bytes());
    bytes
}

/// The text before the checksum; `None` where a single bit is not as it was written.
pub(crate) fn open(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (told, sum) = text.strip_suffix('\n')?.rsplit_once("checksum ")?;
    // As text: one form of it is right, and a letter that became a capital is a flipped bit.
    (Checksum::of(Algorithm::Sha256, told.as_bytes()).to_string() == sum).then_some(told)
}

/// Bytes as printable ASCII: `%` and all else is written `%xx`.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if matches!(byte, b' '..=b'~') && *byte != b'%' {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02x}").expect("a string takes everything that is written to it");
        }
    }
    text
}

/// The bytes that [`escaped`] made a text of.
pub(crate) fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push((high << 4 | low) as u8);
    }
    Some(bytes)
}

/// The path that these bytes are.
#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "elsewhere not all bytes are a path"
)]
pub(crate) fn path_from(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
pub(crate) fn path_from(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes)
        .ok()
        .map(OsString::from)
        .map(PathBuf::from)
}
