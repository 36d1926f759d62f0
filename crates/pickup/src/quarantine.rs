//! Where entries go that are not taken: kept, named, and explained.
//!
//! ```text
//! quarantine/
//!   link.csv                the entry itself, renamed; a link is still the link it was
//!   link.csv.reason.json    {"format":1,"reason":"…","when":"2026-11-21T04:04:05Z","path":"/srv/drop/link.csv"}
//! ```

use crate::calendar::Date;
use crate::entry::NAME_MAX;
use crate::folder::Folder;
use crate::free_name::put_freely;
use mainstay_files::{self as files, ErrorKind};
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const REASON: &str = ".reason.json";

/// The quarantine folder.
#[derive(Debug)]
pub(crate) struct Quarantine {
    path: PathBuf,
}

/// An entry that goes to quarantine, and why.
#[derive(Debug)]
pub(crate) struct Refused<'a> {
    /// Where it lies now.
    pub(crate) folder: &'a Folder,
    pub(crate) name: &'a OsStr,
    /// Where it was dropped: its name in quarantine is taken from here.
    pub(crate) original: &'a Path,
    pub(crate) reason: &'a str,
    /// Whether it is a regular file of ours, which may be copied where quarantine is on another file system.
    pub(crate) may_copy: bool,
}

impl Quarantine {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Moves the entry into the folder, under a name that nothing has; it is not followed, and only opened if it may be copied.
    ///
    /// Its reason is written first, so that no entry lies there unexplained.
    pub(crate) fn put(
        &self,
        refused: &Refused<'_>,
        wall_ms: u64,
    ) -> Result<OsString, files::Error> {
        let name = refused.original.file_name().unwrap_or(refused.name);
        let reason = explanation(refused.original, refused.reason, wall_ms);
        let is_taken = |name: &OsStr| {
            files::facts(&self.path.join(name)).is_ok()
                || files::facts(&self.reason_path(name)).is_ok()
        };
        let put = |name: &OsStr| {
            files::create_new(&self.reason_path(name), reason.as_bytes())?;
            let from = refused.folder.path(refused.name);
            let to = self.path.join(name);
            let moved = match files::rename_noreplace(&from, &to) {
                Err(error) if refused.may_copy && error.kind() == ErrorKind::CrossDevice => {
                    files::move_file(&from, &to)
                }
                moved => moved,
            };
            moved.inspect_err(|_| {
                // The entry is still where it was; a reason without an entry would only puzzle people.
                drop(files::remove(&self.reason_path(name)));
            })
        };
        put_freely(name, NAME_MAX - REASON.len(), is_taken, put)
    }

    /// Puts on the disk what was moved in.
    pub(crate) fn sync(&self) -> Result<(), files::Error> {
        files::sync_dir(&self.path)
    }

    fn reason_path(&self, name: &OsStr) -> PathBuf {
        let mut path = self.path.join(name).into_os_string();
        path.push(REASON);
        path.into()
    }
}

/// The content of the reason file: one object of JSON. Bytes of a name that are not UTF-8 stand in `path_hex` as well.
fn explanation(original: &Path, reason: &str, wall_ms: u64) -> String {
    let mut text = String::from("{\"format\":1,\"reason\":");
    push_string(&mut text, reason);
    text.push_str(",\"when\":");
    push_string(&mut text, &Date::of(wall_ms).to_string());
    text.push_str(",\"path\":");
    push_string(&mut text, &original.to_string_lossy());
    if original.to_str().is_none() {
        text.push_str(",\"path_hex\":\"");
        for byte in original.as_os_str().as_bytes() {
            push(&mut text, format_args!("{byte:02x}"));
        }
        text.push('"');
    }
    text.push_str("}\n");
    text
}

/// Everything that does not print is escaped, so that the file can be shown on a terminal as it is.
fn push_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => {
                text.push('\\');
                text.push(character);
            }
            ' '..='~' => text.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    push(text, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    text.push('"');
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a string takes all that is written to it");
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests play the producer")]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_json_that_shows_every_name_safely() {
        let name = OsStr::from_bytes(b"/drop/\x1b[2J\"\\\xe2\x80\xae\xff");
        let text = explanation(Path::new(name), "because", 1_577_836_800_000);
        let expected = concat!(
            r#"{"format":1,"reason":"because","when":"2020-01-01T00:00:00Z","#,
            r#""path":"/drop/\u001b[2J\"\\\u202e\ufffd","path_hex":"2f64726f702f1b5b324a225ce280aeff"}"#,
            "\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn nothing_in_quarantine_is_ever_replaced() {
        let root = tempfile::tempdir().unwrap();
        let (drop, path) = (root.path().join("drop"), root.path().join("quarantine"));
        std::fs::create_dir(&drop).unwrap();
        std::fs::create_dir(&path).unwrap();
        let quarantine = Quarantine::new(&path);
        let folder = Folder::open(&drop).unwrap();
        for content in ["first", "second", "third"] {
            std::fs::write(drop.join("x.csv"), content).unwrap();
            let original = drop.join("x.csv");
            let refused = Refused {
                folder: &folder,
                name: OsStr::new("x.csv"),
                original: &original,
                reason: "because",
                may_copy: false,
            };
            quarantine.put(&refused, 0).unwrap();
        }
        for (name, content) in [
            ("x.csv", "first"),
            ("x (2).csv", "second"),
            ("x (3).csv", "third"),
        ] {
            assert_eq!(std::fs::read_to_string(path.join(name)).unwrap(), content);
            assert!(path.join(format!("{name}.reason.json")).exists());
        }
    }

    #[test]
    fn an_entry_that_cannot_be_moved_leaves_no_reason_behind() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let quarantine = Quarantine::new(root.path());
        let refused = Refused {
            folder: &folder,
            name: OsStr::new("gone"),
            original: Path::new("/drop/x"),
            reason: "r",
            may_copy: false,
        };
        assert_eq!(
            quarantine.put(&refused, 0).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
