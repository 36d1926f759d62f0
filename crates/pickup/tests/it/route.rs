//! A route that runs in a process of its own, so that it can be killed: the test starts itself again as that process.
//!
//! Its intake writes each batch into one file, which appears whole and durable, on a disk that nothing happens to. The judge is
//! outside: what was dropped, against what lies in those files and in the archive.

use mainstay_pickup::{After, Claim, Config, Content, Intake, Pickup, Refusal, State, Taken};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Tells the test that it is the process to be killed; holds the folder of the route.
const ROUTE: &str = "MAINSTAY_PICKUP_TEST_ROUTE";
/// The folder of the books, which the judge reads.
const BOOKS: &str = "MAINSTAY_PICKUP_TEST_BOOKS";

/// Where a route takes files from, and where its books are.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) folder: PathBuf,
    pub(crate) books: PathBuf,
    pub(crate) files: usize,
}

/// Each batch is a file `<first claim>.batch` with one line for each document: claim, content. What is closed stands in
/// `<first claim>.closed`, and is not known any more: a file that comes again after that is a second document.
struct Books {
    folder: PathBuf,
    open: Mutex<BTreeSet<Claim>>,
}

impl Books {
    fn open(folder: &Path) -> Self {
        let closed: BTreeSet<Claim> = read(folder, "closed")
            .into_iter()
            .map(|(claim, _)| claim)
            .collect();
        let committed = read(folder, "batch").into_iter().map(|(claim, _)| claim);
        let open = committed.filter(|claim| !closed.contains(claim)).collect();
        Self {
            folder: folder.to_owned(),
            open: Mutex::new(open),
        }
    }

    fn write(&self, claim: Claim, kind: &str, text: &str) -> Result<(), mainstay_files::Error> {
        mainstay_files::create_new(
            &self.folder.join(format!("{claim}.{kind}")),
            text.as_bytes(),
        )
    }
}

fn read(folder: &Path, kind: &str) -> Vec<(Claim, String)> {
    let mut books = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == kind) {
            let text = std::fs::read_to_string(path).unwrap();
            books.extend(text.lines().map(|line| {
                let (claim, content) = line.split_once(' ').unwrap();
                (claim.parse().unwrap(), content.to_owned())
            }));
        }
    }
    books
}

impl Intake for Books {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        let mut text = String::new();
        let claims: Vec<Claim> = files.iter().map(|file| file.claim).collect();
        for file in files {
            let mut bytes = Vec::new();
            match file.content {
                Content::Bytes(whole) => bytes = whole,
                Content::File(mut open) => {
                    open.read_to_end(&mut bytes)
                        .map_err(|error| Refusal::Failed(error.to_string()))?;
                }
            }
            writeln!(text, "{} {}", file.claim, String::from_utf8_lossy(&bytes)).unwrap();
        }
        self.write(claims[0], "batch", &text)
            .map_err(|error| Refusal::Failed(error.to_string()))?;
        self.open.lock().unwrap().extend(claims);
        Ok(())
    }

    fn is_committed(&self, claim: Claim) -> bool {
        self.open.lock().unwrap().contains(&claim)
    }

    fn closed(&self, claims: Vec<Claim>) {
        let Some(first) = claims.first() else { return };
        let mut text = String::new();
        for claim in &claims {
            assert!(
                self.open.lock().unwrap().remove(claim),
                "closed twice, or never committed"
            );
            writeln!(text, "{claim} ").unwrap();
        }
        self.write(*first, "closed", &text).unwrap();
    }
}

/// What the process does that is killed; `false` in the test itself.
pub(crate) fn is_child() -> bool {
    let (Some(folder), Some(books)) = (std::env::var_os(ROUTE), std::env::var_os(BOOKS)) else {
        return false;
    };
    let route = Route {
        folder: folder.into(),
        books: books.into(),
        files: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(route.take_until_drained());
    true
}

impl Route {
    fn config(&self) -> Config {
        let at = |name: &str| self.folder.join(name);
        let mut config = Config::new(at("drop"), at("work"), at("archive"), at("quarantine"));
        config.settle = Duration::from_millis(50);
        config.batch_files = 2;
        config.recursive = true;
        if self.keeps() {
            config.after = After::Keep;
        }
        config
    }

    fn keeps(&self) -> bool {
        self.books.join("keep").exists()
    }

    async fn take_until_drained(&self) {
        let books = Arc::new(Books::open(&self.books));
        let mut pickup = Pickup::open(self.config(), books, mainstay_clock::system()).unwrap();
        pickup.recover().await.unwrap();
        let handle = pickup.handle();
        let stop = CancellationToken::new();
        let running = tokio::spawn(pickup.run(stop.clone()));
        while !self.books.join("drained").exists() {
            let is_produced = self.books.join("produced").exists();
            handle.idle().await;
            let status = handle.status();
            // On a disk that has gone down, folders cannot be searched, which is told, and not waited for.
            let is_well =
                status.state == State::Watching && status.unfinished + status.waiting_total == 0;
            if is_produced && is_well {
                assert_eq!(status.last_error, None);
                mainstay_files::create_new(&self.books.join("drained"), b"").unwrap();
            }
        }
        stop.cancel();
        running.await.unwrap();
    }

    /// Starts the process that takes the files; `test` is the name of the test that calls [`is_child`].
    pub(crate) fn start(&self, test: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ROUTE, &self.folder)
            .env(BOOKS, &self.books)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The content of the file with this number: some are small, some large.
    pub(crate) fn content(number: usize) -> String {
        if number % 50 == 7 {
            format!("{number}{}", "-".repeat(400 * 1024))
        } else {
            number.to_string()
        }
    }

    /// No document is there twice, and each has its original, whole: whatever became of what the disk never had.
    pub(crate) fn judge_documents(&self, seed: u64) {
        // Of a file that its producer did not sync, a power cut may leave the name, or zeros, in the drop folder.
        let is_whole = |content: &String| {
            let number = content.trim_end_matches('-').parse();
            number.is_ok_and(|number| *content == Self::content(number))
        };
        let documents = read(&self.books, "batch")
            .into_iter()
            .map(|(_, content)| content);
        let mut documents: Vec<String> = documents.filter(is_whole).collect();
        let mut originals = Vec::new();
        collect(&self.folder.join("archive"), &mut originals);
        originals.retain(is_whole);
        documents.sort();
        originals.sort();
        assert!(
            documents.is_sorted_by(|one, next| one < next),
            "a document is there twice, seed {seed}"
        );
        let is_missing = |document: &&String| originals.binary_search(document).is_err();
        let missing = documents.iter().filter(is_missing).count();
        assert_eq!(
            missing,
            0,
            "of {} documents have no whole original, seed {seed}",
            documents.len()
        );
        assert!(documents.len() > 100, "hardly anything was taken");
    }

    /// Everything that was dropped is one document, and one original.
    pub(crate) fn judge(&self, seed: u64) {
        let number = |content: &str| content.trim_end_matches('-').to_owned();
        let mut documents: BTreeMap<String, usize> = BTreeMap::new();
        let mut claims = BTreeSet::new();
        for (claim, content) in read(&self.books, "batch") {
            assert!(
                claims.insert(claim),
                "{claim} was committed twice, seed {seed}"
            );
            assert_eq!(
                content,
                Self::content(number(&content).parse().unwrap()),
                "seed {seed}"
            );
            *documents.entry(number(&content)).or_default() += 1;
        }
        let expected: BTreeMap<String, usize> = (0..self.files)
            .map(|number| (number.to_string(), 1))
            .collect();
        let strange: Vec<_> = documents
            .iter()
            .filter(|(number, count)| expected.get(*number) != Some(*count))
            .collect();
        let missing: Vec<_> = expected
            .keys()
            .filter(|number| !documents.contains_key(*number))
            .collect();
        assert!(
            strange.is_empty() && missing.is_empty(),
            "more: {strange:?}, fewer: {missing:?}, seed {seed}"
        );
        let mut originals: Vec<String> = Vec::new();
        collect(
            &self
                .folder
                .join(if self.keeps() { "drop" } else { "archive" }),
            &mut originals,
        );
        let mut whole: Vec<String> = (0..self.files).map(Self::content).collect();
        whole.sort();
        originals.sort();
        assert!(
            originals == whole,
            "the originals are not those that were dropped, seed {seed}"
        );
        let mut left = Vec::new();
        for entry in std::fs::read_dir(self.folder.join("work")).unwrap() {
            left.push(entry.unwrap().file_name());
        }
        left.retain(|name| {
            !["LOCK", "NAME", "TARGETS", "kept"]
                .iter()
                .any(|ours| name == ours)
        });
        assert!(left.is_empty(), "{left:?}, seed {seed}");
    }
}

fn collect(folder: &Path, contents: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, contents);
        } else {
            contents.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
        }
    }
}

/// Numbers without a pattern that matters: a linear congruential generator.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Waits for the process for so long; `None` if it is still running then.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> Option<std::process::ExitStatus> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if begin.elapsed() > patience {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a process that ended by itself has to say for itself.
pub(crate) fn assert_success(child: &mut Child, status: std::process::ExitStatus, seed: u64) {
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert!(
        status.success(),
        "the process failed by itself, seed {seed}: {errors}"
    );
}
