//! What a stop came to.

use super::component::Drained;
use super::progress::StopPhase;
use crate::bounded::StepOutcome;
use serde::{Deserialize, Serialize};

/// How a stop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopOutcome {
    /// Everything finished, was closed, and is as it should be.
    Clean,
    /// It ended in its phases; something did not finish, failed, or is left.
    Unclean,
    /// It was cut short by a second request.
    AtOnce,
}

/// What became of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentOutcome {
    /// All ended at once before it was done.
    NotReached,
    /// What was under way finished.
    Drained,
    /// It gave up when it was told to.
    Cancelled,
    /// It did not listen.
    Abandoned,
    /// Its drain panicked.
    Panicked,
}

/// How long a phase took, and might have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseReport {
    /// Which.
    pub phase: StopPhase,
    /// In milliseconds.
    pub took_ms: u64,
    /// In milliseconds; none where each step has a time of its own.
    pub limit_ms: Option<u64>,
}

/// What became of a component, and of what it had under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentReport {
    /// Which.
    pub name: String,
    /// What became of it.
    pub outcome: ComponentOutcome,
    /// How long its drain took, in milliseconds.
    pub took_ms: u64,
    /// What became of its work; where its drain did not end, what it told when it was given up.
    pub drained: Drained,
    /// What was under way when it was abandoned.
    pub in_flight: Vec<String>,
    /// What it said when it panicked.
    pub why: Option<String>,
}

/// What became of the tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TasksReport {
    /// Those that ended when they were asked to.
    pub ended: u64,
    /// Those that did not, by name.
    pub abandoned: Vec<String>,
}

/// What became of a hook, the closing of a component, or a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// Which.
    pub name: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: StepOutcome,
    /// In milliseconds.
    pub took_ms: u64,
}

/// What a stop came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopReport {
    /// Who asked for it.
    pub by: String,
    /// When it began, in milliseconds since 1970.
    pub at_ms: u64,
    /// How it ended.
    pub outcome: StopOutcome,
    /// The phases that were begun.
    pub phases: Vec<PhaseReport>,
    /// The components, the last registered first.
    pub components: Vec<ComponentReport>,
    /// The tasks.
    pub tasks: TasksReport,
    /// Closings and hooks, in the order in which they were done.
    pub hooks: Vec<StepReport>,
    /// Verifications.
    pub verifications: Vec<StepReport>,
}

impl StopReport {
    /// How long it took, in milliseconds.
    pub fn took_ms(&self) -> u64 {
        self.phases.iter().map(|phase| phase.took_ms).sum()
    }

    /// How long a phase took, in milliseconds; none where it was not begun.
    pub fn phase_ms(&self, phase: StopPhase) -> Option<u64> {
        let of = self.phases.iter().find(|one| one.phase == phase);
        of.map(|one| one.took_ms)
    }

    /// What became of the work of all components.
    pub fn drained(&self) -> Drained {
        let each = self.components.iter().map(|component| component.drained);
        each.fold(Drained::default(), |sum, of| Drained {
            completed: sum.completed.saturating_add(of.completed),
            cancelled: sum.cancelled.saturating_add(of.cancelled),
            left: sum.left.saturating_add(of.left),
        })
    }

    /// All that did not go as it should, in words; nothing after a clean stop.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for component in &self.components {
            let name = &component.name;
            let in_flight = component.in_flight.join(", ");
            let told = match component.outcome {
                ComponentOutcome::Drained => continue,
                ComponentOutcome::NotReached => format!("{name} was not drained"),
                ComponentOutcome::Cancelled => format!("{name} gave up what was under way"),
                ComponentOutcome::Abandoned if in_flight.is_empty() => {
                    format!("{name} was abandoned")
                }
                ComponentOutcome::Abandoned => format!("{name} was abandoned with {in_flight}"),
                ComponentOutcome::Panicked => {
                    let words = component.why.as_deref().unwrap_or_default();
                    format!("{name} panicked: {words}")
                }
            };
            complaints.push(told);
        }
        let tasks = self.tasks.abandoned.iter();
        complaints.extend(tasks.map(|task| format!("the task {task} was abandoned")));
        for step in self.hooks.iter().chain(&self.verifications) {
            let name = &step.name;
            complaints.push(match &step.outcome {
                StepOutcome::Done => continue,
                StepOutcome::NotReached => format!("{name}: was not done"),
                StepOutcome::Failed(why) => format!("{name}: {why}"),
                StepOutcome::Panicked(why) => format!("{name}: panicked: {why}"),
                StepOutcome::TimedOut => format!("{name}: was given up, it took too long"),
            });
        }
        complaints
    }
}
