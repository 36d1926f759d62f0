//! The key that a document is stored under, and the name of its file.

use std::fmt;
use std::str::FromStr;

/// The longest key; a UUID has 36 characters.
const KEY_MAX: usize = 128;

/// The longest file name made here: the system allows 255 bytes, and a file being written needs 40 more than its own name.
const FILE_NAME_MAX: usize = 200;

/// An idempotency key: letters, digits and single hyphens between them, so that it can begin a file's name and be found
/// there again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key(String);

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The header is a quoted string in the draft standard, and bare in most programs.
        let bare = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text);
        let part_fits =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if bare.len() <= KEY_MAX && bare.split('-').all(part_fits) {
            return Ok(Self(bare.to_owned()));
        }
        Err(format!(
            "Idempotency-Key has to be 1 to {KEY_MAX} letters, digits and single hyphens, such as a UUID"
        ))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Key {
    /// The name of the file that keeps this key's document: `<key>`, or `<key>--<safe name>` where the source has a name.
    pub(crate) fn file_name(&self, source: Option<&[u8]>) -> String {
        let room = FILE_NAME_MAX - self.0.len() - 2;
        match source.filter(|source| !source.is_empty()) {
            Some(source) => format!(
                "{}--{}",
                self.0,
                shortened(&mainstay_paths::safe_file_name(source), room)
            ),
            None => self.0.clone(),
        }
    }

    /// The key that a stored file belongs to, or none if the file is not one of ours.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        let key = name.split_once("--").map_or(name, |(key, _)| key);
        key.parse().ok().filter(|parsed: &Self| parsed.0 == key)
    }
}

/// `name` in at most `room` bytes; what follows the last dot stays, because programs go by it.
fn shortened(name: &str, room: usize) -> String {
    if name.len() <= room {
        return name.to_owned();
    }
    let ending = name.rfind('.').map_or("", |dot| &name[dot..]);
    let ending = if ending.len() <= 16 { ending } else { "" };
    let mut cut = room - ending.len();
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{ending}", &name[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_a_key_and_what_could_leave_the_folder_is_not() {
        let uuid = "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6";
        assert_eq!(uuid.parse::<Key>().unwrap().to_string(), uuid);
        assert_eq!(
            format!("\"{uuid}\"").parse::<Key>().unwrap().to_string(),
            uuid
        );
        let long = "a".repeat(129);
        for text in ["", "..", "a/b", "a--b", "-a", "a-", "a b", "ü", "\"", &long] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_key_is_found_again_in_the_name_of_the_file() {
        let key: Key = "0192f0c1-2b3c".parse().unwrap();
        for source in [
            &b"report--final.json"[..],
            b"-dash",
            b"../../etc/passwd",
            b"\xff\xfe",
            b"",
        ] {
            let name = key.file_name(Some(source));
            assert!(!name.contains('/'), "{name}");
            assert_eq!(Key::of_file(&name), Some(key.clone()), "{name}");
        }
        assert_eq!(Key::of_file(&key.file_name(None)), Some(key));
        assert_eq!(Key::of_file(".lock"), None);
        assert_eq!(Key::of_file("\"a\""), None);
    }

    #[test]
    fn a_long_name_is_shortened_and_keeps_its_ending() {
        let key: Key = "a".repeat(128).parse().unwrap();
        let name = key.file_name(Some("ü".repeat(90).as_bytes()));
        assert!(name.len() <= FILE_NAME_MAX, "{}", name.len());
        let name = key.file_name(Some(format!("{}.json", "x".repeat(190)).as_bytes()));
        assert!(name.ends_with("x.json"), "{name}");
        assert!(name.len() <= FILE_NAME_MAX, "{}", name.len());
    }
}
