//! One request: what is asked, what is done, what is answered.

use super::counters::Counters;
use super::gate::Gate;
use super::key::Key;
use super::kinds::Kinds;
use super::refused::{Reason, Refused};
use crate::arrival::{self, Bounds, ContentDigest, Encoding, Unfit};
use crate::hash::hex;
use crate::percent;
use crate::run::{BodyMaker, STATION, Template};
use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mainstay_clock::SharedClock;
use mainstay_queue::{DocumentId, LaneSummary, NewBody, NewDocument, Queue, Receipt, State};
use mainstay_resilience::within;
use serde_json::json;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SOURCE: HeaderName = HeaderName::from_static("mainstay-source");

/// A burst is no reason to refuse: so long a request waits for its turn.
const TURN: Duration = Duration::from_secs(1);

/// So long the queue may take to store a document.
const STORE: Duration = Duration::from_secs(10);

/// The longest name of a document, in bytes.
const NAME_MAX: usize = 1024;

/// The longest name of a station, in bytes.
const STATION_MAX: usize = 255;

/// The longest media type with its parameters, in bytes.
const TYPE_MAX: usize = 255;

const NO_ROOM: &str = "the queue has no room; ask again when documents were delivered";

/// A place among those that are served at once.
type Turn = OwnedSemaphorePermit;

/// What every request needs.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) queue: Queue,
    pub(super) template: Template,
    /// A full queue makes room itself, where that policy was chosen.
    pub(super) makes_room: bool,
    pub(super) gate: Gate,
    pub(super) kinds: Kinds,
    pub(super) bounds: Bounds,
    pub(super) turns: Arc<Semaphore>,
    pub(super) counters: Counters,
    pub(super) stop: CancellationToken,
    pub(super) clock: SharedClock,
}

/// All that the head of a request says of its document.
struct Announced {
    id: DocumentId,
    name: Vec<u8>,
    /// Who made it, where its sender says so.
    station: Option<String>,
    /// As far as it is said, on the wire.
    length: u64,
    content_type: Option<String>,
    encoding: Encoding,
    digest: Option<ContentDigest>,
}

/// What the queue says of a document that it has.
struct Known {
    route: String,
    sha256: Option<String>,
    state: &'static str,
}

impl Desk {
    /// Takes one document, or says why not.
    pub(super) async fn serve(&self, request: Request, peer: SocketAddr) -> Response {
        let (parts, body) = request.into_parts();
        let _under_way = self.counters.begin();
        match self.take(&parts, body).await {
            Ok(mut response) => {
                if let Some(key) = parts.headers.get(&IDEMPOTENCY_KEY) {
                    response.headers_mut().insert(IDEMPOTENCY_KEY, key.clone());
                }
                response
            }
            Err(refused) => {
                // Whose it was; the port says nothing to people.
                let words = format!("{} was told {refused}", peer.ip());
                tracing::info!(route = self.template.route, "refused: {words}");
                self.counters.refused(refused.reason, &words);
                refused.into_response()
            }
        }
    }

    async fn take(&self, parts: &Parts, body: Body) -> Result<Response, Refused> {
        if self.stop.is_cancelled() {
            let words = "the agent is being stopped; ask again";
            return Err(Refused::new(Reason::Stopping, words));
        }
        if parts.method == Method::HEAD {
            return self.looked_at(parts);
        }
        let announced = self.announced(parts)?;
        let turn = Arc::clone(&self.turns).acquire_owned();
        let Some(Ok(turn)) = within(&*self.clock, TURN, turn).await else {
            let words = "too many documents at once; ask again";
            return Err(Refused::new(Reason::Busy, words));
        };
        // It ends with the request and with the thread that writes, whichever is later: a sender that went away leaves one behind
        // that still works.
        let turn = Arc::new(turn);
        match self.known(announced.id)? {
            Some(known) => self.compare(known, announced, body, &turn).await,
            None if !self.has_room_for(announced.length) => Err(full()),
            None => self.store(announced, body, &turn).await,
        }
    }

    fn has_room_for(&self, bytes: u64) -> bool {
        self.makes_room || self.queue.has_room_for(bytes)
    }

    /// What a sender is told who only wants to know whether its documents would be taken.
    fn looked_at(&self, parts: &Parts) -> Result<Response, Refused> {
        self.admitted(parts)?;
        if !self.has_room_for(1) {
            return Err(full());
        }
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    /// Who may ask here at all, and the document's name as the path has it.
    fn admitted<'a>(&self, parts: &'a Parts) -> Result<&'a [u8], Refused> {
        let name: &[u8] = match parts.uri.path().strip_prefix("/ingest") {
            Some("") => b"",
            Some(rest) if rest.starts_with('/') => &rest.as_bytes()[1..],
            _ => {
                let words = "there is nothing here; documents go to /ingest";
                return Err(Refused::new(Reason::NotFound, words));
            }
        };
        if !matches!(parts.method, Method::POST | Method::PUT | Method::HEAD) {
            let words = "send a document with POST or PUT and an Idempotency-Key";
            return Err(Refused::new(Reason::Method, words));
        }
        if !self.gate.lets_in(&parts.headers) {
            let words = "this route wants its token: Authorization: Bearer TOKEN";
            return Err(Refused::new(Reason::Unauthorized, words));
        }
        Ok(name)
    }

    /// Everything that can be said without the body.
    fn announced(&self, parts: &Parts) -> Result<Announced, Refused> {
        let bad = |words: String| Refused::new(Reason::Bad, words);
        let name = self.admitted(parts)?;
        let headers = &parts.headers;
        let Some(key) = text(headers, &IDEMPOTENCY_KEY)? else {
            let words = "Idempotency-Key is missing; send one that names this document, and the same when you repeat it";
            return Err(bad(words.to_owned()));
        };
        let key = Key::parse(key.as_bytes()).map_err(bad)?;
        let length = self.length(headers)?;
        let name = headers.get(&SOURCE).map_or(name, |name| name.as_bytes());
        let name = percent::decode(name);
        if name.len() > NAME_MAX {
            return Err(bad(format!(
                "the document's name has more than {NAME_MAX} bytes"
            )));
        }
        let digest = arrival::content_digest(headers).map_err(bad)?;
        Ok(Announced {
            id: key.document(&self.template.route),
            name,
            station: station(headers)?,
            length: length.unwrap_or(1),
            content_type: self.content_type(headers)?,
            encoding: Encoding::named(text(headers, &header::CONTENT_ENCODING)?)
                .map_err(|words| Refused::new(Reason::Type, words))?,
            digest,
        })
    }

    /// A body without an end in sight is refused, and so is one that is too large, before a byte of it is read.
    fn length(&self, headers: &HeaderMap) -> Result<Option<u64>, Refused> {
        let Some(length) = headers.get(header::CONTENT_LENGTH) else {
            if headers.contains_key(header::TRANSFER_ENCODING) {
                return Ok(None);
            }
            let words = "say how long the document is: Content-Length, or send it in chunks";
            return Err(Refused::new(Reason::Length, words));
        };
        let length = length.to_str().ok().and_then(|text| text.parse().ok());
        match length {
            Some(length) if self.bounds.len < length => Err(Refused::too_large(self.bounds.len)),
            Some(length) => Ok(Some(length)),
            None => Err(Refused::new(
                Reason::Bad,
                "Content-Length is not a number of bytes",
            )),
        }
    }

    fn content_type(&self, headers: &HeaderMap) -> Result<Option<String>, Refused> {
        let given = text(headers, &header::CONTENT_TYPE)?.map(str::trim);
        let given = given.filter(|given| !given.is_empty());
        if given.is_some_and(|given| given.len() > TYPE_MAX) {
            let words = format!("Content-Type has more than {TYPE_MAX} characters");
            return Err(Refused::new(Reason::Bad, words));
        }
        if !self.kinds.take(given.unwrap_or_default()) {
            let kinds = self.kinds.list().join(", ");
            let words = format!("this route takes {kinds}; say which it is with Content-Type");
            return Err(Refused::new(Reason::Type, words));
        }
        Ok(given.map(str::to_owned))
    }

    /// Stores a document that the queue does not know.
    async fn store(
        &self,
        announced: Announced,
        body: Body,
        turn: &Arc<Turn>,
    ) -> Result<Response, Refused> {
        let sink = Sink {
            inner: BodyMaker::new(self.queue.clone()),
            _turn: Arc::clone(turn),
        };
        let (queue, makes_room) = (self.queue.clone(), self.makes_room);
        let end = move |sink: Sink<BodyMaker>, passed: arrival::Passed| {
            // What is encoded or comes in chunks says only now how large it is; its bytes need not be synced to be refused.
            if !makes_room && !queue.has_room_for(passed.len) {
                return Err(Unfit::Stalled(NO_ROOM.to_owned()));
            }
            sink.inner.finish().map_err(|error| unfit(&error))
        };
        let (body, hash) = self.receive(&announced, body, sink, end).await?;
        let id = announced.id;
        let storing = self.queue.enqueue(self.document(announced, body, hash));
        let Some(stored) = within(&*self.clock, STORE, storing).await else {
            let words = format!("the queue took longer than {STORE:?}; ask again");
            return Err(Refused::new(Reason::Full, words));
        };
        match stored.map_err(|error| Refused::queue(&error))? {
            Receipt::Accepted(id) => {
                self.counters.taken();
                let answer = json!({ "id": id.to_string(), "state": "queued" });
                Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
            }
            // Another request with the same key was quicker.
            Receipt::AlreadyThere(_) => match self.known(id)? {
                Some(known) => self.repeat(id, &known, hash),
                None => Err(Refused::new(
                    Reason::Full,
                    "it was there a moment ago; ask again",
                )),
            },
        }
    }

    fn document(&self, announced: Announced, body: NewBody, hash: [u8; 32]) -> NewDocument {
        let mut document = self
            .template
            .document(announced.id, &announced.name, body, hash);
        document.content_type = announced.content_type.unwrap_or(document.content_type);
        if let Some(station) = announced.station {
            // Whoever made it knows better than the hub that it passes.
            document.headers.retain(|(name, _)| name != STATION);
            document.headers.push((STATION.to_owned(), station));
        }
        document
    }

    /// Reads a document that the queue knows by its key, and keeps nothing of it.
    async fn compare(
        &self,
        known: Known,
        announced: Announced,
        body: Body,
        turn: &Arc<Turn>,
    ) -> Result<Response, Refused> {
        let sink = Sink {
            inner: io::sink(),
            _turn: Arc::clone(turn),
        };
        let end = |_, passed: arrival::Passed| Ok(passed.sha256);
        let hash = self.receive(&announced, body, sink, end).await?;
        self.repeat(announced.id, &known, hash)
    }

    async fn receive<S: Send + 'static, T: Send + 'static>(
        &self,
        announced: &Announced,
        body: Body,
        sink: Sink<S>,
        end: impl FnOnce(Sink<S>, arrival::Passed) -> Result<T, Unfit> + Send + 'static,
    ) -> Result<T, Refused>
    where
        Sink<S>: Write,
    {
        let (encoding, digest) = (announced.encoding, announced.digest);
        arrival::receive(body, encoding, digest, self.bounds, sink, &self.clock, end)
            .await
            .map_err(|unfit| Refused::unfit(unfit, self.bounds.len))
    }

    /// Two documents under one key would be a loss in disguise, and so would one that goes two ways and took only the first.
    fn repeat(&self, id: DocumentId, known: &Known, hash: [u8; 32]) -> Result<Response, Refused> {
        if known.route != self.template.route {
            let words = format!(
                "this Idempotency-Key was used for the route `{}`; a document goes one way, under its key",
                known.route
            );
            return Err(Refused::new(Reason::Reused, words));
        }
        if known.sha256.as_ref() != Some(&hex(&hash)) {
            let words =
                "this Idempotency-Key was used for other content; what is stored was not touched";
            return Err(Refused::new(Reason::Reused, words));
        }
        self.counters.repeated();
        let answer = json!({ "id": id.to_string(), "state": known.state, "already_there": true });
        Ok((StatusCode::OK, Json(answer)).into_response())
    }

    /// Looks a document up; what the queue does not know costs it no look at the disk.
    fn known(&self, id: DocumentId) -> Result<Option<Known>, Refused> {
        let found = tokio::task::block_in_place(|| self.queue.get(id));
        let found = found.map_err(|error| Refused::queue(&error))?;
        Ok(found.map(|detail| Known {
            state: state(&detail.summary.lanes),
            route: detail.summary.route,
            sha256: detail.sha256,
        }))
    }
}

fn full() -> Refused {
    Refused::new(Reason::Full, NO_ROOM)
}

/// Where a document stands on all its lanes together: the worst that can still become better comes first.
fn state(lanes: &[LaneSummary]) -> &'static str {
    let has = |wanted: fn(State) -> bool| lanes.iter().any(|lane| wanted(lane.state));
    if has(State::is_pending) {
        "queued"
    } else if has(|state| state == State::Dead) {
        "dead"
    } else if has(|state| state == State::Discarded) {
        "discarded"
    } else {
        "delivered"
    }
}

/// Where a body goes, with the turn that it takes.
struct Sink<S> {
    inner: S,
    _turn: Arc<Turn>,
}

impl Write for Sink<BodyMaker> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Sink<io::Sink> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unfit(error: &mainstay_queue::Error) -> Unfit {
    Unfit::Disk(io::Error::other(error.clone()))
}

fn station(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let Some(station) = headers.get(STATION) else {
        return Ok(None);
    };
    let station = percent::decode(station.as_bytes());
    if station.len() > STATION_MAX {
        let words = format!("{STATION} has more than {STATION_MAX} bytes");
        return Err(Refused::new(Reason::Bad, words));
    }
    let station = String::from_utf8_lossy(&station).trim().to_owned();
    Ok(Some(station).filter(|station| !station.is_empty()))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refused> {
    arrival::single(headers, name).map_err(|words| Refused::new(Reason::Bad, words))
}
