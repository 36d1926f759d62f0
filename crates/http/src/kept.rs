//! What earlier requests brought: looked at before a server is asked, and given what comes.
//!
//! Each hop of a request goes through it by itself, so that a redirect leads to what is kept of where it leads. Nothing of it
//! blocks the runtime: the cache is asked on threads for that, and waited for no longer than a moment.

mod addresses;
mod refreshing;
mod steps;
mod wording;

use crate::answer::{Answer, Because, Source};
use crate::client::Shared;
use crate::course::{Passing, Way};
use crate::error::ErrorKind;
use crate::exchange::{End, Failure, Whole};
use crate::hop::Hop;
use crate::limits::Limits;
use addresses::{Addresses, Stand};
use http::{Method, StatusCode, request};
use mainstay_cache::{Cache, Flights, Lookup, Stale, Turn};
use mainstay_clock::{Moment, SharedClock};
use mainstay_resilience::{Error as Stopped, within};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use wording::{head, seen_by_the_cache, served};

/// So often a request looks again after another one brought something; then it goes by itself.
const LOOKS_MAX: usize = 3;

/// So long the cache is waited for at each step. It mostly takes less than a millisecond; where it takes longer than this, the
/// server is as quick.
const PATIENCE: Duration = Duration::from_secs(1);

/// A cache, and who is under way for what.
#[derive(Debug)]
pub(crate) struct Kept {
    cache: Arc<Cache>,
    clock: SharedClock,
    flights: Flights<String>,
    addresses: Arc<Addresses>,
    /// Places for those who look, and for what is on its way into the cache.
    looks: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    /// Places for what is void and waits to go, and turns on the threads that let go of it.
    voids: Arc<Semaphore>,
    void_turns: Arc<Semaphore>,
    /// When it was last tried to let go of what was left.
    tried: Mutex<Option<Moment>>,
    refreshing: Mutex<HashSet<String>>,
}

/// A request on its way through the cache.
pub(crate) struct Through<'a> {
    pub(crate) client: &'a Arc<Shared>,
    pub(crate) kept: &'a Arc<Kept>,
    pub(crate) way: &'a Way<'a>,
    pub(crate) limits: Limits,
}

/// A request that goes to no server: what is kept is the answer.
pub(crate) struct Staying<'a> {
    pub(crate) client: &'a Shared,
    pub(crate) way: &'a Way<'a>,
}

/// What came of one hop.
type Passed = Result<End<Answer>, Stopped<Failure>>;

/// What the cache is asked for, and the address under which it lies.
struct Wanted {
    request: Arc<request::Parts>,
    key: String,
}

/// An answer whose time is over, and how its address stood before it was looked at.
struct Seen {
    stale: Stale,
    stand: Stand,
}

/// What came of asking the server, and whether others find it in the cache.
struct Asked {
    end: Result<End<Answer>, Failure>,
    is_kept: bool,
}

impl Kept {
    pub(crate) fn new(cache: Arc<Cache>, clock: SharedClock) -> Self {
        Self {
            cache,
            clock,
            flights: Flights::new(),
            addresses: Arc::new(Addresses::new()),
            looks: Arc::new(Semaphore::new(steps::LOOKS_AT_ONCE)),
            writes: Arc::new(Semaphore::new(steps::WRITES_AT_ONCE)),
            voids: Arc::new(Semaphore::new(steps::VOIDS_MAX)),
            void_turns: Arc::new(Semaphore::new(steps::VOIDS_AT_ONCE)),
            tried: Mutex::default(),
            refreshing: Mutex::default(),
        }
    }

    /// Does something with the cache where it may block; nothing where that thread failed.
    ///
    /// It is done whether or not somebody waits for it.
    pub(crate) fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cache) -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send + 'static {
        let cache = Arc::clone(&self.cache);
        let working = tokio::task::spawn_blocking(move || work(&cache));
        async {
            match working.await {
                Ok(done) => Some(done),
                Err(error) => {
                    tracing::warn!(%error, "the client goes on without its cache");
                    None
                }
            }
        }
    }

    fn refreshing(&self) -> MutexGuard<'_, HashSet<String>> {
        self.refreshing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passing<Answer> for Staying<'_> {
    async fn pass(&self, hop: &Hop) -> Passed {
        let nothing = || Stopped::Failed(crate::request::offline(hop).into());
        let kept = self.client.kept.as_ref().ok_or_else(nothing)?;
        let request = seen_by_the_cache(self.client, hop).ok_or_else(nothing)?;
        let left = self.way.left().min(PATIENCE);
        let looked = within(&*self.client.clock, left, kept.offline(request)).await;
        let answer = looked.flatten().ok_or_else(nothing)?;
        let source = Source::Offline {
            age: answer.age,
            is_stale: answer.is_stale,
        };
        Ok(served(hop, answer, source))
    }
}

impl Passing<Answer> for Through<'_> {
    /// Answered from the cache, or from the server, whose answer the cache is given.
    async fn pass(&self, hop: &Hop) -> Passed {
        // In a box: it holds several ways of the same hop.
        Box::pin(self.pass_one(hop)).await
    }
}

impl Through<'_> {
    async fn pass_one(&self, hop: &Hop) -> Passed {
        let Some(request) = seen_by_the_cache(self.client, hop) else {
            return self.way.pass(hop, &self.whole()).await;
        };
        if !hop.method.is_safe() {
            return self.change(hop, &request).await;
        }
        let Some(key) = self.kept.cache.key(&request) else {
            // It has credentials, or wants nothing kept: the cache keeps out of it.
            return self.way.pass(hop, &self.whole()).await;
        };
        let request = Arc::new(request);
        self.pass_wanted(hop, Wanted { request, key }).await
    }

    async fn pass_wanted(&self, hop: &Hop, wanted: Wanted) -> Passed {
        // What was seen last goes along to the end: it is what to compare, and what to fall back on.
        let mut seen = None;
        for _ in 0..LOOKS_MAX {
            let stand = self.kept.addresses.stand(&wanted.key);
            match self.look(&wanted).await {
                Lookup::Fresh(answer) => {
                    let source = Source::Cache { age: answer.age };
                    return Ok(served(hop, *answer, source));
                }
                Lookup::Stale(stale) => {
                    let stale = *stale;
                    if stale.may_serve_while_revalidating {
                        return Ok(self.serve_and_refresh(hop, wanted, Seen { stale, stand }));
                    }
                    seen = Some(Seen { stale, stand });
                }
                Lookup::Miss => {}
            }
            if hop.method == Method::HEAD {
                break;
            }
            let turn = self.kept.flights.turn(wanted.key.clone());
            match within(&*self.client.clock, self.way.left(), turn).await {
                // Somebody brought something between our look and our turn.
                Some(Turn::Lead(_)) if self.kept.addresses.has_landed(stand) => {}
                Some(Turn::Lead(lead)) => {
                    let asked = self.ask_or_serve(hop, &wanted, seen.as_ref()).await;
                    if asked.is_kept {
                        lead.shared();
                    } else {
                        lead.not_shared();
                    }
                    return asked.pass();
                }
                Some(Turn::Look) => {}
                Some(Turn::Alone) => break,
                None => {
                    let over = Stopped::TimedOut(self.limits.total);
                    let over = self.way.ended(over, hop);
                    let end = self.or_older(hop, &wanted, seen.as_ref(), over).await;
                    return end.map_err(Stopped::Failed);
                }
            }
        }
        let asked = self.ask_or_serve(hop, &wanted, seen.as_ref()).await;
        asked.pass()
    }

    /// Asks the server; where that fails, what is kept is served instead, if it may be.
    async fn ask_or_serve(&self, hop: &Hop, wanted: &Wanted, seen: Option<&Seen>) -> Asked {
        let Asked { end, is_kept } = self.ask(hop, wanted, seen).await;
        let end = match end {
            Ok(end) => Ok(end),
            Err(failure) => self.or_older(hop, wanted, seen, failure).await,
        };
        Asked { end, is_kept }
    }

    /// What was kept before, where the server failed and it may be served; or else the failure.
    async fn or_older(
        &self,
        hop: &Hop,
        wanted: &Wanted,
        seen: Option<&Seen>,
        failure: Failure,
    ) -> Result<End<Answer>, Failure> {
        let Failure::Error(error) = &failure else {
            return Err(failure);
        };
        let kind = error.kind();
        let Some(seen) = seen.filter(|_| is_of_the_server(kind)) else {
            return Err(failure);
        };
        let Some(answer) = self.older(wanted, seen).await else {
            return Err(failure);
        };
        let url = hop.shown();
        tracing::info!(
            url,
            ?kind,
            "an older answer is served, since the server fails"
        );
        let source = if answer.is_stale {
            Source::Stale {
                age: answer.age,
                because: Because::Failed(kind),
            }
        } else {
            Source::Cache { age: answer.age }
        };
        Ok(served(hop, answer, source))
    }

    /// Asks the server, with what is kept to compare, and gives the cache what comes.
    async fn ask(&self, hop: &Hop, wanted: &Wanted, seen: Option<&Seen>) -> Asked {
        let mut conditional = hop.clone();
        if let Some(seen) = seen {
            conditional.headers.extend(seen.stale.conditions.clone());
        }
        let mut stand = self.kept.addresses.stand(&wanted.key);
        let mut passed = self.way.pass(&conditional, &self.whole()).await;
        if let (Some(seen), Ok(End::Value(answer))) = (seen, &passed)
            && answer.status == StatusCode::NOT_MODIFIED
        {
            let confirmed = self.confirm(wanted, &seen.stale.answer, answer).await;
            if let Some((confirmed, is_kept)) = confirmed {
                let end = Ok(served(hop, confirmed, Source::Revalidated));
                return Asked { end, is_kept };
            }
            // It confirmed something else: what is there now?
            self.void(vec![wanted.request.uri.clone()]).await;
            stand = self.kept.addresses.stand(&wanted.key);
            passed = self.way.pass(hop, &self.whole()).await;
        }
        let end = passed.map_err(|stopped| self.way.ended(stopped, hop));
        let is_kept = match &end {
            Ok(End::Value(answer)) => self.store(wanted, stand, answer).await,
            Err(Failure::CallersOwn(answer)) => self.store(wanted, stand, answer).await,
            Ok(End::Moved(..)) if seen.is_some() => {
                self.void(vec![wanted.request.uri.clone()]).await;
                false
            }
            Ok(End::Moved(..)) | Err(Failure::Error(_)) => false,
        };
        Asked { end, is_kept }
    }

    /// A request that may change something: what is kept of it is void then, and of what the answer says was changed, too.
    async fn change(&self, hop: &Hop, request: &request::Parts) -> Passed {
        let before = self.way.perhaps_done();
        let passed = self.way.pass(hop, &self.whole()).await;
        let end = passed.map_err(|stopped| self.way.ended(stopped, hop));
        let mut void = match &end {
            Ok(end) => Cache::voided_by(request, &head(end)),
            Err(_) => Vec::new(),
        };
        // Whatever came of the last attempt, nobody knows what an earlier one did that broke off.
        if void.is_empty() && self.way.perhaps_done() != before {
            void.push(request.uri.clone());
        }
        if !void.is_empty() {
            self.void(void).await;
        }
        end.map_err(Stopped::Failed)
    }

    fn whole(&self) -> Whole {
        Whole {
            max: self.client.settings.body_max,
        }
    }
}

impl Asked {
    fn pass(self) -> Passed {
        self.end.map_err(Stopped::Failed)
    }
}

/// Whether it is the server, or the way to it, that fails, so that an older answer is better than none (RFC 5861, 4).
///
/// A certificate that is not trusted is not among them: a person has to see it. Nor is a limit, which waiting helps.
fn is_of_the_server(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Dns
            | ErrorKind::Refused
            | ErrorKind::Unreachable
            | ErrorKind::ConnectTimeout
            | ErrorKind::ReadTimeout
            | ErrorKind::TotalTimeout
            | ErrorKind::BrokenAnswer
            | ErrorKind::BreakerOpen
            | ErrorKind::Status(500 | 502 | 503 | 504)
    )
}

/// A word about a failure of the cache that no caller is told of.
fn told<T>(outcome: Result<T, mainstay_cache::Error>) -> Option<T> {
    match outcome {
        Ok(done) => Some(done),
        Err(error) => {
            tracing::warn!(%error, "the client goes on without its cache");
            None
        }
    }
}
