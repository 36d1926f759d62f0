//! Writes a queue with everything that format 1 knows, as the golden files keep it:
//! `cargo run -p mainstay-queue --example golden -- FOLDER`. Run it once for each new format, and never again.

#![expect(
    clippy::disallowed_methods,
    reason = "it copies a queue's files while they are in use, which is what a kill leaves"
)]

use mainstay_clock::ManualClock;
use mainstay_queue::disk::RealDisk;
use mainstay_queue::store::{Op, Outcome, Store, Verdict};
use mainstay_queue::{
    Body, ClaimId, Config, DocumentId, Filter, Io, LaneId, LogStore, NewBody, NewDocument,
    Priority, Queue,
};
use sha2::{Digest, Sha256};
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// When all of it happened, ms since 1970; the test sets its clock to it, so that nothing is overdue.
const WALL: u64 = 1_790_000_000_000;

/// Larger than what is kept in the log.
const LARGE: usize = 300 * 1024;

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder")?);
    let queue = folder.join("queue");
    let clock = ManualClock::new();
    clock.set_wall(WALL);
    let config = Config {
        segment_bytes: 64 * 1024,
        first_segment_bytes: 64 * 1024,
        reserve_bytes: 0,
        io: Io::Buffered,
        clock: Arc::new(clock),
        ..Config::default()
    };
    large_body(&queue, &config)?;
    let disk = Arc::new(RealDisk::open(&queue, Io::Buffered)?);
    let (store, _) = LogStore::open(Arc::clone(&disk) as Arc<_>, &config)?;
    fill(&store)?;
    copy(&queue, &folder.join("killed"))?;
    fs::write(folder.join("documents.txt"), list(&store)?)?;
    store.close();
    // The only file that a clean stop changes.
    fs::copy(queue.join("snapshot"), folder.join("snapshot.clean"))?;
    drop(store);
    export(&queue, &config, &folder.join("export.tar"))?;
    fs::remove_dir_all(queue)?;
    Ok(())
}

/// The bytes of a document: the test makes them again, so that a large one need not be kept.
fn body(number: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ number).collect()
}

fn document(number: u8, len: usize, lanes: &[LaneId]) -> NewDocument {
    NewDocument {
        id: DocumentId::from_bytes([number; 16]),
        route: "reports".to_owned(),
        source: vec![b'r', number, 0xff],
        content_type: "application/json".to_owned(),
        priority: Priority::new(number % 10 + 1).unwrap_or_default(),
        headers: vec![("serial".to_owned(), format!("Nº {number}"))],
        hash: number
            .is_multiple_of(2)
            .then(|| Sha256::digest(body(number, len)).into()),
        ..NewDocument::new(lanes.to_vec(), body(number, len))
    }
}

/// One document whose body is a file, through the queue itself.
fn large_body(folder: &Path, config: &Config) -> Result<()> {
    let (queue, _) = Queue::open(folder, config.clone())?;
    let lane = queue.declare_lane("reports/http")?;
    queue.declare_lane("reports/folder")?;
    let mut writer = queue.body_writer()?;
    writer.write(&body(1, LARGE))?;
    let mut large = document(1, 0, &[lane]);
    large.body = NewBody::File(writer.finish()?);
    queue.enqueue_blocking(large)?;
    queue.close_blocking();
    Ok(())
}

/// Documents in every state, on two lanes, with claims; some of them copied forward to a second segment.
fn fill(store: &LogStore) -> Result<()> {
    let lanes: Vec<LaneId> = store.lanes().into_iter().map(|lane| lane.id).collect();
    let store_all = |numbers: std::ops::Range<u8>, len: usize, lanes: &[LaneId], claims| {
        let documents = numbers.map(|number| document(number, len, lanes)).collect();
        Op::Enqueue { documents, claims }
    };
    let settle = |number: u8, verdict| Op::Settle {
        id: DocumentId::from_bytes([number; 16]),
        lane: lanes[0],
        verdict,
        note: "as it was asked".to_owned(),
    };
    let retry = |number: u8| Op::Retry {
        id: DocumentId::from_bytes([number; 16]),
        lane: lanes[0],
        after: Duration::from_mins(5),
        note: "the server said 503".to_owned(),
    };
    let claims: Vec<ClaimId> = [1, 2].map(|claim| ClaimId::from_bytes([claim; 16])).into();
    let filler = store_all(200..201, 40_000, &lanes[..1], Vec::new());
    let ops = [
        store_all(2..8, 700, &lanes[..1], claims.clone()),
        store_all(8..10, 90, &lanes, Vec::new()),
        filler,
    ];
    commit(store, &ops)?;
    let settled = [
        retry(2),
        settle(6, Verdict::Buried),
        settle(3, Verdict::Buried),
        settle(4, Verdict::Acknowledged),
        settle(5, Verdict::Discarded),
        settle(8, Verdict::Acknowledged),
        settle(200, Verdict::Discarded),
        Op::CloseClaims(claims[..1].to_vec()),
    ];
    commit(store, &settled)?;
    commit(store, &[store_all(10..14, 6000, &lanes[..1], Vec::new())])?;
    while store.clean_step() {}
    let last = [
        retry(10),
        settle(11, Verdict::Acknowledged),
        settle(3, Verdict::Revived),
        store_all(14..16, 0, &lanes[1..], Vec::new()),
    ];
    commit(store, &last)?;
    Ok(())
}

fn commit(store: &LogStore, ops: &[Op]) -> Result<Vec<Outcome>> {
    let answers = store.commit(ops).answers;
    Ok(answers.into_iter().collect::<std::result::Result<_, _>>()?)
}

/// A line for each document: its id, its body's hash and length, and where it stands.
fn list(store: &LogStore) -> Result<String> {
    let mut lines = Vec::new();
    for id in store.select(None, &[], None) {
        let document = store.load(id)?.ok_or("a document that was selected")?;
        let (hash, len) = match store.body(&document)? {
            Body::Bytes(bytes) => (Sha256::digest(&bytes), bytes.len()),
            Body::File(mut file, len) => {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut file, &mut bytes)?;
                (Sha256::digest(&bytes), len as usize)
            }
        };
        let mut hex = String::new();
        for byte in hash {
            write!(hex, "{byte:02x}")?;
        }
        let standing = store.standing(id).unwrap_or_default();
        let states: Vec<String> = standing
            .iter()
            .map(|on| format!("{:?}={:?}/{}", on.lane, on.state, on.attempts))
            .collect();
        lines.push(format!("{id} {hex} {len} {}", states.join(" ")));
    }
    lines.sort();
    Ok(lines.join("\n") + "\n")
}

/// The documents of the second lane, as an archive.
fn export(folder: &Path, config: &Config, to: &Path) -> Result<()> {
    let (queue, _) = Queue::open(folder, config.clone())?;
    let filter = Filter {
        lane: queue.lanes().get(1).map(|lane| lane.id),
        limit: usize::MAX,
        ..Filter::default()
    };
    queue.export(&filter, fs::File::create(to)?)?;
    queue.close_blocking();
    Ok(())
}

/// The files that have something in them, each without the zeros at its end; a large body is left out.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if !entry.file_type()?.is_file() || name == "LOCK" {
            continue;
        }
        let bytes = fs::read(entry.path())?;
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            fs::write(to.join(name), &bytes[..=last])?;
        }
    }
    Ok(())
}
