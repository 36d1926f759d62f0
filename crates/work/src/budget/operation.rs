//! One operation: measured by a guard, and what lay above its target kept.

use super::report::{OperationReport, Reading, Violation};
use super::samples::Samples;
use super::{Amount, Level, MeasuredIn, Outcome, sealed};
use crate::error::{Error, ErrorKind};
use mainstay_clock::{Moment, SharedClock};
use std::collections::VecDeque;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many violations are kept: a bad hour, in 20 KiB.
const VIOLATIONS_MAX: usize = 256;

/// An operation with a budget; clones are the same.
#[derive(Debug, Clone)]
pub struct Operation<T> {
    pub(super) core: Arc<Core>,
    pub(super) measures: PhantomData<fn(T)>,
}

/// Measures the time until it is dropped, whatever the way out: by `?`, by a return, by a panic.
#[derive(Debug)]
#[must_use = "it measures until it is dropped, which is at once"]
pub struct Measuring<'a> {
    core: &'a Core,
    begun: Moment,
    place: &'static Location<'static>,
    outcome: Outcome,
}

#[derive(Debug)]
pub(super) struct Core {
    name: &'static str,
    pub(super) unit: MeasuredIn,
    limits: [u64; 3],
    clock: SharedClock,
    samples: Mutex<Samples>,
    violations: Arc<Violations>,
}

/// The newest violations of all operations together.
#[derive(Debug, Default)]
pub(super) struct Violations {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    newest: VecDeque<Violation>,
    forgotten: u64,
}

// === impl Operation ===

impl<T: Amount> Operation<T> {
    /// The name of the operation.
    pub fn name(&self) -> &'static str {
        self.core.name
    }

    /// Notes what it took, however that was measured.
    #[track_caller]
    pub fn record(&self, amount: T, outcome: Outcome) -> Level {
        let place = Location::caller();
        self.core
            .record(sealed::Sealed::number(amount), outcome, place)
    }
}

impl Operation<Duration> {
    /// Measures from here until the guard is dropped.
    #[track_caller]
    pub fn start(&self) -> Measuring<'_> {
        Measuring {
            core: &self.core,
            begun: self.core.clock.now(),
            place: Location::caller(),
            outcome: Outcome::Left,
        }
    }

    /// Measures a call: an `Err` has failed, and takes as long as anything.
    ///
    /// # Errors
    ///
    /// Those of `run`, as they are.
    #[track_caller]
    pub fn measure<R, E>(&self, run: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        let measuring = self.start();
        let result = run();
        measuring.end(result.is_ok());
        result
    }

    /// Measures a future from its first poll to its end; one that is dropped before was left.
    ///
    /// # Errors
    ///
    /// Those of `run`, as they are.
    #[track_caller]
    pub fn measure_async<R, E, F>(
        &self,
        run: F,
    ) -> impl Future<Output = Result<R, E>> + use<R, E, F>
    where
        F: Future<Output = Result<R, E>>,
    {
        let place = Location::caller();
        let core = Arc::clone(&self.core);
        async move {
            let measuring = Measuring {
                core: &core,
                begun: core.clock.now(),
                place,
                outcome: Outcome::Left,
            };
            let result = run.await;
            measuring.end(result.is_ok());
            result
        }
    }
}

// === impl Measuring ===

impl Measuring<'_> {
    /// It is done.
    pub fn finish(self) {
        self.end(true);
    }

    /// It failed.
    pub fn fail(self) {
        self.end(false);
    }

    fn end(mut self, is_ok: bool) {
        self.outcome = if is_ok {
            Outcome::Finished
        } else {
            Outcome::Failed
        };
    }
}

impl Drop for Measuring<'_> {
    fn drop(&mut self) {
        let took = self.core.clock.now().since(self.begun);
        if self.outcome == Outcome::Left && thread::panicking() {
            self.outcome = Outcome::Panicked;
        }
        let number = sealed::Sealed::number(took);
        self.core.record(number, self.outcome, self.place);
    }
}

// === impl Core ===

impl Core {
    pub(super) fn new(
        name: &'static str,
        unit: MeasuredIn,
        limits: [u64; 3],
        clock: SharedClock,
        violations: Arc<Violations>,
    ) -> Result<Self, Error> {
        let samples = Samples::new(unit).map_err(|error| {
            let text = format!("there is no histogram for `{name}`");
            Error::with_source(ErrorKind::System, text, error)
        })?;
        Ok(Self {
            name,
            unit,
            limits,
            clock,
            samples: Mutex::new(samples),
            violations,
        })
    }

    fn record(&self, amount: u64, outcome: Outcome, place: &'static Location<'static>) -> Level {
        let level = Level::of(self.limits, amount);
        self.samples().add(amount, level, outcome);
        if level != Level::Ok {
            self.violate(amount, level, outcome, place);
        }
        level
    }

    #[cold]
    fn violate(
        &self,
        amount: u64,
        level: Level,
        outcome: Outcome,
        place: &'static Location<'static>,
    ) {
        let violation = Violation {
            operation: self.name,
            took: self.reading(amount),
            target: self.reading(self.limits[0]),
            level,
            outcome,
            place: place.to_string(),
            wall_ms: self.clock.wall(),
        };
        tracing::debug!(
            operation = self.name,
            level = level.as_str(),
            place = %place,
            "{} is more than the target of {}",
            violation.took,
            violation.target
        );
        self.violations.push(violation);
    }

    pub(super) fn report(&self) -> OperationReport {
        let samples = self.samples();
        let reading = |number| self.reading(number);
        let [target, warn, critical] = self.limits.map(reading);
        OperationReport {
            name: self.name,
            target,
            warn,
            critical,
            count: samples.count,
            sum: samples.sum,
            most: reading(samples.most),
            levels: samples.levels,
            outcomes: samples.outcomes,
            recent: samples.recent().map(|recent| recent.map(reading)),
            whole: samples.whole().map(|whole| whole.map(reading)),
        }
    }

    fn reading(&self, number: u64) -> Reading {
        match self.unit {
            MeasuredIn::Nanoseconds => Reading::Time(Duration::from_nanos(number)),
            MeasuredIn::Bytes => Reading::Memory(crate::bytes::Bytes(number)),
        }
    }

    fn samples(&self) -> MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Violations ===

impl Violations {
    fn push(&self, violation: Violation) {
        let mut kept = self.kept();
        if VIOLATIONS_MAX <= kept.newest.len() {
            kept.newest.pop_front();
            kept.forgotten += 1;
        }
        kept.newest.push_back(violation);
    }

    /// The newest first.
    pub(super) fn newest(&self) -> Vec<Violation> {
        self.kept().newest.iter().rev().cloned().collect()
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.kept().forgotten
    }

    pub(super) fn clear(&self) {
        let mut kept = self.kept();
        kept.forgotten += kept.newest.len() as u64;
        kept.newest.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
