//! An archive on its way over the control socket.
//!
//! How an export came out is known only after its last byte. It follows in a trailer, as JSON: an archive without one was cut
//! off.

use super::desk::Desk;
use super::views::{Export, ExportEnd, Refused};
use crate::exit::{Exit, Failure};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use mainstay_queue::Exported;
use std::io::{self, Read, Write};
use tokio::sync::mpsc;

/// The trailer with the end of the story.
const END: &str = "mainstay-end";

/// So much of an archive is sent at once, in bytes.
const PIECE: usize = 64 * 1024;

/// Pieces that wait for a slow reader, at most.
const PIECES_AHEAD: usize = 4;

/// The answer to an export: the archive, then how it came out.
pub(super) fn answer(desk: Desk, wish: Export) -> Response {
    let (pieces, arriving) = mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut sink = io::BufWriter::with_capacity(PIECE, Sink(pieces.clone()));
        let end = match desk.export(&wish, &mut sink) {
            Ok(exported) => ExportEnd::Done(exported),
            Err(failure) => ExportEnd::Refused(Refused::from(&failure)),
        };
        let mut trailers = HeaderMap::new();
        let told = serde_json::to_string(&end).ok();
        if let Some(told) = told.and_then(|told| HeaderValue::from_str(&told).ok()) {
            trailers.insert(END, told);
        }
        // Nobody listens any more where this fails.
        drop(pieces.blocking_send(Frame::trailers(trailers)));
    });
    let frames = futures_util::stream::unfold(arriving, async |mut arriving| {
        let frame: Frame<Bytes> = arriving.recv().await?;
        Some((Ok::<_, io::Error>(frame), arriving))
    });
    let head = [
        (header::CONTENT_TYPE, "application/x-tar"),
        (header::TRAILER, END),
    ];
    (head, Body::new(StreamBody::new(frames))).into_response()
}

/// Receives an archive, and how it came out.
///
/// # Errors
/// It cannot be written to `archive`, the agent refuses, or goes away on the way.
pub(super) async fn receive(
    mut body: Incoming,
    archive: &mut impl Write,
) -> Result<Exported, Failure> {
    let mut end = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Failure::new(Exit::NotRunning, "the agent ended the conversation").because(error)
        })?;
        match frame.into_data() {
            Ok(piece) => archive.write_all(&piece).map_err(unwritten)?,
            Err(frame) => {
                let told = frame.into_trailers().ok();
                end = told.and_then(|told| serde_json::from_slice(told.get(END)?.as_bytes()).ok());
            }
        }
    }
    match end {
        Some(ExportEnd::Done(exported)) => Ok(exported),
        Some(ExportEnd::Refused(refused)) => Err(refused.into()),
        None => Err(Failure::new(
            Exit::NotRunning,
            "the agent ended before the archive was whole",
        )),
    }
}

/// An archive that could not be written; the caller says where.
pub(crate) fn unwritten(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::reader_went_away();
    }
    Failure::new(Exit::NoOutput, "cannot write the archive").because(error)
}

/// Stops reading an archive that the other side has refused, but takes what is still sent, so that the refusal is heard.
pub(super) fn drain(mut archive: impl Read) {
    drop(io::copy(&mut archive, &mut io::sink()));
}

struct Sink(mpsc::Sender<Frame<Bytes>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self
            .0
            .blocking_send(Frame::data(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
