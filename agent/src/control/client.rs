//! The command line's side of the control socket.

use super::socket::connect;
use super::views::{
    Budgets, Document, Export, List, Move, Moved, Protection, Redeliver, Redelivered, Refused,
    Shield, Submission, Submitted, Verified,
};
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::percent;
use crate::status::Status;
use axum::body::Body;
use axum::http::{Method, Request, Response, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use mainstay_files::Lock;
use mainstay_queue::{Exported, Imported};
use mainstay_resilience::within;
use mainstay_supervise::HealthSnapshot;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;

/// An agent that does not answer within this time is stuck; only reading a whole large queue takes longer, and has no limit.
const PATIENCE: Duration = Duration::from_secs(30);

/// While somebody has the folder the agent is waited for so long, and looked for so often: it may be between two lives, or starting.
const AWAITED: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

/// Speaks with the agent of one data folder.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    socket: PathBuf,
    lock: PathBuf,
}

/// Whether an agent answers on this data folder's socket at this moment.
pub(crate) async fn answers(data: &DataDir) -> bool {
    connect(&data.socket()).await.is_ok()
}

impl Client {
    /// A client for the agent of this data folder, whether or not it runs.
    pub(crate) fn of(data: &DataDir) -> Self {
        Self {
            socket: data.socket(),
            lock: data.lock(),
        }
    }

    /// What the agent says of itself.
    ///
    /// # Errors
    /// It does not run, or does not answer in time; so for all of these.
    pub(crate) async fn status(&self) -> Result<Status, Failure> {
        self.get("/status".to_owned()).await
    }

    /// How it is, by what is looked at now.
    pub(crate) async fn health(&self) -> Result<HealthSnapshot, Failure> {
        self.get("/health".to_owned()).await
    }

    /// What it takes for what it does.
    pub(crate) async fn budgets(&self) -> Result<Budgets, Failure> {
        self.get("/budgets".to_owned()).await
    }

    /// What protects destinations and servers of lookups.
    pub(crate) async fn protections(&self) -> Result<Vec<Protection>, Failure> {
        self.get("/protections".to_owned()).await
    }

    /// Does something to one of them, and answers how it stands then.
    pub(crate) async fn shield(&self, wish: &Shield) -> Result<Protection, Failure> {
        self.post_json("/protections", wish).await
    }

    /// Documents, first in line first.
    pub(crate) async fn list(&self, wish: &List) -> Result<Vec<Document>, Failure> {
        let mut query = format!("limit={}", wish.limit);
        let state = wish.state.map(|state| state.to_string());
        for (name, value) in [
            ("state", &state),
            ("lane", &wish.lane),
            ("text", &wish.text),
        ] {
            if let Some(value) = value {
                query.extend(["&", name, "=", &percent::encode(value.as_bytes())]);
            }
        }
        self.get(format!("/documents?{query}")).await
    }

    /// One document.
    pub(crate) async fn show(&self, id: &str) -> Result<Document, Failure> {
        self.get(format!("/documents/{}", percent::encode(id.as_bytes())))
            .await
    }

    /// A document's content.
    pub(crate) async fn content(&self, id: &str) -> Result<Vec<u8>, Failure> {
        let uri = format!("/documents/{}/body", percent::encode(id.as_bytes()));
        let answer = self
            .within_patience(request(Method::GET, &uri, Body::empty())?)
            .await?;
        Ok(refusal_or(answer)?.to_vec())
    }

    /// Moves documents by hand.
    pub(crate) async fn change(&self, wish: &Move) -> Result<Moved, Failure> {
        self.post_json("/move", wish).await
    }

    /// Sends again what was delivered.
    pub(crate) async fn redeliver(&self, wish: &Redeliver) -> Result<Redelivered, Failure> {
        self.post_json("/redeliver", wish).await
    }

    async fn post_json<T: DeserializeOwned>(
        &self,
        uri: &str,
        wish: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(wish).map_err(garbled)?;
        let mut request = request(Method::POST, uri, Body::from(body))?;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/json"),
        );
        parsed(self.exchange(request).await?)
    }

    /// Receives documents as an archive.
    pub(crate) async fn export(
        &self,
        wish: &Export,
        archive: &mut impl Write,
    ) -> Result<Exported, Failure> {
        let state = wish.state.map(|state| state.to_string());
        let mut query = String::new();
        for (name, value) in [("state", &state), ("lane", &wish.lane)] {
            if let Some(value) = value {
                query.extend(["&", name, "=", &percent::encode(value.as_bytes())]);
            }
        }
        let uri = format!("/archive?{}", query.trim_start_matches('&'));
        let mut request = request(Method::GET, &uri, Body::empty())?;
        // Without this the server keeps how it came out to itself.
        request
            .headers_mut()
            .insert(header::TE, header::HeaderValue::from_static("trailers"));
        self.converse(request, async |answer| {
            let (head, body) = answer.into_parts();
            if head.status.is_success() {
                return super::carried::receive(body, archive).await;
            }
            let body = body.collect().await.map_err(broken)?.to_bytes();
            Err(refused(&Response::from_parts(head, body)))
        })
        .await
    }

    /// Hands an archive over.
    pub(crate) async fn import(&self, archive: Body) -> Result<Imported, Failure> {
        parsed(
            self.exchange(request(Method::POST, "/archive", archive)?)
                .await?,
        )
    }

    /// Reads every document back.
    pub(crate) async fn verify(&self) -> Result<Verified, Failure> {
        parsed(
            self.exchange(request(Method::POST, "/verify", Body::empty())?)
                .await?,
        )
    }

    /// Hands a document over; it is durable when this returns.
    pub(crate) async fn submit(
        &self,
        submission: &Submission,
        content: Body,
    ) -> Result<Submitted, Failure> {
        let mut request = request(Method::POST, "/documents", content)?;
        let facts = [
            ("mainstay-source", Some(percent::encode(&submission.name))),
            ("mainstay-route", submission.route.clone()),
            (
                "mainstay-priority",
                submission.priority.map(|priority| priority.to_string()),
            ),
            ("content-type", submission.content_type.clone()),
        ];
        for (name, value) in facts {
            if let Some(value) = value {
                let value = header::HeaderValue::try_from(value).map_err(|error| {
                    Failure::new(Exit::Usage, format!("`{name}` cannot be sent")).because(error)
                })?;
                request.headers_mut().insert(name, value);
            }
        }
        parsed(self.exchange(request).await?)
    }

    /// Whether an agent answers, now or in a moment.
    pub(crate) async fn is_there(&self) -> bool {
        self.connect().await.is_ok()
    }

    /// A connection; an agent that has the folder and does not listen is waited for.
    async fn connect(&self) -> io::Result<UnixStream> {
        let clock = mainstay_clock::system();
        let deadline = clock.now() + AWAITED;
        loop {
            let failed = match connect(&self.socket).await {
                Err(error) if is_silent(&error) => error,
                connected => return connected,
            };
            if clock.now() >= deadline || Lock::held(&self.lock).is_none() {
                return Err(failed);
            }
            clock.sleep(LOOK).await;
        }
    }

    /// What is only looked at is asked again where the agent ends the conversation and another life of it begins.
    async fn get<T: DeserializeOwned>(&self, uri: String) -> Result<T, Failure> {
        let clock = mainstay_clock::system();
        let deadline = clock.now() + AWAITED;
        loop {
            let asked = request(Method::GET, &uri, Body::empty())?;
            match self.within_patience(asked).await {
                Err(failure)
                    if failure.exit() == Exit::NotRunning
                        && clock.now() < deadline
                        && Lock::held(&self.lock).is_some() =>
                {
                    clock.sleep(LOOK).await;
                }
                answer => return parsed(answer?),
            }
        }
    }

    async fn within_patience(&self, request: Request<Body>) -> Result<Response<Bytes>, Failure> {
        let answer = within(&*mainstay_clock::system(), PATIENCE, self.exchange(request)).await;
        answer.unwrap_or_else(|| {
            Err(Failure::new(
                Exit::TimedOut,
                format!("the agent did not answer within {PATIENCE:?}"),
            )
            .help("see its log; nothing depends on it being stopped in order"))
        })
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Response<Bytes>, Failure> {
        self.converse(request, async |answer| {
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(broken)?.to_bytes();
            Ok(Response::from_parts(head, body))
        })
        .await
    }

    /// One connection for one request; both are driven here, so nothing is left behind when this is dropped.
    async fn converse<T>(
        &self,
        request: Request<Body>,
        read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let stream = self.connect().await;
        let stream = stream.map_err(|error| self.not_running(error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let exchange = async move {
            let response = sender.send_request(request).await.map_err(broken)?;
            read(response).await
        };
        let (mut exchange, mut connection) = (std::pin::pin!(exchange), std::pin::pin!(connection));
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            // What the connection had received before it ended is still there to be read.
            _ = &mut connection => exchange.await,
        }
    }

    fn not_running(&self, error: io::Error) -> Failure {
        let folder = self.socket.parent().unwrap_or(&self.socket);
        let failure = Failure::new(
            Exit::NotRunning,
            format!("no agent runs on the data folder `{}`", folder.display()),
        );
        match error.kind() {
            io::ErrorKind::PermissionDenied => failure
                .because(error)
                .help("ask as the user that the agent runs as, or as root"),
            _ => failure.help("start one with `mainstay run`, or name its folder with --data"),
        }
    }
}

/// Nobody listens, where somebody may in a moment.
fn is_silent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn request(method: Method, uri: &str, body: Body) -> Result<Request<Body>, Failure> {
    // HTTP/1.1 wants a host; on a Unix socket it means nothing.
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::HOST, "agent")
        .body(body)
        .map_err(garbled)
}

fn parsed<T: DeserializeOwned>(answer: Response<Bytes>) -> Result<T, Failure> {
    serde_json::from_slice(&refusal_or(answer)?).map_err(garbled)
}

fn refusal_or(answer: Response<Bytes>) -> Result<Bytes, Failure> {
    if answer.status().is_success() {
        return Ok(answer.into_body());
    }
    Err(refused(&answer))
}

fn refused(answer: &Response<Bytes>) -> Failure {
    match serde_json::from_slice::<Refused>(answer.body()) {
        Ok(refused) => refused.into(),
        Err(_) => Failure::new(
            Exit::Unexpected,
            format!("the agent answered {}", answer.status()),
        ),
    }
}

fn broken(error: hyper::Error) -> Failure {
    Failure::new(Exit::NotRunning, "the agent ended the conversation").because(error)
}

fn garbled(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(
        Exit::Unexpected,
        "the agent and this command do not understand each other",
    )
    .because(error)
    .help("are both of the same version? see `mainstay status`")
}
