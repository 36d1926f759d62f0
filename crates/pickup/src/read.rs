//! Reading a taken file, and noticing when it is not what it was taken for.

use crate::candidates::Seen;
use crate::claim::Claim;
use crate::folder::Folder;
use crate::intake::{Content, INLINE_MAX, Taken};
use crate::lease::{Writers, writers};
use mainstay_files::{self as files, ErrorKind, Facts};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// How much of a large file is read at once.
const PIECE: usize = 256 * 1024;

/// The limits for one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'a> {
    pub(crate) max_file: u64,
    /// What it looked like when it was found complete, where that was not long ago.
    pub(crate) seen: Option<Seen>,
    /// Whether it lies where nobody else can open it.
    pub(crate) is_private: bool,
    /// Reading a large file ends early when this is cancelled.
    pub(crate) stop: &'a CancellationToken,
}

/// What came of reading a file.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Its whole content.
    Whole(Box<Taken>),
    /// It is not there any more.
    Gone,
    /// It is still being written.
    Changed,
    /// It is not what is taken; the reason is for people.
    Refused(String),
    /// Its content cannot be got from the disk.
    Damaged(String),
    /// It cannot be read now; the reason is for people.
    Failed(String),
    /// There is no room for a copy; the reason is for people.
    DiskFull(String),
    /// We were told to stop.
    Stopped,
}

/// Reads the file `name` in `folder`, which has the path `relative` below the drop folder.
pub(crate) fn read(
    folder: &Folder,
    name: &OsStr,
    claim: Claim,
    relative: &Path,
    limits: &Limits<'_>,
) -> Reading {
    let (file, facts) = match opened(folder, name, limits) {
        Ok(opened) => opened,
        Err(reading) => return reading,
    };
    if !is_seen(&file, &facts, limits) {
        return Reading::Changed;
    }
    match content(&file, &facts, limits.stop) {
        Ok(Some((content, sha256))) => {
            let relative = relative.to_owned();
            let name = relative.file_name().unwrap_or_default().to_owned();
            let (modified, len) = (facts.modified, facts.len);
            Reading::Whole(Box::new(Taken {
                claim,
                name,
                relative,
                modified,
                len,
                sha256,
                content,
            }))
        }
        Ok(None) if limits.stop.is_cancelled() => Reading::Stopped,
        Ok(None) => Reading::Changed,
        Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
            Reading::Damaged(error.to_string())
        }
        Err(error) => Reading::Failed(error.to_string()),
    }
}

/// Opens a file that is to be taken, and refuses what is none.
pub(crate) fn opened(
    folder: &Folder,
    name: &OsStr,
    limits: &Limits<'_>,
) -> Result<(File, Facts), Reading> {
    let (file, facts) = folder
        .open_regular(name)
        .map_err(|error| match error.kind() {
            ErrorKind::IsSymlink => {
                Reading::Refused("it is a symbolic link, which is never followed".to_owned())
            }
            ErrorKind::NotRegular => Reading::Refused("it is not a regular file".to_owned()),
            ErrorKind::NotFound => Reading::Gone,
            _ => Reading::Failed(crate::folder::why(&error)),
        })?;
    match refusal(&facts, limits.max_file) {
        Some(reason) => Err(Reading::Refused(reason)),
        None => Ok((file, facts)),
    }
}

/// Whether an open file is what was found complete.
///
/// Where nobody else can open it, and the system says that nobody writes to it, it is complete whatever it looked like.
pub(crate) fn is_seen(file: &File, facts: &Facts, limits: &Limits<'_>) -> bool {
    let is_same = limits.seen.is_none_or(|seen| seen == Seen::of(facts));
    match writers(file) {
        Writers::Some => false,
        Writers::None if limits.is_private => true,
        Writers::None | Writers::Unknown => is_same,
    }
}

/// Why a regular file is not taken, by what it is; `None` where nothing speaks against it.
pub(crate) fn refusal(facts: &Facts, max_file: u64) -> Option<String> {
    if facts.nlink > 1 {
        return Some(format!(
            "it has {} names (hard links): its content could be changed by another name",
            facts.nlink
        ));
    }
    if facts.mode & 0o6000 != 0 {
        return Some(
            "it is a program that runs with the rights of its owner or group (setuid, setgid)"
                .to_owned(),
        );
    }
    if facts.len > max_file {
        return Some(format!(
            "it has {} bytes, and the limit (max_file) is {max_file}",
            facts.len
        ));
    }
    None
}

/// The content and its hash; `None` where the file changed meanwhile, or we were told to stop.
fn content(
    file: &File,
    facts: &Facts,
    stop: &CancellationToken,
) -> io::Result<Option<(Content, [u8; 32])>> {
    let whole = if facts.len <= INLINE_MAX {
        let bytes = read_small(file, facts.len as usize)?;
        let is_whole = bytes.len() as u64 == facts.len;
        let sha256 = Sha256::digest(&bytes).into();
        is_whole.then_some((Content::Bytes(bytes), sha256))
    } else {
        match hash(file, facts.len, stop)? {
            Some(sha256) => {
                let mut file = file.try_clone()?;
                file.rewind()?;
                Some((Content::File(file), sha256))
            }
            None => None,
        }
    };
    let after = files::facts_of(file).map_err(io::Error::from)?;
    Ok(whole.filter(|_| after == *facts))
}

/// Reads `len` bytes, and one more that would show that it grew; most often with one call.
fn read_small(mut file: &File, len: usize) -> io::Result<Vec<u8>> {
    files::simulated::pass("read")?;
    let mut bytes = vec![0; len + 1];
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(got) => {
                read += got;
                // What is behind the length that it had is told by the look at the file that follows.
                if read == len {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

fn hash(mut file: &File, len: u64, stop: &CancellationToken) -> io::Result<Option<[u8; 32]>> {
    files::simulated::pass("read")?;
    let mut sha256 = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut read = 0;
    while read <= len && !stop.is_cancelled() {
        match file.read(&mut piece) {
            Ok(0) => return Ok((read == len).then(|| sha256.finalize().into())),
            Ok(got) => {
                sha256.update(&piece[..got]);
                read += got as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests play the producer")]
mod tests {
    use super::*;
    use std::io::Write;

    /// Without a lease nothing but a look before and after shows that somebody wrote meanwhile, also where the length stays.
    #[test]
    fn a_change_while_it_is_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let stop = CancellationToken::new();
        for (before, after) in [
            ("first", "other"),
            ("first", "longer"),
            ("first", "cut"),
            ("", "x"),
        ] {
            std::fs::write(&path, before).unwrap();
            let (file, facts) = files::open_regular(&path).unwrap();
            assert!(
                matches!(content(&file, &facts, &stop), Ok(Some((Content::Bytes(bytes), _))) if bytes == before.as_bytes())
            );
            let (file, _) = files::open_regular(&path).unwrap();
            std::fs::File::create(&path)
                .unwrap()
                .write_all(after.as_bytes())
                .unwrap();
            assert!(
                matches!(content(&file, &facts, &stop), Ok(None)),
                "{before} became {after}"
            );
        }
    }

    #[test]
    fn a_large_file_is_hashed_in_pieces_and_rewound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let bytes: Vec<u8> = (0..3 * INLINE_MAX + 5).map(|number| number as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let (file, facts) = files::open_regular(&path).unwrap();
        let stop = CancellationToken::new();
        let Ok(Some((Content::File(mut open), sha256))) = content(&file, &facts, &stop) else {
            panic!("it is whole")
        };
        assert_eq!(sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
        let mut read = Vec::new();
        open.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        // Told to stop, it ends before it has read all.
        stop.cancel();
        assert!(matches!(content(&file, &facts, &stop), Ok(None)));
    }
}
