//! One request: what is asked, what is done, what is answered.

use super::connection::Cut;
use super::faults::{Fault, Faults};
use super::key::Key;
use super::store::{Arrival, Found, Store};
use crate::arrival::{self, Bounds, ContentDigest, Encoding, Passed, Unfit};
use crate::hash::sha256;
use crate::percent;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mainstay_clock::SharedClock;
use mainstay_files::ErrorKind;
use serde_json::json;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SOURCE: HeaderName = HeaderName::from_static("mainstay-source");

/// A body may trickle for as long as it does not stop.
const BOUNDS: Bounds = Bounds {
    len: arrival::BODY_MAX,
    silence: arrival::SILENCE_MAX,
    time: Duration::from_hours(24),
};

/// What every request needs.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    /// Where documents go.
    pub(crate) store: Arc<Store>,
    /// What goes wrong.
    pub(crate) faults: Arc<Faults>,
    /// Ends the requests that are told to hang.
    pub(crate) stop: CancellationToken,
    /// Waits for `--delay`.
    pub(crate) clock: SharedClock,
}

/// An answer that is not "stored": the status and the reason in words.
struct Refused(StatusCode, String);

/// Takes one document.
pub(crate) async fn ingest(
    State(desk): State<Desk>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
) -> Response {
    let fault = desk.faults.next();
    let (parts, body) = request.into_parts();
    let response = match fault {
        Fault::None => serve(&desk, &parts, body).await,
        Fault::Refuse(status) => refuse_as_told(&desk, status, body).await,
        Fault::Hang => {
            desk.stop.cancelled().await;
            Err(Refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "told to hang".to_owned(),
            ))
        }
        Fault::CutBefore => {
            cut.now();
            Err(Refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "told to cut the connection".to_owned(),
            ))
        }
        Fault::CutAfter => {
            let response = serve(&desk, &parts, body).await;
            cut.now();
            response
        }
    };
    desk.clock.sleep(desk.faults.delay).await;
    response.unwrap_or_else(|Refused(status, reason)| {
        desk.store
            .counters()
            .refused
            .fetch_add(1, Ordering::Relaxed);
        tracing::info!(status = status.as_u16(), reason, "refused");
        let mut response = (status, axum::Json(json!({ "error": reason }))).into_response();
        let wants_wait = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        if let Some(after) = desk.faults.retry_after.filter(|_| wants_wait) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(after));
        }
        response
    })
}

/// The body is read first, so that the sender gets the answer and not a broken pipe.
async fn refuse_as_told(desk: &Desk, status: StatusCode, body: Body) -> Result<Response, Refused> {
    let read = arrival::receive(
        body,
        Encoding::Identity,
        None,
        BOUNDS,
        io::sink(),
        &desk.clock,
        |_, _| Ok(()),
    );
    tokio::select! {
        _ = read => {}
        () = desk.stop.cancelled() => {}
    }
    Err(Refused(status, "told to fail".to_owned()))
}

async fn serve(desk: &Desk, parts: &Parts, body: Body) -> Result<Response, Refused> {
    let bad = |reason: String| Refused(StatusCode::BAD_REQUEST, reason);
    let key: Key = match text(parts, &IDEMPOTENCY_KEY)? {
        Some(key) => key.parse().map_err(bad)?,
        None => {
            return Err(bad(
                "Idempotency-Key is missing; send the document's id in it".to_owned(),
            ));
        }
    };
    let digest = arrival::content_digest(&parts.headers).map_err(bad)?;
    let encoding = encoding(parts)?;
    let (status, answer) = match desk.store.find(&key).await {
        Found::New(arrival) => {
            let file_name = key.file_name(source(parts).as_deref());
            store(desk, arrival, file_name, body, (encoding, digest)).await?;
            (
                StatusCode::CREATED,
                json!({ "stored": true, "id": key.to_string() }),
            )
        }
        Found::There(file) => {
            compare(desk, file, body, (encoding, digest)).await?;
            desk.store
                .counters()
                .duplicates
                .fetch_add(1, Ordering::Relaxed);
            tracing::info!(id = %key, "already there");
            (
                StatusCode::OK,
                json!({ "already_there": true, "id": key.to_string() }),
            )
        }
    };
    let mut response = (status, axum::Json(answer)).into_response();
    if let Ok(echo) = HeaderValue::from_str(&key.to_string()) {
        response.headers_mut().insert(IDEMPOTENCY_KEY, echo);
    }
    Ok(response)
}

async fn store(
    desk: &Desk,
    arrival: Arrival,
    file_name: String,
    body: Body,
    (encoding, digest): (Encoding, Option<ContentDigest>),
) -> Result<(), Refused> {
    let writer = arrival
        .writer(&file_name)
        .map_err(|error| disk(&io::Error::from(error)))?;
    let end = move |writer, passed: Passed| {
        arrival
            .keep(writer, file_name, passed.len)
            .map_err(|error| Unfit::Disk(error.into()))
    };
    arrival::receive(body, encoding, digest, BOUNDS, writer, &desk.clock, end)
        .await
        .map_err(refusal)
}

/// A repeated key has to come with the same content; two documents under one key would be a loss in disguise.
async fn compare(
    desk: &Desk,
    file: PathBuf,
    body: Body,
    (encoding, digest): (Encoding, Option<ContentDigest>),
) -> Result<(), Refused> {
    let end = move |_, passed: Passed| Ok((passed, stored_hash(&file).map_err(Unfit::Disk)?));
    let (sink, clock) = (io::sink(), &desk.clock);
    let (passed, stored) = arrival::receive(body, encoding, digest, BOUNDS, sink, clock, end)
        .await
        .map_err(refusal)?;
    if passed.sha256 == stored {
        return Ok(());
    }
    let reason = "this Idempotency-Key was used for other content; what is stored was not touched";
    Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, reason.to_owned()))
}

fn stored_hash(file: &std::path::Path) -> io::Result<[u8; 32]> {
    sha256(std::fs::File::open(file)?)
}

fn refusal(unfit: Unfit) -> Refused {
    match unfit {
        Unfit::Broken(reason) | Unfit::Wrong(reason) => Refused(StatusCode::BAD_REQUEST, reason),
        Unfit::Slow(reason) => Refused(StatusCode::REQUEST_TIMEOUT, reason),
        Unfit::TooLarge => {
            let limit = arrival::BODY_MAX >> 20;
            Refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the document is larger than {limit} MiB"),
            )
        }
        Unfit::Disk(error) => disk(&error),
        Unfit::Stalled(reason) => Refused(StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

fn disk(error: &io::Error) -> Refused {
    let status = match ErrorKind::of(error) {
        ErrorKind::DiskFull | ErrorKind::Quota => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    tracing::error!(%error, "cannot store");
    Refused(status, format!("cannot store: {error}"))
}

fn encoding(parts: &Parts) -> Result<Encoding, Refused> {
    Encoding::named(text(parts, &header::CONTENT_ENCODING)?)
        .map_err(|reason| Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason))
}

/// The source's name: from `Mainstay-Source`, else what follows `/ingest/` in the path.
fn source(parts: &Parts) -> Option<Vec<u8>> {
    let given = parts.headers.get(&SOURCE).map(HeaderValue::as_bytes);
    let in_path = parts.uri.path().strip_prefix("/ingest/").map(str::as_bytes);
    given.or(in_path).map(percent::decode)
}

fn text<'a>(parts: &'a Parts, name: &HeaderName) -> Result<Option<&'a str>, Refused> {
    arrival::single(&parts.headers, name).map_err(|reason| Refused(StatusCode::BAD_REQUEST, reason))
}
