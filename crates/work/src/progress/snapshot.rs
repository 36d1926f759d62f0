//! How far something is at one moment, for people and for programs.

use crate::bytes::Bytes;
use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Files, documents, lines.
    #[default]
    Items,
    /// Bytes.
    Bytes,
}

/// Whether it goes on, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum ProgressState {
    /// It goes on.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed {
        /// Why.
        #[serde(serialize_with = "text")]
        why: Arc<str>,
    },
    /// It was cancelled.
    Cancelled,
    /// Nobody goes on with it, and nobody said why.
    Abandoned,
}

/// How far something is at one moment. As JSON it is an event for a console; as text, a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// What it is.
    #[serde(serialize_with = "text")]
    pub name: Arc<str>,
    /// The phase it is in, where it has names for them.
    #[serde(serialize_with = "optional_text")]
    pub phase: Option<Arc<str>>,
    /// The number of the phase, from 1.
    pub number: u32,
    /// How many phases there are, as far as is known.
    pub phases: u32,
    /// What is counted.
    pub unit: Unit,
    /// How much is done in this phase; never less than in a snapshot of this phase that was made before.
    pub done: u64,
    /// How much there is to do in this phase.
    pub total: Option<u64>,
    /// How much of the whole is done, from 0 to 1; never less than before. None while no total is known.
    pub fraction: Option<f64>,
    /// How much is done in a second: in the last 10 s, and once it has ended in its last phase.
    pub rate: Option<f64>,
    /// How long this phase takes yet at that rate. None where that cannot be told, or it stands still.
    #[serde(rename = "remaining_ms", serialize_with = "optional_ms")]
    pub remaining: Option<Duration>,
    /// How long it has taken.
    #[serde(rename = "elapsed_ms", serialize_with = "ms")]
    pub elapsed: Duration,
    /// What is under way right now.
    #[serde(serialize_with = "optional_text")]
    pub note: Option<Arc<str>>,
    /// Whether it goes on.
    pub state: ProgressState,
}

impl Snapshot {
    /// Whether nothing comes after this.
    pub fn is_last(&self) -> bool {
        self.state != ProgressState::Running
    }
}

/// ``scrub, reading (2 of 3): 1.5 of 3.0 MiB (50 %), 512.0 KiB/s, 3 s left``.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(phase) = &self.phase {
            write!(f, ", {phase}")?;
        }
        if 1 < self.phases {
            write!(f, " ({} of {})", self.number, self.phases)?;
        }
        f.write_str(": ")?;
        match self.unit {
            Unit::Items => self.amounts(f, |amount| amount)?,
            Unit::Bytes => self.amounts(f, Bytes)?,
        }
        if let Some(fraction) = self.fraction {
            // Rounded down: 100 % is when it is done.
            write!(f, " ({} %)", (fraction * 100.0) as u32)?;
        }
        match (self.rate, self.unit) {
            (Some(rate), Unit::Items) => write!(f, ", {rate:.1}/s")?,
            (Some(rate), Unit::Bytes) => write!(f, ", {}/s", Bytes(rate as u64))?,
            (None, _) => {}
        }
        if let Some(remaining) = self.remaining {
            write!(f, ", {} left", Short(remaining))?;
        }
        if let Some(note) = &self.note {
            write!(f, ", {note}")?;
        }
        match &self.state {
            ProgressState::Running => Ok(()),
            ProgressState::Done => write!(f, ", done in {}", Short(self.elapsed)),
            ProgressState::Failed { why } => write!(f, ", failed: {why}"),
            ProgressState::Cancelled => f.write_str(", cancelled"),
            ProgressState::Abandoned => f.write_str(", abandoned"),
        }
    }
}

impl Snapshot {
    fn amounts<T: fmt::Display>(
        &self,
        f: &mut fmt::Formatter<'_>,
        amount: impl Fn(u64) -> T,
    ) -> fmt::Result {
        write!(f, "{}", amount(self.done))?;
        match self.total {
            Some(total) => write!(f, " of {}", amount(total)),
            None => Ok(()),
        }
    }
}

/// A time in two numbers at most.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            // Whole seconds would make half a second 0.
            0..10 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            seconds @ 10..120 => write!(f, "{seconds} s"),
            seconds @ 120..7_200 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            seconds => write!(f, "{} h {} min", seconds / 3_600, seconds / 60 % 60),
        }
    }
}

fn ms<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[expect(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
fn optional_ms<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => ms(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// Names are shared, which serde would have to know.
pub(crate) fn text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

#[expect(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
fn optional_text<S: Serializer>(text: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(serializer)
}
