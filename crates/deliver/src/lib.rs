//! A document leaves the queue only when its destination confirmed it.
//!
//! ```
//! use mainstay_deliver::{DeliverConfig, Folder, FolderConfig, Worker};
//! use mainstay_queue::{Config, NewDocument, Queue};
//! use std::sync::Arc;
//! use tokio_util::sync::CancellationToken;
//!
//! # let temp = tempfile::TempDir::new()?;
//! # let (data, out) = (temp.path().join("queue"), temp.path().join("out"));
//! # mainstay_files::create_dir_all(&out, 0o700)?;
//! let clock = mainstay_clock::system();
//! let (queue, _) = Queue::open(&data, Config::default())?;
//! let lane = queue.declare_lane("lab/folder")?;
//!
//! let folder = Folder::new(&FolderConfig::new(&out), clock.clone())?;
//! let worker = Worker::new(queue.clone(), lane, Arc::new(folder), DeliverConfig::default(), clock)?;
//! let (handle, stop) = (worker.handle(), CancellationToken::new());
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let running = tokio::spawn(worker.run(stop.clone()));
//! let mut document = NewDocument::new(vec![lane], &b"serial;result\n4711;ok\n"[..]);
//! document.source = b"4711.csv".to_vec();
//! queue.enqueue(document).await?;
//! queue.settled().await;
//!
//! assert_eq!(std::fs::read(out.join("4711.csv"))?, b"serial;result\n4711;ok\n");
//! assert_eq!(handle.status().delivered, 1);
//! stop.cancel();
//! running.await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # queue.close_blocking();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - **D1** A document is acknowledged to the queue only after its destination confirmed it: a whole answer with a 2xx, or one
//!   that says it has this very document already; in a folder, after the bytes and the name were synced. What is unknown (no
//!   answer, half an answer, 408, 425, 429, 5xx) is tried again without limit. What is refused is buried after some attempts,
//!   never dropped.
//! - **D2** Every attempt of a document carries the same key, its id. A folder gets one file for each id, however often it is
//!   sent; a server that honours `Idempotency-Key` stores it once.
//! - **D3** Documents are independent: one that is slow, hangs, or is refused holds up no other. There is no order among them.
//! - **D5** Waits are random, bounded and taken from the monotonic clock; what a server asks for by `Retry-After` is the least
//!   that is waited, up to an hour. A jump of the date neither stalls nor storms.
//! - **D6** The bytes that arrive are those that were stored: where the hash is known, nothing that differs from it is ever sent
//!   to its end. Redirects are not followed, so neither documents nor passwords go where they were not sent.
//! - **D7** [`Destination::check`] says in words whether documents could be delivered, without one: nothing is left there, and it
//!   ends within 10 s.
//! - **K8** TLS is always verified; only `http` and `https` are spoken; link-local addresses are refused; of an answer no more
//!   than 64 KiB are read.
//! - Secrets show in no message, status, log line or `Debug`, also where a server sends them back word for word.
//!
//! D4, sending again what was already confirmed, is the queue's: it keeps what was sent for ten minutes.
//!
//! # What an answer means
//!
//! | what happens | what is done |
//! |---|---|
//! | 2xx, to its end | acknowledged |
//! | 409 or 412 with our key in `Idempotency-Key` or `Mainstay-Receipt`; 409 or 412 to a POST whose body names our key and says "already", "exists" or "duplicate" (not where the address holds `{id}`: an error page may quote it); 412 to our `If-None-Match: *`, if what is there has the document's length | acknowledged: it is there |
//! | 408, 425, 5xx, 409 with `Retry-After`, time-outs, resets, answers cut short, nonsense | this document waits: 1 s to 5 min, doubling, full jitter, or longer if the server says so |
//! | the same for 10 different documents in a row | one document at a time is sent, 50 in a second at most, until one is taken: what fails everybody is not asked with a whole backlog |
//! | 503 with `Retry-After`; 429, where it names no time until its `X-RateLimit-Reset`, or for a second | as above, and nothing else is sent to this destination before that time: who says so speaks for the whole server, and asking it with other documents would only make it later |
//! | 401, 403, 404, 407, 3xx; no connection: name, refused, unreachable, not within 5 s, proxy, TLS; a folder that is missing, full or not writable | the destination is held: its documents wait without an attempt being counted, and one at a time probes it, 1 s to 60 s apart. One success opens it fully |
//! | every other 4xx; a body that does not match its hash; a name that cannot be sent | this document alone: buried after 5 in a row |
//!
//! A destination may be held because of one document: a server that forbids a single name answers 403 as if it forbade all. So
//! each probe is made by another document. If others are delivered while one is still answered so, it is that document: 403, 404
//! and 3xx then count as rejections, everything else as a failure that is tried again.
//!
//! # Does not promise
//!
//! - Exactly once at a server that does not honour the key: after a crash or a lost answer a document is sent again.
//! - Order, not even of documents from one producer.
//! - That a server which forgets what it confirmed gets it again by itself.
//! - Protection behind a proxy from what the proxy resolves: link-local addresses are then refused only where they are written
//!   out.
//! - That a compressed file is sent with its length or a digest: they are known only at its end. A server that needs either gets
//!   it without compression.
//!
//! # Limits
//!
//! Every number that a person may change stands in the `# Defaults` tables of [`HttpConfig`], [`FolderConfig`] and
//! [`DeliverConfig`]; these are the others.
//!
//! | what | number | why |
//! |---|---|---|
//! | answers | 64 KiB are read, 200 characters shown | a server must not fill our memory or our log |
//! | `Retry-After` | at most 1 h | a wrong year in a header must not stop a station for a year |
//! | headers that a document brings | 4 KiB | servers refuse a head of more than 8 to 16 KiB |
//! | memory for each attempt | 256 KiB, or 256 KiB read ahead of a file | larger bodies are streamed, up to any size |
//! | a look at a destination without a document | 10 s, or its own time limit where that is shorter | a person waits for it |
//! | the slowest line | 16 KiB/s for a body in a file | no attempt is without an end: 256 MiB may take 4.5 h |
//! | settlements that wait for the disk | 256 for each worker | one flush takes them all; more could be sent twice after a crash |
//! | documents set aside while a destination is held | 32 | at most 8 MiB of bodies; after that many probes it begins anew |
//! | documents that fail in a row | after 10 one is sent at a time, 20 ms apart on average | twice as many as are under way by default; so few that always fail hold up nobody, and fewer than 7,500 nobody for good |
//! | an unanswered probe | keeps others waiting for 10 s | a slow document must not hold up the others, not as a probe either |
//! | names tried in a folder | 99, then the id | the thousandth file of one name does not try a thousand names |
//! | marks in a folder | 7 days | longer than any outage after which a repeat has to be recognised |
//!
//! # When it fails
//!
//! Settings that cannot work are refused when a destination is made, by an [`Error`] that names them. Later nothing fails as
//! such: each attempt has an [`Outcome`], and [`DestinationStatus`] says what the destination is doing, since when, why, and when
//! it is tried next. When the queue's disk is full, what was delivered cannot be recorded: the queue tries on and offers these
//! documents to nobody, and the worker sends one document at a time until the disk is back. A worker that is killed leaves its
//! documents in the queue; those that were under way are sent again under the same key. So does one whose run was dropped or
//! panicked, and it can be run again ([`Worker::run`]); whether its loop still turns says [`WorkerHandle::turned`].
//!
//! # Platforms
//!
//! Linux is measured. macOS and Windows should work: their own resolver and authorities are used; file modes are not set on
//! Windows, and a private key that is open to everybody is noticed on Unix only.
//!
//! # Why not just reqwest and a retry loop?
//!
//! A loop in memory forgets; here the waits are in the queue, and survive. A retry layer counts attempts without asking whose
//! fault it was: a night without network would have buried every document. And reqwest reaches 0.45 of what a bare hyper
//! connection does with 16 requests under way.

mod outcome;

mod checked;

mod destination;

mod http;

mod folder;

mod worker;

mod gate;

mod template;

mod percent;

mod error;

pub use checked::{Checked, Verdict};
pub use destination::{Checking, Content, Destination, Outgoing, Probing, Sending};
pub use error::{Error, ErrorKind};
pub use folder::{Folder, FolderConfig};
pub use http::{Auth, Compression, Http, HttpConfig, Method};
pub use mainstay_resilience::{Backoff, Category, Class, ErrorLog, RateLimit, Severity};
pub use mainstay_wire::{
    Certificates, ClientCertificate, Connectivity, Proxy, Secret, SystemProxies, Tls, Validity,
};
pub use outcome::{Cause, Outcome};
pub use worker::{
    DeliverConfig, DestinationStatus, Failing, LastError, Latency, State, Stopped, Worker,
    WorkerHandle,
};
