//! What is remembered of a backup, as text that people can read, with a checksum of its own:
//!
//! ```text
//! mainstay-backup 1
//! id 20261121T142253.123Z-0000
//! path /srv/app/settings.json
//! length 1234
//! sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
//! mode 644
//! owner 1000:1000
//! modified 1795270900.000000000
//! reason overwrite
//! by mainstay 0.1.0, process 4711, user 1000
//! checksum 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
//! ```
//!
//! In a path `%` and what is no printable ASCII is written `%xx`.

use super::{Backup, BackupId, Reason};
use crate::integrity::{Algorithm, Checksum};
use crate::sealed::{self, escaped, path_from, unescaped};
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

const FIRST_LINE: &str = "mainstay-backup 1";

/// The most that is read of one, in bytes: a path has 4,096 at most, each written as three.
pub(super) const LEN_MAX: u64 = 64 * 1024;

pub(super) fn encode(backup: &Backup) -> Vec<u8> {
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| {
        text.write_fmt(words)
            .expect("a string takes everything that is written to it");
        text.push('\n');
    };
    let (seconds, nanoseconds) = since_1970(backup.modified);
    line(format_args!("{FIRST_LINE}"));
    line(format_args!("id {}", backup.id));
    line(format_args!(
        "path {}",
        escaped(backup.path.as_os_str().as_encoded_bytes())
    ));
    line(format_args!("length {}", backup.len));
    line(format_args!("sha256 {}", backup.hash));
    line(format_args!("mode {:o}", backup.mode));
    line(format_args!("owner {}:{}", backup.uid, backup.gid));
    line(format_args!("modified {seconds}.{nanoseconds:09}"));
    line(format_args!("reason {}", backup.reason.name()));
    line(format_args!("by {}", escaped(backup.made_by.as_bytes())));
    sealed::seal(text)
}

/// Reads one; `None` where a single bit of it is not as it was written.
pub(super) fn decode(bytes: &[u8]) -> Option<Backup> {
    let told = sealed::open(bytes)?;
    let mut lines = told.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
    let id: BackupId = value("id")?.parse().ok()?;
    let path = path_from(unescaped(value("path")?)?)?;
    let len = value("length")?.parse().ok()?;
    let hash = Checksum::from_hex(Algorithm::Sha256, value("sha256")?).ok()?;
    let mode = u32::from_str_radix(value("mode")?, 8).ok()?;
    let (uid, gid) = value("owner")?.split_once(':')?;
    let (seconds, nanoseconds) = value("modified")?.split_once('.')?;
    Some(Backup {
        id,
        path,
        len,
        hash,
        mode,
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        modified: time(seconds.parse().ok()?, nanoseconds.parse().ok()?)?,
        reason: Reason::named(value("reason")?)?,
        made_by: String::from_utf8(unescaped(value("by")?)?).ok()?,
    })
}

/// Whole seconds since 1970, rounded down, and the nanoseconds behind them.
pub(super) fn since_1970(time: SystemTime) -> (i64, u32) {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (after.as_secs() as i64, after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let seconds = -(before.as_secs() as i64);
            match before.subsec_nanos() {
                0 => (seconds, 0),
                part => (seconds - 1, 1_000_000_000 - part),
            }
        }
    }
}

pub(super) fn time(seconds: i64, nanoseconds: u32) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)?
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)?
    };
    second.checked_add(Duration::from_nanos(nanoseconds.into()))
}

/// How the folder for the backups of the file at `path` is called: something to recognise it by, and what makes it its own.
pub(super) fn shelf_name(path: &Path) -> String {
    /// Enough to recognise a name by.
    const SHOWN_MAX: usize = 40;
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let shown: String = name
        .iter()
        .take(SHOWN_MAX)
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(*byte),
            _ => '_',
        })
        .collect();
    let sum = Checksum::of(Algorithm::Sha256, path.as_os_str().as_encoded_bytes()).to_string();
    let (own, _) = sum.split_at(32);
    format!("{own}-{shown}")
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests know what they made")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn backup(path: &[u8]) -> Backup {
        Backup {
            id: "20261121T142253.123Z-0007".parse().unwrap(),
            path: path_from(path.to_vec()).unwrap(),
            len: u64::MAX,
            hash: Checksum::of(Algorithm::Sha256, b"content"),
            mode: 0o640,
            uid: 1000,
            gid: u32::MAX,
            modified: SystemTime::UNIX_EPOCH - Duration::from_nanos(1),
            reason: Reason::BeforeOverwrite,
            made_by: "a program\nof two lines".into(),
        }
    }

    #[test]
    fn every_flipped_bit_of_what_is_remembered_is_seen() {
        let bytes = encode(&backup(b"/etc/[2024] a%b.json"));
        assert_eq!(decode(&bytes), Some(backup(b"/etc/[2024] a%b.json")));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn names_that_begin_alike_or_look_like_patterns_have_shelves_of_their_own() {
        let paths = [
            "/a/config.yaml",
            "/a/config-user.yaml",
            "/a/config.json",
            "/a/config",
            "/a/config[2024].yaml",
            "/a/config*.yaml",
            "/a/config2.yaml",
            "/b/config.yaml",
        ];
        let mut shelves: Vec<String> = paths
            .iter()
            .map(|path| shelf_name(Path::new(path)))
            .collect();
        shelves.sort();
        shelves.dedup();
        assert_eq!(shelves.len(), paths.len());
        assert!(shelf_name(Path::new("/a/config.yaml")).ends_with("-config.yaml"));
    }

    #[cfg(unix)]
    proptest! {
        #[test]
        fn any_path_comes_back_byte_by_byte(path in proptest::collection::vec(any::<u8>(), 0..200)) {
            let backup = backup(&path);
            prop_assert_eq!(decode(&encode(&backup)), Some(backup));
        }
    }
}
