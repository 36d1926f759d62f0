//! What a person may choose, and what is chosen when nobody does.

use mainstay_clock::SharedClock;
use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// How the queue is set up.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `max_documents` | 1,000,000 (0: no limit) | about 100 MB of index; weeks of a busy station |
/// | `max_bytes` | 10 GiB (0: no limit) | fits beside a system on the smallest disks in use |
/// | `when_full` | block | a producer that waits loses nothing |
/// | `retain_after_ack` | 10 min | longer than the 2 min that a destination may lose after a power cut |
/// | `retain_documents`, `retain_bytes` | 65,536, 256 MiB | what is kept after it was sent stays small against the limits |
/// | `ageing` | 30 s for each priority | priority 10 waits at most 4.5 min longer than priority 1, starts in between included |
/// | `segment_bytes` | 64 MiB | large enough that a new one is rare, small enough to give space back |
/// | `first_segment_bytes` | 1 MiB | a new queue is ready in milliseconds; each next one is 4 times larger |
/// | `snapshot_bytes` | 1 GiB | a start after a crash reads no more of the log than this |
/// | `reserve_bytes` | 4 MiB | acknowledgements still fit when the disk is full |
/// | `pending_bytes` | 4 MiB | what producers have handed over and the disk has not confirmed |
/// | `io` | automatic | direct writes where the file system takes them: one flush, no copy |
#[derive(Clone, Debug)]
pub struct Config {
    /// The most documents that wait (queued and dead); 0 for no limit.
    pub max_documents: u64,
    /// The most bytes that waiting documents take; 0 for no limit.
    pub max_bytes: u64,
    /// What happens to a document for which there is no room.
    pub when_full: WhenFull,
    /// How long a document is kept after its last acknowledgement, to be redelivered on wish.
    pub retain_after_ack: Duration,
    /// The most documents kept after their acknowledgement.
    pub retain_documents: u64,
    /// The most bytes kept after their acknowledgement.
    pub retain_bytes: u64,
    /// After this time of waiting a document counts as one priority more urgent, and so on.
    pub ageing: Duration,
    /// The size of a segment, in bytes; a multiple of 4096.
    pub segment_bytes: u32,
    /// The size of the first segment, in bytes; a multiple of 4096.
    pub first_segment_bytes: u32,
    /// An index of the log is written each time that the log has grown by this many bytes: a start after a crash reads
    /// no more than that.
    pub snapshot_bytes: u64,
    /// Held back for acknowledgements on a full disk, in bytes.
    pub reserve_bytes: u32,
    /// The most bytes of documents handed over and not yet confirmed.
    pub pending_bytes: u32,
    /// How segments are written.
    pub io: Io,
    /// Where time comes from.
    pub clock: SharedClock,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_documents: 1_000_000,
            max_bytes: 10 * GIB,
            when_full: WhenFull::Block,
            retain_after_ack: Duration::from_mins(10),
            retain_documents: 65_536,
            retain_bytes: 256 * MIB,
            ageing: Duration::from_secs(30),
            segment_bytes: (64 * MIB) as u32,
            first_segment_bytes: MIB as u32,
            snapshot_bytes: GIB,
            reserve_bytes: (4 * MIB) as u32,
            pending_bytes: (4 * MIB) as u32,
            io: Io::Auto,
            clock: mainstay_clock::system(),
        }
    }
}

/// What happens to a document for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The producer waits until there is room.
    #[default]
    Block,
    /// The producer is told [`Full`](crate::ErrorKind::Full).
    Reject,
    /// The oldest waiting documents are discarded, and counted as discarded by this policy.
    DropOldest,
}

/// How segments are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Io {
    /// Direct where the file system takes it, buffered elsewhere.
    #[default]
    Auto,
    /// Through the page cache, then `fdatasync`.
    Buffered,
}
