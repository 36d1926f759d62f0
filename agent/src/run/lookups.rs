//! What is known elsewhere is put into documents on their way to a destination.

use super::destination::{AnyDestination, CannotBuild};
use crate::config::{Auth, Lookup as Config};
use crate::status;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mainstay_cache::Cache;
use mainstay_clock::SharedClock;
use mainstay_deliver::{Cause, Checking, Content, Destination, Outcome, Outgoing, Sending};
use mainstay_http::{Client, ClientSettings};
use mainstay_lookup::{DOCUMENT_MAX, FailureKind, Lookup, Report, Secret, Verdict};
use mainstay_queue::DocumentId;
use mainstay_resilience::{BreakerSettings, BreakerState, PartStatus, RateLimit};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The folder of what lookups keep, in the data folder.
pub(crate) const CACHE: &str = "cache";

/// The lookups of a route, in their order; all its destinations share them.
#[derive(Debug)]
pub(crate) struct Lookups {
    steps: Vec<Step>,
    large: Semaphore,
}

#[derive(Debug)]
struct Step {
    lookup: Lookup,
    client: Client,
    told: Mutex<status::Lookup>,
}

/// A document of more bytes is looked up only while no other such one is: each is in memory several times meanwhile.
const LARGE: u64 = 1 << 20;

impl Lookups {
    /// Makes them; nothing is asked, but settings and secrets are checked.
    ///
    /// # Errors
    /// A setting that cannot work, or a secret that cannot be read.
    pub(crate) fn build(
        configs: &[Config],
        cache: Option<&Arc<Cache>>,
        clock: &SharedClock,
    ) -> Result<Arc<Self>, CannotBuild> {
        let steps = configs.iter().map(|config| {
            let mut settings = config.settings.clone();
            let headers = config.headers.iter();
            settings.headers = headers
                .map(|(name, value)| (name.clone(), Secret::new(value)))
                .collect();
            settings
                .headers
                .extend(config.auth.as_ref().map(header).transpose()?);
            let mut client = ClientSettings {
                cache: cache.filter(|_| config.cache).cloned(),
                // The destination that is held finds out when to come back; an hour later no faster than after a minute.
                breaker: BreakerSettings {
                    open_for: Duration::from_secs(5),
                    open_growth: 2.0,
                    open_max: Duration::from_mins(1),
                    ..BreakerSettings::default()
                },
                ..ClientSettings::default()
            };
            if let Some(rate) = config.rate {
                client.limit = RateLimit {
                    permits: rate.number,
                    per: rate.per,
                    burst: rate
                        .number
                        .min(u32::try_from(settings.concurrency).unwrap_or(u32::MAX)),
                };
            }
            let url = settings.url.to_string();
            let client = Client::new(client, clock.clone())?;
            let lookup = Lookup::new(settings, client.clone(), clock.clone())?;
            let told = status::Lookup {
                name: config.name.clone(),
                url,
                ..status::Lookup::default()
            };
            Ok(Step {
                lookup,
                client,
                told: Mutex::new(told),
            })
        });
        let steps = steps.collect::<Result<_, CannotBuild>>()?;
        Ok(Arc::new(Self {
            steps,
            large: Semaphore::new(1),
        }))
    }

    /// The destination, with these in front of it.
    pub(crate) fn before(self: &Arc<Self>, destination: AnyDestination) -> AnyDestination {
        if self.steps.is_empty() {
            return destination;
        }
        Arc::new(LookedUp {
            lookups: Arc::clone(self),
            destination,
        })
    }

    /// What each came to.
    pub(crate) fn status(&self) -> Vec<status::Lookup> {
        let told = |step: &Step| status::Lookup {
            server: step.server(),
            ..step.told().clone()
        };
        self.steps.iter().map(told).collect()
    }

    /// The document with all that was found; what became of it, where it does not go on.
    async fn apply(&self, mut body: Bytes, id: DocumentId) -> Result<Bytes, Outcome> {
        for step in &self.steps {
            let verdict = step.lookup.apply(body).await;
            step.note(&verdict, id);
            match verdict {
                Verdict::Go(completed, _) => body = completed,
                Verdict::Wait(failure) => {
                    let (reason, after) = (
                        format!("a lookup has to wait: {failure}"),
                        failure.retry_after,
                    );
                    return Err(match failure.kind {
                        // It is the same for every document, so one at a time finds out whether it is over.
                        FailureKind::Unreachable => Outcome::Hold {
                            reason,
                            after,
                            cause: Cause::Destination,
                        },
                        _ => Outcome::Retry { reason, after },
                    });
                }
                Verdict::Bury(failure) => {
                    return Err(Outcome::Unsendable {
                        reason: format!("a lookup is not possible: {failure}"),
                    });
                }
            }
        }
        Ok(body)
    }
}

impl Step {
    /// Whether its server is asked at all: the worst of the breakers of where it leads.
    fn server(&self) -> Option<String> {
        let parts = self.client.registry().status().into_values();
        let breakers = parts.filter_map(|part| match part {
            PartStatus::Breaker(breaker) => Some(breaker),
            _ => None,
        });
        let worst = breakers.max_by_key(|breaker| breaker.state != BreakerState::Closed)?;
        Some(match worst.retry_after_ms {
            Some(millis) => format!(
                "left alone for {:.0} s: {}",
                millis as f64 / 1e3,
                worst.reason
            ),
            None => worst.state.to_string(),
        })
    }

    fn told(&self) -> std::sync::MutexGuard<'_, status::Lookup> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, verdict: &Verdict, id: DocumentId) {
        let mut told = self.told();
        match verdict {
            Verdict::Go(
                _,
                Report {
                    without: Some(failure),
                    ..
                },
            ) => {
                tracing::warn!(document = %id, lookup = told.name, "goes on without what is known elsewhere: {failure}");
                told.without += 1;
                told.reason = failure.to_string();
            }
            Verdict::Go(_, report) => {
                told.documents += 1;
                told.fields += report.fields;
                told.unknown += report.unknown;
                told.reason.clear();
            }
            Verdict::Wait(failure) => {
                tracing::debug!(document = %id, lookup = told.name, "waits for a lookup: {failure}");
                told.waits += 1;
                told.reason = failure.to_string();
            }
            Verdict::Bury(failure) => {
                told.refused += 1;
                told.reason = failure.to_string();
            }
        }
    }
}

/// A destination that gets documents only after they were looked up.
#[derive(Debug)]
struct LookedUp {
    lookups: Arc<Lookups>,
    destination: AnyDestination,
}

impl Destination for LookedUp {
    fn address(&self) -> &str {
        self.destination.address()
    }

    fn check<'a>(&'a self, route: &'a str) -> Checking<'a> {
        self.destination.check(route)
    }

    fn send(&self, mut document: Outgoing) -> Sending<'_> {
        Box::pin(async move {
            let is_large = document.body.len() > LARGE;
            // Never closed.
            let _turn = if is_large {
                self.lookups.large.acquire().await.ok()
            } else {
                None
            };
            let (body, bytes) = match read(document.body).await {
                Ok(read) => read,
                Err(error) => {
                    return Outcome::Retry {
                        reason: format!("the body cannot be read: {error}"),
                        after: None,
                    };
                }
            };
            document.body = body;
            // What rotted is not looked up: the destination says that of it. What is too long is refused by its length.
            let is_whole = bytes.len() > DOCUMENT_MAX
                || document.hash.is_none()
                || document.hash == Some(hash(&bytes).await);
            if !is_whole {
                return self.destination.send(document).await;
            }
            match self.lookups.apply(bytes.clone(), document.id).await {
                Err(outcome) => outcome,
                Ok(completed) => {
                    if completed != bytes {
                        document.hash = Some(hash(&completed).await);
                        document.body = Content::Bytes(completed);
                    }
                    self.destination.send(document).await
                }
            }
        })
    }

    fn acknowledged(&self, id: DocumentId) {
        self.destination.acknowledged(id);
    }
}

/// Of many bytes it takes a while, in which no task should wait.
async fn hash(bytes: &Bytes) -> [u8; 32] {
    let bytes = bytes.clone();
    let digest = move || Sha256::digest(&bytes).into();
    match tokio::task::spawn_blocking(digest).await {
        Ok(hash) => hash,
        Err(died) => std::panic::resume_unwind(died.into_panic()),
    }
}

/// The body as it was, and its bytes; of one that is too long one byte more than is looked up, which is refused.
async fn read(body: Content) -> io::Result<(Content, Bytes)> {
    match body {
        Content::Bytes(bytes) => Ok((Content::Bytes(bytes.clone()), bytes)),
        Content::File(file, len) => {
            let read = tokio::task::spawn_blocking(move || {
                let most = len.min(DOCUMENT_MAX as u64 + 1);
                let mut bytes = Vec::new();
                let mut reading: &File = &file;
                io::Seek::rewind(&mut reading)?;
                reading.take(most).read_to_end(&mut bytes)?;
                io::Seek::rewind(&mut &file)?;
                Ok((Content::File(file, len), bytes.into()))
            });
            read.await.map_err(io::Error::other)?
        }
    }
}

fn header(auth: &Auth) -> Result<(String, Secret), CannotBuild> {
    Ok(match auth {
        Auth::Bearer(token) => {
            let value = format!("Bearer {}", token.fetch()?.expose());
            ("authorization".to_owned(), Secret::new(value))
        }
        Auth::Basic { user, password } => {
            let pair = STANDARD.encode(format!("{user}:{}", password.fetch()?.expose()));
            (
                "authorization".to_owned(),
                Secret::new(format!("Basic {pair}")),
            )
        }
        Auth::ApiKey { header, key } => (header.clone(), key.fetch()?),
    })
}
