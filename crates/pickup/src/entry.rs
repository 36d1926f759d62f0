//! What the names in `work/` say, and in the claimed folder of a drop folder on another file system.
//!
//! ```text
//! 0197a3…-…-…c2.report.csv        a taken file: claim, dot, path below the drop folder ('/' is written %2F, '%' is written %25)
//! 0197a3…-…-…c2=report.csv        a copy of one that waits in the claimed folder of its own file system
//! 0197a3…-…-…c2@report.csv.done   its marker
//! 0197a3…-…-…c2!                  its whole path, where the name above had to be cut
//! 0197a3…-…-…c2^                  a copy without a claim to anything: removed at the next start
//! ```

use crate::claim::Claim;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// The longest name that Linux file systems take, in bytes.
pub(crate) const NAME_MAX: usize = 255;

/// A claim is written with 36 characters, and one more says what the entry is.
const HEAD: usize = 37;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A taken file, moved here.
    File,
    /// A copy of a taken file that lies on another file system.
    Copy,
    /// The marker of a taken file.
    Marker,
    /// The whole path of a taken file, as content.
    Origin,
    /// A private copy that nothing depends on.
    Scratch,
}

impl Role {
    const ALL: [Self; 5] = [
        Self::File,
        Self::Copy,
        Self::Marker,
        Self::Origin,
        Self::Scratch,
    ];

    fn sign(self) -> u8 {
        match self {
            Self::File => b'.',
            Self::Copy => b'=',
            Self::Marker => b'@',
            Self::Origin => b'!',
            Self::Scratch => b'^',
        }
    }
}

/// One entry, as its name tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) claim: Claim,
    pub(crate) role: Role,
    /// The path below the drop folder; cut short where an [`Role::Origin`] stands beside it, empty where the role has none.
    pub(crate) relative: PathBuf,
}

impl Entry {
    /// Reads a name; `None` where it is not one of ours.
    pub(crate) fn read(name: &OsStr) -> Option<Self> {
        let (head, rest) = name.as_bytes().split_at_checked(HEAD)?;
        let (claim, sign) = head.split_at(HEAD - 1);
        let claim = std::str::from_utf8(claim).ok()?.parse().ok()?;
        let role = Role::ALL.into_iter().find(|role| role.sign() == sign[0])?;
        let relative = PathBuf::from(OsString::from_vec(unescape(rest)));
        let has_path = matches!(role, Role::File | Role::Copy | Role::Marker);
        if has_path != is_below(&relative) || (!has_path && !rest.is_empty()) {
            return None;
        }
        Some(Self {
            claim,
            role,
            relative,
        })
    }

    /// The name, and whether the path had to be cut to fit.
    pub(crate) fn name(claim: Claim, role: Role, relative: &Path) -> (OsString, bool) {
        let mut name = claim.to_string().into_bytes();
        name.push(role.sign());
        let mut path = escape(relative);
        let is_cut = path.len() > NAME_MAX - HEAD;
        path.truncate(whole_characters(&path, NAME_MAX - HEAD));
        name.extend(path);
        (OsString::from_vec(name), is_cut)
    }
}

/// Whether a path stays below the folder that it starts from, and names something in it.
pub(crate) fn is_below(relative: &Path) -> bool {
    relative.file_name().is_some()
        && relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

/// The longest beginning of at most `room` bytes that does not end inside a UTF-8 character, where the bytes are UTF-8.
pub(crate) fn whole_characters(bytes: &[u8], room: usize) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.floor_char_boundary(room),
        Err(_) => room.min(bytes.len()),
    }
}

fn escape(relative: &Path) -> Vec<u8> {
    let bytes = relative.as_os_str().as_bytes();
    let mut escaped = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'/' => escaped.extend(b"%2F"),
            b'%' => escaped.extend(b"%25"),
            _ => escaped.push(byte),
        }
    }
    escaped
}

fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, used) = match (first, tail) {
            (b'%', [b'2', b'F', ..]) => (b'/', 3),
            (b'%', [b'2', b'5', ..]) => (b'%', 3),
            _ => (first, 1),
        };
        bytes.push(byte);
        rest = &rest[used..];
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: Claim = Claim::from_bytes([0x01; 16]);

    fn back(role: Role, relative: &OsStr) -> Entry {
        let (name, is_cut) = Entry::name(CLAIM, role, Path::new(relative));
        assert!(!is_cut);
        Entry::read(&name).expect("our own name is read back")
    }

    #[test]
    fn every_path_comes_back_byte_for_byte() {
        let paths: [&[u8]; 6] = [
            b"report.csv",
            b"a/b/c.csv",
            b"100%.csv",
            b"%2F",
            b"m\xfcll \n.csv",
            b"x!",
        ];
        for path in paths {
            for role in [Role::File, Role::Copy, Role::Marker] {
                let entry = back(role, OsStr::from_bytes(path));
                assert_eq!((entry.claim, entry.role), (CLAIM, role));
                assert_eq!(entry.relative.as_os_str().as_bytes(), path);
            }
        }
    }

    #[test]
    fn a_plain_name_keeps_its_bytes() {
        let (name, _) = Entry::name(CLAIM, Role::File, Path::new("report.csv"));
        assert_eq!(name, OsString::from(format!("{CLAIM}.report.csv")));
    }

    #[test]
    fn a_long_name_is_cut_between_characters_to_what_the_disk_takes() {
        let (name, is_cut) = Entry::name(CLAIM, Role::File, Path::new(&"ü".repeat(127)));
        assert!(is_cut);
        assert_eq!(name.len(), NAME_MAX);
        assert!(name.to_str().is_some());
        let (name, is_cut) = Entry::name(
            CLAIM,
            Role::File,
            Path::new(&format!("x{}", "ü".repeat(127))),
        );
        assert!(is_cut);
        assert_eq!(name.len(), NAME_MAX - 1);
        assert!(name.to_str().is_some());
    }

    #[test]
    fn a_name_that_leads_out_of_the_folder_is_not_ours() {
        for rest in [
            ".",
            "...",
            ".%2Fetc%2Fpasswd",
            "...%2Fx",
            "!x",
            "^x",
            "",
            "?x",
        ] {
            let name = OsString::from(format!("{CLAIM}{rest}"));
            // `...` is the sign and the parent folder; `.` is the sign and nothing.
            assert_eq!(Entry::read(&name), None, "{rest}");
        }
        assert_eq!(Entry::read(OsStr::new("report.csv")), None);
    }
}
