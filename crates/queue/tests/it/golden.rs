//! What an earlier version wrote is read by every later one. `tests/golden/README.md` says what lies there.

use mainstay_clock::ManualClock;
use mainstay_queue::disk::RealDisk;
use mainstay_queue::store::Store;
use mainstay_queue::{Body, Config, DocumentId, Io, LogStore, NewDocument, Queue};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

const WALL: u64 = 1_790_000_000_000;
const LARGE: usize = 300 * 1024;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// The golden queue in a folder of its own, with what was left out of it put back.
fn unpacked(snapshot: Option<&str>) -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in fs::read_dir(golden().join("killed")).unwrap() {
        let entry = entry.unwrap();
        let mut bytes = fs::read(entry.path()).unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("seg-") {
            let size = u64::from_le_bytes(bytes[40..48].try_into().unwrap());
            bytes.resize(size as usize, 0);
        }
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    if let Some(snapshot) = snapshot {
        fs::copy(golden().join(snapshot), folder.path().join("snapshot")).unwrap();
    }
    let large: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8 ^ 1).collect();
    fs::create_dir(folder.path().join("bodies")).unwrap();
    fs::write(folder.path().join("bodies").join(hex(&large)), large).unwrap();
    folder
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn config() -> Config {
    let clock = ManualClock::new();
    clock.set_wall(WALL);
    Config {
        segment_bytes: 64 * 1024,
        first_segment_bytes: 64 * 1024,
        io: Io::Buffered,
        clock: Arc::new(clock),
        ..Config::default()
    }
}

fn line(store: &LogStore, id: DocumentId) -> String {
    let document = store.load(id).unwrap().unwrap();
    assert_eq!(document.route, "reports");
    assert_eq!(document.content_type, "application/json");
    assert_eq!(document.headers.len(), 1);
    let bytes = match store.body(&document).unwrap() {
        Body::Bytes(bytes) => bytes.to_vec(),
        Body::File(mut file, _) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            bytes
        }
    };
    let standing = store.standing(id).unwrap();
    let states = standing
        .iter()
        .map(|on| format!(" {:?}={:?}/{}", on.lane, on.state, on.attempts));
    let states: String = states.collect();
    format!("{id} {} {}{states}", hex(&bytes), bytes.len())
}

#[test]
fn a_queue_of_format_1_opens_for_ever() {
    let expected = fs::read_to_string(golden().join("documents.txt")).unwrap();
    for snapshot in [None, Some("snapshot.clean")] {
        let folder = unpacked(snapshot);
        let disk = RealDisk::open(folder.path(), Io::Buffered).unwrap();
        let (store, recovery) = LogStore::open(Arc::new(disk), &config()).unwrap();
        assert_eq!(recovery.clean, snapshot.is_some());
        assert_eq!(recovery.damage, []);
        assert_eq!(recovery.torn_groups, 0);
        let mut lines: Vec<String> = store
            .select(None, &[], None)
            .into_iter()
            .map(|id| line(&store, id))
            .collect();
        lines.sort();
        assert_eq!(lines, expected.lines().collect::<Vec<_>>());
        let ledger = store.ledger();
        assert!(ledger.is_balanced(), "{ledger:?}");
        assert_eq!((ledger.accepted, ledger.discarded), (16, 2));
        let names = store.lanes().into_iter().map(|lane| lane.name);
        assert!(names.eq(["reports/http", "reports/folder"]));
        assert_eq!(store.open_claims().len(), 1);
        drop(store);
        // And it goes on.
        let (queue, _) = Queue::open(folder.path(), config()).unwrap();
        let lane = queue.lanes()[0].id;
        queue
            .enqueue_blocking(NewDocument::new(vec![lane], "new"))
            .unwrap();
        queue.close_blocking();
    }
}

#[test]
fn an_archive_of_format_1_is_imported_for_ever() {
    let folder = TempDir::new().unwrap();
    let (queue, _) = Queue::open(folder.path(), config()).unwrap();
    let archive = fs::read(golden().join("export.tar")).unwrap();
    let imported = queue.import(&archive[..]).unwrap();
    assert_eq!((imported.accepted, imported.already_there), (4, 0));
    queue.close_blocking();
    let disk = RealDisk::open(folder.path(), Io::Buffered).unwrap();
    let (store, _) = LogStore::open(Arc::new(disk), &config()).unwrap();
    let names: Vec<String> = (store.lanes().into_iter()).map(|lane| lane.name).collect();
    assert_eq!(names, ["reports/folder", "reports/http"]);
    let expected = fs::read_to_string(golden().join("documents.txt")).unwrap();
    // What was delivered to a lane is not carried to it once more.
    let lanes = [(8, 1), (9, 2), (14, 1), (15, 1)];
    for (number, lanes) in lanes {
        let id = DocumentId::from_bytes([number; 16]);
        let told = line(&store, id);
        let what: Vec<&str> = told.split(' ').take(3).collect();
        assert!(expected.contains(&what.join(" ")), "{told}");
        assert_eq!(store.standing(id).unwrap().len(), lanes, "{told}");
        let document = store.load(id).unwrap().unwrap();
        assert_eq!(document.source, [b'r', number, 0xff]);
        assert_eq!(
            document.headers[0],
            ("serial".to_owned(), format!("Nº {number}"))
        );
        assert_eq!(document.priority.number(), number % 10 + 1);
    }
}

#[test]
fn a_newer_segment_is_refused_and_nothing_is_touched() {
    let folder = unpacked(None);
    let path = folder.path().join("seg-0000000003.log");
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    let mut hasher = Sha256::new();
    hasher.update(&bytes[16..32]);
    hasher.update(3_u64.to_le_bytes());
    let hash = hasher.finalize();
    let seed = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]);
    let crc = crc32c::crc32c_append(seed, &bytes[..80]);
    bytes[80..84].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let files = |folder: &Path| {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file() && !path.ends_with("LOCK"))
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = files(folder.path());
    let error = Queue::open(folder.path(), config()).unwrap_err();
    assert_eq!(error.kind(), mainstay_queue::ErrorKind::NewerFormat);
    assert!(error.to_string().contains("format 2"), "{error}");
    assert_eq!(files(folder.path()), before);
}
