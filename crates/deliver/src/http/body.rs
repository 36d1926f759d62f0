//! The body on its way out: the bytes that were stored, or none that a server could take for them.
//!
//! A body in memory is compared with its hash before it is sent. A body in a file is hashed while it is sent, and its last
//! piece is kept back until the hash is right: a damaged file ends as a broken request, which no server takes for a document.

mod coding;
mod reading;
mod trace;

pub(super) use coding::{coding, encoded};
pub(super) use trace::Trace;

use super::config::Compression;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mainstay_clock::SharedClock;
use reading::read_out;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// This many pieces are read ahead, so that disk and network work at the same time: 256 KiB for each attempt.
const AHEAD: usize = 4;

/// Why a body cannot be sent, or could not be sent to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not what was stored.
    Damaged(String),
    /// It could not be read this time.
    Unreadable(String),
}

/// A body that hyper can send.
#[derive(Debug)]
pub(super) struct Outbound {
    source: Source,
    trace: Trace,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    /// Pieces from the reading thread, and how many bytes are still to come, where that is known.
    Pieces(mpsc::Receiver<Result<Bytes, Fault>>, Option<u64>),
}

impl Outbound {
    /// All of a body, in memory.
    pub(super) fn memory(bytes: Bytes, clock: &SharedClock) -> (Self, Trace) {
        let trace = Trace::new(bytes.is_empty(), clock);
        (
            Self {
                source: Source::Memory(bytes),
                trace: trace.clone(),
            },
            trace,
        )
    }

    /// A file of `len` bytes, read and hashed by a thread of its own while it is sent.
    pub(super) fn file(
        file: File,
        len: u64,
        hash: Option<[u8; 32]>,
        compression: Compression,
        clock: &SharedClock,
    ) -> (Self, Trace) {
        let known = (compression == Compression::None).then_some(len);
        let trace = Trace::new(known == Some(0), clock);
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            if let Err(fault) = read_out(file, len, hash, compression, &sender) {
                // Nobody listens any more if the attempt was given up; then nothing needs to be said.
                drop(sender.blocking_send(Err(fault)));
            }
        });
        (
            Self {
                source: Source::Pieces(receiver, known),
                trace: trace.clone(),
            },
            trace,
        )
    }

    /// What the connection gets for what the reading thread handed over.
    fn hand_on(&mut self, piece: Option<Result<Bytes, Fault>>) -> Option<io::Result<Frame<Bytes>>> {
        let broke_off = || Some(Err(io::Error::other("the body broke off")));
        self.trace.note_piece();
        match piece {
            // The thread names the end by an empty piece; one that died has not.
            Some(Ok(piece)) if piece.is_empty() => {
                self.trace.note_end();
                None
            }
            Some(Ok(piece)) => {
                if let Source::Pieces(_, Some(left)) = &mut self.source {
                    *left = left.saturating_sub(piece.len() as u64);
                    if *left == 0 {
                        self.trace.note_end();
                    }
                }
                Some(Ok(Frame::data(piece)))
            }
            Some(Err(fault)) => {
                self.trace.note_fault(fault);
                broke_off()
            }
            None if self.trace.is_whole() => None,
            None => broke_off(),
        }
    }
}

impl Body for Outbound {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.source {
            Source::Memory(bytes) => {
                let bytes = std::mem::take(bytes);
                self.trace.note_end();
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Source::Pieces(receiver, _) => {
                let piece = std::task::ready!(receiver.poll_recv(cx));
                Poll::Ready(self.hand_on(piece))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Memory(bytes) => bytes.is_empty(),
            Source::Pieces(_, left) => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Memory(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Pieces(_, Some(left)) => SizeHint::with_exact(*left),
            Source::Pieces(_, None) => SizeHint::default(),
        }
    }
}

impl Fault {
    fn unreadable(verb: &str, error: &io::Error) -> Self {
        Self::Unreadable(format!("cannot {verb} the body of the document: {error}"))
    }
}

#[cfg(test)]
mod tests;
