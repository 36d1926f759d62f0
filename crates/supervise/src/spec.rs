//! What a task is to be: how bad its end would be, and what to do then.

use crate::error::{Error, ErrorKind};
use mainstay_resilience::{Backoff, Jitter};
use std::borrow::Cow;
use std::time::Duration;

/// When a task that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Never: its first failure is its last.
    Never,
    /// When it failed.
    OnFailure,
    /// Whenever it ended, unless it was asked to.
    Always,
}

/// Until when a task is expected to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Until {
    /// Until it is asked to stop; an end before that is a failure, however well it went.
    Stopped,
    /// Until its work is done.
    Done,
}

/// How often a task that fails is started again, before it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartLimit {
    /// So many restarts.
    pub most: u32,
    /// Within this time.
    pub within: Duration,
}

/// What a task is to be.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `critical` | no | what is critical says so |
/// | `until` | stopped | most tasks here live as long as the process |
/// | `restart` | on failure | most failures pass |
/// | `backoff` | 1 s, doubling to 30 s, half of it random | the first restart is soon, and not in step with others |
/// | `limit` | 3 restarts in 5 min | what fails a fourth time in that time does not heal by itself |
/// | `rest` | none | what failed for good is for a person, unless somebody knows better |
/// | `heartbeat` | none | only who beats can be missed |
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSpec {
    /// What people call it.
    pub name: Cow<'static, str>,
    /// Whether the service is in error without it; without another one it is degraded.
    pub critical: bool,
    /// Until when it is expected to run.
    pub until: Until,
    /// When it is started again.
    pub restart: Restart,
    /// The waits before that.
    pub backoff: Backoff,
    /// How often at most.
    pub limit: RestartLimit,
    /// So long after it failed for good it is started once more, with a new limit: causes may go away by themselves.
    pub rest: Option<Duration>,
    /// It beats at least so often ([`TaskContext::beat`](crate::TaskContext::beat)), or counts as hanging.
    pub heartbeat: Option<Duration>,
}

// === impl RestartLimit ===

impl RestartLimit {
    /// The restarts at most that can be asked for: each is remembered for the time of the limit.
    pub const MOST_MAX: u32 = 10_000;
}

impl Default for RestartLimit {
    fn default() -> Self {
        Self {
            most: 3,
            within: Duration::from_mins(5),
        }
    }
}

// === impl TaskSpec ===

impl TaskSpec {
    /// A task of this name, with the defaults.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            critical: false,
            until: Until::Stopped,
            restart: Restart::OnFailure,
            backoff: Backoff::doubling(Duration::from_secs(1), Duration::from_secs(30))
                .with_jitter(Jitter::Equal),
            limit: RestartLimit::default(),
            rest: None,
            heartbeat: None,
        }
    }

    /// The same; the service is in error without it.
    #[must_use]
    pub fn critical(self) -> Self {
        Self {
            critical: true,
            ..self
        }
    }

    /// The same, with an end of its own that is no failure.
    #[must_use]
    pub fn until_done(self) -> Self {
        Self {
            until: Until::Done,
            ..self
        }
    }

    /// The same, started again by this rule.
    #[must_use]
    pub fn restart(self, restart: Restart) -> Self {
        Self { restart, ..self }
    }

    /// The same, with these waits before a restart.
    #[must_use]
    pub fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// The same, given up after so many restarts.
    #[must_use]
    pub fn limit(self, most: u32, within: Duration) -> Self {
        Self {
            limit: RestartLimit { most, within },
            ..self
        }
    }

    /// The same, started once more so long after it failed for good.
    #[must_use]
    pub fn rest(self, rest: Duration) -> Self {
        Self {
            rest: Some(rest),
            ..self
        }
    }

    /// The same; it beats at least so often, or counts as hanging.
    #[must_use]
    pub fn heartbeat(self, deadline: Duration) -> Self {
        Self {
            heartbeat: Some(deadline),
            ..self
        }
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refused = |what: &str| {
            let what = format!("cannot start `{}`: {what}", self.name);
            Err(Error::new(ErrorKind::Settings, what))
        };
        if self.name.is_empty() {
            return refused("a task needs a name");
        }
        if self.heartbeat.is_some_and(|deadline| deadline.is_zero()) {
            return refused("`heartbeat` is 0, nobody beats so often");
        }
        if self.rest.is_some_and(|rest| rest.is_zero()) {
            return refused("`rest` is 0, which is none");
        }
        if self.restart == Restart::Never {
            return if self.rest.is_some() {
                refused("`rest` is for what may be started again")
            } else {
                Ok(())
            };
        }
        if self.backoff.initial.is_zero() {
            return refused("`backoff` begins with no wait, restarts would take all there is");
        }
        if self.limit.within.is_zero() || RestartLimit::MOST_MAX < self.limit.most {
            return refused("`limit` needs a time, and at most 10,000 restarts in it");
        }
        Ok(self.backoff.check()?)
    }
}
