//! How often something is tried, and for how long.

use crate::backoff::{Backoff, Jitter};
use crate::error::InvalidSettings;
use std::time::Duration;

/// How often something is tried, and for how long.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `attempts` | 4 | a hiccup is over after three retries; what is not, is an outage |
/// | `backoff` | 0.5 s, doubling to 10 s, full jitter | somebody waits for the answer |
/// | `deadline` | 60 s | over all attempts and pauses: nobody waits longer |
/// | `retry_after_max` | 60 s | who is asked to wait longer than the deadline gives up at once |
#[derive(Debug, Clone, PartialEq)]
pub struct RetrySettings {
    /// So many attempts in all, the first among them.
    pub attempts: u32,
    /// The waits between them.
    pub backoff: Backoff,
    /// All attempts and pauses together take no longer; none: as long as they take.
    pub deadline: Option<Duration>,
    /// Where the other side asks for a longer wait, nothing is tried again.
    pub retry_after_max: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            attempts: 4,
            backoff: Backoff::default(),
            deadline: Some(Duration::from_mins(1)),
            retry_after_max: Duration::from_mins(1),
        }
    }
}

impl RetrySettings {
    /// For calls over the network that somebody waits for: 3 retries, 0.5 s doubling to 10 s.
    pub fn client() -> Self {
        Self::default()
    }

    /// For anything else: 3 calls, 0.1 s doubling to 30 s, by up to a fifth more or less, without a deadline.
    pub fn generic() -> Self {
        Self {
            attempts: 3,
            backoff: Backoff::doubling(Duration::from_millis(100), Duration::from_secs(30))
                .with_jitter(Jitter::Share(0.2)),
            deadline: None,
            ..Self::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidSettings> {
        if self.attempts == 0 {
            return Err(InvalidSettings::new(
                "`attempts` is 0: it takes at least the first one",
            ));
        }
        if self.deadline.is_some_and(|deadline| deadline.is_zero()) {
            return Err(InvalidSettings::new(
                "`deadline` is 0: nothing could be done",
            ));
        }
        self.backoff.check()
    }
}
