//! A document on its way from the network to the disk: decoded, counted, hashed, bounded.
//!
//! What both receiving ends share: `mainstay receive`, and a route that takes documents over HTTP.

mod decoder;
mod digest;

pub(crate) use decoder::Encoding;
pub(crate) use digest::ContentDigest;

use axum::body::{Body, Bytes};
use decoder::Decoder;
use futures_util::StreamExt;
use mainstay_clock::SharedClock;
use mainstay_resilience::within;
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::time::Duration;
use tokio::sync::mpsc;

/// The largest document, before and after decoding: 256 MiB, as large as `pickup` takes.
pub(crate) const BODY_MAX: u64 = 256 * 1024 * 1024;

/// A sender that sends nothing for this long is given up; what it began is removed.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What a body may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes, before and after decoding.
    pub(crate) len: u64,
    /// Time without a single byte.
    pub(crate) silence: Duration,
    /// Time from the first byte to the last.
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
    end: impl FnOnce(S, Passed) -> Result<T, Unfit> + Send + 'static,
) -> Result<T, Unfit>
where
    S: Write + Send + 'static,
    T: Send + 'static,
{
    let (send, pieces) = mpsc::channel(PIECES_MAX);
    let writing = tokio::task::spawn_blocking(move || {
        let (sink, passed) = drain(pieces, encoding, digest, bounds.len, sink)?;
        end(sink, passed)
    });
    let clock = mainstay_clock::system();
    let forwarding = forward(body, bounds.silence, &clock, send);
    let sent = within(&*clock, bounds.time, forwarding)
        .await
        .unwrap_or_else(|| {
            let limit = bounds.time;
            Err(Unfit::Slow(format!("the body took longer than {limit:?}")))
        });
    let written = writing
        .await
        .map_err(|died| Unfit::Disk(io::Error::other(died)))?;
    // When the writer gave up it knows why; the sender only knows that nobody listened.
    written.map_err(|unfit| {
        sent.err()
            .filter(|_| matches!(unfit, Unfit::Broken(_)))
            .unwrap_or(unfit)
    })
}

async fn forward(
    body: Body,
    silence_max: Duration,
    clock: &SharedClock,
    pieces: mpsc::Sender<Piece>,
) -> Result<(), Unfit> {
    let mut stream = body.into_data_stream();
    loop {
        let piece = match within(&**clock, silence_max, stream.next()).await {
            None => return Err(Unfit::Slow(format!("nothing came for {silence_max:?}"))),
            Some(Some(Err(error))) => return Err(Unfit::Broken(error.to_string())),
            Some(Some(Ok(bytes))) => Piece::Bytes(bytes),
            Some(None) => Piece::End,
        };
        let last = matches!(piece, Piece::End);
        if pieces.send(piece).await.is_err() || last {
            return Ok(());
        }
    }
}

fn drain<S: Write>(
    mut pieces: mpsc::Receiver<Piece>,
    encoding: Encoding,
    digest: Option<ContentDigest>,
    len_max: u64,
    sink: S,
) -> Result<(S, Passed), Unfit> {
    let mut decoder = Decoder::new(encoding, len_max, sink).map_err(Unfit::Disk)?;
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
