//! Running checks: side by side, each once at a time, none longer than it may.

use super::check::{Check, HealthState, Observed, Underway};
use super::snapshot::{HealthSnapshot, Observation, Readiness};
use super::{Health, book::Entry};
use crate::TaskContext;
use crate::bounded::words_of_end;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use mainstay_clock::Moment;
use mainstay_resilience::within;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// Gives a run up when its caller goes away, or its time is over; one that came to its end takes no harm, nor one that blocks.
struct GivesUp(AbortHandle);

impl Drop for GivesUp {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Health {
    /// Runs every check whenever it is due, as a task that beats by itself, until that is to stop. What it began is given up with it.
    pub async fn run(&self, context: &TaskContext) {
        let mut under_way = BTreeSet::new();
        let mut runs = FuturesUnordered::new();
        loop {
            context.beat();
            let registered = self.shared.registered.notified();
            tokio::pin!(registered);
            // Registered before it is looked what is due, so that a check that comes in between is not missed.
            registered.as_mut().enable();
            let (due, next) = self.due(&under_way);
            for check in due {
                under_way.insert(check.spec.name.to_string());
                runs.push(async move {
                    self.observe(&check, Duration::ZERO).await;
                    check.spec.name.to_string()
                });
            }
            tokio::select! {
                biased;
                () = context.stopping() => return,
                Some(name) = runs.next() => {
                    under_way.remove(&name);
                }
                () = registered => {}
                () = self.shared.clock.sleep(next) => {}
                () = context.beat_due() => {}
            }
        }
    }

    /// Runs all checks side by side, but for those whose last observation is fresh; answers how all stands then.
    pub async fn check_all(&self) -> HealthSnapshot {
        self.observe_all(|_| true).await;
        self.snapshot()
    }

    /// Whether something new can be taken now. Checks of readiness are run, but for those whose last observation is fresh; ready is
    /// who has at least one, and none that is unknown or unhealthy, be it in what was seen last or in what counts.
    pub async fn readiness(&self) -> Readiness {
        self.observe_all(|check| check.spec.ready).await;
        let snapshot = self.snapshot();
        let mut why = Vec::new();
        let mut any = false;
        for (name, check) in snapshot.checks.iter().filter(|(_, check)| check.ready) {
            any = true;
            let last = check.last.as_ref();
            let seen = last.map_or(HealthState::Unknown, |last| last.state);
            let is_good = |state| matches!(state, HealthState::Healthy | HealthState::Degraded);
            if !(is_good(seen) && is_good(check.state)) {
                let worse = if is_good(seen) { check.state } else { seen };
                let message = last.map_or("", |last| &last.message);
                why.push(format!("{name} is {}: {message}", worse.name()));
            }
        }
        if !any {
            why.push("no check of readiness is registered".to_owned());
        }
        Readiness {
            is_ready: why.is_empty(),
            why,
        }
    }

    async fn observe_all(&self, wanted: impl Fn(&Check) -> bool) {
        let checks: Vec<Arc<Check>> = {
            let book = self.book();
            let all = book.checks.values().map(|entry| &entry.check);
            all.filter(|check| wanted(check)).map(Arc::clone).collect()
        };
        let runs = checks
            .iter()
            .map(|check| self.observe(check, check.spec.fresh_for));
        join_all(runs).await;
    }

    /// The checks that are due, and how long it is to the next one.
    fn due(&self, under_way: &BTreeSet<String>) -> (Vec<Arc<Check>>, Duration) {
        let now = self.shared.clock.now();
        let left = |entry: &Entry| {
            let interval = entry.check.spec.interval;
            let ran = entry.run_at;
            ran.map_or(Duration::ZERO, |run| {
                interval.saturating_sub(now.since(run))
            })
        };
        let (mut due, mut next) = (Vec::new(), Duration::MAX);
        for (name, entry) in &self.book().checks {
            match left(entry) {
                _ if under_way.contains(name) => {}
                Duration::ZERO => due.push(Arc::clone(&entry.check)),
                left => next = next.min(left),
            }
        }
        (due, next)
    }

    /// Runs a check, unless it was run within `age`; one that is under way is waited for.
    async fn observe(&self, check: &Arc<Check>, age: Duration) {
        let clock = &*self.shared.clock;
        let asked = clock.now();
        let mut turn = check.turn.lock().await;
        if self.is_fresh(check, age, asked) {
            return;
        }
        let (began, limit) = (clock.now(), check.spec.timeout);
        if let Some(earlier) = turn.as_mut() {
            // What is given up hears of it at its next wait, and has as long as it may take for coming there.
            let until = earlier.began + limit + limit;
            if within(clock, until.since(began), &mut earlier.run)
                .await
                .is_none()
            {
                // Another would hang beside it.
                let why = "an earlier run has not come back, something blocks it";
                return self.saw(check, Observed::unhealthy(why), began);
            }
            *turn = None;
        }
        let began = clock.now();
        let run = check.begin(&self.shared.runtime);
        let _gives_up = GivesUp(run.abort_handle());
        let underway = turn.insert(Underway { run, began });
        let ended = within(clock, limit, &mut underway.run).await;
        if ended.is_some() {
            *turn = None;
        }
        let seen = match ended {
            Some(Ok(seen)) => seen,
            Some(Err(error)) => {
                Observed::unhealthy(format!("it panicked: {}", words_of_end(error)))
            }
            None => {
                let seconds = limit.as_secs_f64();
                Observed::unhealthy(format!("no answer within {seconds:.1} s"))
            }
        };
        self.saw(check, seen, began);
    }

    /// Whether it was run within `age`, or by somebody whom the caller waited for.
    fn is_fresh(&self, check: &Check, age: Duration, asked: Moment) -> bool {
        let book = self.book();
        let entry = book.checks.get(&*check.spec.name);
        let run_at = entry.and_then(|entry| entry.run_at);
        run_at.is_some_and(|run| asked < run || self.shared.clock.now().since(run) < age)
    }

    fn saw(&self, check: &Arc<Check>, seen: Observed, began: Moment) {
        let clock = &self.shared.clock;
        let now = clock.now();
        let observation = Observation {
            state: seen.state,
            message: seen.message,
            details: seen.details,
            runbook: seen.runbook.map(Cow::into_owned),
            at_ms: clock.wall(),
            took_us: now.since(began).as_micros() as u64,
        };
        let mut book = self.book();
        if let Some(change) = book.saw(check, observation, now) {
            self.tell(change);
        }
        self.reviewed(&mut book);
    }
}
