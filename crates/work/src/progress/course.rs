//! The way of one progress: its phases, how quickly it went, and its end.

use super::Count;
use super::snapshot::{ProgressState, Snapshot, Unit};
use mainstay_clock::Moment;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The rate is that of the last so long: long enough to be steady, short enough to notice a change.
const RATE_OVER: Duration = Duration::from_secs(10);

/// The time between two samples of it: 40 of them in that time.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Course {
    name: Arc<str>,
    begun: Moment,
    phases: u32,
    /// From 1.
    number: u32,
    phase: Option<Arc<str>>,
    unit: Unit,
    count: Arc<Count>,
    phase_begun: Moment,
    /// The most that was ever shown of the whole.
    fraction: f64,
    note: Option<Arc<str>>,
    samples: VecDeque<(Moment, u64)>,
    end: Option<End>,
    /// Grows with each change that is none of the count.
    pub(super) version: u64,
}

#[derive(Debug)]
struct End {
    state: ProgressState,
    at: Moment,
    done: u64,
}

/// What tells one state from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    version: u64,
    done: u64,
}

impl Course {
    pub(super) fn new(name: Arc<str>, count: Arc<Count>, now: Moment) -> Self {
        Self {
            name,
            begun: now,
            phases: 1,
            number: 1,
            phase: None,
            unit: Unit::Items,
            count,
            phase_begun: now,
            fraction: 0.0,
            note: None,
            samples: VecDeque::from([(now, 0)]),
            end: None,
            version: 0,
        }
    }

    pub(super) fn expect_phases(&mut self, phases: u32) {
        self.phases = phases.max(self.number);
    }

    pub(super) fn begin(&mut self, name: Arc<str>, unit: Unit, count: Arc<Count>, now: Moment) {
        let is_first = self.phase.is_none() && self.count.done() == 0;
        if !is_first {
            self.number += 1;
        }
        self.phases = self.phases.max(self.number);
        self.phase = Some(name);
        self.unit = unit;
        self.count = count;
        self.phase_begun = now;
        self.note = None;
        self.samples = VecDeque::from([(now, 0)]);
    }

    pub(super) fn note(&mut self, text: Arc<str>) {
        self.note = Some(text);
    }

    /// What counters do after this shows nowhere.
    pub(super) fn end(&mut self, state: ProgressState, at: Moment) {
        let done = self.count.done();
        self.end = Some(End { state, at, done });
    }

    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            version: self.version,
            done: self.done(),
        }
    }

    /// A snapshot, and the mark of exactly that.
    pub(super) fn look(&mut self, now: Moment) -> (Snapshot, Mark) {
        let snapshot = self.snapshot(now);
        let mark = Mark {
            version: self.version,
            done: snapshot.done,
        };
        (snapshot, mark)
    }

    pub(super) fn snapshot(&mut self, now: Moment) -> Snapshot {
        let (done, total) = (self.done(), self.count.total());
        // More than there was to do: then the total was a guess.
        let total = total.map(|total| total.max(done));
        let state = match &self.end {
            Some(end) => end.state.clone(),
            None => ProgressState::Running,
        };
        let now = self.end.as_ref().map_or(now, |end| end.at);
        let rate = self.rate(now, done);
        let left = total.map(|total| total - done);
        Snapshot {
            name: Arc::clone(&self.name),
            phase: self.phase.clone(),
            number: self.number,
            phases: self.phases,
            unit: self.unit,
            done,
            total,
            fraction: self.fraction(done, total, &state),
            rate,
            remaining: match state {
                ProgressState::Running => rate.zip(left).and_then(|(rate, left)| time(left, rate)),
                _ => None,
            },
            elapsed: now.since(self.begun),
            note: self.note.clone(),
            state,
        }
    }

    fn done(&self) -> u64 {
        match &self.end {
            Some(end) => end.done,
            None => self.count.done(),
        }
    }

    /// Of the whole; never less than it was.
    fn fraction(&mut self, done: u64, total: Option<u64>, state: &ProgressState) -> Option<f64> {
        if *state == ProgressState::Done {
            self.fraction = 1.0;
            return Some(1.0);
        }
        let of_phase = match total? {
            0 => 1.0,
            total => done as f64 / total as f64,
        };
        let before = f64::from(self.number - 1);
        let fraction = (before + of_phase) / f64::from(self.phases);
        self.fraction = fraction.clamp(self.fraction, 1.0);
        Some(self.fraction)
    }

    /// In one second: of the last while, and at the end of the whole phase. None while too little time has passed to tell.
    fn rate(&mut self, now: Moment, done: u64) -> Option<f64> {
        let (since, before) = if self.end.is_some() {
            (self.phase_begun, 0)
        } else {
            self.sample(now, done)
        };
        let time = now.since(since);
        (SAMPLE_EVERY <= time).then(|| done.saturating_sub(before) as f64 / time.as_secs_f64())
    }

    /// Notes how far it is, and answers the sample that the rate is counted from.
    fn sample(&mut self, now: Moment, done: u64) -> (Moment, u64) {
        // One that is as old as the rate is long stays, unless the next one is too.
        while let Some((second, _)) = self.samples.get(1)
            && RATE_OVER <= now.since(*second)
        {
            self.samples.pop_front();
        }
        let last = self.samples.back().map_or(self.phase_begun, |last| last.0);
        if SAMPLE_EVERY <= now.since(last) {
            self.samples.push_back((now, done));
        }
        self.samples
            .front()
            .copied()
            .unwrap_or((self.phase_begun, 0))
    }
}

/// None where it would take for ever.
fn time(left: u64, rate: f64) -> Option<Duration> {
    if rate <= 0.0 {
        return (left == 0).then_some(Duration::ZERO);
    }
    Duration::try_from_secs_f64(left as f64 / rate).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_of_the_rate_are_bounded() {
        let mut course = Course::new("x".into(), Arc::new(Count::new(None)), Moment::ORIGIN);
        for ms in 0..100_000 {
            course.snapshot(Moment::ORIGIN + Duration::from_millis(ms));
        }
        assert!(course.samples.len() <= 42, "{}", course.samples.len());
    }
}
