//! What follows from what the queue says about a settlement.

use super::Run;
use crate::worker::attempt::{Settled, settle};
use crate::worker::lane::{Lane, Settlement, Unsettled};

impl<L: Lane> Run<L> {
    pub(super) fn settle(
        &mut self,
        document: L::InHand,
        settlement: Settlement,
        opens: bool,
        was_probe: bool,
    ) {
        self.settlements
            .push(Box::pin(settle(document, settlement, opens, was_probe)));
    }

    /// # Errors
    /// The queue is closed.
    pub(super) fn take_note(&mut self, settled: Settled) -> Result<(), ()> {
        match settled.result {
            Ok(()) | Err(Unsettled::ByAnother) => {
                if settled.was_delivered {
                    self.destination.acknowledged(settled.id);
                }
                if settled.opens && self.gate.succeeded() {
                    tracing::info!(address = self.destination.address(), "destination is back");
                    self.aside.clear();
                }
                Ok(())
            }
            Err(Unsettled::NotYet(error)) => {
                // The queue tries on by itself. Whatever is delivered meanwhile would be delivered twice by a crash, so only
                // one document at a time finds out whether the disk is back.
                let reason = format!("what was done cannot be recorded: {error}");
                let now = self.clock.now();
                if self
                    .gate
                    .hold(reason.as_str(), None, settled.was_probe, now, &self.random)
                {
                    tracing::error!(
                        address = self.destination.address(),
                        reason,
                        "delivery waits for the disk"
                    );
                }
                self.count_failure(&reason, |_| ());
                Ok(())
            }
            Err(Unsettled::Closed) => Err(()),
        }
    }
}
