//! What is asked for again in the background, because the server allows that an older answer is served meanwhile.

use super::wording::served;
use super::{Kept, Seen, Through, Wanted};
use crate::answer::{Answer, Because, Source};
use crate::course::Way;
use crate::exchange::{End, Failure};
use crate::hop::Hop;
use mainstay_cache::Turn;
use mainstay_resilience::within;
use std::sync::Arc;

/// So many answers at once are asked for again in the background; what is over beyond that waits for the next request.
const REFRESHING_MAX: usize = 16;

/// That an answer is asked for again in the background, while this lives.
struct Refreshing {
    kept: Arc<Kept>,
    key: String,
}

impl Kept {
    /// Takes the right to ask for `key` again in the background; none where somebody does already, or too many.
    fn refresh(self: &Arc<Self>, key: &str) -> Option<Refreshing> {
        let mut refreshing = self.refreshing();
        if REFRESHING_MAX <= refreshing.len() || !refreshing.insert(key.to_owned()) {
            return None;
        }
        Some(Refreshing {
            kept: Arc::clone(self),
            key: key.to_owned(),
        })
    }
}

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.kept.refreshing().remove(&self.key);
    }
}

impl Through<'_> {
    /// What is served at once, while it is asked for again by a task that nobody waits for, within the limits of this request.
    pub(super) fn serve_and_refresh(&self, hop: &Hop, wanted: Wanted, seen: Seen) -> End<Answer> {
        let older = seen.stale.answer.clone();
        let source = Source::Stale {
            age: older.age,
            because: Because::Refreshing,
        };
        let end = served(hop, older, source);
        let Some(refreshing) = self.kept.refresh(&wanted.key) else {
            return end;
        };
        let (client, hop, limits) = (Arc::clone(self.client), hop.clone(), self.limits);
        tokio::spawn(async move {
            let way = Way::begin(&client, limits);
            let through = Through {
                client: &client,
                kept: &refreshing.kept,
                way: &way,
                limits,
            };
            let turn = through.kept.flights.turn(wanted.key.clone());
            if let Some(Turn::Lead(lead)) = within(&*client.clock, way.left(), turn).await
                // Otherwise somebody brought something between our look and our turn.
                && !through.kept.addresses.has_landed(seen.stand)
            {
                let asked = through.ask(&hop, &wanted, Some(&seen)).await;
                if let Err(Failure::Error(error)) = &asked.end {
                    tracing::debug!(kind = ?error.kind(), "what is kept could not be confirmed");
                }
                if asked.is_kept {
                    lead.shared();
                }
            }
        });
        end
    }
}
