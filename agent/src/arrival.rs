//! A document on its way from the network to the disk: decoded, counted, hashed, bounded.
//!
//! What both receiving ends share: `mainstay receive`, and a route that takes documents over HTTP.

mod decoder;
mod digest;

pub(crate) use decoder::Encoding;
pub(crate) use digest::ContentDigest;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use decoder::Decoder;
use futures_util::StreamExt;
use mainstay_clock::SharedClock;
use mainstay_resilience::within;
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// RFC 9530: the hash of the body as it is on the wire.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// The largest document, before and after decoding: 256 MiB, as large as `pickup` takes.
pub(crate) const BODY_MAX: u64 = 256 * 1024 * 1024;

/// A sender that sends nothing for this long is given up; what it began is removed.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The slowest line that a body may take beyond its time, in bytes per second: as slow as our own senders put up with, so that
/// 256 MiB may take four and a half hours and a sender that trickles keeps no place for longer than its time.
const SLOWEST: u64 = 16 * 1024;

/// So long the disk may take for a piece, and at the end for the whole; a sync on the slowest disk that we met takes 1 s.
const DISK: Duration = Duration::from_secs(10);

/// For so many bytes the disk gets a second more, in both cases: what a worn memory card writes. A piece may become a thousand
/// times as much when it is decoded.
const DISK_SLOWEST: u64 = 1024 * 1024;

/// How many bytes the disk has taken of a body so far, after decoding.
type Written = Arc<AtomicU64>;

/// What a body may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes, before and after decoding.
    pub(crate) len: u64,
    /// Time without a single byte.
    pub(crate) silence: Duration,
    /// Time from the first byte to the last, beside what the bytes take at [`SLOWEST`].
    pub(crate) time: Duration,
}

/// Pieces between the network and the disk: 8, about 512 KiB for each request, so that neither waits for the other's every step.
const PIECES_MAX: usize = 8;

/// Why a body was not stored.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It ended before its end.
    Broken(String),
    /// The sender fell silent, or took too long.
    Slow(String),
    /// It is larger than its bounds.
    TooLarge,
    /// It is not what its encoding or its digest says.
    Wrong(String),
    /// The disk does not take it.
    Disk(io::Error),
    /// The disk does not answer; what it has of it goes when it does.
    Stalled(String),
}

/// A piece of the body, or the word that all of it came.
enum Piece {
    Bytes(Bytes),
    End,
}

/// What went through: the decoded bytes' number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Bytes after decoding.
    pub(crate) len: u64,
    /// SHA-256 after decoding.
    pub(crate) sha256: [u8; 32],
}

/// Reads the body to its end and runs it through `sink` on a blocking thread; `end` gets the sink when all of it is there and fits.
///
/// # Errors
/// The first thing that did not fit; `end` was not called then, and the sink was dropped.
pub(crate) async fn receive<S, T>(
    body: Body,
    encoding: Encoding,
    digest: Option<ContentDigest>,
    bounds: Bounds,
    sink: S,
    clock: &SharedClock,
    end: impl FnOnce(S, Passed) -> Result<T, Unfit> + Send + 'static,
) -> Result<T, Unfit>
where
    S: Write + Send + 'static,
    T: Send + 'static,
{
    let (send, pieces) = mpsc::channel(PIECES_MAX);
    let written = Written::default();
    let noting = Written::clone(&written);
    let writing = tokio::task::spawn_blocking(move || {
        let decoder = Decoder::new(encoding, bounds.len, sink, noting).map_err(Unfit::Disk)?;
        let (sink, passed) = drain(pieces, decoder, digest, bounds.len)?;
        end(sink, passed)
    });
    let (received, sent) = forward(body, bounds, clock, send, &written).await;
    if let Err(stalled @ Unfit::Stalled(_)) = sent {
        // The thread ends when the disk lets it, and drops what it has.
        return Err(stalled);
    }
    let so_far = || received.max(written.load(Ordering::Relaxed));
    let confirmed = patiently(clock, so_far, writing)
        .await
        .map_err(|patience| {
            Unfit::Stalled(format!("the disk did not confirm within {patience:?}"))
        })?;
    let confirmed = confirmed.map_err(|died| Unfit::Disk(io::Error::other(died)))?;
    // When the writer gave up it knows why; the sender only knows that nobody listened.
    confirmed.map_err(|unfit| {
        sent.err()
            .filter(|_| matches!(unfit, Unfit::Broken(_)))
            .unwrap_or(unfit)
    })
}

/// What comes of `work`, for which the disk has [`DISK`], and a second for each [`DISK_SLOWEST`] of the `bytes` that it is
/// about; those may grow meanwhile.
///
/// # Errors
/// It took longer than this.
async fn patiently<T>(
    clock: &SharedClock,
    bytes: impl Fn() -> u64,
    work: impl Future<Output = T>,
) -> Result<T, Duration> {
    let mut work = pin!(work);
    let began = clock.now();
    loop {
        let allowed = DISK + Duration::from_secs(bytes() / DISK_SLOWEST);
        let left = allowed.saturating_sub(clock.now().since(began));
        if left.is_zero() {
            return Err(allowed);
        }
        if let Some(done) = within(&**clock, left, work.as_mut()).await {
            return Ok(done);
        }
    }
}

/// From the network to the thread that writes; answers how many bytes came, and whether that was all.
///
/// What the disk takes counts for the disk, not for the sender.
async fn forward(
    body: Body,
    bounds: Bounds,
    clock: &SharedClock,
    pieces: mpsc::Sender<Piece>,
    written: &AtomicU64,
) -> (u64, Result<(), Unfit>) {
    let mut stream = body.into_data_stream();
    let (mut received, mut waited) = (0, Duration::ZERO);
    loop {
        let allowed = bounds.time + Duration::from_secs(received / SLOWEST);
        let patience = allowed.saturating_sub(waited);
        let began = clock.now();
        let next = within(&**clock, patience.min(bounds.silence), stream.next()).await;
        waited += clock.now().since(began);
        let piece = match next {
            None if patience < bounds.silence => {
                let words = format!("the body took longer than {allowed:?}");
                return (received, Err(Unfit::Slow(words)));
            }
            None => {
                let words = format!("nothing came for {:?}", bounds.silence);
                return (received, Err(Unfit::Slow(words)));
            }
            Some(Some(Err(error))) => return (received, Err(Unfit::Broken(error.to_string()))),
            Some(Some(Ok(bytes))) => {
                received += bytes.len() as u64;
                Piece::Bytes(bytes)
            }
            Some(None) => Piece::End,
        };
        let last = matches!(piece, Piece::End);
        let before = written.load(Ordering::Relaxed);
        let meanwhile = || written.load(Ordering::Relaxed) - before;
        match patiently(clock, meanwhile, pieces.send(piece)).await {
            Err(patience) => {
                let words = format!("the disk did not take a piece within {patience:?}");
                return (received, Err(Unfit::Stalled(words)));
            }
            Ok(Ok(())) if !last => {}
            Ok(_) => return (received, Ok(())),
        }
    }
}

/// The value of a header that may be there once.
///
/// # Errors
/// It is there twice, or is not plain text; in words for the sender.
pub(crate) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, String> {
    let mut values = headers.get_all(name).iter();
    let (value, None) = (values.next(), values.next()) else {
        return Err(format!("the header {name} is there twice; send it once"));
    };
    let text = value.map(HeaderValue::to_str).transpose();
    text.map_err(|_| format!("the header {name} is not plain text"))
}

/// The digest of a body, on however many lines it is said (RFC 9110, 5.3).
///
/// # Errors
/// It cannot be read; in words for the sender.
pub(crate) fn content_digest(headers: &HeaderMap) -> Result<Option<ContentDigest>, String> {
    let lines: Result<Vec<&str>, _> = headers
        .get_all(CONTENT_DIGEST)
        .iter()
        .map(HeaderValue::to_str)
        .collect();
    let lines = lines.map_err(|_| format!("the header {CONTENT_DIGEST} is not plain text"))?;
    if lines.is_empty() {
        return Ok(None);
    }
    ContentDigest::parse(&lines.join(", "))
}

fn drain<S: Write>(
    mut pieces: mpsc::Receiver<Piece>,
    mut decoder: Decoder<S>,
    digest: Option<ContentDigest>,
    len_max: u64,
) -> Result<(S, Passed), Unfit> {
    let mut raw = Sha256::new();
    let mut raw_len = 0u64;
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Bytes(bytes)) => {
                raw_len += bytes.len() as u64;
                if raw_len > len_max {
                    return Err(Unfit::TooLarge);
                }
                if digest.is_some() {
                    raw.update(&bytes);
                }
                decoder.write(&bytes)?;
            }
            Some(Piece::End) => break,
            None => {
                return Err(Unfit::Broken(
                    "the connection ended before the body did".to_owned(),
                ));
            }
        }
    }
    let done = decoder.finish()?;
    if let Some(digest) = digest {
        digest.check(&raw.finalize().into()).map_err(Unfit::Wrong)?;
    }
    Ok(done)
}

#[cfg(test)]
mod tests;
