//! What is known elsewhere is put into documents on their way to a destination.

use super::certificates::Met;
use super::destination::{AnyDestination, CannotBuild, reached};
use crate::config::{Auth, Lookup as Config};
use crate::status;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mainstay_cache::Cache;
use mainstay_clock::SharedClock;
use mainstay_deliver::{Cause, Checking, Content, Destination, Outcome, Outgoing, Sending};
use mainstay_http::{Certificates, Client, ClientSettings, Connectivity, Limits, TimeLimits};
use mainstay_lookup::{
    Failure, FailureKind, Lookup, OnFailure, Report, Secret, Verdict, check_len,
};
use mainstay_queue::DocumentId;
use mainstay_resilience::{
    BreakerSettings, BulkheadSettings, Category, Classify, ErrorContext, ErrorLog, RateLimit,
    Registry, within,
};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use step::Step;

mod room;
mod step;

#[cfg(test)]
mod tests;

pub(crate) use room::Room;

/// The folder of what lookups keep, in the data folder.
pub(crate) const CACHE: &str = "cache";

/// The lookups of a route, in their order; all its destinations share them.
#[derive(Debug)]
pub(crate) struct Lookups {
    steps: Vec<Step>,
    room: Room,
    /// Where is counted what a document goes on without.
    errors: Option<Arc<ErrorLog>>,
    clock: SharedClock,
}

/// Whom the lookups of a running route tell what they meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    route: &'a str,
    met: &'a Met,
    network: &'a Arc<Connectivity>,
    errors: &'a Arc<ErrorLog>,
}

impl<'a> Told<'a> {
    pub(super) fn of(
        route: &'a str,
        met: &'a Met,
        network: &'a Arc<Connectivity>,
        errors: &'a Arc<ErrorLog>,
    ) -> Self {
        Self {
            route,
            met,
            network,
            errors,
        }
    }
}

/// As long as one document may be looked up, one waits for others; then it comes again.
const ROOM_WAIT: Duration = Duration::from_hours(1);

/// So long a request waits for its turn by `rate`, and so long for a place; what is left is the time of any request.
const LINE_WAIT: Duration = Duration::from_mins(1);

/// So many requests of one lookup wait for a place: 64 for each of 156 documents. Who comes later asks again a second later.
const LINE_MAX: u32 = 10_000;

impl Lookups {
    /// Makes them; nothing is asked, but settings, certificates and secrets are checked.
    ///
    /// # Errors
    /// A setting that cannot work, or a certificate or secret that cannot be read.
    pub(crate) fn build(
        configs: &[Config],
        cache: Option<&Arc<Cache>>,
        told: Option<Told<'_>>,
        room: &Room,
        clock: &SharedClock,
    ) -> Result<Arc<Self>, CannotBuild> {
        let steps = configs.iter().map(|config| {
            let mut settings = config.settings.clone();
            let headers = config.headers.iter();
            settings.headers = headers
                .map(|(name, value)| (name.clone(), Secret::new(value)))
                .collect();
            settings.auth = config.auth.as_ref().map(header).transpose()?;
            let mut client = client_settings(config, cache);
            let allowed = client.limit;
            let certificates = told.map(|told| told.met.of_lookup(told.route, config));
            let certificates = certificates.unwrap_or_default();
            (client.tls, client.proxy) = reached(&config.connection)?;
            client.tls.certificates = certificates.clone();
            client.connectivity = told.map(|told| Arc::clone(told.network));
            let url = settings.url.to_string();
            let client = Client::new(client, clock.clone())?;
            let lookup = Lookup::new(settings, client.clone(), clock.clone())?;
            let so_far = status::Lookup {
                name: config.name.clone(),
                url,
                offline: config.settings.offline,
                ..status::Lookup::default()
            };
            Ok(Step {
                lookup,
                client,
                certificates,
                rate: config.rate,
                allowed,
                told: Mutex::new(so_far),
            })
        });
        let steps = steps.collect::<Result<_, CannotBuild>>()?;
        Ok(Arc::new(Self {
            steps,
            room: room.clone(),
            errors: told.map(|told| Arc::clone(told.errors)),
            clock: clock.clone(),
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
        self.steps.iter().map(Step::status).collect()
    }

    /// The certificates of each, by its name.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = (String, &Certificates)> {
        let steps = self.steps.iter();
        steps.map(|step| (step.told().name.clone(), &step.certificates))
    }

    /// What protects the servers of each, by its name.
    pub(super) fn registries(&self) -> impl Iterator<Item = (String, &Arc<Registry>)> {
        let steps = self.steps.iter();
        steps.map(|step| (step.told().name.clone(), step.client.registry()))
    }

    /// The document as it goes on, whose room is free again; what became of it, where it does not.
    async fn prepare(&self, mut document: Outgoing) -> Result<Outgoing, Outcome> {
        let len = document.body.len();
        if let Err(failure) = check_len(len) {
            self.pass_by(&failure, document.id)?;
            return Ok(document);
        }
        let taken = within(&*self.clock, ROOM_WAIT, self.room.take(len)).await;
        let _room = taken.ok_or_else(|| Outcome::NotSent {
            category: Category::Resource,
            reason: "a lookup has to wait: others take all the memory there is for that".to_owned(),
            after: None,
        })?;
        let (body, bytes) = read(document.body)
            .await
            .map_err(|error| Outcome::NotSent {
                category: Category::Resource,
                reason: format!("the body cannot be read: {error}"),
                after: None,
            })?;
        document.body = body;
        // What rotted is not looked up: the destination says that of it.
        if document.hash.is_some() && document.hash != Some(hash(&bytes).await) {
            return Ok(document);
        }
        let completed = self.apply(bytes.clone(), document.id).await?;
        if completed != bytes {
            document.hash = Some(hash(&completed).await);
            let body = self.room.put_aside(completed).await;
            document.body = body.map_err(|error| Outcome::NotSent {
                category: Category::Resource,
                reason: format!("what was looked up cannot be put aside: {error}"),
                after: None,
            })?;
        }
        Ok(document)
    }

    /// A document that cannot be looked up, without having read it: whether it goes on all the same.
    fn pass_by(&self, failure: &Failure, id: DocumentId) -> Result<(), Outcome> {
        for step in &self.steps {
            let is_passed = step.lookup.settings().on_failure == OnFailure::Pass;
            let verdict = if is_passed {
                let without = Some(failure.clone());
                Verdict::Go(
                    Bytes::new(),
                    Report {
                        without,
                        ..Report::default()
                    },
                )
            } else {
                Verdict::Bury(failure.clone())
            };
            self.note(step, &verdict, id);
            if !is_passed {
                return Err(unsendable(failure));
            }
        }
        Ok(())
    }

    /// The document with all that was found; what became of it, where it does not go on.
    async fn apply(&self, mut body: Bytes, id: DocumentId) -> Result<Bytes, Outcome> {
        for step in &self.steps {
            let verdict = step.lookup.apply(body).await;
            self.note(step, &verdict, id);
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
                            cause: Cause::Before,
                        },
                        _ => Outcome::NotSent {
                            category: failure.class().category,
                            reason,
                            after,
                        },
                    });
                }
                Verdict::Bury(failure) => return Err(unsendable(&failure)),
            }
        }
        Ok(body)
    }
}

impl Lookups {
    /// Notes what became of a document, and counts what it goes on without. What it waits for or is buried for, its delivery counts.
    fn note(&self, step: &Step, verdict: &Verdict, id: DocumentId) {
        step.note(verdict, id);
        let Verdict::Go(_, report) = verdict else {
            return;
        };
        if let (Some(log), Some(failure)) = (&self.errors, &report.without) {
            let error = ErrorContext::of("look up", failure, &*self.clock);
            let error = error.with("lookup", &step.told().name);
            log.record(error.with("document", id));
        }
    }
}

fn unsendable(failure: &Failure) -> Outcome {
    Outcome::Unsendable {
        reason: format!("a lookup is not possible: {failure}"),
    }
}

/// How a lookup asks.
fn client_settings(config: &Config, cache: Option<&Arc<Cache>>) -> ClientSettings {
    let usual = ClientSettings::default();
    let concurrency = u32::try_from(config.settings.concurrency).unwrap_or(u32::MAX);
    let limit = config.rate.map_or(usual.limit, |rate| RateLimit {
        permits: rate.number,
        per: rate.per,
        burst: rate.number.min(concurrency),
    });
    let general = usual.limits.general;
    ClientSettings {
        cache: cache.filter(|_| config.cache).cloned(),
        // The destination that is held finds out when to come back; an hour later no faster than after a minute.
        breaker: BreakerSettings {
            open_for: Duration::from_secs(5),
            open_growth: 2.0,
            open_max: Duration::from_mins(1),
            ..BreakerSettings::default()
        },
        limit,
        limit_wait: LINE_WAIT,
        bulkhead: BulkheadSettings {
            max_concurrent: usual.bulkhead.max_concurrent.max(concurrency),
            max_waiting: LINE_MAX,
            max_wait: LINE_WAIT,
        },
        // What a request waits for us is not taken from the time that the server has.
        limits: TimeLimits {
            general: Limits {
                total: general.total + 2 * LINE_WAIT,
                ..general
            },
            ..usual.limits
        },
        ..usual
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

    fn send(&self, document: Outgoing) -> Sending<'_> {
        Box::pin(async move {
            match self.lookups.prepare(document).await {
                Ok(document) => self.destination.send(document).await,
                Err(outcome) => outcome,
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

/// The body as it was, and its bytes.
async fn read(body: Content) -> io::Result<(Content, Bytes)> {
    match body {
        Content::Bytes(bytes) => Ok((Content::Bytes(bytes.clone()), bytes)),
        Content::File(file, len) => {
            let read = tokio::task::spawn_blocking(move || {
                let mut bytes = Vec::new();
                let mut reading: &File = &file;
                reading.rewind()?;
                reading.take(len).read_to_end(&mut bytes)?;
                (&file).rewind()?;
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
