//! A queue in a folder of its own, and what tests do to it.

use mainstay_clock::ManualClock;
use mainstay_queue::{BodyFile, Config, DocumentId, LaneId, NewBody, NewDocument, Queue, Recovery};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

pub(crate) struct Scratch {
    pub(crate) folder: TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) config: Config,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Small segments, so that a few documents fill many.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = ManualClock::new();
        let mut config = Config {
            segment_bytes: 256 * 1024,
            first_segment_bytes: 64 * 1024,
            reserve_bytes: 64 * 1024,
            clock: Arc::new(clock.clone()),
            ..Config::default()
        };
        change(&mut config);
        Self {
            folder: TempDir::new().unwrap(),
            clock,
            config,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("queue")
    }

    pub(crate) fn open(&self) -> (Queue, LaneId) {
        let (queue, _, lane) = self.open_with_report();
        (queue, lane)
    }

    pub(crate) fn open_with_report(&self) -> (Queue, Recovery, LaneId) {
        let (queue, recovery) = Queue::open(self.path(), self.config.clone()).unwrap();
        let lane = declare(&queue, "main");
        (queue, recovery, lane)
    }

    /// What a process that is killed now leaves behind: a copy of the folder, opened as a queue of its own.
    pub(crate) fn killed(&self) -> Scratch {
        let copy = Scratch {
            folder: TempDir::new().unwrap(),
            clock: self.clock.clone(),
            config: self.config.clone(),
        };
        copy_folder(&self.path(), &copy.path());
        copy
    }

    /// The same folder in the hands of a process that starts when the date is `wall`: its clock counts from there.
    pub(crate) fn started_again(self, wall: u64) -> Scratch {
        let clock = ManualClock::new();
        clock.set_wall(wall);
        let mut config = self.config.clone();
        config.clock = Arc::new(clock.clone());
        Scratch {
            clock,
            config,
            ..self
        }
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        paths.sort();
        paths
    }
}

pub(crate) fn declare(queue: &Queue, name: &str) -> LaneId {
    let queue = queue.clone();
    let name = name.to_owned();
    // Declaring blocks, and tests run inside a runtime.
    std::thread::spawn(move || queue.declare_lane(&name).unwrap())
        .join()
        .unwrap()
}

/// Copies a folder as it is at one moment, which a process that is killed leaves, and one that works on does not: segments are
/// made, filled and retired in the background, so it is copied again until nothing happened meanwhile.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    loop {
        fs::create_dir_all(to).unwrap();
        let before = entries(from);
        let is_whole = before.iter().all(|entry| copy_entry(from, to, entry));
        if is_whole && entries(from) == before {
            return;
        }
        fs::remove_dir_all(to).unwrap();
    }
}

/// What lies in a folder: the path in it, and what the system says of it.
type Entry = (PathBuf, Option<(u64, u64, i64, i64)>);

fn entries(folder: &Path) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inner)).unwrap() {
            let entry = entry.unwrap();
            let path = inner.join(entry.file_name());
            let facts = entry.metadata().ok();
            if facts.as_ref().is_some_and(fs::Metadata::is_dir) {
                folders.push(path.clone());
            }
            let facts = facts.filter(fs::Metadata::is_file);
            let facts = facts.map(|of| (of.ino(), of.len(), of.ctime(), of.ctime_nsec()));
            found.push((path, facts));
        }
    }
    // Each folder before what is in it.
    found.sort();
    found
}

/// Whether it was still there.
fn copy_entry(from: &Path, to: &Path, (path, file): &Entry) -> bool {
    let (from, to) = (from.join(path), to.join(path));
    if file.is_none() {
        return fs::create_dir_all(to).is_ok();
    }
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    match fs::copy(from, to) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
            false
        }
    }
}

pub(crate) fn document(lane: LaneId, body: impl Into<Vec<u8>>) -> NewDocument {
    NewDocument::new(vec![lane], body.into())
}

pub(crate) async fn put(queue: &Queue, lane: LaneId, body: impl Into<Vec<u8>>) -> DocumentId {
    queue.enqueue(document(lane, body)).await.unwrap().id()
}

/// A body in a file of its own, which no document has yet.
pub(crate) fn body_file(queue: &Queue, bytes: &[u8]) -> BodyFile {
    let mut writer = queue.body_writer().unwrap();
    for piece in bytes.chunks(100_000) {
        writer.write(piece).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) async fn put_file(queue: &Queue, lane: LaneId, bytes: &[u8]) -> DocumentId {
    let named = NewDocument {
        body: NewBody::File(body_file(queue, bytes)),
        ..document(lane, "")
    };
    queue.enqueue(named).await.unwrap().id()
}

/// Takes and acknowledges everything that is ready; returns the bodies in the order that they were offered in.
pub(crate) async fn drain(queue: &Queue, lane: LaneId) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while let Some(lease) = queue.try_lease(lane) {
        bodies.push(body_of(&lease));
        lease.ack().await.unwrap();
    }
    bodies
}

pub(crate) fn body_of(lease: &mainstay_queue::Lease) -> Vec<u8> {
    use std::io::Read;
    match lease.body().unwrap() {
        mainstay_queue::Body::Bytes(bytes) => bytes.to_vec(),
        mainstay_queue::Body::File(mut file, len) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, len);
            bytes
        }
    }
}
