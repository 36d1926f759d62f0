//! What follows from what became of an attempt: for its document, and for all others.

use super::Run;
use crate::gate::Why;
use crate::outcome::Reason;
use crate::worker::attempt::Attempted;
use crate::worker::lane::{InHand, Lane, Settlement};
use crate::worker::rejections;
use crate::worker::streak::Streak;
use crate::{Cause, Outcome};
use mainstay_queue::DocumentId;
use mainstay_resilience::ErrorContext;
use std::time::Duration;

/// This many documents that met a held destination are kept from being its next probe again, at most 8 MiB of bodies.
const ASIDE_MAX: usize = 32;

impl<L: Lane> Run<L> {
    pub(super) fn judge(&mut self, attempted: Attempted<L::InHand>) {
        let Attempted {
            document,
            outcome,
            took,
            was_probe,
        } = attempted;
        if was_probe {
            self.probes = self.probes.saturating_sub(1);
        }
        let Some(document) = document else {
            self.gate_after_unsent(was_probe);
            return;
        };
        let wall = self.clock.wall();
        self.shared.with(|status| status.learn(&outcome, wall));
        self.write_down(&outcome, document.id());
        match outcome {
            Outcome::Delivered => self.confirmed(document, took, false, was_probe),
            Outcome::AlreadyThere => self.confirmed(document, took, true, was_probe),
            Outcome::Retry { reason, after, .. } => {
                self.gate_after_failure(was_probe);
                self.slow_down_after_many(document.id(), &reason);
                self.again(document, &reason, after, was_probe);
            }
            // What stands before the destination is not asked more often than it would be.
            Outcome::NotSent { reason, after, .. } => {
                self.gate_after_failure(was_probe);
                self.again(document, &reason, after, was_probe);
            }
            Outcome::Busy { reason, after } => {
                self.gate.keep_quiet(&reason, after, self.clock.now());
                self.gate_after_failure(was_probe);
                self.again(document, &reason, Some(after), was_probe);
            }
            Outcome::Hold {
                reason,
                after,
                cause,
            } => self.held(document, &reason, after, cause, was_probe),
            Outcome::Reject { reason } => self.rejected(document, &reason, true, was_probe),
            Outcome::Unsendable { reason } => {
                self.gate_after_unsent(was_probe);
                self.rejected(document, &reason, false, was_probe);
            }
        }
    }

    /// Counts what came to nothing, where somebody wants to know.
    fn write_down(&self, outcome: &Outcome, id: DocumentId) {
        let (Some(log), Some(class)) = (&self.config.errors, outcome.class()) else {
            return;
        };
        let reason = Reason(outcome.reason().unwrap_or_default());
        let error = ErrorContext::classed("deliver", &reason, class, &*self.clock);
        let error = error.with("destination", self.destination.address());
        log.record(error.with("document", id));
    }

    fn confirmed(
        &mut self,
        document: L::InHand,
        took: Duration,
        already_there: bool,
        was_probe: bool,
    ) {
        let wall = self.clock.wall();
        tracing::debug!(id = %document.id(), already_there, took_ms = took.as_secs_f64() * 1000.0, "delivered");
        self.delivered += 1;
        self.streak.end();
        self.suspects.forget(document.id());
        self.shared.with(|status| {
            status.succeeded(took, wall);
            status.already_there += u64::from(already_there);
        });
        self.settle(document, Settlement::Acknowledge, true, was_probe);
    }

    /// The document waits, and is sent again under the same id.
    fn again(
        &mut self,
        document: L::InHand,
        reason: &str,
        after: Option<Duration>,
        was_probe: bool,
    ) {
        let failures = document.attempts().saturating_add(1);
        // What the destination asked for is the least; the jitter comes on top, so that not all who were told the same time
        // come at the same time.
        let wait = self
            .config
            .retry
            .wait(failures, Duration::ZERO, &self.random)
            + after.unwrap_or_default();
        tracing::debug!(id = %document.id(), failures, wait_s = wait.as_secs_f64(), reason, "not delivered, tried again");
        self.count_failure(reason, |status| status.retried += 1);
        self.settle(
            document,
            Settlement::Retry {
                after: wait,
                error: reason.to_owned(),
            },
            false,
            was_probe,
        );
    }

    fn held(
        &mut self,
        document: L::InHand,
        reason: &str,
        after: Option<Duration>,
        cause: Cause,
        was_probe: bool,
    ) {
        let id = document.id();
        if self.gate.held().is_none() && self.suspects.is_to_blame(id, self.delivered) {
            // Others go through, so it is this document after all.
            match cause {
                Cause::Unclear | Cause::Forbidden => self.rejected(
                    document,
                    &format!("refused while others are taken: {reason}"),
                    true,
                    was_probe,
                ),
                Cause::Destination
                | Cause::Untrusted
                | Cause::Credentials
                | Cause::Unreachable
                | Cause::Before => {
                    self.again(document, reason, after, was_probe);
                }
            }
            return;
        }
        self.suspects.note(id, self.delivered);
        self.count_failure(reason, |status| status.held_back += 1);
        let now = self.clock.now();
        let why = Why {
            reason: reason.to_owned(),
            credentials: cause.is_about_credentials(),
        };
        if self.gate.hold(why, after, was_probe, now, &self.random) {
            tracing::warn!(
                address = self.destination.address(),
                reason,
                "destination held; its documents wait and it is probed"
            );
        }
        self.set_aside(document);
    }

    /// Keeps the document from being the next probe again; no attempt is counted against it.
    fn set_aside(&mut self, document: L::InHand) {
        if self.aside.len() == ASIDE_MAX {
            // All of them have had their turn: it begins anew, with whichever the queue offers first.
            self.aside.clear();
        }
        self.aside.push_back(document);
    }

    fn rejected(&mut self, document: L::InHand, reason: &str, opens: bool, was_probe: bool) {
        let (id, most) = (document.id(), self.config.bury_after);
        if opens {
            self.streak.end();
        }
        let count = rejections::count(document.last_error()).saturating_add(1);
        let note = rejections::note(count, most, reason);
        if most <= count {
            tracing::warn!(%id, reason = note, "document buried; see `mainstay dead list`");
            self.count_failure(reason, |status| {
                status.rejected += 1;
                status.buried += 1;
            });
            self.suspects.forget(id);
            self.settle(
                document,
                Settlement::Bury { reason: note },
                opens,
                was_probe,
            );
        } else {
            tracing::info!(%id, reason = note, "document rejected");
            let wait = self.config.retry.wait(
                document.attempts().saturating_add(1),
                Duration::ZERO,
                &self.random,
            );
            self.count_failure(reason, |status| {
                status.rejected += 1;
                status.retried += 1;
            });
            self.settle(
                document,
                Settlement::Retry {
                    after: wait,
                    error: note,
                },
                opens,
                was_probe,
            );
        }
    }

    /// Sends one at a time where one document after the other fails: it is no longer likely that they are to blame, and whatever
    /// makes it fail is not mended by a whole backlog.
    fn slow_down_after_many(&mut self, id: DocumentId, reason: &str) {
        if self.gate.held().is_some() || !self.streak.failed(id) {
            return;
        }
        let reason = format!("{} documents in a row failed: {reason}", Streak::LONGEST);
        let now = self.clock.now();
        if self.gate.slow_down(&reason, now, &self.random) {
            tracing::warn!(
                address = self.destination.address(),
                reason,
                "destination held; one of its documents is sent at a time"
            );
        }
    }

    fn gate_after_failure(&mut self, was_probe: bool) {
        if was_probe {
            self.gate
                .probe_was_inconclusive(self.clock.now(), &self.random);
        }
    }

    fn gate_after_unsent(&mut self, was_probe: bool) {
        if was_probe {
            self.gate.probe_was_not_sent(self.clock.now());
        }
    }
}
