//! The bench that the tests stand on: folders, an intake with a ledger that serves as oracle, and a running pickup.

use mainstay_clock::{ManualClock, SharedClock, system};
use mainstay_pickup::{Claim, Config, Content, Handle, Intake, Pickup, Refusal, Status, Taken};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Folders of one route, in a temporary folder.
pub(crate) struct Folders {
    pub(crate) root: TempDir,
}

impl Folders {
    pub(crate) fn new() -> Self {
        Self::at(TempDir::new().unwrap())
    }

    pub(crate) fn at(root: TempDir) -> Self {
        std::fs::create_dir(root.path().join("drop")).unwrap();
        Self { root }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn drop_path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path("drop").join(name)
    }

    /// Settings with which only events, ages and markers make a file complete: nobody waits an hour.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new(
            self.path("drop"),
            self.path("work"),
            self.path("archive"),
            self.path("quarantine"),
        );
        config.settle = Duration::from_hours(1);
        config
    }

    /// Drops a file as a careful producer does: written elsewhere, and renamed in.
    pub(crate) fn drop_file(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) {
        let outside = self.path("outside");
        std::fs::write(&outside, content).unwrap();
        std::fs::rename(&outside, self.drop_path(name.as_ref())).unwrap();
    }

    /// Drops a file that was last changed so many seconds before now.
    pub(crate) fn drop_aged(
        &self,
        name: impl AsRef<OsStr>,
        content: impl AsRef<[u8]>,
        age: Duration,
    ) {
        let path = self.path("outside");
        std::fs::write(&path, content).unwrap();
        let file = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        drop(file);
        std::fs::rename(&path, self.drop_path(name.as_ref())).unwrap();
    }

    /// All names below a folder of the route, sorted; folders themselves are left out.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.path(folder), Path::new(""), &mut names);
        names.sort();
        names
    }

    /// The names of what lies in the work folder, without what is always there.
    pub(crate) fn work_names(&self) -> Vec<String> {
        self.names("work")
            .into_iter()
            .filter(|name| !["LOCK", "NAME", "TARGETS"].iter().any(|ours| name == ours))
            .collect()
    }

    /// The content of every file below a folder, sorted.
    pub(crate) fn contents(&self, folder: &str) -> Vec<Vec<u8>> {
        let mut paths = Vec::new();
        collect_paths(&self.path(folder), &mut paths);
        let mut contents: Vec<_> = paths
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect();
        contents.sort();
        contents
    }
}

fn collect(folder: &Path, relative: &Path, names: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let relative = relative.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &relative, names);
        } else {
            names.push(relative.to_string_lossy().into_owned());
        }
    }
}

fn collect_paths(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            collect_paths(&entry.path(), paths);
        } else {
            paths.push(entry.path());
        }
    }
}

/// Keeps what it is given, and counts.
#[derive(Default)]
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(crate) struct Inner {
    /// What is committed.
    pub(crate) files: BTreeMap<Claim, Kept>,
    /// In the order in which it was.
    pub(crate) order: Vec<Claim>,
    pub(crate) closed: BTreeSet<Claim>,
    /// How many files came with each commit that was accepted.
    pub(crate) batches: Vec<usize>,
    pub(crate) is_full: bool,
    /// It has room for so many files at once only; 0 for any number.
    pub(crate) takes_at_most: usize,
    /// What a commit answers, once each, before it accepts again.
    pub(crate) refusals: Vec<Refusal>,
    /// Files of this name can never be stored.
    pub(crate) poison: Option<OsString>,
    /// Whether the poison is named, or only makes the batch fail.
    pub(crate) is_poison_named: bool,
    /// Commits never answer.
    pub(crate) hangs: bool,
    /// The next commit panics.
    pub(crate) dies: bool,
    /// The next commit is stored, and refused all the same.
    pub(crate) lies: bool,
    pub(crate) commits: usize,
}

/// One committed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) name: OsString,
    pub(crate) relative: PathBuf,
    pub(crate) content: Vec<u8>,
    pub(crate) is_inline: bool,
}

impl Ledger {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Names in the order in which they were committed.
    pub(crate) fn names(&self) -> Vec<String> {
        let inner = self.lock();
        inner
            .order
            .iter()
            .map(|claim| inner.files[claim].relative.to_string_lossy().into_owned())
            .collect()
    }

    pub(crate) fn contents(&self) -> Vec<Vec<u8>> {
        let mut contents: Vec<_> = self
            .lock()
            .files
            .values()
            .map(|file| file.content.clone())
            .collect();
        contents.sort();
        contents
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().files.len()
    }

    /// Commits as an earlier life of the process would have.
    pub(crate) fn commit_earlier(&self, claim: Claim, name: &str, content: &[u8]) {
        let kept = Kept {
            name: name.into(),
            relative: name.into(),
            content: content.to_vec(),
            is_inline: true,
        };
        self.lock().files.insert(claim, kept);
    }

    /// Every claim that was committed is closed, and no other.
    pub(crate) fn assert_closed(&self) {
        let inner = self.lock();
        let committed: BTreeSet<Claim> = inner.files.keys().copied().collect();
        assert_eq!(
            inner.closed, committed,
            "claims that are closed, and claims that are committed"
        );
    }
}

impl Intake for Ledger {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        let (hangs, dies) = {
            let mut inner = self.lock();
            inner.commits += 1;
            (inner.hangs, std::mem::take(&mut inner.dies))
        };
        assert!(!dies, "the intake panics");
        if hangs {
            std::future::pending::<()>().await;
        }
        let mut inner = self.lock();
        if inner.is_full {
            return Err(Refusal::Full("the ledger is full".into()));
        }
        if inner.takes_at_most != 0 && inner.takes_at_most < files.len() {
            return Err(Refusal::Full("too many at once".into()));
        }
        if let Some(refusal) = inner.refusals.pop() {
            return Err(refusal);
        }
        if let Some(poisoned) = files
            .iter()
            .find(|file| Some(&file.name) == inner.poison.as_ref())
        {
            return Err(if inner.is_poison_named {
                Refusal::Rejected {
                    claim: poisoned.claim,
                    reason: "it is poison".into(),
                }
            } else {
                Refusal::Failed("something in there is poison".into())
            });
        }
        inner.batches.push(files.len());
        for file in files {
            let (content, is_inline) = match file.content {
                Content::Bytes(bytes) => (bytes, true),
                Content::File(mut open) => {
                    let mut bytes = Vec::new();
                    open.read_to_end(&mut bytes).unwrap();
                    (bytes, false)
                }
            };
            assert_eq!(
                content.len() as u64,
                file.len,
                "the length is that of the content"
            );
            assert_eq!(
                <[u8; 32]>::from(Sha256::digest(&content)),
                file.sha256,
                "the hash is that of the content"
            );
            assert_eq!(file.relative.file_name(), Some(&*file.name));
            let kept = Kept {
                name: file.name,
                relative: file.relative,
                content,
                is_inline,
            };
            assert_eq!(
                inner.files.insert(file.claim, kept),
                None,
                "a claim is committed once"
            );
            inner.order.push(file.claim);
        }
        if std::mem::take(&mut inner.lies) {
            Err(Refusal::Failed("it came too late".into()))
        } else {
            Ok(())
        }
    }

    fn is_committed(&self, claim: Claim) -> bool {
        self.lock().files.contains_key(&claim)
    }

    fn closed(&self, claims: Vec<Claim>) {
        let mut inner = self.lock();
        for claim in claims {
            assert!(
                inner.files.contains_key(&claim),
                "only what is committed is closed"
            );
            assert!(inner.closed.insert(claim), "a claim is closed once");
        }
    }

    fn has_room(&self) -> bool {
        !self.lock().is_full
    }
}

/// A pickup at work.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(config: Config, ledger: &Arc<Ledger>) -> Self {
        Self::start_with(config, ledger, system())
    }

    pub(crate) fn start_by(config: Config, ledger: &Arc<Ledger>, clock: &ManualClock) -> Self {
        Self::start_with(config, ledger, Arc::new(clock.clone()))
    }

    fn start_with(config: Config, ledger: &Arc<Ledger>, clock: SharedClock) -> Self {
        Self::run(Pickup::open(config, Arc::clone(ledger), clock).unwrap())
    }

    pub(crate) fn run<I: Intake>(pickup: Pickup<I>) -> Self {
        let handle = pickup.handle();
        let stop = CancellationToken::new();
        let task = tokio::spawn(pickup.run(stop.clone()));
        Self { handle, stop, task }
    }

    /// Waits until all is taken.
    pub(crate) async fn idle(&self) {
        let waited = tokio::time::timeout(PATIENCE, self.handle.idle()).await;
        assert!(
            waited.is_ok(),
            "not idle in time: {:#?}",
            self.handle.status()
        );
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = self.handle.status();
            if is_so(&status) {
                return status;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{what} did not come true: {status:#?}"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until a panic ends it.
    pub(crate) async fn dies(self) -> Handle {
        let died = tokio::time::timeout(PATIENCE, self.task).await;
        assert!(died.expect("it dies in time").unwrap_err().is_panic());
        self.handle
    }

    /// Drops it, at whatever point it is.
    pub(crate) async fn drop_it(self) -> Handle {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        self.handle
    }

    pub(crate) async fn stop(self) -> Status {
        self.stop.cancel();
        let stopped = tokio::time::timeout(PATIENCE, self.task).await;
        stopped
            .expect("it stops in time")
            .expect("it does not panic");
        self.handle.status()
    }
}

/// Takes everything that can be taken, and stops.
pub(crate) async fn take_all(config: Config, ledger: &Arc<Ledger>) -> Status {
    let running = Running::start(config, ledger);
    running.idle().await;
    running.stop().await
}

/// Calls `step` until `is_so`, for a bounded time.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what} did not come true"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A file system mounted for one test, and unmounted at its end.
pub(crate) struct Mount {
    source: PathBuf,
    kind: String,
    options: String,
    path: PathBuf,
}

impl Mount {
    /// One without a device; `None`, and a word about it, where mounting is refused.
    pub(crate) fn new(kind: &str, options: &str, path: PathBuf) -> Option<Self> {
        Self::of(Path::new("mainstay-test"), kind, options, path)
    }

    /// One of a device or an image; `None`, and a word about it, where mounting is refused.
    pub(crate) fn of(source: &Path, kind: &str, options: &str, path: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mount = Self {
            source: source.to_owned(),
            kind: kind.to_owned(),
            options: options.to_owned(),
            path,
        };
        match mount.mount() {
            Ok(()) => Some(mount),
            Err(why) => {
                println!("NOT MEASURED: mounting {kind} was refused: {why}");
                std::mem::forget(mount);
                None
            }
        }
    }

    fn mount(&self) -> Result<(), String> {
        let mut command = std::process::Command::new("mount");
        command
            .args(["-t", &self.kind, "-o", &self.options])
            .arg(&self.source)
            .arg(&self.path);
        let output = command.output().map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Unmounts and mounts: what was not on the disk is gone.
    ///
    /// Others mount images too, and whoever asks for a free loop device may be a moment too late, so both are tried for a while.
    pub(crate) fn again(&mut self) {
        let unmount = || {
            let output = std::process::Command::new("umount")
                .arg(&self.path)
                .output()
                .unwrap();
            if output.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&output.stderr).into_owned())
            }
        };
        insist(unmount);
        insist(|| self.mount());
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Tries until it works, for a bounded time.
fn insist(mut attempt: impl FnMut() -> Result<(), String>) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while let Err(why) = attempt() {
        assert!(std::time::Instant::now() < deadline, "{why}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(
            std::process::Command::new("umount")
                .arg("--lazy")
                .arg(&self.path)
                .status(),
        );
    }
}

/// A claim that no pickup has made.
pub(crate) fn claim(number: u8) -> Claim {
    Claim::from_bytes([number; 16])
}

/// A name that is not UTF-8.
pub(crate) fn latin1() -> OsString {
    OsStr::from_bytes(b"Pr\xfcfung \x80.csv").to_owned()
}
