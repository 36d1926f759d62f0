//! One status for all checks of a round: with many lanes each of them is much work.

use crate::run::Agent;
use crate::status::Status;
use mainstay_clock::{Moment, SharedClock};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Whoever looks so soon after another one sees the same.
const RECENT: Duration = Duration::from_millis(500);

/// The status of an agent, as it was a moment ago.
#[derive(Debug)]
pub(super) struct Recent {
    agent: Arc<Agent>,
    clock: SharedClock,
    last: Mutex<Option<(Moment, Arc<Status>)>>,
}

impl Recent {
    pub(super) fn new(agent: &Arc<Agent>, clock: &SharedClock) -> Self {
        Self {
            agent: Arc::clone(agent),
            clock: clock.clone(),
            last: Mutex::new(None),
        }
    }

    pub(super) fn status(&self) -> Arc<Status> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        match &*last {
            Some((at, status)) if now.since(*at) < RECENT => Arc::clone(status),
            _ => {
                let status = Arc::new(self.agent.status());
                *last = Some((now, Arc::clone(&status)));
                status
            }
        }
    }
}
