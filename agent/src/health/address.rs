//! The address that tells whether the agent is well: on this machine alone, without a token, for GET.
//!
//! | path | answer |
//! |---|---|
//! | `/health/live` | 200 while the process is worth keeping, else 503 |
//! | `/health/ready` | 200 while a document could be taken now, else 503 with the reason |
//! | `/health` | every check as JSON; 503 where the agent is unhealthy |
//! | `/metrics` | the checks and the account, for Prometheus |
//!
//! Of 32 connections at once each is closed after 10 s in which nobody asks, and after 30 s in which nobody takes an answer.

use super::metrics::metrics;
use crate::exit::{Exit, Failure};
use crate::hub::Patient;
use crate::run::Agent;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mainstay_clock::SharedClock;
use mainstay_supervise::{Health, HealthState, Held, Holdings, Resource, TaskContext};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Where it listens where `[health]` does not say so.
pub(crate) const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9_464);

/// Few ask at once, and each is answered in milliseconds.
const CONNECTIONS: usize = 32;

/// The head of a request has to be here in this time, and so long a connection that nobody uses is kept.
const HEAD: Duration = Duration::from_secs(10);

/// The system refused a connection: it is left alone for this long.
const BREATH: Duration = Duration::from_millis(200);

/// An address that is open.
#[derive(Debug)]
pub(crate) struct Door {
    listener: Held<TcpListener>,
}

#[derive(Debug, Clone)]
struct Here {
    agent: Arc<Agent>,
    health: Health,
}

impl Door {
    /// Opens the address; nobody is answered yet.
    ///
    /// # Errors
    /// It cannot be listened on.
    pub(crate) async fn open(listen: SocketAddr, holdings: &Holdings) -> Result<Self, Failure> {
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            let help = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "another program listens there: stop it, or choose another port in `[health] listen`"
                }
                _ => "choose another address in `[health] listen`",
            };
            let message = format!("the health of the agent cannot be told on {listen}");
            Failure::new(Exit::CannotListen, message).because(error).help(help)
        })?;
        let name = "the address of its health";
        let listener = holdings.hold(Resource::Listener, name, listener, drop);
        Ok(Self { listener })
    }

    /// Where it is open, by number; none where the system does not say.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers as a task that beats by itself, until that is to stop.
    pub(crate) async fn serve(
        self,
        agent: Arc<Agent>,
        health: Health,
        clock: SharedClock,
        context: &TaskContext,
    ) {
        let router = Router::new()
            .route("/health/live", get(live))
            .route("/health/ready", get(ready))
            .route("/health", get(all))
            .route("/metrics", get(exposition))
            .with_state(Here { agent, health });
        let (places, mut running) = (Arc::new(Semaphore::new(CONNECTIONS)), JoinSet::new());
        loop {
            context.beat();
            let accepted = tokio::select! {
                accepted = self.accept(&places) => accepted,
                // Those that are open end with their set.
                () = context.stopping() => return,
                () = context.beat_due() => continue,
            };
            let Some((stream, place)) = accepted else {
                clock.sleep(BREATH).await;
                continue;
            };
            let answering = answer(stream, router.clone(), clock.clone());
            running.spawn(async move {
                answering.await;
                drop(place);
            });
            while running.try_join_next().is_some() {}
        }
    }

    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((stream, _)) => Some((stream, place)),
            Err(error) => {
                tracing::warn!(%error, "nobody can ask for the health of the agent");
                None
            }
        }
    }
}

/// Answers on one connection for as long as its other end asks, and takes what it is answered.
async fn answer<S>(stream: S, router: Router, clock: SharedClock)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(
            TokioIo::new(Patient::new(stream, &clock)),
            TowerToHyperService::new(router),
        );
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a question about health broke off");
    }
}

async fn live(State(here): State<Here>) -> Response {
    verdict(here.health.is_live(), "live", &[])
}

async fn ready(State(here): State<Here>) -> Response {
    let readiness = here.health.readiness().await;
    verdict(readiness.is_ready, "ready", &readiness.why)
}

fn verdict(is_so: bool, word: &str, why: &[String]) -> Response {
    let (status, text) = if is_so {
        (StatusCode::OK, format!("{word}\n"))
    } else {
        let why = why.join("; ");
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not {word}: {why}\n"),
        )
    };
    (status, text).into_response()
}

async fn all(State(here): State<Here>) -> Response {
    let measuring = here.agent.measured.health.start();
    let snapshot = here.health.check_all().await;
    measuring.finish();
    let status = match snapshot.state {
        HealthState::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    (status, Json(snapshot)).into_response()
}

async fn exposition(State(here): State<Here>) -> Response {
    let agent = &here.agent;
    let text = here.health.snapshot().prometheus()
        + &agent.tasks.supervisor().status().prometheus()
        + &agent.last_stops.prometheus()
        + &metrics(&agent.status(), &agent.alerts)
        + &agent.jobs.prometheus()
        + &agent.measured.report().metrics();
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use tokio::io::AsyncWriteExt;

    /// Whoever asked again and again and read nothing kept its place for ever, and with 32 of them nobody else was answered.
    #[tokio::test]
    async fn whoever_takes_no_answer_gives_its_place_back() {
        let clock = ManualClock::new();
        let router = Router::new().route("/metrics", get(|| async { "x".repeat(10_000) }));
        let (ours, mut theirs) = tokio::io::duplex(1_000);
        let answering = tokio::spawn(answer(ours, router, Arc::new(clock.clone())));
        for _ in 0..3 {
            let request = b"GET /metrics HTTP/1.1\r\nhost: h\r\n\r\n";
            theirs.write_all(request).await.unwrap();
        }
        settle().await;
        assert!(!answering.is_finished());
        clock.advance(Duration::from_secs(30));
        settle().await;
        assert!(answering.is_finished());
    }

    /// Lets the other task come as far as it can.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}
