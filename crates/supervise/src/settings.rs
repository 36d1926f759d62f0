//! What a supervisor watches, and how often it looks.

use crate::error::{Error, ErrorKind};
use std::time::Duration;

/// What a supervisor watches, and how often it looks.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `look` | 30 s | what has no deadline of its own is seen by then; deaths and deadlines are seen at once |
/// | `stall_after` | 5 s | longer than any honest pause of a runtime; a ping each time costs one wake-up |
/// | `leak_after` | 10 s | as long as closing anything here takes |
/// | `tasks_max` | 100,000 | 100 MB; more are a leak |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisorSettings {
    /// The longest time between two looks of the monitor.
    pub look: Duration,
    /// The runtime stands still when it runs no task for so long; none: it is not looked at.
    pub stall_after: Option<Duration>,
    /// A task that runs so long after its owner went has leaked.
    pub leak_after: Duration,
    /// Tasks at once.
    pub tasks_max: usize,
}

impl SupervisorSettings {
    /// The events that a subscriber may be behind; then it loses the oldest, and is told how many.
    pub const SUBSCRIBER_BEHIND_MAX: usize = 256;
    /// The tasks that failed for good and are remembered; one that is not critical gives way first.
    pub const FAILED_MAX: usize = 256;

    pub(crate) fn check(&self) -> Result<(), Error> {
        let zero = [
            ("look", self.look.is_zero()),
            (
                "stall_after",
                self.stall_after.is_some_and(|time| time.is_zero()),
            ),
            ("tasks_max", self.tasks_max == 0),
        ];
        match zero.iter().find(|(_, is_zero)| *is_zero) {
            Some((setting, _)) => Err(Error::new(
                ErrorKind::Settings,
                format!("`{setting}` is 0: nothing could be watched"),
            )),
            None => Ok(()),
        }
    }
}

impl Default for SupervisorSettings {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(30),
            stall_after: Some(Duration::from_secs(5)),
            leak_after: Duration::from_secs(10),
            tasks_max: 100_000,
        }
    }
}
