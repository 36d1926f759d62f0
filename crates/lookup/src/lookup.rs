//! From a document to what is known of it, and back into it.

use crate::document::{self, Found, Questions};
use crate::error::{Failure, FailureKind, InvalidSettings};
use crate::json;
use crate::settings::{LookupSettings, OnFailure};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use mainstay_http::{Client, ErrorKind};
use std::sync::Arc;

/// The largest document, in bytes: it is in memory three times while it is completed.
pub const DOCUMENT_MAX: usize = 64 << 20;

/// Asks a server about documents, and puts what it answers into them.
#[derive(Debug, Clone)]
pub struct Lookup {
    settings: Arc<LookupSettings>,
    client: Client,
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
    /// Why it went on without, where it did.
    pub without: Option<Failure>,
}

impl Lookup {
    /// One that asks by this client, whose limits, breakers and cache hold.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    pub fn new(settings: LookupSettings, client: Client) -> Result<Self, InvalidSettings> {
        settings.check()?;
        Ok(Self {
            settings: Arc::new(settings),
            client,
        })
    }

    /// Its settings.
    pub fn settings(&self) -> &LookupSettings {
        &self.settings
    }

    /// Looks up a document.
    ///
    /// It may be called again with the same document, and asks again then. Dropping the future ends it; nothing is left behind.
    pub async fn apply(&self, document: Bytes) -> Verdict {
        match self.complete(document.clone()).await {
            Ok((completed, report)) => Verdict::Go(completed, report),
            Err(failure) => match (self.settings.on_failure, failure.kind) {
                (OnFailure::Pass, _) => {
                    let without = Some(failure);
                    Verdict::Go(
                        document,
                        Report {
                            without,
                            ..Report::default()
                        },
                    )
                }
                (OnFailure::Wait, FailureKind::Server | FailureKind::Unreachable) => {
                    Verdict::Wait(failure)
                }
                (OnFailure::Wait, FailureKind::Document) | (OnFailure::Bury, _) => {
                    Verdict::Bury(failure)
                }
            },
        }
    }

    async fn complete(&self, document: Bytes) -> Result<(Bytes, Report), Failure> {
        if document.len() > DOCUMENT_MAX {
            return Err(Failure::document(format!(
                "the document has {} bytes; up to {DOCUMENT_MAX} are looked up",
                document.len()
            )));
        }
        let (bytes, settings) = (document.clone(), Arc::clone(&self.settings));
        let Questions { urls, of_items } =
            aside(move || document::questions(&bytes, &settings)).await?;
        let mut report = Report {
            items: of_items.len() as u64,
            asked: urls.len() as u64,
            unasked: of_items.iter().filter(|number| number.is_none()).count() as u64,
            ..Report::default()
        };
        let found = self.ask_all(&urls, &mut report).await?;
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
        urls: &[String],
        report: &mut Report,
    ) -> Result<Vec<Option<Found>>, Failure> {
        // Owned, so that the future may run on any thread.
        let answers = stream::iter(urls.to_vec()).map(|url| async move { self.ask(&url).await });
        let mut answers = answers.buffered(self.settings.concurrency);
        let mut found = Vec::with_capacity(urls.len());
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(Some(answer)) => found.push(Some(answer)),
                Ok(None) => {
                    report.unknown += 1;
                    found.push(None);
                }
                // The others are as they were.
                Err(failure) if self.settings.on_failure == OnFailure::Pass => {
                    report.without.get_or_insert(failure);
                    found.push(None);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(found)
    }

    async fn ask(&self, url: &str) -> Result<Option<Found>, Failure> {
        let mut request = self.client.get(url).header("accept", "application/json");
        for (name, value) in &self.settings.headers {
            request = request.secret_header(name, value.expose());
        }
        let answer = match request.send().await {
            Ok(answer) if matches!(answer.status.as_u16(), 404 | 410) => return Ok(None),
            // What says that it failed is no answer, whatever its body.
            Ok(answer) => answer.error_for_status(),
            Err(error) => Err(error),
        };
        let answer = answer.map_err(|error| Failure {
            kind: kind(error.kind()),
            reason: error.to_string(),
            retry_after: error.retry_after(),
        })?;
        self.taken(&answer.body)
            .map(Some)
            .map_err(|reason| Failure {
                kind: FailureKind::Server,
                reason: format!(
                    "what `{}` answered: {reason}; check the address of the lookup",
                    self.settings.url
                ),
                retry_after: None,
            })
    }

    /// What is wanted of an answer; the rest is let go.
    fn taken(&self, body: &[u8]) -> Result<Found, String> {
        let answer = json::answer(body)?;
        let take = self.settings.take.iter();
        take.map(|(_, place)| {
            let value = json::find(answer, place)?;
            Ok(value
                .filter(|value| value.get() != "null")
                .map(ToOwned::to_owned))
        })
        .collect()
    }
}

/// Whether it is about this question, or about all of them.
fn kind(kind: ErrorKind) -> FailureKind {
    match kind {
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
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|reason| {
            Failure::document(format!("the document cannot be looked up: {reason}"))
        }),
        Err(died) if died.is_panic() => std::panic::resume_unwind(died.into_panic()),
        Err(_) => Err(Failure {
            kind: FailureKind::Server,
            reason: "the program is ending".to_owned(),
            retry_after: None,
        }),
    }
}
