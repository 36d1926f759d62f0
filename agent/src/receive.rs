//! `mainstay receive`: a real receiving end for one machine.
//!
//! It stores every document once, under its `Idempotency-Key`, and answers a repeated key with "already there". An answer of
//! 201 means: the document is whole and on the disk. It can be told to misbehave, so that an outage can be watched.
//!
//! | request | answer |
//! |---|---|
//! | `POST` or `PUT` on any path, `/ingest` by custom, with `Idempotency-Key` | 201 stored · 200 already there · 4xx with the reason |
//! | `HEAD` on any path | 204: somebody is here |
//! | `GET /status` | `{"stored", "bytes", "duplicates", "refused"}` |
//!
//! # Limits
//!
//! | what | number | why |
//! |---|---|---|
//! | a document, before and after decoding | 256 MiB | as large as `pickup` takes |
//! | silence in the middle of a body | 30 s | then what was begun is removed |
//! | memory for each request | about 512 KiB | the body streams to the disk |
//! | in-flight requests at a stop | 10 s to finish | then their senders have to ask again |

mod connection;
mod faults;
mod ingest;
mod key;
mod store;

pub(crate) use faults::FailRule;
pub(crate) use key::Key;

use crate::cli::ReceiveArgs;
use crate::exit::{Exit, Failure};
use crate::signals::Stop;
use crate::terminal;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, get, on};
use axum::{Json, Router};
use connection::{Cut, CuttableListener};
use faults::Faults;
use ingest::{Desk, ingest};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::net::TcpListener;

/// Requests in flight get this long to finish when the receiver is asked to stop.
const FINISH: Duration = Duration::from_secs(10);

/// Receives until it is asked to stop.
///
/// # Errors
/// The store is in use or cannot be opened; the address cannot be listened on.
pub(crate) async fn receive(args: ReceiveArgs) -> Result<Exit, Failure> {
    let stop = Stop::default();
    tokio::select! {
        served = serve(args, &stop) => served,
        failed = stop.listen() => Err(failed),
    }
}

async fn serve(args: ReceiveArgs, stop: &Stop) -> Result<Exit, Failure> {
    let clock = mainstay_clock::system();
    let faults = Arc::new(Faults::new(&args.faults)?);
    let store = Arc::new(Store::open(&args.store)?);
    let mut listener = bind(args.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|error| cannot_listen(args.listen, error))?;
    announce(&args, &faults, address)?;
    if let Some(down_for) = args.faults.down_for {
        drop(listener);
        tokio::select! {
            () = clock.sleep(down_for.0) => {}
            () = stop.asked.cancelled() => return Ok(Exit::Done),
        }
        listener = bind(address).await?;
        terminal::say(&format!(
            "back again after {down_for}, listening on {address}"
        ));
    }
    let desk = Desk {
        store,
        faults,
        stop: stop.asked.clone(),
        clock: clock.clone(),
    };
    let service = router(desk).into_make_service_with_connect_info::<Cut>();
    let serving = axum::serve(CuttableListener(listener), service)
        .with_graceful_shutdown(stop.asked.clone().cancelled_owned());
    let out_of_time = async {
        stop.asked.cancelled().await;
        tokio::select! {
            () = clock.sleep(FINISH) => {}
            () = stop.at_once.cancelled() => {}
        }
    };
    tokio::select! {
        served = serving => served.map_err(|error| cannot_listen(address, error))?,
        () = out_of_time => tracing::warn!("requests were still in flight; their senders will ask again"),
    }
    Ok(Exit::Done)
}

fn router(desk: Desk) -> Router {
    let status = |desk: Desk| async move { Json(desk.store.status()) };
    let asked = desk.clone();
    Router::new()
        .route("/status", get(move || status(asked.clone())))
        .fallback_service(
            on(MethodFilter::POST.or(MethodFilter::PUT), ingest)
                .on(MethodFilter::HEAD, async || StatusCode::NO_CONTENT)
                .fallback(not_a_document)
                .with_state(desk),
        )
}

/// Whoever only looks whether somebody is here gets an answer that says so.
async fn not_a_document() -> impl IntoResponse {
    let reason =
        "send a document with POST or PUT and an Idempotency-Key; GET /status says what is stored";
    let allow = [(axum::http::header::ALLOW, "HEAD, POST, PUT")];
    (
        StatusCode::METHOD_NOT_ALLOWED,
        allow,
        Json(serde_json::json!({ "error": reason })),
    )
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| cannot_listen(address, error))
}

fn cannot_listen(address: SocketAddr, error: std::io::Error) -> Failure {
    Failure::new(Exit::CannotListen, format!("cannot listen on {address}"))
        .because(error)
        .help("choose another address with --listen; port 0 takes a free one")
}

/// Says where, to whoever watches and to whoever waits for the file.
fn announce(args: &ReceiveArgs, faults: &Faults, address: SocketAddr) -> Result<(), Failure> {
    if let Some(file) = &args.ready_file {
        mainstay_files::replace(file, format!("{address}\n").as_bytes()).map_err(|error| {
            Failure::new(
                Exit::StartFailed,
                format!("cannot write the ready file `{}`", file.display()),
            )
            .because(error)
        })?;
    }
    terminal::print(&format!(
        "receiving on http://{address}/ingest, storing in {}",
        args.store.display()
    ))?;
    if let Some(down_for) = args.faults.down_for {
        terminal::say(&format!("refusing connections for {down_for}"));
    }
    if let Some(summary) = faults.summary() {
        terminal::say(&summary);
    }
    Ok(())
}
