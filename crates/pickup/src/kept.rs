//! The memory of files that stay in the drop folder, so that none is taken twice.
//!
//! ```text
//! work/kept/
//!   0197a3…-…-…c2.intent    written before a batch is committed; after a crash the intake says which of its claims were,
//!                         and the others are offered again
//!   0197a3…-…-…c1.kept      an intent, renamed once its batch was committed; or many of those, put together
//!
//!   mainstay-kept 1
//!   <claim> <bytes> <modified, ns since 1970> <inode> <last seen, ms since 1970> <path, all but printable ASCII as %XX>
//! ```
//!
//! A later file overrides an earlier one. A file of a newer version is refused, and nothing is touched.

use crate::candidates::Seen;
use crate::claim::{Claim, ClaimMaker};
use crate::collector::Book;
use crate::entry::is_below;
use crate::error::Error;
use mainstay_files::{self as files, Facts};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many files may stay in a drop folder; some 150 bytes of memory each.
pub(crate) const KEPT_MAX: usize = 1_000_000;

/// When so many files of memory have come together, they are put into one.
const SEGMENTS_MAX: usize = 256;

/// A file that was not seen for so long is forgotten: longer than a share is usually away.
const FORGOTTEN_AFTER_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

const HEADER: &str = "mainstay-kept ";
const VERSION: &str = "1";
const INTENT: &str = "intent";
const KEPT: &str = "kept";

/// What is known of the files that stay.
#[derive(Debug)]
pub(crate) struct Kept {
    folder: PathBuf,
    files: HashMap<Box<Path>, Identity>,
    segments: Vec<PathBuf>,
    /// What was refused by an intake that failed, and may have stored it all the same: the next start has to ask.
    doubtful: Vec<Intent>,
    /// The latest of all names here.
    latest: Claim,
    maker: ClaimMaker,
}

/// How a file that stays is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    claim: Claim,
    seen: Seen,
    last_seen_ms: u64,
}

/// A batch that is about to be committed.
#[derive(Debug)]
#[must_use = "it has to be confirmed or withdrawn"]
pub(crate) struct Intent {
    path: PathBuf,
    files: Vec<(Box<Path>, Identity)>,
}

impl Kept {
    /// Reads the memory; what was intended when the process died waits for [`resolve`](Self::resolve).
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        files::create_dir_all(folder, 0o700)
            .map_err(|error| Error::folder("create folder", folder, error))?;
        files::sweep(folder).map_err(|error| Error::folder("read", folder, error))?;
        let mut kept = Self {
            folder: folder.to_owned(),
            files: HashMap::new(),
            segments: Vec::new(),
            doubtful: Vec::new(),
            latest: Claim::from_bytes([0; 16]),
            maker: ClaimMaker::new(),
        };
        let names = [kept.listed(KEPT)?, kept.listed(INTENT)?].concat();
        kept.latest = names
            .iter()
            .filter_map(|path| path.file_stem()?.to_str()?.parse().ok())
            .fold(kept.latest, Claim::max);
        kept.remember()?;
        Ok(kept)
    }

    /// Changes the folder, so that its next sync has something to do: one of an earlier process may have failed, and a power cut would
    /// still undo a confirmation, whose files would be offered again.
    pub(crate) fn stir(&self) -> Result<(), Error> {
        files::Folder::open(&self.folder)
            .and_then(|folder| folder.stir())
            .map_err(|error| Error::folder("sync", &self.folder, error))
    }

    /// Reads all that was confirmed, the earliest first: the later memory of a file counts.
    fn remember(&mut self) -> Result<(), Error> {
        self.files.clear();
        self.segments.clear();
        for path in self.listed(KEPT)? {
            self.files.extend(read(&path)?);
            self.segments.push(path);
        }
        Ok(())
    }

    /// Settles what was intended when the process died: what the intake has is kept, what it has not will be taken again.
    /// Returns what it has not, to be offered again under the same claims: its commit may still be under way where no process
    /// died, but a pickup was dropped and another one opened.
    pub(crate) fn resolve(
        &mut self,
        book: &dyn Book,
    ) -> Result<Vec<(Claim, Box<Path>, Seen)>, Error> {
        // Each file once, as the last attempt saw it: offered under two claims, it would be two documents.
        let (mut again, mut closed) = (BTreeMap::new(), Vec::new());
        self.doubtful.clear();
        let intents = self.listed(INTENT)?;
        if intents.is_empty() {
            return Ok(Vec::new());
        }
        // What was withdrawn and is back, or could not be, says nothing of what was confirmed since: nobody knows those claims any more.
        let confirmed = self.files.values().map(|identity| identity.claim);
        let mut known: HashSet<Claim> = confirmed.collect();
        for path in intents {
            let mut intended = read(&path)?;
            let written = intended.len();
            // What was offered again after a failure stands in two of them.
            intended.retain(|(_, identity)| known.insert(identity.claim));
            let (committed, lost): (Vec<_>, Vec<_>) = intended
                .into_iter()
                .partition(|(_, identity)| book.is_committed(identity.claim));
            let is_whole = committed.len() == written;
            again.extend(
                lost.into_iter()
                    .map(|(path, identity)| (path, (identity.claim, identity.seen))),
            );
            closed.extend(committed.iter().map(|(_, identity)| identity.claim));
            let intent = Intent {
                path,
                files: committed,
            };
            let settled = if is_whole {
                self.confirm(intent)
            } else {
                self.rewrite(intent)
            };
            settled.map_err(|error| Error::folder("write", &self.folder, error))?;
        }
        // One that could not be confirmed for long is older than what was confirmed since.
        self.remember()?;
        book.closed(closed);
        again.retain(|path, (_, seen)| !self.has(path, *seen));
        let again = again.into_iter();
        Ok(again
            .map(|(path, (claim, seen))| (claim, path, seen))
            .collect())
    }

    /// Whether this file was committed as it is now.
    pub(crate) fn knows(&mut self, relative: &Path, facts: &Facts, wall_ms: u64) -> bool {
        let Some(identity) = self.files.get_mut(relative) else {
            return false;
        };
        identity.last_seen_ms = wall_ms;
        identity.seen == Seen::of(facts)
    }

    /// Whether this file was committed as it was seen.
    pub(crate) fn has(&self, relative: &Path, seen: Seen) -> bool {
        let known = self.files.get(relative);
        known.is_some_and(|identity| identity.seen == seen)
    }

    /// Whether no more files can be remembered.
    pub(crate) fn is_full(&self) -> bool {
        self.files.len() >= KEPT_MAX
    }

    /// A name that sorts behind all that are here, whatever the date says: the later memory of a file is the one that counts.
    fn next_name(&mut self, wall_ms: u64) -> Claim {
        let mut name = self.maker.make(wall_ms);
        if name <= self.latest {
            name = self.maker.make(self.latest.made_ms() + 1);
        }
        self.latest = name;
        name
    }

    /// Writes down what is about to be committed; durable when it returns `Ok`.
    pub(crate) fn intend(
        &mut self,
        files: impl Iterator<Item = (Claim, PathBuf, Seen)>,
        wall_ms: u64,
    ) -> Result<Intent, files::Error> {
        let files: Vec<(Box<Path>, Identity)> = files
            .map(|(claim, relative, seen)| {
                (
                    relative.into(),
                    Identity {
                        claim,
                        seen,
                        last_seen_ms: wall_ms,
                    },
                )
            })
            .collect();
        let name = self.next_name(wall_ms);
        let path = self.folder.join(format!("{name}.{INTENT}"));
        let intent = Intent { path, files };
        match files::create_new(&intent.path, intent.text().as_bytes()) {
            Ok(()) => Ok(intent),
            Err(error) => {
                // Nobody was offered it, and what was in doubt of its files before still is. Where this fails, or a power cut brings it
                // back, the next start asks for what was not confirmed since.
                drop(files::remove(&intent.path));
                Err(error)
            }
        }
    }

    /// The batch was committed; durable when it returns `Ok`.
    pub(crate) fn confirm(&mut self, intent: Intent) -> Result<(), files::Error> {
        let Intent { path, files } = intent;
        let confirmed = path.with_extension(KEPT);
        // Whatever the disk says, these files are not taken again: where it fails, the next start finds the intent, and asks.
        self.files.extend(files.iter().cloned());
        self.forget_doubts(&files)?;
        files::rename_noreplace(&path, &confirmed)?;
        self.segments.push(confirmed);
        files::sync_dir(&self.folder)
    }

    /// The intake failed: the batch was not committed, as far as anybody knows.
    pub(crate) fn doubt(&mut self, intent: Intent) -> Result<(), files::Error> {
        // Each file stands in one of them only, however often the intake fails.
        self.forget_doubts(&intent.files)?;
        self.doubtful.push(intent);
        Ok(())
    }

    /// What was in doubt of these files is not any more.
    fn forget_doubts(&mut self, files: &[(Box<Path>, Identity)]) -> Result<(), files::Error> {
        let is_known = |path: &Path| files.iter().any(|(known, _)| **known == *path);
        for intent in &mut self.doubtful {
            let before = intent.files.len();
            intent.files.retain(|(path, _)| !is_known(path));
            if intent.files.is_empty() {
                files::remove(&intent.path)?;
            } else if intent.files.len() < before {
                files::replace(&intent.path, intent.text().as_bytes())?;
            }
        }
        self.doubtful.retain(|intent| !intent.files.is_empty());
        Ok(())
    }

    /// The batch was not committed, and its claims will never be used.
    pub(crate) fn withdraw(intent: &Intent) -> Result<(), files::Error> {
        files::remove(&intent.path)
    }

    /// Only some of what was intended was committed.
    fn rewrite(&mut self, intent: Intent) -> Result<(), files::Error> {
        files::replace(&intent.path, intent.text().as_bytes())?;
        self.confirm(intent)
    }

    /// The whole drop folder was looked through: forgets what has been away for long, and tidies the memory now and then.
    pub(crate) fn end_scan(&mut self, wall_ms: u64) {
        if self.segments.len() <= SEGMENTS_MAX {
            return;
        }
        self.files.retain(|_, identity| {
            wall_ms.saturating_sub(identity.last_seen_ms) < FORGOTTEN_AFTER_MS
        });
        if let Err(error) = self.compact(wall_ms) {
            tracing::warn!(%error, "the memory of kept files could not be tidied; it is tried again");
        }
    }

    /// Puts all into one file; a crash in between leaves some of it twice, which does no harm.
    fn compact(&mut self, wall_ms: u64) -> Result<(), files::Error> {
        let name = self.next_name(wall_ms);
        let path = self.folder.join(format!("{name}.{KEPT}"));
        let text = written(
            self.files
                .iter()
                .map(|(path, identity)| (&**path, identity)),
        );
        files::create_new(&path, text.as_bytes())?;
        for segment in std::mem::replace(&mut self.segments, vec![path]) {
            files::remove(&segment)?;
        }
        Ok(())
    }

    /// Our files with this extension, in the order of their names.
    fn listed(&self, extension: &str) -> Result<Vec<PathBuf>, Error> {
        let listed = |entries: std::fs::ReadDir| entries.map(|entry| Ok(entry?.path())).collect();
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&self.folder)
            .and_then(listed)
            .map_err(|error| Error::unreadable(&self.folder, &error))?;
        paths.retain(|path| path.extension().is_some_and(|found| found == extension));
        paths.sort();
        Ok(paths)
    }
}

impl Intent {
    fn text(&self) -> String {
        let files = self.files.iter();
        written(files.map(|(path, identity)| (&**path, identity)))
    }
}

fn written<'a>(files: impl Iterator<Item = (&'a Path, &'a Identity)>) -> String {
    let mut text = format!("{HEADER}{VERSION}\n");
    for (
        path,
        Identity {
            claim,
            seen,
            last_seen_ms,
        },
    ) in files
    {
        let modified = nanoseconds(seen.modified);
        push(
            &mut text,
            format_args!(
                "{claim} {} {modified} {} {last_seen_ms} ",
                seen.len, seen.ino
            ),
        );
        for &byte in path.as_os_str().as_bytes() {
            match byte {
                b'%' => text.push_str("%25"),
                b'!'..=b'~' => text.push(byte.into()),
                _ => push(&mut text, format_args!("%{byte:02X}")),
            }
        }
        text.push('\n');
    }
    text
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a string takes all that is written to it");
}

fn read(path: &Path) -> Result<Vec<(Box<Path>, Identity)>, Error> {
    // Forgotten because the system does not give it now, all of its files would be taken again.
    let bytes = std::fs::read(path).map_err(|error| Error::unreadable(path, &error))?;
    // What is damaged never comes back: it costs files taken twice, where refusing to start would cost them not being taken at all.
    let text = String::from_utf8(bytes).unwrap_or_default();
    let mut lines = text.lines();
    match lines.next().and_then(|line| line.strip_prefix(HEADER)) {
        Some(VERSION) => {}
        Some(_) => return Err(Error::newer(path)),
        None => {
            tracing::warn!(path = %mainstay_files::Shown(path), "memory of kept files is unreadable; they may be taken again");
            return Ok(Vec::new());
        }
    }
    Ok(lines.filter_map(parsed).collect())
}

fn parsed(line: &str) -> Option<(Box<Path>, Identity)> {
    let mut fields = line.split(' ');
    let claim = fields.next()?.parse().ok()?;
    let len = fields.next()?.parse().ok()?;
    let modified = time(fields.next()?.parse().ok()?)?;
    let ino = fields.next()?.parse().ok()?;
    let last_seen_ms = fields.next()?.parse().ok()?;
    let path = PathBuf::from(unescaped(fields.next()?)?);
    let identity = Identity {
        claim,
        seen: Seen { modified, len, ino },
        last_seen_ms,
    };
    is_below(&path).then(|| (path.into(), identity))
}

fn unescaped(text: &str) -> Option<OsString> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next()?.as_bytes());
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    Some(OsString::from_vec(bytes))
}

fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

fn time(nanoseconds: i128) -> Option<SystemTime> {
    let distance = Duration::from_nanos_u128(nanoseconds.unsigned_abs());
    if nanoseconds < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare folders")]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn identity(number: u8) -> Identity {
        let seen = Seen {
            modified: time(-1_500_000_001).unwrap(),
            len: 7,
            ino: u64::from(number),
        };
        Identity {
            claim: Claim::from_bytes([number; 16]),
            seen,
            last_seen_ms: 1_577_836_800_000,
        }
    }

    /// A file that stays, as a batch has it.
    fn file(number: u8) -> (Claim, PathBuf, Seen) {
        let Identity { claim, seen, .. } = identity(number);
        (claim, PathBuf::from(number.to_string()), seen)
    }

    /// An intake that has stored these.
    struct Stored {
        numbers: &'static [u8],
        closed: std::sync::Mutex<Vec<Claim>>,
    }

    impl Stored {
        fn new(numbers: &'static [u8]) -> Self {
            Self {
                numbers,
                closed: std::sync::Mutex::default(),
            }
        }

        /// The claims that were closed, in their order.
        fn closed(self) -> Vec<Claim> {
            let mut closed = self.closed.into_inner().unwrap();
            closed.sort();
            closed
        }
    }

    impl Book for Stored {
        fn is_committed(&self, claim: Claim) -> bool {
            let is_stored = self
                .numbers
                .iter()
                .any(|number| claim == identity(*number).claim);
            is_stored && !self.closed.lock().unwrap().contains(&claim)
        }

        fn closed(&self, claims: Vec<Claim>) {
            self.closed.lock().unwrap().extend(claims);
        }
    }

    #[test]
    fn every_path_and_time_comes_back() {
        let paths: [&[u8]; 4] = [b"a b/c%.csv", b"m\xfcll", b"line\nbreak", b"%25"];
        for path in paths {
            let path = Path::new(OsStr::from_bytes(path));
            let text = written([(path, &identity(1))].into_iter());
            let line = text.lines().nth(1).expect("one line of content");
            assert_eq!(parsed(line), Some((path.into(), identity(1))));
        }
        for nonsense in [
            "",
            "x",
            "0 1 2 3 4 5",
            &written([(Path::new("/etc"), &identity(1))].into_iter())[16..],
        ] {
            assert_eq!(parsed(nonsense.trim_end()), None, "{nonsense}");
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_refused_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.kept");
        std::fs::write(&path, "mainstay-kept 2\nsomething else\n").unwrap();
        let error = Kept::open(folder.path()).expect_err("it is newer");
        assert_eq!(error.kind(), crate::ErrorKind::NewerVersion);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "mainstay-kept 2\nsomething else\n"
        );
    }

    /// The names of the memory are dates: once the date had gone back, the older memory of a changed file counted at the next start,
    /// and the file was taken again.
    #[test]
    fn the_later_memory_of_a_file_counts_though_the_date_went_back() {
        let folder = tempfile::tempdir().unwrap();
        for (len, wall_ms) in [(1, 9_000), (2, 9_000), (3, 10)] {
            let mut kept = Kept::open(folder.path()).unwrap();
            let seen = Seen {
                len,
                ..identity(1).seen
            };
            let file = (Claim::from_bytes([1; 16]), PathBuf::from("x"), seen);
            let intent = kept.intend([file].into_iter(), wall_ms).unwrap();
            kept.confirm(intent).unwrap();
            let again = Kept::open(folder.path()).unwrap();
            assert_eq!(again.files[Path::new("x")].seen.len, len);
        }
    }

    /// The disk of the queue failed, so that the batch was refused; after the next start it was there, and its files, of which
    /// nobody knew any more, were taken again.
    #[test]
    fn what_an_intake_that_failed_was_offered_is_asked_for_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let count = || std::fs::read_dir(folder.path()).unwrap().count();
        let mut kept = Kept::open(folder.path()).unwrap();
        let intend = |kept: &mut Kept, numbers: &[u8]| {
            let files: Vec<_> = numbers.iter().map(|number| file(*number)).collect();
            kept.intend(files.into_iter(), 5).unwrap()
        };
        // Again and again it fails: no more is remembered than there are files.
        for numbers in [&[1, 2, 3][..], &[1, 2, 3], &[2]] {
            let intent = intend(&mut kept, numbers);
            kept.doubt(intent).unwrap();
        }
        assert_eq!(count(), 2);
        let intent = intend(&mut kept, &[3]);
        kept.confirm(intent).unwrap();
        // The process is killed in the middle of another try.
        let _intent = intend(&mut kept, &[2]);
        let mut kept = Kept::open(folder.path()).unwrap();
        let book = Stored::new(&[1, 2, 3]);
        assert!(
            kept.resolve(&book).unwrap().is_empty(),
            "it has all of them"
        );
        assert_eq!(book.closed(), [file(1).0, file(2).0], "each once");
        assert_eq!(Kept::open(folder.path()).unwrap().files.len(), 3);
    }

    /// Settled at a start, it counted for more than what had been confirmed after it, and the file was taken again.
    #[test]
    fn what_could_not_be_confirmed_for_long_is_older_than_what_was_confirmed_since() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path()).unwrap();
        let x = |number| {
            let (claim, _, seen) = file(number);
            [(claim, PathBuf::from("x"), seen)].into_iter()
        };
        // Committed, and its confirmation failed.
        let _before = kept.intend(x(1), 5).unwrap();
        let intent = kept.intend(x(2), 5).unwrap();
        kept.confirm(intent).unwrap();
        let mut kept = Kept::open(folder.path()).unwrap();
        let book = Stored::new(&[1]);
        assert!(kept.resolve(&book).unwrap().is_empty());
        assert_eq!(kept.files[Path::new("x")].seen, file(2).2);
        assert_eq!(book.closed(), [file(1).0]);
    }

    /// It was refused together with one that nobody wants, and the next try stored it and closed its claim.
    #[test]
    fn what_was_withdrawn_and_is_still_there_brings_back_nothing_that_was_confirmed_since() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path()).unwrap();
        let _withdrawn = kept.intend([file(1), file(2)].into_iter(), 5).unwrap();
        let intent = kept.intend([file(1)].into_iter(), 5).unwrap();
        kept.confirm(intent).unwrap();
        let mut kept = Kept::open(folder.path()).unwrap();
        let book = Stored::new(&[]);
        let again = kept.resolve(&book).unwrap();
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].0, file(2).0);
        assert!(kept.files.contains_key(Path::new("1")));
        assert!(book.closed().is_empty());
    }

    /// Given up in between and found once more, it had two claims, of which a power cut left both.
    #[test]
    fn a_file_that_stands_in_two_attempts_under_two_claims_is_offered_under_the_last_of_them() {
        let x = |number| {
            let (claim, _, _) = file(number);
            [(claim, PathBuf::from("x"), file(9).2)].into_iter()
        };
        for (stored, offered) in [(&[][..], Some(file(2).0)), (&[1], None), (&[2], None)] {
            let folder = tempfile::tempdir().unwrap();
            let mut kept = Kept::open(folder.path()).unwrap();
            let _first = kept.intend(x(1), 5).unwrap();
            let _second = kept.intend(x(2), 5).unwrap();
            let mut kept = Kept::open(folder.path()).unwrap();
            let again = kept.resolve(&Stored::new(stored)).unwrap();
            let again: Vec<_> = again.iter().map(|file| file.0).collect();
            assert_eq!(again, Vec::from_iter(offered), "{stored:?} is stored");
        }
    }

    /// The disk was full for the second attempt, which put itself in the place of the first: what that may have stored was forgotten.
    #[test]
    fn an_attempt_that_cannot_be_written_down_forgets_nothing_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path()).unwrap();
        let files = || [file(1)].into_iter();
        let first = kept.intend(files(), 5).unwrap();
        let path = first.path.clone();
        kept.doubt(first).unwrap();
        // A folder that takes no files.
        let before = std::mem::replace(&mut kept.folder, PathBuf::from("/proc/self"));
        kept.intend(files(), 5).unwrap_err();
        kept.folder = before;
        assert!(path.exists());
        let second = kept.intend(files(), 5).unwrap();
        kept.doubt(second).unwrap();
        assert!(!path.exists(), "only the last is of use");
    }

    #[test]
    fn what_was_stored_is_known_though_it_cannot_be_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path()).unwrap();
        let first = kept.intend([file(1), file(2)].into_iter(), 5).unwrap();
        kept.doubt(first).unwrap();
        // A file that cannot be written anew.
        kept.doubtful[0].path = PathBuf::from("/proc/self/intent");
        let second = kept.intend([file(1)].into_iter(), 5).unwrap();
        kept.confirm(second).unwrap_err();
        let (_, path, seen) = file(1);
        assert!(kept.has(&path, seen));
    }

    /// The first attempt, and a second one that the process was killed in.
    #[test]
    fn what_stands_in_two_attempts_and_was_stored_by_neither_is_offered_once_and_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path()).unwrap();
        let first = kept.intend([file(1)].into_iter(), 5).unwrap();
        kept.doubt(first).unwrap();
        let _second = kept.intend([file(1)].into_iter(), 5).unwrap();
        let mut kept = Kept::open(folder.path()).unwrap();
        let book = Stored::new(&[]);
        assert_eq!(kept.resolve(&book).unwrap().len(), 1);
        assert!(book.closed().is_empty());
        assert!(Kept::open(folder.path()).unwrap().files.is_empty());
    }

    /// Forgotten, all files that stay would be taken once more.
    #[test]
    fn a_memory_that_cannot_be_read_now_is_told_and_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path()).unwrap();
        let file = (identity(1).claim, PathBuf::from("a"), identity(1).seen);
        let intent = kept.intend([file].into_iter(), 5).unwrap();
        kept.confirm(intent).unwrap();
        let path = kept.segments[0].clone();
        let aside = folder.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        // The system gives the content of no folder.
        std::fs::create_dir(&path).unwrap();
        let error = Kept::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("kernel log"), "{error}");
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        assert_eq!(Kept::open(folder.path()).unwrap().files.len(), 1);
    }

    #[test]
    fn what_was_committed_is_remembered_only_when_the_disk_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path()).unwrap();
        let files = [(identity(1).claim, PathBuf::from("a"), identity(1).seen)];
        let intent = kept.intend(files.into_iter(), 5).unwrap();
        // A folder that nobody can put on a disk.
        kept.folder = PathBuf::from("/proc/self");
        kept.confirm(intent).unwrap_err();
    }

    #[test]
    fn many_files_of_memory_become_one_and_nothing_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path()).unwrap();
        let maker = ClaimMaker::new();
        let seen = identity(1).seen;
        for number in 0..=SEGMENTS_MAX {
            let files = [(maker.make(5), PathBuf::from(format!("{number}")), seen)];
            let intent = kept.intend(files.into_iter(), 5).unwrap();
            kept.confirm(intent).unwrap();
        }
        kept.end_scan(6);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(Kept::open(folder.path()).unwrap().files, kept.files);
        assert_eq!(kept.files.len(), SEGMENTS_MAX + 1);
    }
}
