//! One lookup of a route: what it asks by, and how that stands.

use crate::run::report::{changed_by_hand, first_end};
use crate::status;
use crate::units::Rate;
use mainstay_http::{Certificates, Client, Host, State};
use mainstay_lookup::{Lookup, Report, Verdict};
use mainstay_queue::DocumentId;
use mainstay_resilience::{BreakerState, Part, PartStatus, RateLimit, RateLimiter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A lookup, and what it came to so far.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) lookup: Lookup,
    pub(super) client: Client,
    /// Those that its servers showed, and ours that they are shown.
    pub(super) certificates: Certificates,
    /// The rate that it is held to, as the configuration says it.
    pub(super) rate: Option<Rate>,
    /// What that means to its client, or what any client allows.
    pub(super) allowed: RateLimit,
    pub(super) told: Mutex<status::Lookup>,
}

impl Step {
    /// How it stands.
    pub(super) fn status(&self) -> status::Lookup {
        let retrying = self.client.retrying().into_values();
        let limiters = self.limiters();
        let limited = limiters.iter().map(|limiter| limiter.ready_in(1)).max();
        let limited = limited.filter(|wait| !wait.is_zero());
        let mut changed = limiters
            .iter()
            .filter_map(|limiter| changed_by_hand(self.allowed, limiter));
        let limit = changed.next().or_else(|| Some(self.rate?.to_string()));
        status::Lookup {
            server: self.server(),
            connectivity: self.connectivity().to_owned(),
            limit,
            limited_seconds: limited.map(|wait| wait.as_secs_f64()),
            retrying: retrying
                .max_by_key(|retrying| retrying.attempt)
                .map(|retrying| status::Retrying {
                    attempt: retrying.attempt,
                    of: retrying.of,
                    next_in_seconds: retrying.next_in.as_secs_f64(),
                    error: retrying.error,
                }),
            certificate_ends: first_end(&self.certificates),
            ..self.told().clone()
        }
    }

    /// How its server can be reached: the worst of where it leads, in the words of destinations.
    fn connectivity(&self) -> &'static str {
        let known = self.client.connectivity();
        let names = self.client.registry().status().into_keys();
        let hosts = names.filter_map(|name| {
            let origin = name.strip_suffix("/breaker")?;
            Some(known.host(origin))
        });
        let hosts: Vec<Host> = hosts.collect();
        if hosts.is_empty() {
            "unknown"
        } else if known.state() == State::Offline {
            "offline"
        } else if hosts.contains(&Host::Down) {
            "down"
        } else if hosts.contains(&Host::Reachable) {
            "online"
        } else {
            "unknown"
        }
    }

    /// Those of where it leads.
    fn limiters(&self) -> Vec<Arc<RateLimiter>> {
        let registry = self.client.registry();
        let names = registry.status().into_keys();
        names
            .filter_map(|name| match registry.get(&name)? {
                Part::Limiter(limiter) => Some(limiter),
                _ => None,
            })
            .collect()
    }

    fn parts(&self) -> impl Iterator<Item = PartStatus> {
        self.client.registry().status().into_values()
    }

    /// Whether its server is asked at all: the worst of the breakers of where it leads.
    fn server(&self) -> Option<String> {
        let breakers = self.parts().filter_map(|part| match part {
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

    pub(super) fn told(&self) -> MutexGuard<'_, status::Lookup> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what became of a document.
    pub(super) fn note(&self, verdict: &Verdict, id: DocumentId) {
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
                if report.stale > 0 {
                    let answers = report.stale;
                    tracing::info!(document = %id, lookup = told.name, answers, "looked up in what is kept, whose time is over");
                }
                told.documents += 1;
                told.stale += report.stale;
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
