//! A check: what it is for, how often it is run, and what it answers.

use super::hysteresis::Hysteresis;
use crate::bounded::caught;
use crate::error::{Error, ErrorKind};
use crate::failure::{TaskError, told};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mainstay_clock::Moment;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// How something is; of several the worst counts, which is the last of these.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// As it should be.
    Healthy,
    /// Nobody knows; never taken for healthy.
    #[default]
    Unknown,
    /// It works, but not as it should.
    Degraded,
    /// It does not work.
    Unhealthy,
}

/// What a check saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    pub(super) state: HealthState,
    pub(super) message: String,
    pub(super) details: BTreeMap<String, String>,
    pub(super) runbook: Option<Cow<'static, str>>,
}

/// What a check may return.
pub trait CheckOutput: Send + 'static {
    /// As what it saw: an error is unhealthy, with its causes.
    fn into_observed(self) -> Observed;
}

/// What a check is for, and how it is run.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `live`, `ready` | no | it counts for the health of the whole alone |
/// | `interval` | 30 s | what somebody looks at once a minute is never old |
/// | `timeout` | 5 s | what takes longer does not work, for those who wait for it |
/// | `fresh_for` | 1 s | of many who ask at once, one has it run |
/// | `worse_after` | 1 | bad news is told at once |
/// | `better_after` | 2 | good news when it lasts, so that an alert does not flap |
/// | `runbook` | none | |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSpec {
    /// What people call it.
    pub name: Cow<'static, str>,
    /// Whether the process has to be started anew when it is unhealthy.
    pub live: bool,
    /// Whether nothing new can be taken while it is unhealthy.
    pub ready: bool,
    /// How often it is run.
    pub interval: Duration,
    /// It is given up after this, and counts as unhealthy.
    pub timeout: Duration,
    /// What it saw counts for so long for whoever asks.
    pub fresh_for: Duration,
    /// So many observations in a row have to be worse before it is told so.
    pub worse_after: u32,
    /// So many observations in a row have to be better before it is told so.
    pub better_after: u32,
    /// Where it is written what to do.
    pub runbook: Option<Cow<'static, str>>,
}

/// What is run.
enum Make {
    Task(Arc<dyn Fn() -> BoxFuture<'static, Observed> + Send + Sync>),
    Blocking(Arc<dyn Fn() -> Observed + Send + Sync>),
}

/// A check that is registered.
pub(super) struct Check {
    pub(super) spec: CheckSpec,
    make: Make,
    /// Held while it runs, so that it runs once at a time; inside is a run that was given up and has not come back.
    pub(super) turn: tokio::sync::Mutex<Option<Underway>>,
}

/// A run of a check.
pub(super) struct Underway {
    pub(super) run: JoinHandle<Observed>,
    pub(super) began: Moment,
}

// === impl HealthState ===

impl HealthState {
    /// All there are, the best first.
    pub const ALL: [Self; 4] = [
        Self::Healthy,
        Self::Unknown,
        Self::Degraded,
        Self::Unhealthy,
    ];

    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The worst of them; of none it is unknown.
    pub fn worst(states: impl IntoIterator<Item = Self>) -> Self {
        states.into_iter().max().unwrap_or_default()
    }
}

// === impl Observed ===

impl Observed {
    /// The details at most; more are left out.
    pub const DETAILS_MAX: usize = 32;
    /// The bytes of each text at most; what is cut ends with `…`.
    pub const TEXT_MAX: usize = 1_024;

    /// It is as it should be.
    pub fn healthy() -> Self {
        Self::new(HealthState::Healthy, "")
    }

    /// It works, but not as it should.
    pub fn degraded(why: impl fmt::Display) -> Self {
        Self::new(HealthState::Degraded, why)
    }

    /// It does not work.
    pub fn unhealthy(why: impl fmt::Display) -> Self {
        Self::new(HealthState::Unhealthy, why)
    }

    /// It cannot be told.
    pub fn unknown(why: impl fmt::Display) -> Self {
        Self::new(HealthState::Unknown, why)
    }

    /// The same, with a number or a word that helps to find out why.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        let key = cut(key.to_owned());
        if self.details.len() < Self::DETAILS_MAX || self.details.contains_key(&key) {
            self.details.insert(key, cut(value.to_string()));
        }
        self
    }

    /// The same, where something else has to be done than [`CheckSpec::runbook`] says.
    #[must_use]
    pub fn runbook(mut self, runbook: impl Into<Cow<'static, str>>) -> Self {
        self.runbook = Some(runbook.into());
        self
    }

    /// How it is.
    pub fn state(&self) -> HealthState {
        self.state
    }

    /// Why, as far as it was cut.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn new(state: HealthState, message: impl fmt::Display) -> Self {
        Self {
            state,
            message: cut(message.to_string()),
            details: BTreeMap::new(),
            runbook: None,
        }
    }
}

impl CheckOutput for Observed {
    fn into_observed(self) -> Observed {
        self
    }
}

impl<E: Into<TaskError> + Send + 'static> CheckOutput for Result<(), E> {
    fn into_observed(self) -> Observed {
        match self {
            Ok(()) => Observed::healthy(),
            Err(error) => Observed::unhealthy(told(&*error.into())),
        }
    }
}

impl<E: Into<TaskError> + Send + 'static> CheckOutput for Result<Observed, E> {
    fn into_observed(self) -> Observed {
        self.unwrap_or_else(|error| Observed::unhealthy(told(&*error.into())))
    }
}

// === impl CheckSpec ===

impl CheckSpec {
    /// The observations in a row at most that can be asked for: so many are remembered.
    pub const IN_A_ROW_MAX: u32 = 100;

    /// A check of this name, with the defaults.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            live: false,
            ready: false,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            fresh_for: Duration::from_secs(1),
            worse_after: 1,
            better_after: 2,
            runbook: None,
        }
    }

    /// The same; the process has to be started anew when it is unhealthy.
    #[must_use]
    pub fn live(self) -> Self {
        Self { live: true, ..self }
    }

    /// The same; nothing new can be taken while it is unhealthy.
    #[must_use]
    pub fn ready(self) -> Self {
        Self {
            ready: true,
            ..self
        }
    }

    /// The same, run so often, and given up after this.
    #[must_use]
    pub fn every(self, interval: Duration, timeout: Duration) -> Self {
        Self {
            interval,
            timeout,
            ..self
        }
    }

    /// The same; what it saw counts for so long for whoever asks.
    #[must_use]
    pub fn fresh_for(self, fresh_for: Duration) -> Self {
        Self { fresh_for, ..self }
    }

    /// The same, told as worse and as better after so many observations in a row.
    #[must_use]
    pub fn hysteresis(self, worse_after: u32, better_after: u32) -> Self {
        Self {
            worse_after,
            better_after,
            ..self
        }
    }

    /// The same, with where it is written what to do.
    #[must_use]
    pub fn runbook(self, runbook: impl Into<Cow<'static, str>>) -> Self {
        Self {
            runbook: Some(runbook.into()),
            ..self
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let many = 1..=Self::IN_A_ROW_MAX;
        let wrong = [
            ("name", self.name.is_empty()),
            ("interval", self.interval.is_zero()),
            ("timeout", self.timeout.is_zero()),
            ("worse_after", !many.contains(&self.worse_after)),
            ("better_after", !many.contains(&self.better_after)),
        ];
        match wrong.iter().find(|(_, is_wrong)| *is_wrong) {
            Some((setting, _)) => {
                let name = &self.name;
                let what = format!("cannot register the check `{name}`: `{setting}` cannot work");
                Err(Error::new(ErrorKind::Settings, what))
            }
            None => Ok(()),
        }
    }

    /// For how long an observation counts.
    pub(super) fn counts_for(&self) -> Duration {
        self.interval.saturating_mul(3).saturating_add(self.timeout)
    }

    pub(super) fn new_hysteresis(&self) -> Hysteresis {
        Hysteresis::new(self.worse_after, self.better_after)
    }
}

// === impl Check ===

impl Check {
    pub(super) fn new<F, Fut>(spec: CheckSpec, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: CheckOutput> + Send + 'static,
    {
        Self {
            spec,
            make: Make::Task(Arc::new(move || {
                check().map(CheckOutput::into_observed).boxed()
            })),
            turn: tokio::sync::Mutex::new(None),
        }
    }

    pub(super) fn blocking<T: CheckOutput>(
        spec: CheckSpec,
        check: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        Self {
            spec,
            make: Make::Blocking(Arc::new(move || check().into_observed())),
            turn: tokio::sync::Mutex::new(None),
        }
    }

    /// Begins a run. What this returns ends no sooner than the run does: one that blocks its thread shows by it.
    pub(super) fn begin(&self, runtime: &Handle) -> JoinHandle<Observed> {
        let panicked = |words| Observed::unhealthy(format!("it panicked: {words}"));
        match &self.make {
            // On a task of its own: one that blocks its thread holds up no other.
            Make::Task(make) => {
                let make = Arc::clone(make);
                runtime.spawn(async move {
                    match caught(|| make()) {
                        Ok(seen) => seen.await,
                        Err(words) => panicked(words),
                    }
                })
            }
            Make::Blocking(look) => {
                let look = Arc::clone(look);
                runtime.spawn_blocking(move || caught(|| look()).unwrap_or_else(panicked))
            }
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.spec.name).finish()
    }
}

fn cut(mut text: String) -> String {
    const MARK: char = '…';
    if Observed::TEXT_MAX < text.len() {
        text.truncate(text.floor_char_boundary(Observed::TEXT_MAX - MARK.len_utf8()));
        text.push(MARK);
    }
    text
}
