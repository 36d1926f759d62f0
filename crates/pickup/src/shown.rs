//! How a name from outside looks in a message: nothing in it can hide, move or end the line.

use std::fmt::{self, Write};
use std::path::Path;

/// A path to be put into a message; bytes that are not UTF-8, and characters that do not print, are escaped.
pub(crate) struct Shown<'a>(pub(crate) &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_os_str().as_encoded_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\'' | '"' | '\\' => f.write_char(character)?,
                    _ => write!(f, "{}", character.escape_debug())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_name_cannot_break_the_line_or_turn_it_round() {
        assert_eq!(
            Shown(Path::new("a\nb\u{202e}c")).to_string(),
            "a\\nb\\u{202e}c"
        );
        let latin = OsStr::from_bytes(b"m\xfcll.json");
        assert_eq!(Shown(Path::new(latin)).to_string(), "m\\xfcll.json");
    }
}
