//! A name that nothing has yet: `report.csv`, `report (2).csv`, `report (3).csv` …

use crate::entry::{NAME_MAX, whole_characters};
use mainstay_files::{Error, ErrorKind};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// How often a name that was free a moment ago may be taken by someone else before we give up.
const RACES_MAX: u64 = 1_000;

/// Gives `name`, or the same with a number where that is taken, to whatever `put` puts; answers the name.
///
/// `is_taken` is only asked, `put` decides: it has to answer [`ErrorKind::Exists`] where a name is taken. The number is found
/// in steps that double, so a thousand files of one name cost some 20 looks each, not a thousand.
pub(crate) fn put_freely(
    name: &OsStr,
    room: usize,
    mut is_taken: impl FnMut(&OsStr) -> bool,
    mut put: impl FnMut(&OsStr) -> Result<(), Error>,
) -> Result<OsString, Error> {
    let mut number = 1;
    let mut races = 0;
    loop {
        let numbered = numbered(name, number, room);
        match put(&numbered) {
            Err(error) if error.kind() == ErrorKind::Exists && races < RACES_MAX => {
                races += 1;
                number = next_free(number, |number| {
                    is_taken(&self::numbered(name, number, room))
                });
            }
            put => return put.map(|()| numbered),
        }
    }
}

/// A number above `taken` that looks free.
fn next_free(taken: u64, mut is_taken: impl FnMut(u64) -> bool) -> u64 {
    let mut taken = taken;
    let mut step = 1;
    while is_taken(taken + step) {
        taken += step;
        step *= 2;
    }
    let mut free = taken + step;
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_taken(middle) {
            taken = middle;
        } else {
            free = middle;
        }
    }
    free
}

/// `name` with its number before its extension, cut so that it has at most `room` bytes; the first has no number.
fn numbered(name: &OsStr, number: u64, room: usize) -> OsString {
    let bytes = name.as_bytes();
    let dot = bytes
        .iter()
        .rposition(|&byte| byte == b'.')
        .filter(|&dot| dot > 0 && bytes.len() - dot <= 32);
    let (stem, extension) = bytes.split_at(dot.unwrap_or(bytes.len()));
    let number = if number == 1 {
        String::new()
    } else {
        format!(" ({number})")
    };
    let room = room
        .min(NAME_MAX)
        .saturating_sub(number.len() + extension.len());
    let mut name = stem[..whole_characters(stem, room)].to_vec();
    name.extend(number.as_bytes());
    name.extend(extension);
    OsString::from_vec(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn name(text: &str, number: u64) -> String {
        numbered(OsStr::new(text), number, NAME_MAX)
            .into_string()
            .expect("it was UTF-8")
    }

    #[test]
    fn the_number_stands_before_the_extension() {
        assert_eq!(name("report.csv", 1), "report.csv");
        assert_eq!(name("report.csv", 2), "report (2).csv");
        assert_eq!(name("report.tar.gz", 3), "report.tar (3).gz");
        assert_eq!(name("report", 2), "report (2)");
        assert_eq!(name(".profile", 2), ".profile (2)");
    }

    #[test]
    fn a_long_name_is_cut_to_keep_number_and_extension() {
        let long = format!("{}.csv", "ü".repeat(120));
        let cut = name(&long, 12_345);
        assert!(
            cut.len() <= NAME_MAX && cut.ends_with("ü (12345).csv"),
            "{cut}"
        );
        assert_eq!(numbered(OsStr::from_bytes(&[0xff; 300]), 2, 240).len(), 240);
    }

    #[test]
    fn a_thousand_files_of_one_name_get_a_thousand_names_with_few_looks() {
        let mut there: HashSet<OsString> = HashSet::new();
        let mut looks = 0;
        for _ in 0..1_000 {
            let seen = there.clone();
            let is_taken = |name: &OsStr| {
                looks += 1;
                seen.contains(name)
            };
            let put = |name: &OsStr| {
                if there.insert(name.to_owned()) {
                    Ok(())
                } else {
                    Err(exists())
                }
            };
            put_freely(OsStr::new("x.csv"), NAME_MAX, is_taken, put).expect("a name is free");
        }
        assert_eq!(there.len(), 1_000);
        assert!(there.contains(OsStr::new("x (1000).csv")));
        assert!(looks < 22 * 1_000, "{looks}");
    }

    fn exists() -> Error {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        mainstay_files::create_new(&path, b"").unwrap();
        mainstay_files::create_new(&path, b"").unwrap_err()
    }
}
