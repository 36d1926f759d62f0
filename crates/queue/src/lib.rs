//! What was acknowledged is on the disk, and is offered until it is acknowledged back.
//!
//! ```
//! use mainstay_queue::{Config, NewDocument, Queue};
//!
//! # let folder = tempfile::tempdir()?;
//! let (queue, recovery) = Queue::open(folder.path(), Config::default())?;
//! assert!(recovery.clean);
//! let lane = queue.declare_lane("reports/http")?;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! // On the disk when this returns, with one flush for all who wait for one.
//! queue.enqueue(NewDocument::new(vec![lane], "a report")).await?;
//!
//! // Held by one at a time; given back if it is dropped.
//! let lease = queue.lease(lane).await?;
//! assert_eq!(lease.body()?.len(), 8);
//! lease.ack().await?;
//!
//! assert_eq!(queue.ledger().delivered, 1);
//! assert!(queue.ledger().is_balanced());
//! # Ok::<(), mainstay_queue::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Promises**
//!
//! - A document is on the disk, with all that is needed to find it, before [`Queue::enqueue`] returns. All who wait share
//!   one flush; none is answered before it. A batch is stored as a whole or not at all.
//! - It is offered again, after any crash, until every one of its destinations has acknowledged it, or it was given up or
//!   discarded by name. What was acknowledged stays acknowledged once [`Lease::ack`] has returned.
//! - A start finds its way from whatever the last run left: it never loops, never panics, never asks for anything to be
//!   deleted by hand. What cannot be read is copied aside, counted and reported, and the rest goes on.
//! - The account always balances: `accepted = delivered + queued + dead + discarded + unreadable`. It lies in the log
//!   itself and is checked at every start.
//! - A write that failed is never repeated in the same file, and never counted as done.
//! - One process for each folder; the second is told who has it.
//!
//! **Does not promise**
//!
//! - Exactly-once: a crash between a destination's confirmation and the acknowledgement has the document delivered again,
//!   under the same id. Destinations that know the id make it once.
//! - Any order across lanes or priorities; within a priority it is first in, first out, as far as attempts allow.
//! - To survive a disk that loses what it confirmed, or is lost as a whole; to hide its content from who may read the
//!   folder (it is readable by its owner alone).
//! - To tell a head that a disk tore inside of its first 512 bytes, which no disk does, from one that rotted: a start may
//!   report damage then where nothing is lost.
//!
//! **Limits**: those that can be chosen stand in [`Config`]. Fixed are:
//!
//! | what | number | why |
//! |---|---|---|
//! | body in the log | 256 KiB | larger ones are written to files of their own, once |
//! | group of records | 8 MiB | a start holds one in memory |
//! | documents in a batch | 4,096 | one group has to hold them |
//! | lanes of a document | 255 | one byte |
//! | lanes of a queue | 1,024 | more than an agent has destinations; a number that lies costs little |
//! | document from an archive | 256 MiB | as documents are limited everywhere here |
//! | names and headers of a document | 64 KiB | they are read with every listing |
//! | text of an error that is kept | 500 characters | enough to know it by |
//! | memory for each waiting document | about 80 bytes | see `index` |
//!
//! **When it fails**, [`Error::kind`] says what to do. `Full`: nothing was stored, and it takes documents again by itself
//! once there is room; acknowledgements go on from a reserve. `NotDurable`: the disk did not confirm; the group was tried
//! in two fresh segments, and storing it again under the same id is safe. `ReadOnly` is a [`Mode`]: delivery goes on, the disk
//! is asked again every second, and it takes documents again by itself once the disk confirms.
//! Where one of its two threads dies of a bug [`Queue::died`] tells it: close the queue and open it again, nothing is lost.
//!
//! **Platforms**: Linux on ext4, XFS, btrfs and tmpfs is measured. Elsewhere it is not built yet.
//!
//! **Why not just SQLite?** It is here, behind the feature `sqlite`, as the reference that every change is held against.
//! The log needs one flush and one write where SQLite needs several, shares them among all producers, and can be read
//! past damage. `docs/decisions/0001-segmented-log.md` has the figures; `docs/formats/queue.md` draws every byte.

mod archive;
mod bodies;
mod closed;
mod compact;
mod config;
mod core;
mod damage;
pub mod disk;
mod document;
mod error;
mod format;
mod frame;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod index;
mod inspect;
mod lanes;
mod lease;
mod ledger;
mod limits;
mod log;
mod log_store;
mod mailbox;
mod making;
mod queue;
mod recent;
mod record;
mod recovery;
mod scan;
#[cfg(all(test, shuttle))]
mod schedules;
mod segment;
mod snapshot;
mod spare;
#[cfg(feature = "sqlite")]
mod sqlite;
mod status;
pub mod store;
mod sync;
mod verify;
mod watermark;
mod wire;
mod writer;

pub use archive::{Exported, Imported};
pub use bodies::{BodyFile, BodyWriter};
pub use closed::Closed;
pub use compact::Compacted;
pub use config::{Config, Io, WhenFull};
pub use damage::Damage;
pub use document::{
    Batch, ClaimId, DocumentId, INLINE_BODY_MAX, LaneId, LaneInfo, NewBody, NewDocument, Priority,
    Receipt, State,
};
pub use error::{Error, ErrorKind};
pub use inspect::{Detail, Filter, LaneSummary, Summary};
pub use lease::Lease;
pub use ledger::Ledger;
pub use log_store::{LogStore, Mode};
pub use queue::Queue;
pub use recovery::Recovery;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use status::{LaneStatus, Status};
pub use store::{Body, Document};
pub use verify::{Verification, verify};
