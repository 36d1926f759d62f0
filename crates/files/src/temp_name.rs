//! How our temporary files are called, so that the next start knows them, and touches nobody else's.
//!
//! ```text
//! .state.json.mainstay-tmp-0004d2a1b29f03c7
//!  └ target ┘              └ pid┘└ b┘└rand┘     16 hexadecimal digits:
//!                                               6 process, 4 tag of the boot, 6 random
//! ```

use crate::boot;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};

const MARK: &str = ".mainstay-tmp-";
const DIGITS: usize = 16;

/// The longest name that every Linux file system takes, in bytes.
const NAME_MAX: usize = 255;

/// The part of a temporary name that says whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TempName {
    /// Number of the process that made it; Linux has no more than 2^22, so 24 bits hold it.
    pub(crate) pid: u32,
    /// A tag of the boot during which it was made.
    pub(crate) boot: u16,
    random: u32,
}

impl TempName {
    /// A name of this process that nobody can guess.
    pub(crate) fn new() -> Self {
        if let Some(random) = crate::simulated::random() {
            // Of a process that is dead when the next one sweeps: no process has this number.
            return Self {
                pid: 0x00ff_ffff,
                boot: boot::tag(),
                random: random as u32 & 0x00ff_ffff,
            };
        }
        // The standard library seeds each of these from the system's random source.
        let random = RandomState::new().hash_one(MARK) as u32;
        Self {
            pid: std::process::id() & 0x00ff_ffff,
            boot: boot::tag(),
            random: random & 0x00ff_ffff,
        }
    }

    /// The whole name beside `target`, which is cut where both together would be too long.
    pub(crate) fn beside(self, target: &OsStr) -> OsString {
        let room = NAME_MAX - 1 - MARK.len() - DIGITS;
        let mut name = OsString::from(".");
        name.push(cut(target, room));
        name.push(MARK);
        name.push(format!(
            "{:06x}{:04x}{:06x}",
            self.pid, self.boot, self.random
        ));
        name
    }

    /// Reads a name that [`beside`](Self::beside) made; `None` for every other.
    pub(crate) fn parse(name: &OsStr) -> Option<Self> {
        let bytes = name.as_encoded_bytes();
        let (rest, digits) = bytes.split_at_checked(bytes.len().checked_sub(DIGITS)?)?;
        let target = rest.strip_suffix(MARK.as_bytes())?.strip_prefix(b".")?;
        if target.is_empty()
            || !digits
                .iter()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        {
            return None;
        }
        let number = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        Some(Self {
            pid: (number >> 40) as u32,
            boot: (number >> 24) as u16,
            random: (number & 0x00ff_ffff) as u32,
        })
    }
}

/// The longest beginning of `name` within `room` bytes that does not end inside a character.
fn cut(name: &OsStr, room: usize) -> OsString {
    let bytes = name.as_encoded_bytes();
    if bytes.len() <= room {
        return name.to_owned();
    }
    // What is not text is cut where it stops being text: a file system may insist on whole characters.
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let text = text.split_at(text.floor_char_boundary(room)).0;
    OsString::from(if text.is_empty() { "file" } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_made_is_read_back() {
        for target in [
            "a",
            "state.json",
            ".hidden",
            "with.mainstay-tmp-0123456789abcdef",
        ] {
            let name = TempName::new();
            assert_eq!(
                TempName::parse(&name.beside(OsStr::new(target))),
                Some(name),
                "{target}"
            );
        }
    }

    #[test]
    fn the_longest_target_name_still_has_a_temporary_one() {
        for target in ["a".repeat(255), "ü".repeat(127), "日".repeat(85)] {
            let name = TempName::new();
            let whole = name.beside(OsStr::new(&target));
            assert!(whole.len() <= NAME_MAX, "{}", whole.len());
            assert!(
                whole.to_str().is_some(),
                "cut inside a character: {}",
                whole.display()
            );
            assert_eq!(TempName::parse(&whole), Some(name));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_long_name_of_odd_bytes_still_has_a_temporary_one() {
        use std::os::unix::ffi::OsStrExt;
        let name = TempName::new();
        let whole = name.beside(OsStr::from_bytes(&[0xff; 255]));
        assert!(whole.len() <= NAME_MAX);
        assert_eq!(TempName::parse(&whole), Some(name));
    }

    #[test]
    fn a_thousand_names_differ() {
        let names: std::collections::BTreeSet<_> = (0..1000)
            .map(|_| TempName::new().beside(OsStr::new("x")))
            .collect();
        // 24 random bits: two of a thousand are alike once in 34 runs, three hardly ever.
        assert!(names.len() >= 998, "{}", names.len());
    }
}
