//! What earlier requests brought: looked at before a server is asked, and given what comes.
//!
//! Each hop of a request goes through it by itself, so that a redirect leads to what is kept of where it leads. Nothing of it
//! blocks the runtime: the cache is asked on threads for that.

mod refreshing;

use crate::answer::{Answer, Because, Source};
use crate::client::Shared;
use crate::course::{Passing, Way};
use crate::error::{Error, ErrorKind};
use crate::exchange::{End, Failure, Whole};
use crate::hop::Hop;
use crate::limits::Limits;
use crate::shown;
use http::header::{ACCEPT, HeaderValue, LOCATION, USER_AGENT};
use http::{Method, StatusCode, request, response};
use mainstay_cache::{Cache, Flights, Lookup, Stale, Stored, Turn};
use mainstay_resilience::{Error as Stopped, within};
use refreshing::Seen;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So often a request looks again after another one brought something; then it goes by itself.
const LOOKS_MAX: usize = 3;

/// So long is waited, after the time of a request is over, for what may be served instead of an answer.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// A cache, and who is under way for what.
#[derive(Debug)]
pub(crate) struct Kept {
    cache: Arc<Cache>,
    flights: Flights<String>,
    /// Counts what was stored, so that whoever looked before can tell.
    landed: AtomicU64,
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
}

/// What came of one hop.
type Passed = Result<End<Answer>, Stopped<Failure>>;

/// What came of asking the server, and whether others find it in the cache.
struct Asked {
    end: Result<End<Answer>, Failure>,
    is_kept: bool,
}

impl Kept {
    pub(crate) fn new(cache: Arc<Cache>) -> Self {
        Self {
            cache,
            flights: Flights::new(),
            landed: AtomicU64::new(0),
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

    /// How often something was stored so far.
    fn landed(&self) -> u64 {
        self.landed.load(Ordering::Acquire)
    }

    fn refreshing(&self) -> MutexGuard<'_, HashSet<String>> {
        self.refreshing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passing<Answer> for Staying<'_> {
    async fn pass(&self, hop: &Hop) -> Passed {
        let nothing = || Stopped::Failed(crate::request::offline(&hop.url).into());
        let kept = self.client.kept.as_ref().ok_or_else(nothing)?;
        let request = seen_by_the_cache(self.client, hop).ok_or_else(nothing)?;
        let looking = kept.on_a_thread(move |cache| cache.offline(&request));
        let answer = looking.await.flatten().ok_or_else(nothing)?;
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
        let request = Arc::new(request);
        if !hop.method.is_safe() {
            return self.change(hop, &request).await;
        }
        let Some(key) = self.kept.cache.key(&request) else {
            // It has credentials, or wants nothing kept: the cache keeps out of it.
            return self.way.pass(hop, &self.whole()).await;
        };
        for _ in 0..LOOKS_MAX {
            let landed = self.kept.landed();
            let stale = match self.look(&request).await? {
                Lookup::Fresh(answer) => {
                    let source = Source::Cache { age: answer.age };
                    return Ok(served(hop, *answer, source));
                }
                Lookup::Stale(stale) if stale.may_serve_while_revalidating => {
                    let seen = Seen {
                        stale: *stale,
                        landed,
                    };
                    return Ok(self.serve_and_refresh(hop, request, key, seen));
                }
                Lookup::Stale(stale) => Some(*stale),
                Lookup::Miss => None,
            };
            if hop.method == Method::HEAD {
                return self.ask_or_serve(hop, &request, stale).await.pass();
            }
            let turn = self.kept.flights.turn(key.clone());
            match self.in_time(turn).await? {
                Turn::Lead(lead) => {
                    if self.kept.landed() != landed {
                        // Somebody brought something between our look and our turn.
                        continue;
                    }
                    let asked = self.ask_or_serve(hop, &request, stale).await;
                    if asked.is_kept {
                        lead.shared();
                    } else {
                        lead.not_shared();
                    }
                    return asked.pass();
                }
                Turn::Look => {}
                Turn::Alone => return self.ask_or_serve(hop, &request, stale).await.pass(),
            }
        }
        self.ask_or_serve(hop, &request, None).await.pass()
    }

    /// Asks the server; where that fails, what is kept is served instead, if it may be.
    async fn ask_or_serve(
        &self,
        hop: &Hop,
        request: &Arc<request::Parts>,
        stale: Option<Stale>,
    ) -> Asked {
        let mut asked = self.ask(hop, request, stale.as_ref()).await;
        let Err(Failure::Error(error)) = &asked.end else {
            return asked;
        };
        let kind = error.kind();
        if stale.is_none() || !is_of_the_server(kind) {
            return asked;
        }
        let request = Arc::clone(request);
        let looking = self
            .kept
            .on_a_thread(move |cache| cache.stale_on_error(&request));
        // What is left of the request may be nothing.
        let looked = within(&*self.client.clock, LAST_LOOK, looking).await;
        if let Some(answer) = looked.flatten().flatten() {
            let url = shown::url(&hop.url);
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
            asked.end = Ok(served(hop, answer, source));
        }
        asked
    }

    /// Asks the server, with what is kept to compare, and gives the cache what comes.
    async fn ask(&self, hop: &Hop, request: &Arc<request::Parts>, stale: Option<&Stale>) -> Asked {
        let mut conditional = hop.clone();
        if let Some(stale) = stale {
            conditional.headers.extend(stale.conditions.clone());
        }
        let mut passed = self.way.pass(&conditional, &self.whole()).await;
        if let (Some(stale), Ok(End::Value(answer))) = (stale, &passed)
            && answer.status == StatusCode::NOT_MODIFIED
        {
            if let Some(confirmed) = self.confirm(request, stale, answer).await {
                self.kept.landed.fetch_add(1, Ordering::Release);
                return Asked {
                    end: Ok(served(hop, confirmed, Source::Revalidated)),
                    is_kept: true,
                };
            }
            // It confirmed something else: what is there now?
            passed = self.way.pass(hop, &self.whole()).await;
        }
        let end = passed.map_err(|stopped| self.way.ended(stopped, &hop.url));
        let is_kept = match &end {
            Ok(End::Value(answer)) => self.store(request, answer).await,
            Err(Failure::CallersOwn(answer)) => self.store(request, answer).await,
            Ok(End::Moved(..)) if stale.is_some() => {
                self.drop_kept(request).await;
                false
            }
            Ok(End::Moved(..)) | Err(Failure::Error(_)) => false,
        };
        Asked { end, is_kept }
    }

    /// A request that may change something: what is kept of it is void then.
    async fn change(&self, hop: &Hop, request: &Arc<request::Parts>) -> Passed {
        let passed = self.way.pass(hop, &self.whole()).await;
        let end = passed.map_err(|stopped| self.way.ended(stopped, &hop.url));
        match &end {
            Ok(end) => {
                let (request, response) = (Arc::clone(request), head(end));
                let changing = self
                    .kept
                    .on_a_thread(move |cache| cache.invalidate_after(&request, &response));
                told(self.in_time(changing).await.ok().flatten());
            }
            // Nobody knows whether it happened.
            Err(Failure::Error(error)) if was_sent(error) => self.drop_kept(request).await,
            Err(_) => {}
        }
        end.map_err(Stopped::Failed)
    }

    async fn look(&self, request: &Arc<request::Parts>) -> Result<Lookup, Stopped<Failure>> {
        let request = Arc::clone(request);
        let looking = self.kept.on_a_thread(move |cache| cache.lookup(&request));
        Ok(self.in_time(looking).await?.unwrap_or(Lookup::Miss))
    }

    async fn confirm(
        &self,
        request: &Arc<request::Parts>,
        stale: &Stale,
        answer: &Answer,
    ) -> Option<mainstay_cache::Answer> {
        let (request, kept) = (Arc::clone(request), stale.answer.clone());
        let response = parts(answer);
        let confirming = self
            .kept
            .on_a_thread(move |cache| cache.revalidated(&request, kept, &response));
        confirming.await?
    }

    /// Gives the cache an answer; whether it is kept. What fails in the cache does not fail the request.
    async fn store(&self, request: &Arc<request::Parts>, answer: &Answer) -> bool {
        if request.method != Method::GET {
            return false;
        }
        let (request, response) = (Arc::clone(request), parts(answer));
        let body = answer.body.clone();
        let storing = self
            .kept
            .on_a_thread(move |cache| cache.store(&request, &response, &body));
        // In time, or else it is kept a little later.
        let stored = told(self.in_time(storing).await.ok().flatten());
        let is_kept = matches!(stored, Some(Stored::Kept { .. }));
        if is_kept {
            self.kept.landed.fetch_add(1, Ordering::Release);
        }
        is_kept
    }

    async fn drop_kept(&self, request: &Arc<request::Parts>) {
        let uri = request.uri.clone();
        let dropping = self
            .kept
            .on_a_thread(move |cache| cache.invalidate_url(&uri));
        told(self.in_time(dropping).await.ok().flatten());
    }

    /// What comes within what is left of the request's time.
    async fn in_time<T>(&self, future: impl Future<Output = T>) -> Result<T, Stopped<Failure>> {
        let left = self.way.left();
        within(&*self.client.clock, left, future)
            .await
            .ok_or(Stopped::TimedOut(self.limits.total))
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

/// The request as the cache sees it: with what the client itself says of the caller, since answers may vary with it.
fn seen_by_the_cache(client: &Shared, hop: &Hop) -> Option<request::Parts> {
    let mut request = http::Request::new(());
    *request.method_mut() = hop.method.clone();
    *request.uri_mut() = hop.url.as_str().parse().ok()?;
    let headers = request.headers_mut();
    *headers = hop.headers.clone();
    if !headers.contains_key(ACCEPT) {
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    }
    if !headers.contains_key(USER_AGENT) {
        let name = HeaderValue::from_str(&client.settings.user_agent).ok()?;
        headers.insert(USER_AGENT, name);
    }
    Some(request.into_parts().0)
}

/// A kept answer in the place of the server's: where it leads elsewhere, it does so as that would.
fn served(hop: &Hop, kept: mainstay_cache::Answer, source: Source) -> End<Answer> {
    let code = kept.status.as_u16();
    let location = kept.headers.get(LOCATION).cloned();
    if let (301 | 302 | 303 | 307 | 308, Some(location)) = (code, location) {
        return End::Moved(code, location);
    }
    End::Value(Answer {
        status: kept.status,
        headers: kept.headers,
        body: kept.body,
        url: hop.url.clone(),
        attempts: 0,
        source,
    })
}

/// What the server answered, without the body.
fn parts(answer: &Answer) -> response::Parts {
    let mut response = http::Response::new(());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers.clone();
    response.into_parts().0
}

fn head(end: &End<Answer>) -> response::Parts {
    match end {
        End::Value(answer) => parts(answer),
        End::Moved(code, location) => {
            let mut response = http::Response::new(());
            *response.status_mut() = StatusCode::from_u16(*code).unwrap_or(StatusCode::FOUND);
            response.headers_mut().insert(LOCATION, location.clone());
            response.into_parts().0
        }
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

/// Whether a request may have reached the server, although nobody said so.
fn was_sent(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ReadTimeout
            | ErrorKind::TotalTimeout
            | ErrorKind::BrokenAnswer
            | ErrorKind::TooLarge
    )
}

/// A word about a failure of the cache that no caller is told of.
fn told<T>(outcome: Option<Result<T, mainstay_cache::Error>>) -> Option<T> {
    match outcome? {
        Ok(done) => Some(done),
        Err(error) => {
            tracing::warn!(%error, "the client goes on without its cache");
            None
        }
    }
}
