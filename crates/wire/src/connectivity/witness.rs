//! Who asks one host again and again, and tells what it met.

use super::{Connectivity, Fact};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// An answer after an answer is told once in this time: a thirtieth of how long it counts.
const SAME: Duration = Duration::from_secs(1);

/// What those who ask one host tell of it.
///
/// That it answers, as it did a moment ago and while nothing else has failed since, costs neither a lock nor memory.
#[derive(Debug)]
pub struct Witness {
    connectivity: Arc<Connectivity>,
    host: String,
    /// Until then an answer is nothing new, in nanoseconds after the origin of the clock.
    until: AtomicU64,
    /// What had gone wrong before the last answer that was told.
    troubles: AtomicU64,
}

impl Witness {
    /// Of this host, which is called by its origin, such as `https://h:443`.
    pub fn new(connectivity: Arc<Connectivity>, host: String) -> Self {
        Self {
            connectivity,
            host,
            until: AtomicU64::new(0),
            troubles: AtomicU64::new(0),
        }
    }

    /// What it is called.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Takes in what a request met.
    pub fn note(&self, fact: Fact) {
        if fact != Fact::Reached {
            self.connectivity.note(&self.host, fact);
            return;
        }
        let now = self.connectivity.clock.now_coarse().nanos();
        let troubles = self.connectivity.troubles.load(Ordering::Acquire);
        if now < self.until.load(Ordering::Relaxed)
            && troubles == self.troubles.load(Ordering::Relaxed)
        {
            return;
        }
        self.connectivity.note(&self.host, fact);
        // Read before it was told: what goes wrong meanwhile makes the next answer be told.
        self.troubles.store(troubles, Ordering::Relaxed);
        self.until
            .store(now + SAME.as_nanos() as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Host, State, Why};
    use mainstay_clock::ManualClock;

    #[test]
    fn an_answer_that_is_told_once_in_a_second_still_counts_against_each_failure() {
        let clock = ManualClock::new();
        let connectivity = Arc::new(Connectivity::new(Arc::new(clock.clone())));
        let of = |host: &str| Witness::new(Arc::clone(&connectivity), host.to_owned());
        let (good, bad) = (of("a"), of("b"));
        for _ in 0..100 {
            good.note(Fact::Reached);
            bad.note(Fact::NoNetwork);
            assert_eq!(connectivity.state(), State::Offline);
            good.note(Fact::Reached);
            assert_eq!(connectivity.network().why, Why::Reached);
        }
        connectivity.link_changed(false);
        good.note(Fact::Reached);
        assert_eq!(connectivity.state(), State::Online);
    }

    #[test]
    fn a_host_that_answers_all_the_time_never_grows_old() {
        let clock = ManualClock::new();
        let connectivity = Arc::new(Connectivity::new(Arc::new(clock.clone())));
        let witness = Witness::new(Arc::clone(&connectivity), "a".to_owned());
        for _ in 0..1_000 {
            witness.note(Fact::Reached);
            clock.advance(Duration::from_millis(300));
            assert_eq!(connectivity.host("a"), Host::Reachable);
        }
    }

    #[test]
    fn each_host_is_wanted_to_be_probed_once_in_thirty_seconds_and_only_where_it_is_silent() {
        let clock = ManualClock::new();
        let connectivity = Connectivity::new(Arc::new(clock.clone()));
        connectivity.note("busy", Fact::Reached);
        let wanted = |host: &str| {
            let asked = 0..100;
            asked.filter(|_| connectivity.wants_probe_of(host)).count()
        };
        assert_eq!(["busy", "a", "b"].map(wanted), [0, 1, 1]);
        clock.advance(Duration::from_secs(30));
        assert_eq!(["busy", "a", "b"].map(wanted), [0, 0, 0]);
        clock.advance(Duration::from_secs(1));
        connectivity.note("a", Fact::Lost);
        assert_eq!(["busy", "a", "b"].map(wanted), [1, 0, 1]);
    }
}
