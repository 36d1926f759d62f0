//! A route that takes documents over HTTP: `[route.from.http]`, so that one Mainstay can be the hub of others.
//!
//! | request | answer |
//! |---|---|
//! | `POST` or `PUT` to `/ingest` or `/ingest/NAME`, with `Idempotency-Key` | 202 it is on the disk · 200 it was there before · 4xx or 503 with the reason |
//! | `HEAD` there | 204 a document would be taken · 401, 404 or 503 as it would be answered |
//!
//! An answer of 202 means: the queue has it, durably. What comes under a key that the queue knows is compared, and answered
//! with 200 where it is the same. A key that is a UUID names the document from here on too, and every other key gives the
//! same name each time ([`key`]): whatever is repeated after the queue forgot it goes on under the same id, and the next
//! receiver knows it again.
//!
//! Whoever has no business here (401, 404, 405) is answered and closed.
//!
//! A refusal says when to come again (`Retry-After`) where that helps, and the sender hears it even while it still sends:
//! what it has under way is read for a moment before the connection ends.
//!
//! # Limits
//!
//! Those that can be chosen stand in [`config`](crate::config::Ingest). Fixed are:
//!
//! | what | number | why |
//! |---|---|---|
//! | the head of a request | 64 KiB, 10 s | ours has 1 KiB; the time also ends a connection that nobody uses |
//! | silence in the middle of a body | 30 s | a network that is away for longer is asked again |
//! | the slowest line, once `timeout` is over | 16 KiB/s | as slow as our own senders put up with: 256 MiB may take 4.5 h |
//! | memory for each request | about 1 MiB, with zstd 8 MiB more | the body streams to the disk above 256 KiB |
//! | waiting for a turn | 1 s, then 429 | a burst is no reason to refuse |
//! | waiting for the queue or the disk | 10 s, and 1 s more for each MiB that the disk writes meanwhile, at the end of a body for each that it has; then 503 | a sync on the slowest disk we met takes 1 s; a worn memory card writes 1 MiB/s |
//! | an answer that nobody takes | 30 s | it is short |
//! | a document's name | 1 KiB | file names have 255 bytes |
//! | the name of its station | 255 bytes | it is a name |
//! | in-flight requests at a stop | half the grace, at most 10 s | then their senders ask again; deliveries need the rest |
//! | keys remembered | as long as the queue keeps the document: until it is delivered, and then for `queue.retain_after_ack`, of at most 65,536 documents or 256 MiB, and not on a disk that is nearly full | what was delivered is the first to go |

mod address;
mod connection;
mod counters;
mod gate;
mod key;
mod kinds;
mod patient;
mod refused;
mod request;
mod server;

pub(crate) use address::{is_local, overlap, shown};
pub(crate) use gate::Gate;
pub(crate) use kinds::Kinds;
pub(crate) use patient::Patient;
pub(crate) use server::{Address, Hub, Source};
