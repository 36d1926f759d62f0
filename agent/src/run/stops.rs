//! How the earlier lives of the agent ended: what is told at its start, and for a while after it.

use super::anew::{Death, Deaths};
use crate::data::DataDir;
use crate::terminal::{self, Count};
use mainstay_clock::{Moment, SharedClock};
use mainstay_supervise::{
    BadStops, RecordedLife, RecordedStop, StopOutcome, StopRecord, StopReport,
};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The longest that is read of the record, in bytes: 32 lives with 16 complaints each have far less.
const LEN_MAX: u64 = 1024 * 1024;

/// So long after the start it is told that the life before did not end well.
const TOLD: Duration = Duration::from_mins(10);

/// So long after the start it is told that several in a row did not: by then this one holds.
const RUN_TOLD: Duration = Duration::from_hours(1);

/// The lives of this data folder, this one among them.
#[derive(Debug)]
pub(crate) struct LastStops {
    file: PathBuf,
    record: Mutex<StopRecord>,
    /// The life before this one.
    before: Option<RecordedLife>,
    bad: Option<BadStops>,
    began: Moment,
    deaths: Deaths,
    /// What the life before ended of, where that was its queue.
    death: Option<Death>,
}

/// What is to be told of the lives before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// In words.
    pub(crate) words: String,
    /// Whether the last one was not stopped at all (it was killed, crashed, or lost its power), or was because its queue had died.
    pub(crate) has_crashed: bool,
}

impl LastStops {
    /// Reads what is known, and begins a life. Blocks; nothing is written yet.
    pub(crate) fn begin(data: &DataDir, clock: &SharedClock) -> Self {
        let file = data.path().join("stops.json");
        let mut record = read(&file);
        let before = record.lives().last().cloned();
        let bad = record.started(clock.wall());
        Self {
            file,
            record: Mutex::new(record),
            before,
            bad,
            began: clock.now(),
            deaths: Deaths::default(),
            death: None,
        }
    }

    /// It comes after a life of this process, which may have ended of the death of its queue.
    pub(super) fn after(&mut self, deaths: &Deaths) {
        self.deaths = deaths.clone();
        self.death = deaths.news();
    }

    /// Writes down that this life began. Blocks.
    pub(super) fn write(&self) {
        self.change(|_| {});
    }

    /// Writes down how it ended. Blocks.
    pub(super) fn ended(&self, report: &StopReport) {
        self.change(|record| record.stopped(report));
    }

    /// Warns of a run of bad stops.
    pub(super) fn warn(&self) {
        if let Some(bad) = &self.bad {
            terminal::warn(&format!("{}; see `mainstay runbook crash-loop`", run(bad)));
        }
    }

    /// How the last life ended, in words; none before the first.
    pub(crate) fn last(&self) -> Option<String> {
        Some(match &self.before.as_ref()?.stop {
            None => "was not stopped: it was killed, crashed, or lost its power".to_owned(),
            Some(stop) => how(stop) + &phases(stop) + &became(stop),
        })
    }

    /// The stop of the last life; none before the first, and where it was not stopped.
    pub(crate) fn last_report(&self) -> Option<RecordedStop> {
        self.before.as_ref()?.stop.clone()
    }

    /// When the last life began, in milliseconds since 1970, where it was not stopped: it was killed, crashed, or lost its power.
    pub(crate) fn crashed(&self) -> Option<u64> {
        let before = self.before.as_ref()?;
        before.stop.is_none().then_some(before.started_ms)
    }

    /// What was not well at the end of the lives before, while that is news.
    pub(crate) fn told(&self, now: Moment) -> Option<Told> {
        let age = now.since(self.began);
        if let Some(death) = &self.death
            && age < TOLD
        {
            return Some(Told {
                words: death.told(),
                has_crashed: true,
            });
        }
        let before = self.before.as_ref()?;
        let has_crashed = before.stop.is_none();
        if let Some(bad) = &self.bad
            && age < RUN_TOLD
        {
            return Some(Told {
                words: run(bad),
                has_crashed,
            });
        }
        let outcome = before.stop.as_ref().map(|stop| stop.outcome);
        let is_news = age < TOLD && matches!(outcome, None | Some(StopOutcome::Unclean));
        is_news.then(|| Told {
            words: format!("the last run {}", self.last().unwrap_or_default()),
            has_crashed,
        })
    }

    /// How lives ended, and how often the queue died, in the text format of Prometheus.
    pub(crate) fn prometheus(&self) -> String {
        let record = self.record.lock();
        let record = record.unwrap_or_else(PoisonError::into_inner).prometheus();
        let (name, deaths) = ("mainstay_queue_deaths_total", self.deaths.count());
        format!("{record}# TYPE {name} counter\n{name} {deaths}\n")
    }

    fn change(&self, change: impl FnOnce(&mut StopRecord)) {
        // Held while it is written: the last change is what stays.
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut record);
        let written = serde_json::to_vec(&*record)
            .map_err(|error| error.to_string())
            .and_then(|text| {
                mainstay_files::replace(&self.file, &text).map_err(|error| error.to_string())
            });
        if let Err(error) = written {
            tracing::warn!("how the agent ends cannot be written down: {error}");
        }
    }
}

/// How a stop ended.
fn how(stop: &RecordedStop) -> String {
    let took = seconds(stop.took_ms);
    match stop.outcome {
        StopOutcome::Clean => format!("stopped cleanly in {took}"),
        StopOutcome::AtOnce => "was told twice to stop, and did so at once".to_owned(),
        StopOutcome::Unclean => {
            let complaints = stop.complaints.join("; ");
            format!("did not finish its stop in {took}: {complaints}")
        }
    }
}

/// How long each phase of it took; nothing where that is not known.
fn phases(stop: &RecordedStop) -> String {
    let phases = stop.phases.iter();
    let each: Vec<String> = phases
        .map(|phase| {
            let name = phase.phase.name().replace('_', " ");
            format!("{name} {}", seconds(phase.took_ms))
        })
        .collect();
    if each.is_empty() {
        return String::new();
    }
    format!(" ({})", each.join(", "))
}

/// What became of what was under way; nothing where that is not known.
fn became(stop: &RecordedStop) -> String {
    stop.drained.map_or_else(String::new, |drained| {
        format!(
            "; {} finished, {} given up, {} left for the next start",
            drained.completed, drained.cancelled, drained.left
        )
    })
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1_000.0)
}

fn run(bad: &BadStops) -> String {
    let runs = Count(bad.in_a_row as u64, "run");
    let crashed = bad.not_stopped;
    let last = bad.complaints.join("; ");
    let last = if last.is_empty() {
        last
    } else {
        format!(": {last}")
    };
    format!("the last {runs} did not end well, {crashed} of them without a stop{last}")
}

/// What was written down; nothing where there is nothing, or it cannot be understood.
fn read(file: &Path) -> StopRecord {
    let Ok((open, facts)) = mainstay_files::open_regular(file) else {
        return StopRecord::default();
    };
    if LEN_MAX < facts.len {
        return StopRecord::default();
    }
    serde_json::from_reader(std::io::BufReader::new(open)).unwrap_or_else(|error| {
        tracing::warn!(%error, "how earlier runs ended cannot be read; it begins anew");
        StopRecord::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use std::sync::Arc;

    #[test]
    fn a_life_that_was_not_stopped_is_told_for_ten_minutes_and_a_run_of_them_for_an_hour() {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::at(root.path()).unwrap();
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        let first = LastStops::begin(&data, &clock);
        assert_eq!(first.told(clock.now()), None);
        first.write();

        let second = LastStops::begin(&data, &clock);
        second.write();
        let told = second.told(clock.now()).unwrap();
        assert!(told.has_crashed);
        assert!(told.words.contains("was not stopped"), "{told:?}");
        manual.advance(TOLD);
        assert_eq!(second.told(clock.now()), None);

        for _ in 0..2 {
            LastStops::begin(&data, &clock).write();
        }
        let fifth = LastStops::begin(&data, &clock);
        manual.advance(TOLD);
        let told = fifth.told(clock.now()).unwrap();
        assert!(told.words.contains("the last 4 runs"), "{told:?}");
        manual.advance(RUN_TOLD);
        assert_eq!(fifth.told(clock.now()), None);
    }

    #[test]
    fn a_record_that_is_no_record_holds_up_nothing() {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::at(root.path()).unwrap();
        mainstay_files::replace(&root.path().join("stops.json"), b"{ not json").unwrap();
        let clock: SharedClock = Arc::new(ManualClock::new());
        let life = LastStops::begin(&data, &clock);
        assert_eq!(life.last(), None);
        life.write();
        assert!(LastStops::begin(&data, &clock).last().is_some());
    }
}
