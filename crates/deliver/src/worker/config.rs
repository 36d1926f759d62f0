//! How patient and how busy a worker is.

use crate::{Backoff, Error};
use mainstay_clock::SharedClock;
use mainstay_resilience::{ErrorLog, Jitter, RateLimit, RateLimiter};
use std::sync::Arc;
use std::time::Duration;

/// How one lane is delivered.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `concurrency` | 5 | hides the latency of a line to a server without being a burden to it |
/// | `retry` | 1 s to 5 min, full jitter | a short hiccup costs a second, a long outage twelve requests an hour for each document |
/// | `bury_after` | 5 rejections | a server that is being deployed refuses for some seconds; five tries take half a minute |
/// | `probe` | 1 s to 60 s, full jitter | a destination that is back is noticed within a minute |
/// | `limit` | none | most servers know better themselves how much they bear |
/// | `drain` | 60 s | one attempt may take as long |
/// | `errors` | none | nobody asked |
/// | `seed` | from the system | for tests: the same seed gives the same waits |
#[derive(Debug, Clone)]
pub struct DeliverConfig {
    /// How many documents are under way at once, 1 to 256.
    pub concurrency: usize,
    /// How long a document waits after a failed attempt.
    pub retry: Backoff,
    /// After this many rejections in a row a document is buried, at least 1.
    pub bury_after: u32,
    /// How long a held destination is left alone between two probes.
    pub probe: Backoff,
    /// No more attempts in a time than these, over all documents; probes count as well.
    pub limit: Option<RateLimit>,
    /// How long what is under way may take to end when the worker is stopped.
    pub drain: Duration,
    /// Where each attempt that came to nothing is written down and counted, by [`Outcome::class`](crate::Outcome::class).
    pub errors: Option<Arc<ErrorLog>>,
    /// Where the random part of waits comes from.
    pub seed: Option<u64>,
}

impl Default for DeliverConfig {
    fn default() -> Self {
        Self {
            concurrency: 5,
            retry: Backoff::doubling(Duration::from_secs(1), Duration::from_mins(5)),
            bury_after: 5,
            probe: Backoff::doubling(Duration::from_secs(1), Duration::from_mins(1)),
            limit: None,
            drain: Duration::from_mins(1),
            errors: None,
            seed: None,
        }
    }
}

/// More than this would be a burden to any server, and 256 bodies of 256 KiB are 64 MiB of memory.
const CONCURRENCY_MAX: usize = 256;

impl DeliverConfig {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.concurrency == 0 || CONCURRENCY_MAX < self.concurrency {
            return Err(Error::setting(format!(
                "`concurrency` is {}; set 1 to {CONCURRENCY_MAX}",
                self.concurrency
            )));
        }
        if self.bury_after == 0 {
            return Err(Error::setting(
                "`bury_after` is 0, so that no document could ever be rejected; set at least 1",
            ));
        }
        for (name, backoff) in [("retry", self.retry), ("probe", self.probe)] {
            check_waits(name, &backoff)?;
        }
        self.limiter(&mainstay_clock::system()).map(drop)
    }

    /// What holds to the limit, where there is one.
    pub(super) fn limiter(&self, clock: &SharedClock) -> Result<Option<RateLimiter>, Error> {
        let made = self
            .limit
            .map(|limit| RateLimiter::new("the destination", limit, clock.clone()));
        made.transpose()
            .map_err(|error| Error::setting(format!("the `limit` cannot be kept: {error}")))
    }
}

/// What any retry needs, and what only delivery does: waits that are never nothing, and that follow from the number of failures alone.
fn check_waits(name: &str, backoff: &Backoff) -> Result<(), Error> {
    if backoff.initial.is_zero() || backoff.max < backoff.initial {
        return Err(Error::setting(format!(
            "the waits of `{name}` go from {:?} to {:?}; the first has to be above zero and the second not below it",
            backoff.initial, backoff.max
        )));
    }
    if backoff.jitter == Jitter::Decorrelated {
        return Err(Error::setting(format!(
            "the waits of `{name}` are decorrelated, but a wait before a document is not remembered; take full jitter"
        )));
    }
    backoff
        .check()
        .map_err(|error| Error::setting(format!("the waits of `{name}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_resilience::Shape;

    #[test]
    fn impossible_settings_are_refused_by_name() {
        let refused = |change: fn(&mut DeliverConfig)| {
            let mut config = DeliverConfig::default();
            config.check().unwrap();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(refused(|config| config.concurrency = 0).contains("`concurrency` is 0"));
        assert!(refused(|config| config.concurrency = 257).contains("`concurrency` is 257"));
        assert!(refused(|config| config.bury_after = 0).contains("`bury_after`"));
        assert!(refused(|config| config.retry.initial = Duration::ZERO).contains("`retry`"));
        let shape = refused(|config| config.retry.shape = Shape::Exponential(0.5));
        assert!(
            shape.contains("`retry`") && shape.contains("factor"),
            "{shape}"
        );
        let jitter = refused(|config| config.probe.jitter = Jitter::Share(2.0));
        assert!(
            jitter.contains("`probe`") && jitter.contains("share"),
            "{jitter}"
        );
        let jitter = refused(|config| config.probe.jitter = Jitter::Decorrelated);
        assert!(
            jitter.contains("`probe`") && jitter.contains("decorrelated"),
            "{jitter}"
        );
        assert!(
            refused(|config| {
                config.limit = Some(RateLimit {
                    permits: 0,
                    per: Duration::from_secs(1),
                    burst: 1,
                });
            })
            .contains("`limit`")
        );
        assert!(refused(|config| config.probe.max = Duration::from_millis(1)).contains("`probe`"));
    }
}
