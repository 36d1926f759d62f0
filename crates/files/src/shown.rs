//! How a path looks in a message: nothing in a name can hide, move or end the line.

use std::fmt::{self, Write};
use std::path::Path;

/// A path or a name from outside, to be put into a message: bytes that are not UTF-8, and characters that do not print, are
/// escaped.
///
/// ```
/// use mainstay_files::Shown;
/// use std::path::Path;
///
/// assert_eq!(Shown(Path::new("a\nb.csv")).to_string(), r"a\nb.csv");
/// ```
#[derive(Debug)]
pub struct Shown<'a>(pub &'a Path);

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

    #[test]
    fn a_plain_name_is_shown_as_it_is() {
        assert_eq!(
            Shown(Path::new("/a b/Prüf'ung \"1\".json")).to_string(),
            "/a b/Prüf'ung \"1\".json"
        );
    }

    #[test]
    fn a_name_cannot_break_the_line_or_turn_it_round() {
        assert_eq!(
            Shown(Path::new("a\nb\u{202e}c\u{1b}[2J")).to_string(),
            "a\\nb\\u{202e}c\\u{1b}[2J"
        );
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_utf_8_are_shown_in_hexadecimal() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let name = OsStr::from_bytes(b"m\xfcll.json");
        assert_eq!(Shown(Path::new(name)).to_string(), "m\\xfcll.json");
    }
}
