//! From a document to what is known of it, and back into it.

use crate::document::{self, DOCUMENT_MAX, Form, Found, Questions};
use crate::error::{Failure, FailureKind, InvalidSettings};
use crate::json;
use crate::portal::Suspicion;
use crate::settings::{LookupSettings, OnFailure};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use mainstay_clock::SharedClock;
use mainstay_http::{Answer, Client, Error, ErrorKind, Fact, RequestBuilder, Source};
use mainstay_resilience::{PartStatus, within};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Bytes of all that was taken for one document: as many as it may have itself.
const ANSWERS_MAX: usize = DOCUMENT_MAX;

/// A question that found no place asks for one again after so long; long enough to cost nothing, and nobody notices a second.
const PAUSE: Duration = Duration::from_secs(1);

/// So long the questions that are under way when another one failed may take to come to their end: most answers come in less, and
/// whoever waits for the document is told soon what is wrong.
const ENDING: Duration = Duration::from_secs(10);

/// Asks a server about documents, and puts what it answers into them.
#[derive(Debug, Clone)]
pub struct Lookup {
    settings: Arc<LookupSettings>,
    client: Client,
    clock: SharedClock,
}

/// What becomes of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on, as it is now.
    Go(Bytes, Report),
    /// It is tried again later.
    Wait(Failure),
    /// It is set aside.
    Bury(Failure),
}

/// What was asked about a document, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Things in the document.
    pub items: u64,
    /// Requests, each address once.
    pub asked: u64,
    /// Addresses of which the server knows nothing (404, 410).
    pub unknown: u64,
    /// Things that do not say what the address needs.
    pub unasked: u64,
    /// Fields that got something.
    pub fields: u64,
    /// Answers that were kept, and were given although their time was over.
    pub stale: u64,
    /// Why it went on without, where it did.
    pub without: Option<Failure>,
}

/// What the questions of one document have in common.
#[derive(Debug, Default)]
struct Asking {
    /// Nothing more is asked.
    is_given_up: AtomicBool,
    /// Answers whose time was over.
    stale: AtomicU64,
}

impl Lookup {
    /// One that asks by this client, whose limits, breakers and cache hold.
    ///
    /// # Errors
    ///
    /// Settings that cannot work, also an address or a header that the client would not send; nothing is sent.
    pub fn new(
        settings: LookupSettings,
        client: Client,
        clock: SharedClock,
    ) -> Result<Self, InvalidSettings> {
        settings.check()?;
        let lookup = Self {
            settings: Arc::new(settings),
            client,
            clock,
        };
        lookup.try_request()?;
        Ok(lookup)
    }

    /// Puts a request together as each will be, and takes it back before it is sent.
    fn try_request(&self) -> Result<(), InvalidSettings> {
        let sample = self.settings.url.fill(|_| Some("x".to_owned()));
        let sample =
            sample.map_err(|_| InvalidSettings::new("an address that can never be asked"))?;
        let taken_back = CancellationToken::new();
        taken_back.cancel();
        let request = self.request(&sample).cancelled_by(taken_back);
        match request.send().now_or_never() {
            Some(Err(error)) if error.kind() == ErrorKind::Url => {
                Err(InvalidSettings::new(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Its settings.
    pub fn settings(&self) -> &LookupSettings {
        &self.settings
    }

    /// Looks up a document, in [`total`](LookupSettings::total) at most.
    ///
    /// It may be called again with the same document, and asks again then. Dropping the future ends it; nothing is left behind.
    pub async fn apply(&self, document: Bytes) -> Verdict {
        let completed = tokio::select! {
            biased;
            completed = self.complete(document.clone()) => completed,
            () = self.clock.sleep(self.settings.total) => Err(self.out_of_time()),
        };
        let failure = match completed {
            Ok((completed, report)) => return Verdict::Go(completed, report),
            Err(failure) => failure,
        };
        match (failure.kind, self.settings.on_failure) {
            // Nobody failed.
            (FailureKind::Limit, _) => Verdict::Wait(failure),
            (_, OnFailure::Pass) => {
                let without = Some(failure);
                Verdict::Go(
                    document,
                    Report {
                        without,
                        ..Report::default()
                    },
                )
            }
            (FailureKind::Server | FailureKind::Unreachable, OnFailure::Wait) => {
                Verdict::Wait(failure)
            }
            (FailureKind::Document, OnFailure::Wait) | (_, OnFailure::Bury) => {
                Verdict::Bury(failure)
            }
        }
    }

    async fn complete(&self, document: Bytes) -> Result<(Bytes, Report), Failure> {
        check_len(document.len() as u64)?;
        let (bytes, settings) = (document.clone(), Arc::clone(&self.settings));
        let reading =
            aside(move || document::questions(&bytes, &settings).map_err(Failure::unreadable));
        let Questions {
            form,
            urls,
            of_items,
        } = reading.await?;
        let mut report = Report {
            items: of_items.len() as u64,
            asked: urls.len() as u64,
            unasked: of_items.iter().filter(|number| number.is_none()).count() as u64,
            ..Report::default()
        };
        let found = self.ask_all(urls, form, &mut report).await?;
        if found.iter().all(Option::is_none) {
            return Ok((document, report));
        }
        let settings = Arc::clone(&self.settings);
        let completed = aside(move || document::completed(&document, &settings, &of_items, &found));
        let (completed, fields) = completed.await?;
        report.fields = fields;
        Ok((completed.into(), report))
    }

    /// What each address answers, in their order; nothing for what the server does not know.
    async fn ask_all(
        &self,
        urls: Vec<Arc<str>>,
        form: Form,
        report: &mut Report,
    ) -> Result<Vec<Option<Found>>, Failure> {
        let mut found = Vec::with_capacity(urls.len());
        let mut bytes = 0;
        let asking = Asking::default();
        let asking = &asking;
        // Owned, so that the future may run on any thread.
        let answers = stream::iter(urls).map(|url| async move {
            if asking.is_given_up.load(Ordering::Relaxed) {
                return Ok(None);
            }
            self.ask(&url, form, asking).await
        });
        let mut answers = answers.buffered(self.settings.concurrency);
        let mut failed = None;
        while failed.is_none()
            && let Some(answer) = answers.next().await
        {
            match answer {
                Ok(Some(answer)) => {
                    bytes += answer
                        .iter()
                        .flatten()
                        .map(|value| value.len())
                        .sum::<usize>();
                    if bytes > ANSWERS_MAX {
                        let more = format!("longer than {ANSWERS_MAX} bytes together");
                        return Err(self.wrong_answer(&more));
                    }
                    found.push(Some(answer));
                }
                Ok(None) => {
                    report.unknown += 1;
                    found.push(None);
                }
                // The others are as they were.
                Err(failure)
                    if self.settings.on_failure == OnFailure::Pass
                        && failure.kind != FailureKind::Limit =>
                {
                    report.without.get_or_insert(failure);
                    found.push(None);
                }
                // Nothing more is asked. What is under way comes to its end, and is kept: of four questions to a server that has just
                // come back three are turned away, and the fourth is how it is found out that it is back.
                Err(failure) => {
                    asking.is_given_up.store(true, Ordering::Relaxed);
                    failed = Some(failure);
                }
            }
        }
        report.stale = asking.stale.load(Ordering::Relaxed);
        let Some(failure) = failed else {
            return Ok(found);
        };
        // What waits for a turn of ours, or for a server that is slow, is not worth more than this.
        let ending = answers.for_each(|_| async {});
        within(&*self.clock, ENDING, ending).await;
        Err(failure)
    }

    /// What is taken of the answer; of one that cannot be used nothing is kept, and where it was kept, the server is asked. Where
    /// nobody is asked, it stays: there is no other one to be had.
    async fn ask(&self, url: &str, form: Form, asking: &Asking) -> Result<Option<Found>, Failure> {
        let mut is_anew = false;
        loop {
            let answer = self.answer_in_turn(url, &asking.is_given_up).await?;
            let Some(answer) = answer else {
                return Ok(None);
            };
            let taken = self.taken(&answer.body, form);
            if taken.is_ok() {
                asking
                    .stale
                    .fetch_add(u64::from(is_stale(answer.source)), Ordering::Relaxed);
                return taken.map(Some);
            }
            if self.settings.offline {
                return taken.map(Some);
            }
            // It would be served for as long as it says, or for days: to every try, and nobody would ask the server.
            self.client.let_go(&answer.url).await;
            if is_anew || answer.source == Source::Network {
                return taken
                    .map(Some)
                    .map_err(|failure| self.or_portal(url, &answer, failure));
            }
            is_anew = true;
        }
    }

    /// What is answered, however long our own limits take; `total` ends it at the latest. Once the others gave up nothing more is asked.
    async fn answer_in_turn(
        &self,
        url: &str,
        is_given_up: &AtomicBool,
    ) -> Result<Option<Answer>, Failure> {
        loop {
            match self.answer(url).await {
                Ok(answer) => return Ok(answer),
                Err(error)
                    if self.is_our_own_limit(&error) && !is_given_up.load(Ordering::Relaxed) =>
                {
                    let pause = error.retry_after().unwrap_or(PAUSE);
                    self.clock.sleep(pause).await;
                }
                Err(error) if error.kind() == ErrorKind::Offline => return Err(self.nothing_kept()),
                Err(error) => {
                    return Err(Failure {
                        retry_after: error.retry_after(),
                        ..Failure::new(kind(error.kind()), error.to_string())
                    });
                }
            }
        }
    }

    async fn answer(&self, url: &str) -> Result<Option<Answer>, Error> {
        let answer = self.request(url).send().await?;
        if matches!(answer.status.as_u16(), 404 | 410) {
            return Ok(None);
        }
        // What says that it failed is no answer, whatever its body.
        answer.error_for_status().map(Some)
    }

    fn request(&self, url: &str) -> RequestBuilder {
        let request = self.client.get(url).header("accept", "application/json");
        let request = if self.settings.offline {
            request.offline()
        } else {
            request
        };
        let with = |request: RequestBuilder, (name, value): &(String, _)| {
            let value: &mainstay_http::Secret = value;
            if self.settings.is_credential(name) {
                request.secret_header(name, value.expose())
            } else {
                request.header(name, value.expose())
            }
        };
        let request = self.settings.headers.iter().fold(request, with);
        match &self.settings.auth {
            Some((name, value)) => request.secret_header(name, value.expose()),
            None => request,
        }
    }

    /// Whether nobody was asked, because of limits that are ours: of the rate, and of how many are under way.
    fn is_our_own_limit(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Full => true,
            // It waited for the same question of somebody else.
            ErrorKind::TotalTimeout => error.attempts() == 0,
            // With an answer it is a 429.
            ErrorKind::LimitedUntil => error.answer().is_none() && !self.is_held(),
            _ => false,
        }
    }

    /// Whether a server asked to be left alone.
    fn is_held(&self) -> bool {
        let parts = self.client.registry().status().into_values();
        parts
            .into_iter()
            .any(|part| matches!(part, PartStatus::Limiter(limiter) if !limiter.held_for.is_zero()))
    }

    /// What is wanted of an answer; the rest is let go.
    fn taken(&self, body: &[u8], form: Form) -> Result<Found, Failure> {
        let wrong = |reason: String| self.wrong_answer(&reason);
        let answer = json::answer(body).map_err(wrong)?;
        let take = self.settings.take.iter();
        take.map(|(_, place)| {
            let value = json::find(answer, place).map_err(wrong)?;
            let Some(value) = value.filter(|value| value.get() != "null") else {
                return Ok(None);
            };
            let taken = document::value(value, form);
            taken.map_err(|reason| self.wrong_answer(&format!("`{place}` {reason}")))
        })
        .collect()
    }

    /// Why an answer cannot be used, where something in between may have made it. That is certain only where another host did: it tells
    /// of the network then.
    fn or_portal(&self, url: &str, answer: &Answer, failure: Failure) -> Failure {
        let Some(suspicion) = Suspicion::of(url, answer) else {
            return failure;
        };
        if suspicion.elsewhere.is_some() {
            self.client
                .connectivity()
                .note(&suspicion.asked, Fact::Portal);
        }
        Failure::new(FailureKind::Server, suspicion.told())
    }

    fn wrong_answer(&self, reason: &str) -> Failure {
        let message = format!(
            "what `{}` answered: {reason}; check the address of the lookup",
            self.settings.url
        );
        Failure::new(FailureKind::Server, message)
    }

    /// It is about this question alone: of others something may be kept.
    fn nothing_kept(&self) -> Failure {
        let message = format!(
            "nothing is kept of what `{}` would be asked, and nobody is asked while `offline` is set",
            self.settings.url
        );
        Failure::new(FailureKind::Server, message)
    }

    fn out_of_time(&self) -> Failure {
        let message = format!(
            "not all was answered within {:.0} s; what was is kept where answers are: check `rate`, `concurrency` and the server",
            self.settings.total.as_secs_f64()
        );
        Failure::new(FailureKind::Limit, message)
    }
}

/// Whether its time was over when it was given.
fn is_stale(source: Source) -> bool {
    matches!(
        source,
        Source::Stale { .. } | Source::Offline { is_stale: true, .. }
    )
}

/// Refuses a document by its length alone, which may be known before it is read.
///
/// # Errors
///
/// It is longer than [`DOCUMENT_MAX`].
pub fn check_len(len: u64) -> Result<(), Failure> {
    if len <= DOCUMENT_MAX as u64 {
        return Ok(());
    }
    Err(Failure::document(format!(
        "the document has {len} bytes; up to {DOCUMENT_MAX} are looked up"
    )))
}

/// Whether it is about this question, or about all of them.
fn kind(kind: ErrorKind) -> FailureKind {
    match kind {
        ErrorKind::Url => FailureKind::Document,
        ErrorKind::Dns
        | ErrorKind::Refused
        | ErrorKind::Unreachable
        | ErrorKind::Tls
        | ErrorKind::ConnectTimeout
        | ErrorKind::BreakerOpen
        | ErrorKind::LimitedUntil
        | ErrorKind::Status(401 | 403 | 407) => FailureKind::Unreachable,
        _ => FailureKind::Server,
    }
}

/// Reading and changing a large document takes a while, in which no task should wait.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(died) if died.is_panic() => std::panic::resume_unwind(died.into_panic()),
        Err(_) => Err(Failure::new(FailureKind::Limit, "the program is ending")),
    }
}
