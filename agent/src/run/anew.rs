//! A queue of which a thread has died of a bug: it is told, and opened anew in another life of the agent, with the same settings.
//!
//! Without the thread that writes nothing can be taken or acknowledged; without the one that keeps house nothing is taken, and what
//! is delivered gives no space back. No task can be started again on such a queue, so all of them are stopped in order first. The
//! process stays: whoever asks is answered, and where nobody watches it nobody has to come and start it.
//!
//! # Defaults
//!
//! | what | number | why |
//! |---|---|---|
//! | pause before another life | 1 s | as before the first restart of a task |
//! | lives because of it | 3 in 5 min | those of a [`TaskSpec`](mainstay_supervise::TaskSpec): what it died of comes again at once otherwise |
//! | rest past that | 5 min | as of a task that failed for good; what was in the queue's way may have gone |

use super::tasks::{REST, Tasks, critical};
use crate::exit::Failure;
use crate::status::date;
use mainstay_clock::{Moment, SharedClock};
use mainstay_queue::Queue;
use mainstay_supervise::{RestartLimit, TaskContext, TaskError};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// It is opened again after this.
const PAUSE: Duration = Duration::from_secs(1);

/// The threads of the queue that died, in all lives of the agent.
#[derive(Debug, Clone, Default)]
pub(super) struct Deaths(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    count: u64,
    /// When lives began because of one: as many as the limit allows.
    lately: VecDeque<Moment>,
    /// What no life that works has heard of yet.
    news: Option<Death>,
}

/// When a thread of the queue died, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Death {
    at_ms: u64,
    why: String,
}

impl Death {
    /// In words.
    pub(super) fn told(&self) -> String {
        format!("the last run ended at {}: {}", date(self.at_ms), self.why)
    }
}

impl Deaths {
    /// Ready when a thread of this queue has died, and another life may begin.
    pub(super) async fn end(&self, queue: &Queue, clock: &SharedClock) {
        let why = queue.died().await;
        let pause = self.died(&why, clock);
        tracing::error!(why, after = ?pause, "the queue is opened anew");
        clock.sleep(pause).await;
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.seen().count
    }

    /// What the life before ended of; told once.
    pub(super) fn news(&self) -> Option<Death> {
        self.seen().news.take()
    }

    /// Answers how long it is left as it is.
    fn died(&self, why: &str, clock: &SharedClock) -> Duration {
        let (mut seen, now) = (self.seen(), clock.now());
        seen.count += 1;
        seen.news = Some(Death {
            at_ms: clock.wall(),
            why: why.to_owned(),
        });
        let limit = RestartLimit::default();
        seen.lately.retain(|began| now.since(*began) < limit.within);
        if limit.most as usize <= seen.lately.len() {
            seen.lately.clear();
            return REST;
        }
        seen.lately.push_back(now);
        PAUSE
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells of a queue of which a thread has died, as of a task that fails: until another life begins, it fails again.
///
/// # Errors
/// The agent is stopping already.
pub(super) fn watch(tasks: &Tasks, queue: &Queue) -> Result<(), Failure> {
    let queue = queue.clone();
    let spec = critical("the queue".to_owned());
    tasks.start(spec, move |context: TaskContext| {
        let queue = queue.clone();
        async move {
            tokio::select! {
                why = context.alive_while(queue.died(), || true) => Err(TaskError::from(why)),
                () = context.stopping() => Ok(()),
            }
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;

    #[test]
    fn a_queue_that_dies_is_opened_anew_three_times_in_five_minutes_and_rests_then() {
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        let deaths = Deaths::default();
        for _ in 0..2 {
            for _ in 0..3 {
                assert_eq!(deaths.died("a bug", &clock), PAUSE);
            }
            assert_eq!(deaths.died("a bug", &clock), REST);
        }
        assert_eq!(deaths.count(), 8);
        for _ in 0..10 {
            manual.advance(Duration::from_mins(2));
            assert_eq!(deaths.died("a bug", &clock), PAUSE);
        }
        let told = deaths.news().unwrap().told();
        assert!(told.ends_with(": a bug"), "{told}");
        assert_eq!(deaths.news(), None);
    }
}
