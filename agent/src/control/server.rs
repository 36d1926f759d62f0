//! The agent's side of the control socket.

use super::Listener;
use super::carried;
use super::desk::Desk;
use super::views::{self, Export, List, Move, Redeliver, Refused, Shield, Submission};
use crate::exit::{Exit, Failure};
use crate::percent;
use crate::run::{Agent, Kind, Wish, measure_command};
use crate::status::{Status, Unwell};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{StreamExt, TryStreamExt};
use mainstay_supervise::{Health, TaskContext};
use serde::Serialize;
use std::io;
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::net::unix::SocketAddr;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// What serves this request is no task, and can be made to panic all the same.
const HERE: &str = "this connection";

/// The threads of the queue are no tasks either; the first is the one that writes.
const OF_THE_QUEUE: [&str; 2] = ["the writer of the queue", "the house of the queue"];

/// So many documents that are named are moved while the command waits: one flush of the disk covers them.
const FEW: usize = 256;

/// What every request needs.
#[derive(Debug, Clone)]
struct Here {
    agent: Arc<Agent>,
    desk: Desk,
    health: Health,
}

/// Takes connections, and beats in each round.
struct Heard {
    listener: Listener,
    context: TaskContext,
}

impl axum::serve::Listener for Heard {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            self.context.beat();
            tokio::select! {
                accepted = axum::serve::Listener::accept(&mut self.listener) => return accepted,
                () = self.context.beat_due() => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        axum::serve::Listener::local_addr(&self.listener)
    }
}

/// Answers as a task that beats by itself, until that is to stop.
pub(crate) async fn serve(
    listener: Listener,
    agent: Arc<Agent>,
    health: Health,
    context: &TaskContext,
) {
    let desk = Desk::new(
        agent.queue.clone(),
        agent
            .routes
            .iter()
            .map(|route| route.template.clone())
            .collect(),
    );
    let command = agent.measured.command.clone();
    let mut router = Router::new()
        .route("/status", get(status))
        .route("/budgets", get(budgets))
        .route("/protections", get(protections).post(shield))
        .route("/documents", get(list))
        .route("/documents/{id}", get(show))
        .route("/move", post(change))
        .route("/redeliver", post(redeliver))
        .route_layer(from_fn_with_state(command, measure_command))
        // What carries documents takes as long as they are large.
        .route("/documents", post(submit))
        .route("/documents/{id}/body", get(content))
        .route("/archive", get(export).post(import))
        .route("/verify", post(verify))
        .route("/health", get(look));
    if agent.tasks.faults().is_some() {
        router = router.route("/fault", post(fault));
    }
    let here = Here {
        agent,
        desk,
        health,
    };
    let heard = Heard {
        listener,
        context: context.clone(),
    };
    let serving = axum::serve(heard, router.with_state(here));
    tokio::select! {
        served = serving => {
            if let Err(error) = served {
                tracing::error!(%error, "the control socket ended");
            }
        }
        () = context.stopping() => {}
    }
}

/// What the checks saw last stands in it; none is run for it. What nothing was heard of is found out for the next one.
async fn status(State(here): State<Here>) -> Response {
    here.agent.network.find_out();
    let unwell = Unwell::all(here.health.snapshot());
    let status = here.agent.status();
    Json(Status { unwell, ..status }).into_response()
}

async fn budgets(State(here): State<Here>) -> Response {
    answer(views::Budgets::of(&here.agent.measured.report()))
}

async fn protections(State(here): State<Here>) -> Response {
    Json(here.agent.protections()).into_response()
}

async fn shield(State(here): State<Here>, Json(wish): Json<Shield>) -> Response {
    answer(here.agent.shield(&wish))
}

async fn look(State(here): State<Here>) -> Response {
    let measuring = here.agent.measured.health.start();
    let snapshot = here.health.check_all().await;
    measuring.finish();
    Json(snapshot).into_response()
}

/// For tests alone: `run --test-faults`.
async fn fault(State(here): State<Here>, Json(wish): Json<Wish>) -> Response {
    if let Some(faults) = here.agent.tasks.faults() {
        assert!(wish.task != HERE, "a test asked for it");
        match OF_THE_QUEUE.iter().position(|name| *name == wish.task) {
            Some(thread) => here.agent.queue.kill_thread(thread == 0),
            None => faults.ask(wish),
        }
    }
    StatusCode::NO_CONTENT.into_response()
}

async fn list(State(here): State<Here>, Query(wish): Query<List>) -> Response {
    blocking(move || here.desk.list(&wish)).await
}

async fn show(State(here): State<Here>, Path(id): Path<String>) -> Response {
    blocking(move || here.desk.show(&id)).await
}

async fn content(State(here): State<Here>, Path(id): Path<String>) -> Response {
    match tokio::task::spawn_blocking(move || here.desk.content(&id)).await {
        Ok(Ok(bytes)) => bytes.into_response(),
        Ok(Err(failure)) => refuse(&failure),
        Err(died) => {
            refuse(&Failure::new(Exit::Unexpected, "reading the content died").because(died))
        }
    }
}

/// One document, or a few that are named, are moved at once; of more nobody knows how long it takes, and they are a job.
async fn change(State(here): State<Here>, Json(wish): Json<Move>) -> Response {
    if (1..=FEW).contains(&wish.ids.len()) {
        return blocking(move || here.desk.change(&wish, &mut ())).await;
    }
    let Here { agent, desk, .. } = here;
    let name = format!("queue {}", wish.verb.word());
    let moved = { &agent.jobs }.run(Kind::Move, &name, move |job| desk.change(&wish, job));
    answer(moved.await)
}

async fn redeliver(State(here): State<Here>, Json(wish): Json<Redeliver>) -> Response {
    let Here { agent, desk, .. } = here;
    let sent = { &agent.jobs }.run(Kind::Move, "redeliver", move |job| {
        desk.redeliver(&wish, job)
    });
    answer(sent.await)
}

async fn export(State(here): State<Here>, Query(wish): Query<Export>) -> Response {
    match carried::answer(&here.agent.jobs, here.desk, wish) {
        Ok(archive) => archive,
        Err(failure) => refuse(&failure),
    }
}

async fn import(State(here): State<Here>, body: Body) -> Response {
    let Here { agent, desk, .. } = here;
    answer(carried::import(&agent.jobs, desk, body).await)
}

async fn verify(State(here): State<Here>) -> Response {
    let Here { agent, desk, .. } = here;
    let read = { &agent.jobs }.run(Kind::Verify, "queue verify", move |job| desk.verify(job));
    answer(read.await)
}

async fn submit(State(here): State<Here>, headers: HeaderMap, body: Body) -> Response {
    if here.agent.is_stopping() {
        let mut body = body.into_data_stream();
        while let Some(Ok(_)) = body.next().await {}
        let failure = Failure::new(
            Exit::NotTaken,
            "the agent is stopping and takes nothing new",
        );
        return refuse(
            &failure.help("submit it again; without an agent it goes into the queue directly"),
        );
    }
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let submission = Submission {
        route: text("mainstay-route"),
        name: headers
            .get("mainstay-source")
            .map_or_else(Vec::new, |name| percent::decode(name.as_bytes())),
        content_type: text(header::CONTENT_TYPE.as_str()),
        priority: text("mainstay-priority").and_then(|priority| priority.parse().ok()),
    };
    let stream = body.into_data_stream().map_err(io::Error::other);
    let content = SyncIoBridge::new(StreamReader::new(stream));
    answer(here.desk.submit(submission, content).await)
}

async fn blocking<T: Serialize + Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => answer(done),
        Err(died) => refuse(&Failure::new(Exit::Unexpected, "answering died").because(died)),
    }
}

fn answer<T: Serialize>(done: Result<T, Failure>) -> Response {
    match done {
        Ok(value) => Json(value).into_response(),
        Err(failure) => refuse(&failure),
    }
}

fn refuse(failure: &Failure) -> Response {
    let status = match failure.exit() {
        Exit::NoSuchDocument => StatusCode::NOT_FOUND,
        Exit::Usage | Exit::NoInput => StatusCode::BAD_REQUEST,
        Exit::NotTaken | Exit::StoppedEarly => StatusCode::SERVICE_UNAVAILABLE,
        Exit::NothingChanged => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(Refused::from(failure))).into_response()
}
