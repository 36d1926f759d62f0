//! What went wrong lately, and how often anything did.

use crate::class::{Category, Severity};
use crate::context::ErrorContext;
use crate::recent::Recent;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// The last errors, and counts of all that there ever were. Any number of threads may write and read.
///
/// # Defaults
///
/// | what | number | why |
/// |---|---|---|
/// | errors that are kept | 1,000 | some hundred KiB as errors are, and more than anybody reads |
/// | how far a subscriber may be behind | 256 | a burst; then it loses the oldest and is told how many |
///
/// What is kept is in memory: it ends with the process.
#[derive(Debug)]
pub struct ErrorLog {
    state: Mutex<State>,
    to_subscribers: broadcast::Sender<Arc<ErrorContext>>,
}

/// How many errors there were of each kind and severity since the log was made; what the log forgot is still counted.
///
/// It serializes as `total_errors`, and `by_category`: for each category the number for each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorCounts {
    counts: [[u64; Severity::ALL.len()]; Category::ALL.len()],
}

#[derive(Debug)]
struct State {
    recent: Recent<ErrorContext>,
    counts: ErrorCounts,
}

// === impl ErrorLog ===

impl ErrorLog {
    /// The errors that are kept unless said otherwise.
    pub const CAPACITY: usize = 1_000;
    /// The errors that a subscriber may be behind.
    pub const SUBSCRIBER_BEHIND_MAX: usize = 256;

    /// An empty one.
    pub fn new() -> Self {
        Self::with_capacity(Self::CAPACITY)
    }

    /// An empty one that keeps so many; with 0 it only counts, and tells its subscribers.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                recent: Recent::new(capacity),
                counts: ErrorCounts::default(),
            }),
            to_subscribers: broadcast::Sender::new(Self::SUBSCRIBER_BEHIND_MAX),
        }
    }

    /// Keeps, counts, and tells an error; it waits for no subscriber.
    pub fn record(&self, context: ErrorContext) -> Arc<ErrorContext> {
        let context = Arc::new(context);
        let mut state = self.state();
        state.counts.add(context.category(), context.severity());
        state.recent.push(Arc::clone(&context));
        // Under the lock, so that subscribers see the order of the log. That nobody listens is no fault.
        self.to_subscribers.send(Arc::clone(&context)).ok();
        drop(state);
        context
    }

    /// The last errors, the newest first, `limit` at most; none with 0.
    pub fn recent(&self, limit: usize) -> Vec<Arc<ErrorContext>> {
        self.state().recent.newest(limit)
    }

    /// How many there were of each kind.
    pub fn counts(&self) -> ErrorCounts {
        self.state().counts
    }

    /// Every error that is recorded from now on, in order.
    ///
    /// Whoever falls behind by more than [`SUBSCRIBER_BEHIND_MAX`](Self::SUBSCRIBER_BEHIND_MAX) loses the oldest, and learns
    /// from [`RecvError::Lagged`](broadcast::error::RecvError::Lagged) how many.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<ErrorContext>> {
        self.to_subscribers.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves half a change behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ErrorLog {
    fn default() -> Self {
        Self::new()
    }
}

// === impl ErrorCounts ===

impl ErrorCounts {
    /// The number of one kind and severity.
    pub fn of(&self, category: Category, severity: Severity) -> u64 {
        self.counts[category as usize][severity as usize]
    }

    /// The number of one kind.
    pub fn of_category(&self, category: Category) -> u64 {
        sum(Severity::ALL.map(|severity| self.of(category, severity)))
    }

    /// The number of one severity.
    pub fn of_severity(&self, severity: Severity) -> u64 {
        sum(Category::ALL.map(|category| self.of(category, severity)))
    }

    /// The number of all.
    pub fn total(&self) -> u64 {
        sum(Category::ALL.map(|category| self.of_category(category)))
    }

    fn add(&mut self, category: Category, severity: Severity) {
        let count = &mut self.counts[category as usize][severity as usize];
        *count = count.saturating_add(1);
    }
}

impl Serialize for ErrorCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("ErrorCounts", 2)?;
        map.serialize_field("total_errors", &self.total())?;
        map.serialize_field("by_category", &ByCategory(self))?;
        map.end()
    }
}

struct ByCategory<'a>(&'a ErrorCounts);

impl Serialize for ByCategory<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(Category::ALL.map(|category| (category, BySeverity(self.0, category))))
    }
}

struct BySeverity<'a>(&'a ErrorCounts, Category);

impl Serialize for BySeverity<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Severity::ALL.len()))?;
        for severity in Severity::ALL {
            map.serialize_entry(&severity, &self.0.of(self.1, severity))?;
        }
        map.end()
    }
}

fn sum<const N: usize>(counts: [u64; N]) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;
    use mainstay_clock::ManualClock;
    use std::io;
    use std::sync::Barrier;
    use tokio::sync::broadcast::error::TryRecvError;

    fn error(operation: &str, category: Category, severity: Severity) -> ErrorContext {
        let class = Class::permanent(category, severity);
        let error = io::Error::other("no");
        ErrorContext::classed(operation, &error, class, &ManualClock::new())
    }

    fn network(operation: usize) -> ErrorContext {
        error(&operation.to_string(), Category::Network, Severity::High)
    }

    fn operations(errors: &[Arc<ErrorContext>]) -> Vec<&str> {
        errors.iter().map(|error| error.operation()).collect()
    }

    #[test]
    fn the_newest_come_first_and_0_is_none() {
        let log = ErrorLog::with_capacity(3);
        for operation in 1..=5 {
            log.record(network(operation));
        }
        assert_eq!(operations(&log.recent(10)), ["5", "4", "3"]);
        assert_eq!(operations(&log.recent(2)), ["5", "4"]);
        assert!(log.recent(0).is_empty());
    }

    #[test]
    fn what_is_forgotten_stays_counted() {
        let log = ErrorLog::with_capacity(0);
        for _ in 0..7 {
            log.record(network(1));
        }
        log.record(error("b", Category::Network, Severity::Low));
        log.record(error("c", Category::Resource, Severity::High));
        assert!(log.recent(10).is_empty());
        let counts = log.counts();
        assert_eq!(counts.of(Category::Network, Severity::High), 7);
        assert_eq!(counts.of_category(Category::Network), 8);
        assert_eq!(counts.of_severity(Severity::High), 8);
        assert_eq!(counts.total(), 9);
    }

    #[test]
    fn a_count_at_its_end_stays_there() {
        let mut counts = ErrorCounts::default();
        counts.counts[Category::Unknown as usize][Severity::Critical as usize] = u64::MAX;
        counts.add(Category::Unknown, Severity::Critical);
        counts.add(Category::Unknown, Severity::Low);
        assert_eq!(counts.of(Category::Unknown, Severity::Critical), u64::MAX);
        assert_eq!(counts.total(), u64::MAX);
    }

    #[test]
    fn counts_are_told_by_name() {
        let log = ErrorLog::new();
        log.record(error("a", Category::Timeout, Severity::Medium));
        let json = serde_json::to_value(log.counts()).unwrap();
        assert_eq!(json["total_errors"], 1);
        let categories = json["by_category"].as_object().unwrap();
        assert_eq!(categories.len(), Category::ALL.len());
        assert_eq!(
            categories["timeout"],
            serde_json::json!({ "low": 0, "medium": 1, "high": 0, "critical": 0 })
        );
    }

    #[test]
    fn a_subscriber_gets_all_from_then_on_in_order() {
        let log = ErrorLog::new();
        log.record(network(0));
        let mut subscriber = log.subscribe();
        let first = log.record(network(1));
        log.record(network(2));
        assert!(Arc::ptr_eq(&subscriber.try_recv().unwrap(), &first));
        assert_eq!(subscriber.try_recv().unwrap().operation(), "2");
        assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn a_slow_subscriber_holds_nobody_up_and_learns_what_it_lost() {
        let log = ErrorLog::new();
        let mut subscriber = log.subscribe();
        for operation in 0..ErrorLog::SUBSCRIBER_BEHIND_MAX + 10 {
            log.record(network(operation));
        }
        assert_eq!(subscriber.try_recv(), Err(TryRecvError::Lagged(10)));
        assert_eq!(subscriber.try_recv().unwrap().operation(), "10");
    }

    #[test]
    fn threads_lose_nothing_and_subscribers_see_the_order_of_the_log() {
        const EACH: usize = ErrorLog::SUBSCRIBER_BEHIND_MAX / 4;
        for _ in 0..50 {
            let log = ErrorLog::new();
            let mut subscriber = log.subscribe();
            let start = Barrier::new(4);
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (log, start) = (&log, &start);
                    scope.spawn(move || {
                        start.wait();
                        (0..EACH).for_each(|_| drop(log.record(network(thread))));
                    });
                }
            });
            assert_eq!(log.counts().total(), 4 * EACH as u64);
            let mut told: Vec<_> = std::iter::from_fn(|| subscriber.try_recv().ok()).collect();
            told.reverse();
            assert_eq!(told, log.recent(usize::MAX));
        }
    }
}
