//! The way of one request: over all redirects, each of them behind the protections of where it leads.

use crate::answer::Answer;
use crate::client::Shared;
use crate::connectivity::{Fact, fact_of};
use crate::error::{Error, ErrorKind};
use crate::exchange::{self, Doing, End, Failure, Phase, Reading, Taker};
use crate::failure;
use crate::hop::Hop;
use crate::limits::Limits;
use crate::origin::{self, Origin};
use crate::shown;
use crate::status::{self, Meaning};
use mainstay_clock::Moment;
use mainstay_resilience::{Attempt, Error as Stopped, RejectedBy, Rejection, within};
use mainstay_wire::Told;
use reqwest::Response;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a request came to.
pub(crate) enum Outcome<T> {
    /// What was asked for.
    Value(T),
    /// The caller asked for the wrong thing: the answer that says so.
    CallersOwn(Box<Answer>),
}

/// One request under way.
pub(crate) struct Way<'a> {
    client: &'a Shared,
    limits: Limits,
    ends: Moment,
    phase: Phase,
    attempts: AtomicU32,
    /// Attempts that may have had an effect.
    perhaps_done: AtomicU32,
    /// What the last attempt failed with, where something else ended it all.
    last: Mutex<Option<(ErrorKind, String)>>,
}

/// Makes one hop of a request.
pub(crate) trait Passing<T>: Sync {
    /// What comes of it.
    fn pass(&self, hop: &Hop) -> impl Future<Output = Result<End<T>, Stopped<Failure>>> + Send;
}

/// To the server, and to nothing else.
struct Straight<'a, T> {
    way: &'a Way<'a>,
    taker: &'a T,
}

impl<T: Taker> Passing<T::Value> for Straight<'_, T> {
    async fn pass(&self, hop: &Hop) -> Result<End<T::Value>, Stopped<Failure>> {
        self.way.pass(hop, self.taker).await
    }
}

impl<'a> Way<'a> {
    /// Its time begins.
    pub(crate) fn begin(client: &'a Shared, limits: Limits) -> Self {
        Self {
            client,
            limits,
            ends: client.clock.now() + limits.total,
            phase: Phase::default(),
            attempts: AtomicU32::new(0),
            perhaps_done: AtomicU32::new(0),
            last: Mutex::new(None),
        }
    }

    /// How many attempts were made so far.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// How many attempts so far may have done what was asked for: all that were begun, but those that never got as far as being
    /// sent, and those that the server refused.
    pub(crate) fn perhaps_done(&self) -> u32 {
        self.perhaps_done.load(Ordering::Relaxed)
    }

    /// Waits, unless its time would be over before.
    pub(crate) async fn pause(&self, pause: Duration, hop: &Hop) -> Result<(), Error> {
        let clock = &self.client.clock;
        if self.ends.since(clock.now()) <= pause {
            return Err(self.out_of_time(hop).after_attempts(self.attempts()));
        }
        clock.sleep(pause).await;
        Ok(())
    }

    /// What comes of something that the disk does for the request, unless its time is over before.
    pub(crate) async fn in_time<T>(
        &self,
        hop: &Hop,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.phase.set(Doing::Writing);
        let done = within(&*self.client.clock, self.left(), work).await;
        let Some(done) = done else {
            return Err(self.out_of_time(hop).after_attempts(self.attempts()));
        };
        self.phase.set(Doing::Waiting);
        done
    }

    /// What is left of its time.
    pub(crate) fn left(&self) -> Duration {
        self.ends.since(self.client.clock.now())
    }

    /// Follows the request to where it is answered.
    pub(crate) async fn run<T: Taker>(
        &self,
        first: &Hop,
        taker: &T,
    ) -> Result<Outcome<T::Value>, Error> {
        self.follow(first, &Straight { way: self, taker }).await
    }

    /// Follows it with each hop made by `passing`.
    pub(crate) async fn follow<T>(
        &self,
        first: &Hop,
        passing: &impl Passing<T>,
    ) -> Result<Outcome<T>, Error> {
        let mut moved: Option<Hop> = None;
        let redirects_max = self.client.settings.redirects_max;
        for _ in 0..=redirects_max {
            let hop = moved.as_ref().unwrap_or(first);
            match passing.pass(hop).await {
                Ok(End::Value(value)) => return Ok(Outcome::Value(value)),
                Ok(End::Moved(code, location)) => {
                    let next = hop.clone().follow(code, &location);
                    moved = Some(next.map_err(|error| error.after_attempts(self.attempts()))?);
                }
                Err(stopped) => {
                    let ended = self.ended(stopped, hop);
                    return match ended {
                        Failure::CallersOwn(answer) => Ok(Outcome::CallersOwn(answer)),
                        Failure::Error(error) => Err(error.after_attempts(self.attempts())),
                    };
                }
            }
        }
        let url = first.shown();
        let message = format!(
            "`{url}` redirects more than {redirects_max} times: it leads in a circle; check the address"
        );
        Err(Error::new(ErrorKind::Redirect, message).after_attempts(self.attempts()))
    }

    /// One hop behind the protections of its origin.
    pub(crate) async fn pass<T: Taker>(
        &self,
        hop: &Hop,
        taker: &T,
    ) -> Result<End<T::Value>, Stopped<Failure>> {
        let failed = |error| Stopped::Failed(Failure::Error(error));
        let client = self.client;
        let left = self.left();
        if left.is_zero() {
            return Err(Stopped::TimedOut(self.limits.total));
        }
        let origin = client
            .origins
            .of(&hop.url, &client.settings, &client.clock)
            .map_err(failed)?;
        let course = origin::Course {
            settings: &client.settings,
            clock: &client.clock,
            budget: &client.budget,
            is_repeatable: hop.is_repeatable(),
            // Two copies of a download would write to one file.
            may_be_copied: hop.may_be_copied() && !T::IS_RAW,
        };
        let stack = origin.stack(&course).map_err(failed)?;
        stack
            // In a box: every layer of protection would hold it otherwise.
            .run_within(left, |attempt| {
                Box::pin(self.attempt(attempt, hop, &origin, taker))
            })
            .await
    }

    async fn attempt<T: Taker>(
        &self,
        attempt: Attempt,
        hop: &Hop,
        origin: &Origin,
        taker: &T,
    ) -> Result<End<T::Value>, Failure> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        // Before it is sent: it may be given up at any moment.
        self.perhaps_done.fetch_add(1, Ordering::Relaxed);
        // How it is shown is only found out for whoever reads it.
        tracing::debug!(method = %hop.method, url = hop.shown(), attempt = attempt.number, "request");
        let result = self.exchange(hop, origin, taker).await;
        self.phase.set(Doing::Waiting);
        if result.as_ref().is_err_and(is_surely_undone) {
            self.perhaps_done.fetch_sub(1, Ordering::Relaxed);
        }
        if let Err(Failure::Error(error)) = &result {
            tracing::debug!(method = %hop.method, url = hop.shown(), kind = ?error.kind(), "attempt failed");
            self.note(origin, error);
            let said = (error.kind(), error.to_string());
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        }
        result
    }

    async fn exchange<T: Taker>(
        &self,
        hop: &Hop,
        origin: &Origin,
        taker: &T,
    ) -> Result<End<T::Value>, Failure> {
        let client = self.client;
        let reading = Reading {
            clock: &client.clock,
            limits: self.limits,
            phase: &self.phase,
            hop,
        };
        let web = if T::IS_RAW { &client.raw } else { &client.web };
        let response = reading.head(web, |headers| taker.dress(headers)).await?;
        let code = response.status().as_u16();
        let fact = if code == 511 {
            Fact::Portal
        } else {
            Fact::Reached
        };
        client.connectivity.note(origin.name(), fact);
        let told = Told::read(response.headers(), || client.clock.wall());
        origin.heed(code, &told);
        match (status::meaning(code), exchange::location(&response)) {
            (Meaning::Moved, Some(location)) => Ok(End::Moved(code, location)),
            (Meaning::Moved | Meaning::Answer, _) => {
                Ok(End::Value(taker.take(&reading, response).await?))
            }
            (Meaning::CallersOwn, _) => {
                let answer = self.refusal::<T>(&reading, response).await?;
                Err(Failure::CallersOwn(Box::new(answer)))
            }
            (Meaning::Failure, _) => Err(failed(&reading, response, told).await),
        }
    }

    /// The whole answer; where a file was wanted it is an error, of which less is kept.
    async fn refusal<T: Taker>(
        &self,
        reading: &Reading<'_>,
        mut response: Response,
    ) -> Result<Answer, Error> {
        if T::IS_RAW {
            let mut answer = reading.answer(&mut response);
            answer.body = reading.error_body(response).await;
            return Ok(answer);
        }
        let max = self.client.settings.body_max;
        exchange::Whole { max }.take(reading, response).await
    }

    /// What an error says of the network.
    fn note(&self, origin: &Origin, error: &Error) {
        let is_without_network = failure::is_without_network(error);
        if let Some(fact) = fact_of(error.kind(), is_without_network) {
            self.client.connectivity.note(origin.name(), fact);
        }
    }

    /// Why it ended, told by who ended it.
    pub(crate) fn ended(&self, stopped: Stopped<Failure>, hop: &Hop) -> Failure {
        match stopped {
            Stopped::Failed(failure) => failure,
            Stopped::Exhausted { last, .. } => self.ended(*last, hop),
            Stopped::Rejected(rejection) if rejection.by == RejectedBy::Deadline => {
                self.out_of_time(hop).into()
            }
            Stopped::Rejected(rejection) => self.rejected(&rejection).into(),
            Stopped::TimedOut(_) => self.out_of_time(hop).into(),
            other => Error::new(ErrorKind::Other, other.to_string()).into(),
        }
    }

    fn rejected(&self, rejection: &Rejection) -> Error {
        let name = &rejection.name;
        let wait = rejection.retry_after;
        let later = wait.map_or_else(
            || "try again later".to_owned(),
            |wait| format!("try again in {:.0} s", wait.as_secs_f64().ceil()),
        );
        let (kind, message) = match rejection.by {
            RejectedBy::Breaker => (
                ErrorKind::BreakerOpen,
                format!("`{name}` did not work lately, and is left alone for a while: {later}"),
            ),
            RejectedBy::Limiter => (
                ErrorKind::LimitedUntil,
                format!("`{name}` takes no more requests for now: {later}"),
            ),
            RejectedBy::Bulkhead => (
                ErrorKind::Full,
                format!("as many requests as may be are under way to `{name}`: {later}"),
            ),
            _ => (
                ErrorKind::Other,
                format!("`{name}` was not asked: {rejection}"),
            ),
        };
        self.with_last(Error::new(kind, message).after(wait))
    }

    fn out_of_time(&self, hop: &Hop) -> Error {
        let doing = self.phase.get();
        // Whether it was the host or the network, nothing came; that a caller waited only a moment says nothing.
        if doing == Doing::Asking && self.limits.total >= self.client.settings.connect {
            let origin = shown::origin(&hop.url);
            self.client.connectivity.note(&origin, Fact::Lost);
        }
        let (url, seconds) = (hop.shown(), self.limits.total.as_secs_f64());
        let message = format!(
            "`{url}` took longer than the {seconds:.1} s that it may take in all: {}",
            doing.told()
        );
        self.with_last(Error::new(ErrorKind::TotalTimeout, message))
    }

    /// With what the last attempt failed with, if one did.
    fn with_last(&self, error: Error) -> Error {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.clone() {
            Some((kind, said)) => error.because(Error::new(kind, said)),
            None => error,
        }
    }
}

/// Whether an attempt had no effect: it was not sent, or the server refused it. Whoever answers 5xx may have failed after it was done.
fn is_surely_undone(failure: &Failure) -> bool {
    let kind = match failure {
        Failure::CallersOwn(_) => return true,
        Failure::Error(error) => error.kind(),
    };
    matches!(
        kind,
        ErrorKind::Url
            | ErrorKind::Dns
            | ErrorKind::Refused
            | ErrorKind::Unreachable
            | ErrorKind::Tls
            | ErrorKind::ConnectTimeout
            | ErrorKind::LimitedUntil
            | ErrorKind::Status(..500)
    )
}

/// The error that an answer of a status is.
async fn failed(reading: &Reading<'_>, mut response: Response, told: Told) -> Failure {
    let code = response.status().as_u16();
    let mut answer = reading.answer(&mut response);
    answer.body = reading.error_body(response).await;
    let wait = told
        .retry_after
        .filter(|_| status::may_ask_for_a_wait(code));
    let kind = if code == 429 {
        ErrorKind::LimitedUntil
    } else {
        ErrorKind::Status(code)
    };
    let message = status::message(code, &answer.shown(), wait);
    let error = Error::new(kind, message).after(wait).with_answer(answer);
    Failure::Error(error)
}
