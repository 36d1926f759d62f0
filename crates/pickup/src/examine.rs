//! Whether a file may be taken now, before it is touched.

use crate::candidates::{Candidate, Proof, Seen};
use crate::config::Config;
use crate::folder::{Folder, why};
use crate::lease::{Writers, writers};
use crate::read;
use mainstay_files::{self as files, ErrorKind, Facts};
use rustix::fs::FileType;
use std::ffi::OsStr;

/// What is to be done with a candidate.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is complete, and looks like this.
    Take(Seen),
    /// It is not there any more: its producer, or another agent, was faster.
    Gone,
    /// It may still be written: look again when it has stayed like this for a while. The reason is for people.
    Settle(Seen, &'static str),
    /// It goes to quarantine; the reason is for people.
    Refuse(String),
    /// It stays where it is until somebody helps; the reason is for people.
    Complain(String),
}

/// Looks at a candidate in its folder.
pub(crate) fn examine(
    config: &Config,
    folder: &Folder,
    name: &OsStr,
    candidate: &Candidate,
) -> Verdict {
    let facts = match folder.facts(name) {
        Ok(facts) => facts,
        Err(error) => return unreachable_now(&error),
    };
    if facts.is_folder() {
        // The file is gone, and a folder has its name: folders are looked into, not taken.
        return Verdict::Gone;
    }
    if let Some(reason) = not_a_file(&facts) {
        return Verdict::Refuse(reason.to_owned());
    }
    if config.own_files_only && facts.uid != rustix::process::geteuid().as_raw() {
        return Verdict::Refuse(format!(
            "it belongs to user {}, and only our own files are taken (own_files_only)",
            facts.uid
        ));
    }
    let seen = Seen::of(&facts);
    let has_settled = candidate.proof == Proof::Unchanged && candidate.seen == seen;
    // A second name may be that of a producer who is about to remove it, having published the file by a link; and a file that
    // is too large already may still be written.
    if let Some(reason) = read::refusal(&facts, config.max_file) {
        return if has_settled {
            Verdict::Refuse(reason)
        } else {
            Verdict::Settle(seen, "")
        };
    }
    let (file, facts) = match folder.open_regular(name) {
        Ok(opened) => opened,
        Err(error) => return unreadable(&error, seen),
    };
    let seen = Seen::of(&facts);
    let is_proven = matches!(candidate.proof, Proof::Closed | Proof::Aged | Proof::Marked);
    match writers(&file) {
        Writers::Some => Verdict::Settle(seen, "a program still has it open for writing"),
        Writers::None if is_proven => Verdict::Take(seen),
        // Its producer says itself that it is complete.
        Writers::Unknown if candidate.proof == Proof::Marked => Verdict::Take(seen),
        Writers::None | Writers::Unknown if has_settled && candidate.seen == seen => {
            Verdict::Take(seen)
        }
        Writers::None | Writers::Unknown => Verdict::Settle(seen, ""),
    }
}

/// Why an entry is not a regular file.
fn not_a_file(facts: &Facts) -> Option<&'static str> {
    match FileType::from_raw_mode(facts.mode) {
        FileType::RegularFile => None,
        FileType::Symlink => Some("it is a symbolic link, which is never followed"),
        FileType::Fifo => Some("it is a named pipe, which is never opened"),
        FileType::Socket => Some("it is a socket, which is never opened"),
        FileType::CharacterDevice | FileType::BlockDevice => {
            Some("it is a device, which is never opened")
        }
        FileType::Directory | FileType::Unknown => Some("it is of a kind that we do not know"),
    }
}

fn unreachable_now(error: &files::Error) -> Verdict {
    match error.kind() {
        ErrorKind::NotFound => Verdict::Gone,
        _ => Verdict::Complain(format!("it cannot be looked at: {}", why(error))),
    }
}

fn unreadable(error: &files::Error, seen: Seen) -> Verdict {
    match error.kind() {
        ErrorKind::NotFound => Verdict::Gone,
        // It was exchanged just now; the next look sees what it is.
        ErrorKind::IsSymlink | ErrorKind::NotRegular => Verdict::Settle(seen, ""),
        ErrorKind::Permission => Verdict::Complain(
            "it may not be read; give us the right to (chmod, chown or an ACL)".to_owned(),
        ),
        _ => Verdict::Complain(format!("it cannot be opened: {}", why(error))),
    }
}
