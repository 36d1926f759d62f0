//! An archive on its way over the control socket.
//!
//! How an export came out is known only after its last byte. It follows in a trailer, as JSON: an archive without one was cut
//! off.

use super::desk::Desk;
use super::views::{Export, ExportEnd, Refused};
use crate::exit::{Exit, Failure};
use crate::run::{Course, Jobs, Kind};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use mainstay_clock::block_on;
use mainstay_queue::{Exported, Imported};
use mainstay_work::{CancellationToken, Counter, Job, Unit};
use std::io::{self, Read, Write};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// The trailer with the end of the story.
const END: &str = "mainstay-end";

/// So much of an archive is sent at once, in bytes.
const PIECE: usize = 64 * 1024;

/// Pieces that wait for a slow reader, at most.
const PIECES_AHEAD: usize = 4;

/// The answer to an export: the archive, then how it came out.
///
/// # Errors
/// Too many jobs wait already.
pub(super) fn answer(jobs: &Jobs, desk: Desk, wish: Export) -> Result<Response, Failure> {
    let (pieces, arriving) = mpsc::channel(PIECES_AHEAD);
    let last = pieces.clone();
    let export = move |job: &mut Job| {
        job.phase("writing", Unit::Bytes, None);
        let sink = Sink {
            pieces,
            stopped: job.token().clone(),
            written: job.progress().counter(),
        };
        let mut sink = io::BufWriter::with_capacity(PIECE, sink);
        desk.export(&wish, &mut sink)
    };
    jobs.start(
        Kind::Export,
        "queue export",
        export,
        move |end, is_cancelled| {
            let end = match end {
                Ok(exported) => ExportEnd::Done(exported),
                Err(failure) => ExportEnd::Refused(Refused::from(&failure)),
            };
            let mut trailers = HeaderMap::new();
            let told = serde_json::to_string(&end).ok();
            if let Some(told) = told.and_then(|told| HeaderValue::from_str(&told).ok()) {
                trailers.insert(END, told);
            }
            let trailers = Frame::trailers(trailers);
            // Nobody listens any more where these fail; and a stop waits for no reader: an archive without its end is not whole.
            if is_cancelled {
                drop(last.try_send(trailers));
            } else {
                drop(last.blocking_send(trailers));
            }
        },
    )?;
    let frames = futures_util::stream::unfold(arriving, async |mut arriving| {
        let frame: Frame<Bytes> = arriving.recv().await?;
        Some((Ok::<_, io::Error>(frame), arriving))
    });
    let head = [
        (header::CONTENT_TYPE, "application/x-tar"),
        (header::TRAILER, END),
    ];
    Ok((head, Body::new(StreamBody::new(frames))).into_response())
}

/// Stores the documents of an archive that is sent.
///
/// # Errors
/// As the [`Desk`], and too many jobs wait already, or a stop ended it; what came before is stored.
pub(super) async fn import(jobs: &Jobs, desk: Desk, body: Body) -> Result<Imported, Failure> {
    let stream = TryStreamExt::map_err(body.into_data_stream(), io::Error::other);
    let runtime = Handle::current();
    let imported = jobs.run(Kind::Import, "queue import", move |job| {
        job.phase("reading", Unit::Bytes, None);
        // Whoever sends may pause for hours, and a stop waits for none of them.
        let stopped = job.token().clone().cancelled_owned();
        let stream = StreamReader::new(Box::pin(stream.take_until(stopped)));
        let mut archive = Counted {
            archive: SyncIoBridge::new_with_handle(stream, runtime),
            read: job.progress().counter(),
        };
        let imported = desk.import(&mut archive);
        if imported.is_err() {
            drain(archive);
        }
        // One that was cut off by a stop is not whole, whatever came before.
        job.done(0)?;
        imported
    });
    imported.await
}

/// What is read of an archive, and counted.
struct Counted<R> {
    archive: R,
    read: Counter,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.archive.read(bytes)?;
        self.read.add(read as u64);
        Ok(read)
    }
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
fn drain(mut archive: impl Read) {
    drop(io::copy(&mut archive, &mut io::sink()));
}

/// Where an archive is written to: the answer, for as long as it is not to give up.
struct Sink {
    pieces: mpsc::Sender<Frame<Bytes>>,
    stopped: CancellationToken,
    written: Counter,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let place = match self.pieces.try_reserve() {
            Ok(place) if !self.stopped.is_cancelled() => Some(place),
            Ok(_) => None,
            Err(_) => block_on(async {
                tokio::select! {
                    biased;
                    () = self.stopped.cancelled() => None,
                    place = self.pieces.reserve() => place.ok(),
                }
            }),
        };
        let Some(place) = place else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        place.send(Frame::data(Bytes::copy_from_slice(bytes)));
        self.written.add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
