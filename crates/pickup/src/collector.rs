//! The part that touches files: all of it blocks, and runs on a blocking thread.

use crate::candidates::{Candidates, Seen};
use crate::claim::{Claim, ClaimMaker};
use crate::config::{After, Config};
use crate::entry::{Entry, Role};
use crate::error::Error;
use crate::filter::Filter;
use crate::folder::{Folder, FolderId};
use crate::intake::Intake;
use crate::kept::Kept;
use crate::layout;
use crate::pulse::Away;
use crate::quarantine::Quarantine;
use crate::status::{Shared, State};
use crate::stray::Stray;
use crate::targets::Targets;
use crate::watch::Watch;
use mainstay_clock::{Moment, SharedClock};
use mainstay_files::{self as files, Lock, Shown};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The lock that one pickup holds on its work folder.
pub(crate) const LOCK: &str = "LOCK";
/// The file with the name of this work folder among those that share a drop folder on another file system.
pub(crate) const NAME: &str = "NAME";
/// The folder with the memory of files that stay in the drop folder.
pub(crate) const KEPT: &str = "kept";
/// How the claimed folder in a drop folder on another file system begins; the name of the work folder follows.
pub(crate) const CLAIMED: &str = ".mainstay-claimed-";

/// What a pickup knows, and what it holds open.
pub(crate) struct Collector {
    pub(crate) config: Config,
    pub(crate) filter: Filter,
    pub(crate) clock: SharedClock,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stop: CancellationToken,
    pub(crate) maker: ClaimMaker,
    pub(crate) work: Folder,
    pub(crate) work_id: FolderId,
    /// The name of the claimed folder, in the drop folder.
    pub(crate) claimed_name: OsString,
    pub(crate) quarantine: Quarantine,
    pub(crate) kept: Option<Kept>,
    pub(crate) watch: Option<Watch>,
    /// The drop folder that is watched now.
    pub(crate) attached: Option<FolderId>,
    /// It was not looked into yet for files that an earlier life of ours took.
    pub(crate) is_new_here: bool,
    pub(crate) candidates: Candidates,
    /// Taken and not committed: offered again before anything new is taken.
    pub(crate) pending: Vec<Claimed>,
    /// Committed, and not yet archived, moved or removed.
    pub(crate) unfinished: Vec<Claimed>,
    pub(crate) unfinished_due: Moment,
    /// Markers that were taken without their files, and could not be put back yet.
    pub(crate) strays: Vec<Stray>,
    pub(crate) targets: Targets,
    /// Copies in the work folder whose originals went to quarantine, and that could not be removed yet.
    pub(crate) leftovers: Vec<OsString>,
    pub(crate) scan: ScanPlan,
    /// While a thread has it. Dropped before the lock is given back, also where a panic drops both: whoever comes next may send a
    /// thread of its own.
    pub(crate) away: Option<Away>,
    _lock: Lock,
}

/// What the blocking part needs to know of the intake.
pub(crate) trait Book {
    fn is_committed(&self, claim: Claim) -> bool;
    fn closed(&self, claims: Vec<Claim>);
}

impl<I: Intake> Book for I {
    fn is_committed(&self, claim: Claim) -> bool {
        Intake::is_committed(self, claim)
    }

    fn closed(&self, claims: Vec<Claim>) {
        Intake::closed(self, claims);
    }
}

/// When the whole folder is looked through.
#[derive(Debug)]
pub(crate) struct ScanPlan {
    pub(crate) due: Moment,
    pub(crate) last: Moment,
    /// At once, whatever the time.
    pub(crate) is_forced: bool,
    /// Nothing was taken, and nothing has begun to settle, since the last one began.
    pub(crate) is_quiet: bool,
    /// Those who asked before the last one began.
    pub(crate) ticket: u64,
}

/// A file that is ours now.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    pub(crate) claim: Claim,
    /// Its path below the drop folder.
    pub(crate) relative: PathBuf,
    /// Where it lies.
    pub(crate) place: Place,
    /// Its name there.
    pub(crate) name: OsString,
    /// The name of its marker, in the same place.
    pub(crate) marker: Option<OsString>,
    /// Whether its name is cut, and an entry with its whole path stands beside it.
    pub(crate) is_cut: bool,
    /// What it looked like when it was found complete; unknown after a restart.
    pub(crate) seen: Option<Seen>,
    /// Whether the disk has confirmed that it lies here.
    pub(crate) is_durable: bool,
    /// Whether an earlier attempt, maybe of an earlier life, may have finished it and not confirmed that.
    pub(crate) is_in_doubt: bool,
    /// It is not offered before.
    pub(crate) due: Moment,
    /// How often it could not be stored or read.
    pub(crate) failures: u32,
    /// How often in a row the disk did not give its content.
    pub(crate) unreadable: u32,
}

/// Where a taken file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the work folder.
    Work,
    /// In the claimed folder of the drop folder, because that is on another file system; what is committed is a copy.
    Claimed,
    /// Where it was dropped, because it stays there.
    Drop,
}

impl Collector {
    pub(crate) fn open(
        config: Config,
        clock: SharedClock,
        shared: Arc<Shared>,
    ) -> Result<Self, Error> {
        if let Some((setting, why)) = config.impossible() {
            return Err(Error::config(&config.drop, setting, why));
        }
        let filter = Filter::new(&config)?;
        layout::prepare(&config)?;
        let path = &config.work;
        let lock =
            Lock::acquire(&path.join(LOCK)).map_err(|error| Error::folder("lock", path, error))?;
        files::sweep(path).map_err(|error| Error::folder("read", path, error))?;
        let claimed_name = own_name(&config)?;
        let (work, work_id) = open_folder(path)?;
        let kept = match config.after {
            After::Keep => Some(Kept::open(&path.join(KEPT))?),
            _ => None,
        };
        let now = clock.now();
        Ok(Self {
            filter,
            shared,
            stop: CancellationToken::new(),
            maker: ClaimMaker::new(),
            work,
            work_id,
            claimed_name,
            quarantine: Quarantine::new(&config.quarantine),
            kept,
            watch: None,
            attached: None,
            is_new_here: false,
            candidates: Candidates::default(),
            pending: Vec::new(),
            unfinished: Vec::new(),
            unfinished_due: now,
            strays: Vec::new(),
            targets: Targets::open(path)?,
            leftovers: Vec::new(),
            scan: ScanPlan {
                due: now,
                last: now,
                is_forced: true,
                is_quiet: false,
                ticket: 0,
            },
            away: None,
            _lock: lock,
            clock,
            config,
        })
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The path in the work folder, for the calls that want one.
    pub(crate) fn work_path(&self, name: &OsStr) -> PathBuf {
        self.config.work.join(name)
    }

    /// What is committed for a claimed file: itself, or its copy.
    pub(crate) fn committed_name(claimed: &Claimed) -> OsString {
        match claimed.place {
            Place::Claimed => Entry::name(claimed.claim, Role::Copy, &claimed.relative).0,
            Place::Work | Place::Drop => claimed.name.clone(),
        }
    }

    // === what people are told ===

    pub(crate) fn be(&self, state: State, reason: &str) {
        self.shared.lock().be(state, reason);
    }

    pub(crate) fn fail(&self, message: String) {
        self.shared.lock().fail(message, self.clock.wall());
    }

    pub(crate) fn complain(&self, relative: &Path, reason: &str) {
        self.shared
            .lock()
            .complain(relative, reason, self.clock.wall());
    }

    /// Something went wrong with one file.
    pub(crate) fn fail_file(&self, verb: &str, relative: &Path, why: &str) {
        let path = self.config.drop.join(relative);
        self.fail(format!("cannot {verb} `{}`: {why}", Shown(&path)));
    }

    /// Brings the numbers of the status up to date.
    pub(crate) fn count(&self) {
        let mut board = self.shared.lock();
        board.status.ready = self.candidates.ready();
        board.status.settling = self.candidates.settling();
        board.status.pending = self.pending.len();
        board.status.unfinished = self.unfinished.len();
        board.status.has_events = self.watch.is_some();
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Whoever waits for us to become idle has waited long enough. The lock is given back after that, so that nobody who comes next
/// is told anything of us.
impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.lock().end(std::thread::panicking());
        self.shared.answer(u64::MAX);
    }
}

/// Waits that grow: 1 s, 2 s, 4 s, 8 s, then 10 s.
pub(crate) fn backoff(failures: u32) -> Duration {
    const LONGEST: Duration = Duration::from_secs(10);
    Duration::from_secs(1 << failures.saturating_sub(1).min(4)).min(LONGEST)
}

fn open_folder(path: &Path) -> Result<(Folder, FolderId), Error> {
    let opened = Folder::open(path).and_then(|folder| {
        let id = folder.id()?;
        Ok((folder, id))
    });
    opened.map_err(|_| {
        // It was made or found a moment ago, so the name does not lead to a folder.
        Error::layout(path, "it cannot be opened as a folder; look what is there")
    })
}

/// The name of this work folder's claimed folder, made once and kept for ever.
fn own_name(config: &Config) -> Result<OsString, Error> {
    let path = config.work.join(NAME);
    let failed = |verb, error| Error::folder(verb, &path, error);
    let name = if let Some(name) = known_name(&path)? {
        name
    } else {
        // The last 8 bytes of a claim are random.
        let random = u128::from_be_bytes(ClaimMaker::new().make(0).to_bytes()) as u64;
        let name = format!("{random:016x}");
        files::replace(&path, format!("{name}\n").as_bytes())
            .map_err(|error| failed("write", error))?;
        name
    };
    Ok(OsString::from(format!("{CLAIMED}{name}")))
}

/// The name that the file says; `None` where there is no file, or one that says no name. One that cannot be read now says nothing:
/// under another name, the files in the claimed folder would be nobody's.
fn known_name(path: &Path) -> Result<Option<String>, Error> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::unreadable(path, &error)),
    };
    let text = String::from_utf8_lossy(&bytes);
    let name = text.trim();
    let is_name = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(is_name.then(|| name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// One read that failed, and a new name was written over it: what lay in the claimed folder of the old one was never taken.
    #[test]
    fn a_name_that_cannot_be_read_now_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        assert_eq!(known_name(&path).unwrap(), None, "there is none yet");
        files::replace(&path, b"0123456789abcdef\n").unwrap();
        let known = known_name(&path).unwrap();
        assert_eq!(known.as_deref(), Some("0123456789abcdef"));
        // A file that opens, and whose content no read gives.
        let error = known_name(Path::new("/proc/self/mem")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Folder, "{error}");
    }

    #[test]
    fn waits_grow_from_one_second_to_ten() {
        let waits: Vec<u64> = (0..=7)
            .map(|failures| backoff(failures).as_secs())
            .collect();
        assert_eq!(waits, [1, 1, 2, 4, 8, 10, 10, 10]);
        assert_eq!(backoff(u32::MAX), Duration::from_secs(10));
    }
}
