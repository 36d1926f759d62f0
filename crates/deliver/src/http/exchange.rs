//! One question and its answer, within its time.

use super::answer::Answer;
use super::body::{Outbound, Trace};
use super::connector::Connector;
use http::Request;
use hyper_util::client::legacy::{Client, Error as ClientError};
use mainstay_clock::SharedClock;
use std::error::Error as StdError;
use std::pin::pin;
use std::time::Duration;

/// The slowest line that a large body may still take, in bytes per second: below it the attempt is given up even though
/// something moves, so that no attempt is without an end. 256 MiB may so take four and a half hours.
const SLOWEST: u64 = 16 * 1024;

/// Why there is no whole answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// No connection, or one that broke before the answer began.
    Request(ClientError),
    /// The answer began and broke off.
    Answer(Box<dyn StdError + Send + Sync>),
    /// Nothing moved for this long.
    TimedOut(Duration),
}

/// How long an attempt may take.
#[derive(Debug)]
pub(super) struct Limits<'a> {
    pub(super) timeout: Duration,
    /// The length of the body, in bytes.
    pub(super) len: u64,
    pub(super) clock: &'a SharedClock,
}

/// Asks, and waits for the whole answer.
pub(super) async fn exchange(
    client: &Client<Connector, Outbound>,
    request: Request<Outbound>,
    trace: &Trace,
    limits: &Limits<'_>,
) -> Result<Answer, Broken> {
    let mut exchange = pin!(async {
        let response = client.request(request).await.map_err(Broken::Request)?;
        Answer::read(response).await
    });
    let started = limits.clock.now();
    let whole = limits.timeout + Duration::from_secs(limits.len / SLOWEST);
    loop {
        let now = limits.clock.now();
        let left = limits
            .timeout
            .saturating_sub(now.since(trace.moved()))
            .min(whole.saturating_sub(now.since(started)));
        if left.is_zero() {
            return Err(Broken::TimedOut(now.since(started)));
        }
        tokio::select! {
            biased;
            result = &mut exchange => return result,
            () = limits.clock.sleep(left) => {}
        }
    }
}
