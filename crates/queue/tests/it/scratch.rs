//! A queue in a folder of its own, and what tests do to it.

use mainstay_clock::ManualClock;
use mainstay_queue::{BodyFile, Config, DocumentId, LaneId, NewBody, NewDocument, Queue, Recovery};
use std::fs;
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

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else if let Err(error) = fs::copy(entry.path(), &target) {
            // Segments are made and retired in the background while we copy.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
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
