//! What a person sees of a destination.

use crate::gate::{Held, Quiet};
use crate::{Cause, Outcome};
use mainstay_clock::{Moment, SharedClock};
use serde::Serialize;
use std::time::Duration;

/// How one destination is doing. It holds no secret: addresses are without query and user information.
///
/// Times are milliseconds since 1970-01-01 UTC by this machine's clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DestinationStatus {
    /// Where it is.
    pub address: String,
    /// What it is doing.
    #[serde(flatten)]
    pub state: State,
    /// Since when it has been doing that.
    pub since: u64,
    /// Documents that are being sent at this moment.
    pub in_flight: usize,
    /// Whether one of them finds out whether a destination that is held is back.
    pub is_probing: bool,
    /// Documents that the destination confirmed, those that it had already among them.
    pub delivered: u64,
    /// Documents that it had already, from an earlier attempt.
    pub already_there: u64,
    /// Attempts after which a document was made to wait for its next one.
    pub retried: u64,
    /// Rejections of single documents, whether they were buried for it or not.
    pub rejected: u64,
    /// Documents that were buried.
    pub buried: u64,
    /// Attempts that were not counted against their document, because the destination was held.
    pub held_back: u64,
    /// Attempts that the destination has failed, one after the other: none has succeeded since.
    pub failing: Option<Failing>,
    /// What last went wrong.
    pub last_error: Option<LastError>,
    /// When a document was last delivered.
    pub last_success: Option<u64>,
    /// Until when the limit of attempts lets nothing be sent, in milliseconds since 1970; none while something may be.
    pub limited_until: Option<u64>,
    /// How long attempts take.
    pub latency: Latency,
}

/// What a destination is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Nothing is under way.
    Idle,
    /// Documents are being sent.
    Delivering,
    /// The destination asked for quiet; nothing is sent until then.
    Waiting {
        /// What it said.
        reason: String,
        /// When it goes on.
        until: u64,
    },
    /// Nothing can be delivered until something outside is put right.
    Held {
        /// What, and what to do about it.
        reason: String,
        /// Whether that is about the credentials that it is shown.
        credentials: bool,
        /// When one document tries whether it is.
        next_probe: u64,
        /// How many attempts have found that it is not, with the first.
        failures: u32,
    },
    /// A person paused it.
    Paused,
    /// The worker does not run: it ended, was dropped or panicked.
    Stopped,
}

/// Attempts that failed one after the other, whichever documents they were for, without a destination being held for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// When the first of them ended.
    pub since: u64,
    /// How many.
    pub attempts: u64,
}

/// What last went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// In words.
    pub reason: String,
    /// When.
    pub at: u64,
}

/// How long attempts take that were answered with a confirmation, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Latency {
    /// The last one.
    pub last_ms: f64,
    /// The mean, in which the last eight weigh about two thirds.
    pub mean_ms: f64,
    /// The longest since the start.
    pub max_ms: f64,
}

impl Latency {
    fn note(&mut self, took: Duration) {
        /// Each new value moves the mean by an eighth of the difference, as TCP does with round trips (RFC 6298).
        const WEIGHT: f64 = 0.125;
        let took = took.as_secs_f64() * 1000.0;
        let is_first = self.max_ms == 0.0;
        self.last_ms = took;
        self.mean_ms = if is_first {
            took
        } else {
            self.mean_ms + WEIGHT * (took - self.mean_ms)
        };
        self.max_ms = self.max_ms.max(took);
    }
}

impl DestinationStatus {
    pub(super) fn new(address: &str, wall: u64) -> Self {
        Self {
            address: address.to_owned(),
            state: State::Idle,
            since: wall,
            in_flight: 0,
            is_probing: false,
            delivered: 0,
            already_there: 0,
            retried: 0,
            rejected: 0,
            buried: 0,
            held_back: 0,
            failing: None,
            last_error: None,
            last_success: None,
            limited_until: None,
            latency: Latency::default(),
        }
    }

    /// Takes over a state; the time since when it holds changes only with what it is, not with its details.
    pub(super) fn enter(&mut self, state: State, wall: u64) {
        if std::mem::discriminant(&self.state) != std::mem::discriminant(&state) {
            self.since = wall;
        }
        self.state = state;
    }

    /// What an attempt says of the destination; what never went out says nothing.
    pub(super) fn learn(&mut self, outcome: &Outcome, wall: u64) {
        let is_unsent = match outcome {
            Outcome::Unsendable { .. } | Outcome::NotSent { .. } => true,
            Outcome::Hold { cause, .. } => *cause == Cause::Before,
            _ => false,
        };
        if is_unsent {
            return;
        }
        self.failing = match outcome {
            Outcome::Retry { .. } | Outcome::Busy { .. } => {
                let before = self.failing.unwrap_or(Failing {
                    since: wall,
                    attempts: 0,
                });
                Some(Failing {
                    attempts: before.attempts + 1,
                    ..before
                })
            }
            // What is held says so itself, and what refuses a document works.
            _ => None,
        };
    }

    pub(super) fn succeeded(&mut self, took: Duration, wall: u64) {
        self.delivered += 1;
        self.last_success = Some(wall);
        self.latency.note(took);
    }

    pub(super) fn failed(&mut self, reason: &str, wall: u64) {
        self.last_error = Some(LastError {
            reason: reason.to_owned(),
            at: wall,
        });
    }
}

/// The date of a moment, as far as the machine's clock is right now.
pub(super) fn date(moment: Moment, clock: &SharedClock) -> u64 {
    clock
        .wall()
        .saturating_add(moment.since(clock.now()).as_millis() as u64)
}

impl State {
    pub(super) fn held(held: &Held, clock: &SharedClock) -> Self {
        Self::Held {
            reason: held.why.reason.clone(),
            credentials: held.why.credentials,
            next_probe: date(held.next_probe, clock),
            failures: held.failures,
        }
    }

    pub(super) fn waiting(quiet: &Quiet, clock: &SharedClock) -> Self {
        Self::Waiting {
            reason: quiet.reason.clone(),
            until: date(quiet.until, clock),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_resilience::Category;

    #[test]
    fn the_time_of_a_state_counts_from_its_beginning() {
        let mut status = DestinationStatus::new("https://h/", 1000);
        let held = |next_probe| State::Held {
            reason: "down".into(),
            credentials: false,
            next_probe,
            failures: 1,
        };
        status.enter(held(2000), 1500);
        status.enter(held(9000), 8000);
        assert_eq!((status.since, &status.state), (1500, &held(9000)));
        status.enter(State::Idle, 9000);
        assert_eq!(status.since, 9000);
    }

    #[test]
    fn a_destination_fails_from_its_first_failure_to_its_next_answer() {
        let mut status = DestinationStatus::new("https://h/", 0);
        let mut after = |outcome: Outcome, wall| {
            status.learn(&outcome, wall);
            status
                .failing
                .map(|failing| (failing.since, failing.attempts))
        };
        assert_eq!(
            after(Outcome::retry(Category::Internal, "503"), 100),
            Some((100, 1))
        );
        assert_eq!(
            after(Outcome::retry(Category::Network, "reset"), 200),
            Some((100, 2))
        );
        assert_eq!(after(Outcome::unsendable("x"), 300), Some((100, 2)));
        // What stands before it has failed, or a disk.
        let before = Outcome::Hold {
            reason: "a lookup".to_owned(),
            after: None,
            cause: Cause::Before,
        };
        assert_eq!(after(before, 320), Some((100, 2)));
        let not_sent = Outcome::NotSent {
            category: Category::Resource,
            reason: "a disk".to_owned(),
            after: None,
        };
        assert_eq!(after(not_sent, 340), Some((100, 2)));
        assert_eq!(after(Outcome::reject("422"), 400), None);
        assert_eq!(
            after(Outcome::retry(Category::Internal, "503"), 500),
            Some((500, 1))
        );
        assert_eq!(after(Outcome::Delivered, 600), None);
    }

    #[test]
    fn the_latency_follows_what_is_measured() {
        let mut latency = Latency::default();
        latency.note(Duration::from_millis(80));
        assert_eq!(
            latency,
            Latency {
                last_ms: 80.0,
                mean_ms: 80.0,
                max_ms: 80.0
            }
        );
        latency.note(Duration::from_millis(160));
        assert_eq!(
            latency,
            Latency {
                last_ms: 160.0,
                mean_ms: 90.0,
                max_ms: 160.0
            }
        );
    }
}
