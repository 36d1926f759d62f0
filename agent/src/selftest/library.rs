//! Documents whose content follows from their number, so that whoever gets one back knows whether it is whole.

use mainstay_queue::{Body, Error, ErrorKind, LaneId, NewBody, NewDocument, Queue};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// One in so many lies in a file of its own.
const LARGE_EVERY: u32 = 25;

/// Longer than what fits into the log, in bytes.
const LARGE: usize = 300 * 1024;

/// The lane that everything goes to.
pub(super) const LANE: &str = "selftest/here";

/// A queue in `folder`, small enough that copies of it are quick: segments of 1 MiB.
pub(super) fn open(folder: &Path) -> Result<(Queue, LaneId), Error> {
    let config = mainstay_queue::Config {
        first_segment_bytes: 256 * 1024,
        segment_bytes: 1024 * 1024,
        reserve_bytes: 256 * 1024,
        // What was taken is not looked at again, and rounds follow each other on one small disk.
        retain_after_ack: Duration::ZERO,
        clock: mainstay_clock::system(),
        ..mainstay_queue::Config::default()
    };
    let (queue, _) = Queue::open(folder, config)?;
    let lane = queue.declare_lane(LANE)?;
    Ok((queue, lane))
}

/// The content of document `number`.
pub(super) fn content(number: u32) -> Vec<u8> {
    let len = if number % LARGE_EVERY == LARGE_EVERY - 1 {
        LARGE
    } else {
        (number as usize * 37) % 3_000 + 10
    };
    let line = format!("{number:08} ");
    line.bytes().cycle().take(len).collect()
}

/// Stores document `number`; it is on the disk when this returns `Ok`.
pub(super) fn store(queue: &Queue, lane: LaneId, number: u32) -> Result<(), Error> {
    let content = content(number);
    let mut document = NewDocument::new(vec![lane], Vec::new());
    document.source = number.to_string().into_bytes();
    document.body = if content.len() < LARGE {
        NewBody::Inline(content.into())
    } else {
        let mut writer = queue.body_writer()?;
        writer.write(&content)?;
        NewBody::File(writer.finish()?)
    };
    queue.enqueue_blocking(document).map(drop)
}

/// What a queue gave back.
#[derive(Debug, Default)]
pub(super) struct Back {
    /// How often each document came, by its number.
    pub(super) whole: BTreeMap<u32, u32>,
    /// Documents that came with another content than was stored.
    pub(super) changed: Vec<u32>,
    /// Large documents whose file has another content than was stored.
    pub(super) damaged: u32,
}

/// Takes and acknowledges up to `most` documents.
pub(super) fn take(queue: &Queue, lane: LaneId, most: usize) -> Result<Back, Error> {
    let runtime = tokio::runtime::Handle::current();
    let mut back = Back::default();
    for _ in 0..most {
        let Some(lease) = queue.try_lease(lane) else {
            break;
        };
        let number = std::str::from_utf8(lease.source())
            .ok()
            .and_then(|text| text.parse().ok());
        let number = number.unwrap_or(u32::MAX);
        let body = match lease.body() {
            Ok(body) => body,
            // The queue has counted it as unreadable, and let go of it.
            Err(error) if error.kind() == ErrorKind::Damaged => continue,
            Err(error) => return Err(error),
        };
        let is_file = matches!(body, Body::File(..));
        match read(body) {
            Ok(bytes) if bytes == content(number) => {
                *back.whole.entry(number).or_default() += 1;
            }
            // A large body is read past the queue: whoever sends it holds it against its hash, as the delivery does.
            _ if is_file => back.damaged += 1,
            _ => back.changed.push(number),
        }
        runtime.block_on(lease.ack())?;
    }
    Ok(back)
}

fn read(body: Body) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match body {
        Body::Bytes(content) => bytes.extend_from_slice(&content),
        Body::File(mut file, _) => {
            file.read_to_end(&mut bytes)?;
        }
    }
    Ok(bytes)
}
