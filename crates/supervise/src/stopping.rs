//! A stop that always comes to its end: drained, cancelled, cleaned up, each within its time.

mod component;
mod progress;
mod record;
mod report;
mod run;
mod signal;

pub use component::{Component, Drained, InFlight};
pub use progress::{Remaining, StopPhase, StopProgress};
pub use record::{BadStops, RecordedLife, RecordedStop, StopRecord};
pub use report::{
    ComponentOutcome, ComponentReport, PhaseReport, StepReport, StopOutcome, StopReport,
    TasksReport,
};
pub use signal::{Asked, StopSignal};

use crate::error::{Error, ErrorKind};
use crate::failure::TaskOutput;
use crate::supervisor::Supervisor;
use component::{Make, Step};
use std::sync::Arc;
use std::time::Duration;

/// How long each phase of a stop may take.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `drain` | 60 s | a large document on a slow line |
/// | `cancel` | 60 s | what gives up after this does not listen |
/// | `close` | 10 s | for each component: a sync on the slowest disk we met takes 1 s |
/// | `verify` | 10 s | for each verification; they only look |
/// | `tell` | 5 s | how often it is told what is still under way, beside each change |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopSettings {
    /// What is under way may finish in this time.
    pub drain: Duration,
    /// What was told to give up has this time.
    pub cancel: Duration,
    /// Each component has this time to close.
    pub close: Duration,
    /// Each verification has this time.
    pub verify: Duration,
    /// How often it is told what is still under way.
    pub tell: Duration,
}

/// What there is to be stopped, in the order in which it was started, and how.
///
/// 1. **Drain.** Every component takes nothing new, the last registered first, and one that hangs in that has its share of the time
///    alone; then all of them finish what they have, side by side.
/// 2. **Cancel.** Whatever is not done is told to give up, and all tasks of the supervisor with it; what does not listen is
///    abandoned, by name.
/// 3. **Clean up.** Components are closed and hooks are run, the last registered first, each within its time, whatever became of
///    those before; then the verifications look whether anything is left.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mainstay_supervise::{StopOutcome, StopSettings, Stopping, Supervisor, SupervisorSettings};
/// use std::time::Duration;
///
/// let supervisor = Supervisor::new(SupervisorSettings::default(), mainstay_clock::system())?;
/// let mut stopping = Stopping::new(&supervisor, StopSettings::default())?;
/// stopping.hook("the queue is closed", Duration::from_secs(10), || async {})?;
/// let signal = stopping.signal();
/// signal.ask("SIGTERM");
/// let report = stopping.run().await;
/// assert_eq!(report.outcome, StopOutcome::Clean);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Stopping {
    supervisor: Supervisor,
    settings: StopSettings,
    signal: StopSignal,
    steps: Vec<Step>,
    verifications: Vec<Step>,
}

// === impl StopSettings ===

impl Default for StopSettings {
    fn default() -> Self {
        Self {
            drain: Duration::from_mins(1),
            cancel: Duration::from_mins(1),
            close: Duration::from_secs(10),
            verify: Duration::from_secs(10),
            tell: Duration::from_secs(5),
        }
    }
}

// === impl Stopping ===

impl Stopping {
    /// Components, hooks and verifications at most: they are named by people.
    pub const STEPS_MAX: usize = 256;

    /// A stop of this supervisor, with nothing else yet.
    ///
    /// # Errors
    ///
    /// `Settings`, where progress would be told without a pause.
    pub fn new(supervisor: &Supervisor, settings: StopSettings) -> Result<Self, Error> {
        if settings.tell.is_zero() {
            return Err(Error::new(ErrorKind::Settings, "`tell` is 0"));
        }
        Ok(Self {
            supervisor: supervisor.clone(),
            settings,
            signal: StopSignal::new(Arc::clone(&supervisor.shared().clock)),
            steps: Vec::new(),
            verifications: Vec::new(),
        })
    }

    /// What asks for the stop, and shows how far it is.
    pub fn signal(&self) -> StopSignal {
        self.signal.clone()
    }

    /// Adds a component; to be called in the order in which they were started.
    ///
    /// # Errors
    ///
    /// `Taken`, where its name is; `Full`. It was not added.
    pub fn register(&mut self, component: impl Component) -> Result<(), Error> {
        let name = component.name().to_owned();
        self.add(
            name,
            self.settings.close,
            Make::Component(Arc::new(component)),
        )
    }

    /// Adds something to be done when all has ended, with the time that it has; hooks and components are one list.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn hook<F, Fut>(&mut self, name: &str, limit: Duration, hook: F) -> Result<(), Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output: TaskOutput> + Send + 'static,
    {
        self.add(name.to_owned(), limit, Make::hook(hook))
    }

    /// Adds something that has to be so when all is done; it answers with an error where it is not.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn verify<F, Fut>(&mut self, name: &str, check: F) -> Result<(), Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output: TaskOutput> + Send + 'static,
    {
        let step = Step {
            name: self.free(name.to_owned())?,
            limit: self.settings.verify,
            make: Make::hook(check),
        };
        self.verifications.push(step);
        Ok(())
    }

    /// The longest that a stop takes with what is registered: what a service manager has to wait before it kills.
    pub fn longest(&self) -> Duration {
        let settings = &self.settings;
        // That no task is left is looked at beside what was registered.
        let phases = [settings.drain, settings.cancel, settings.verify];
        let steps = self.steps.iter().chain(&self.verifications);
        let limits = steps.map(|step| step.limit).chain(phases);
        limits.fold(Duration::ZERO, Duration::saturating_add)
    }

    fn add(&mut self, name: String, limit: Duration, make: Make) -> Result<(), Error> {
        let name = self.free(name)?;
        self.steps.push(Step { name, limit, make });
        Ok(())
    }

    fn free(&self, name: String) -> Result<String, Error> {
        let mut all = self.steps.iter().chain(&self.verifications);
        if Self::STEPS_MAX <= self.steps.len() + self.verifications.len() {
            let most = Self::STEPS_MAX;
            let what =
                format!("cannot register `{name}`: there are {most} steps of a stop already");
            return Err(Error::new(ErrorKind::Full, what));
        }
        if all.any(|step| step.name == name) {
            let what = format!("cannot register `{name}`: something is called so already");
            return Err(Error::new(ErrorKind::Taken, what));
        }
        Ok(name)
    }
}
