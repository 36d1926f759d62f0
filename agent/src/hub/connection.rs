//! One connection, from its first byte to its last.

use super::patient::Patient;
use super::request::Desk;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mainstay_resilience::within;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The head of a request has to be here in this time; a connection that nobody uses for so long is closed too.
const HEAD: Duration = Duration::from_secs(10);

/// The longest head.
const HEAD_BYTES: usize = 64 * 1024;

/// After a refusal so much of what the sender still sends is read, and no longer than this, so that it hears the refusal.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

/// Serves a connection until either end has enough of it.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, desk: Arc<Desk>) {
    // Answers are short, and the sender waits for each.
    drop(stream.set_nodelay(true));
    let answering = Arc::clone(&desk);
    let service = service_fn(move |request: Request<Incoming>| {
        let desk = Arc::clone(&answering);
        // On the heap, so that it can be moved into the connection.
        Box::pin(async move { Ok::<_, Infallible>(desk.serve(request.map(Body::new), peer).await) })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        // Who has said all may close that half, and still wants its answer.
        .half_close(true)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Patient::new(stream, &desk.clock)), service);
    let ended = tokio::select! {
        ended = poll_fn(|ctx| connection.poll_without_shutdown(ctx)) => ended,
        () = desk.stop.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|ctx| connection.poll_without_shutdown(ctx)).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
    let mut stream = connection.into_parts().io.into_inner().into_inner();
    // Says that nothing more follows, also at a stop.
    if stream.shutdown().await.is_err() {
        return;
    }
    tokio::select! {
        biased;
        _ = within(&*desk.clock, LINGER, linger(stream)) => {}
        // A stop waits for answers, and not for senders that do not go.
        () = desk.stop.cancelled() => {}
    }
}

/// Reads what is still on its way: closed at once, the system would tell the sender of a broken connection, and not of the
/// answer.
async fn linger(mut stream: TcpStream) {
    let mut piece = vec![0; 16 * 1024];
    let mut left = LINGER_BYTES;
    while let Ok(read) = stream.read(&mut piece).await {
        left = left.saturating_sub(read);
        if read == 0 || left == 0 {
            return;
        }
    }
}
