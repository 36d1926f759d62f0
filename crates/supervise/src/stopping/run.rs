//! The three phases, one after the other.

use super::component::{Component, Drained, Make, Step};
use super::progress::{Remaining, StopPhase, StopProgress};
use super::report::{
    ComponentOutcome, ComponentReport, PhaseReport, StepReport, StopOutcome, StopReport,
    TasksReport,
};
use super::signal::StopSignal;
use super::{StopSettings, Stopping};
use crate::bounded::{StepOutcome, bounded, caught, words_of_end};
use crate::supervisor::Supervisor;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use mainstay_clock::{Clock, Moment, SharedClock};
use mainstay_resilience::within;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// What is looked at besides the verifications that were registered.
const NO_TASK_LEFT: &str = "no task is left";

/// The drains that are under way, each with the place of its component.
type Drains = FuturesUnordered<BoxFuture<'static, (usize, Result<Drained, JoinError>)>>;

/// A stop under way.
struct Run<'a> {
    supervisor: &'a Supervisor,
    settings: &'a StopSettings,
    signal: &'a StopSignal,
    clock: SharedClock,
    components: Vec<Arc<dyn Component>>,
    /// What came to an end stays here, also when the rest is cut short.
    report: &'a mut StopReport,
}

impl Stopping {
    /// Stops everything, in three phases; never longer than [`longest`](Self::longest), and at once when it is asked a second time.
    ///
    /// It does not wait to be asked. To be polled to its end: dropped, it leaves things half stopped, which loses nothing.
    pub async fn run(self) -> StopReport {
        let Self {
            supervisor,
            settings,
            signal,
            mut steps,
            verifications,
        } = self;
        let clock = supervisor.shared().clock.clone();
        steps.reverse();
        let by = signal.by().unwrap_or_else(|| "itself".to_owned());
        let mut report = blank(by, clock.wall(), &steps, &verifications);
        let components = steps.iter().filter_map(|step| match &step.make {
            Make::Component(component) => Some(Arc::clone(component)),
            Make::Hook(_) => None,
        });
        let components: Vec<Arc<dyn Component>> = components.collect();
        let began = clock.now();
        let run = Run {
            components: components.clone(),
            supervisor: &supervisor,
            settings: &settings,
            signal: &signal,
            clock: Arc::clone(&clock),
            report: &mut report,
        };
        let at_once = tokio::select! {
            biased;
            () = signal.at_once().cancelled() => true,
            () = run.phases(steps, verifications) => false,
        };
        if at_once {
            // The phase that was cut short has what is left of the time, as each began when the one before it ended.
            let left = millis(clock.now().since(began)).saturating_sub(report.took_ms());
            if let Some(phase) = report.phases.last_mut() {
                phase.took_ms += left;
            }
            report.tasks.abandoned = supervisor.abandon();
        }
        so_far(&components, &mut report);
        supervisor.close().await;
        report.outcome = match () {
            () if at_once => StopOutcome::AtOnce,
            () if report.complaints().is_empty() => StopOutcome::Clean,
            () => StopOutcome::Unclean,
        };
        signal.show(StopProgress {
            phase: StopPhase::Over,
            ..StopProgress::default()
        });
        tell(&report);
        report
    }
}

/// The last line of a stop in the log: how it ended, how long each phase took, and what became of what was under way.
fn tell(report: &StopReport) {
    let (outcome, took_ms) = (report.outcome, report.took_ms());
    let phase = |phase| report.phase_ms(phase);
    let drain_ms = phase(StopPhase::Drain);
    let (cancel_ms, clean_up_ms) = (phase(StopPhase::Cancel), phase(StopPhase::CleanUp));
    let Drained {
        completed,
        cancelled,
        left,
    } = report.drained();
    let complaints = report.complaints();
    if complaints.is_empty() {
        tracing::info!(
            ?outcome,
            took_ms,
            drain_ms,
            cancel_ms,
            clean_up_ms,
            completed,
            cancelled,
            left,
            "stopped"
        );
    } else {
        tracing::warn!(
            ?outcome,
            took_ms,
            drain_ms,
            cancel_ms,
            clean_up_ms,
            completed,
            cancelled,
            left,
            ?complaints,
            "stopped"
        );
    }
}

/// What became of the work of those whose drain did not come to its end.
fn so_far(components: &[Arc<dyn Component>], report: &mut StopReport) {
    for (component, report) in components.iter().zip(&mut report.components) {
        if matches!(
            report.outcome,
            ComponentOutcome::Drained | ComponentOutcome::Cancelled
        ) {
            continue;
        }
        match caught(|| component.so_far()) {
            Ok(drained) => report.drained = drained,
            Err(words) => {
                let component = component.name();
                tracing::error!(component, words, "what became of its work is not known");
            }
        }
    }
}

impl Run<'_> {
    async fn phases(mut self, steps: Vec<Step>, verifications: Vec<Step>) {
        let mut drains = self.drain().await;
        self.cancel(&mut drains).await;
        drop(drains);
        self.clean_up(steps, verifications).await;
    }

    /// Takes nothing new, and waits for what is under way; answers the drains that did not end.
    async fn drain(&mut self) -> Drains {
        let (began, limit) = (self.clock.now(), self.settings.drain);
        self.supervisor.begin_stop();
        self.begin_phase(StopPhase::Drain, Some(limit));
        self.pause(began + limit).await;
        let runtime = &self.supervisor.shared().runtime;
        let mut drains = Drains::new();
        for (place, component) in self.components.iter().enumerate() {
            let component = Arc::clone(component);
            let drain = async move { component.drain().await };
            let drain = AbortOnDropHandle::new(runtime.spawn(drain));
            drains.push(Box::pin(async move { (place, drain.await) }));
        }
        while self.clock.now() < began + limit && !drains.is_empty() {
            self.show(StopPhase::Drain, began, Some(limit));
            tokio::select! {
                biased;
                Some(drained) = drains.next() => self.drained(drained, began, StopPhase::Drain),
                () = self.next_look(began + limit) => {}
            }
        }
        self.end_phase(began);
        drains
    }

    /// The last registered first, each on a task of its own and within its share of the time, with one for the drains: one that
    /// hangs keeps the others from nothing.
    async fn pause(&self, until: Moment) {
        let runtime = &self.supervisor.shared().runtime;
        let share = self.settings.drain / (self.components.len() as u32 + 1);
        for component in &self.components {
            let limit = share.min(until.since(self.clock.now()));
            let to_pause = Arc::clone(component);
            let pause = async move { to_pause.pause() };
            let pause = bounded(runtime, &*self.clock, limit, pause);
            if let Err(why) = pause.await {
                tracing::error!(component = component.name(), ?why, "it could not be paused");
            }
        }
    }

    /// Tells all that is left to give up, and abandons by name what does not.
    async fn cancel(&mut self, drains: &mut Drains) {
        let (began, limit) = (self.clock.now(), self.settings.cancel);
        self.begin_phase(StopPhase::Cancel, Some(limit));
        for (component, report) in self.components.iter().zip(&self.report.components) {
            if report.outcome == ComponentOutcome::NotReached
                && let Err(words) = caught(|| component.cancel())
            {
                tracing::error!(
                    component = component.name(),
                    words,
                    "its cancelling panicked"
                );
            }
        }
        let tasks = self.supervisor.running().len() as u64;
        self.supervisor.cancel();
        let supervisor = self.supervisor;
        let is_over = || supervisor.shared().tasks().is_empty();
        while self.clock.now() < began + limit {
            // Asked once: were it so only when it is asked again, nothing would be waited for but the time.
            let tasks_are_over = is_over();
            if drains.is_empty() && tasks_are_over {
                break;
            }
            self.show(StopPhase::Cancel, began, Some(limit));
            tokio::select! {
                biased;
                Some(drained) = drains.next() => self.drained(drained, began, StopPhase::Cancel),
                () = supervisor.all_over(), if !tasks_are_over => {}
                () = self.next_look(began + limit) => {}
            }
        }
        let abandoned = self.supervisor.abandon();
        self.report.tasks = TasksReport {
            ended: tasks.saturating_sub(abandoned.len() as u64),
            abandoned,
        };
        for (component, report) in self.components.iter().zip(&mut self.report.components) {
            if report.outcome == ComponentOutcome::NotReached {
                report.outcome = ComponentOutcome::Abandoned;
                report.took_ms = millis(self.clock.now().since(began));
                report.in_flight = in_flight(component).map(|(what, _)| what).collect();
            }
        }
        self.end_phase(began);
    }

    /// Closes what there is, the last registered first, and looks whether anything is left.
    async fn clean_up(&mut self, steps: Vec<Step>, verifications: Vec<Step>) {
        let began = self.clock.now();
        self.begin_phase(StopPhase::CleanUp, None);
        for (place, step) in steps.into_iter().enumerate() {
            let (outcome, took_ms) = self.step(step.limit, &step.name, step.make).await;
            self.report.hooks[place].outcome = outcome;
            self.report.hooks[place].took_ms = took_ms;
        }
        for (place, step) in verifications.into_iter().enumerate() {
            let (outcome, took_ms) = self.step(step.limit, &step.name, step.make).await;
            self.report.verifications[place].outcome = outcome;
            self.report.verifications[place].took_ms = took_ms;
        }
        if let Some(last) = self.report.verifications.last_mut() {
            let looked = self.clock.now();
            last.outcome = none_left(self.supervisor, &*self.clock, self.settings.verify).await;
            last.took_ms = millis(self.clock.now().since(looked));
        }
        self.end_phase(began);
    }

    async fn step(&self, limit: Duration, name: &str, make: Make) -> (StepOutcome, u64) {
        let began = self.clock.now();
        self.signal.show(StopProgress {
            phase: StopPhase::CleanUp,
            for_ms: 0,
            limit_ms: Some(millis(limit)),
            remaining: vec![Remaining {
                who: name.to_owned(),
                what: None,
                for_ms: 0,
            }],
        });
        let runtime = &self.supervisor.shared().runtime;
        let answer = bounded(runtime, &*self.clock, limit, make.last()).await;
        let outcome = StepOutcome::of(answer);
        if !outcome.is_done() {
            tracing::error!(name, ?outcome, "a step of the stop did not go well");
        }
        (outcome, millis(self.clock.now().since(began)))
    }

    fn drained(
        &mut self,
        (place, drained): (usize, Result<Drained, JoinError>),
        began: Moment,
        phase: StopPhase,
    ) {
        let report = &mut self.report.components[place];
        report.took_ms = millis(self.clock.now().since(began));
        match drained {
            Ok(drained) => {
                report.drained = drained;
                report.outcome = if phase == StopPhase::Drain {
                    ComponentOutcome::Drained
                } else {
                    ComponentOutcome::Cancelled
                };
            }
            Err(error) => {
                let words = words_of_end(error);
                tracing::error!(component = report.name, words, "its drain panicked");
                report.outcome = ComponentOutcome::Panicked;
                report.why = Some(words);
            }
        }
    }

    fn next_look(&self, until: Moment) -> mainstay_clock::Sleep {
        let left = until.since(self.clock.now());
        self.clock.sleep(self.settings.tell.min(left))
    }

    fn begin_phase(&mut self, phase: StopPhase, limit: Option<Duration>) {
        tracing::info!(phase = phase.name(), "stopping");
        self.report.phases.push(PhaseReport {
            phase,
            took_ms: 0,
            limit_ms: limit.map(millis),
        });
    }

    fn end_phase(&mut self, began: Moment) {
        let took_ms = millis(self.clock.now().since(began));
        if let Some(phase) = self.report.phases.last_mut() {
            phase.took_ms = took_ms;
        }
    }

    /// Shows what is still under way, and for how long.
    fn show(&self, phase: StopPhase, began: Moment, limit: Option<Duration>) {
        let now = self.clock.now();
        let mut remaining = Vec::new();
        for (component, report) in self.components.iter().zip(&self.report.components) {
            if report.outcome != ComponentOutcome::NotReached {
                continue;
            }
            let before = remaining.len();
            remaining.extend(in_flight(component).map(|(what, since)| Remaining {
                who: report.name.clone(),
                what: Some(what),
                for_ms: millis(now.since(since)),
            }));
            if remaining.len() == before {
                remaining.push(Remaining {
                    who: report.name.clone(),
                    what: None,
                    for_ms: millis(now.since(began)),
                });
            }
        }
        if phase == StopPhase::Cancel {
            let tasks = self.supervisor.running().into_iter();
            remaining.extend(tasks.map(|task| Remaining {
                who: task,
                what: None,
                for_ms: millis(now.since(began)),
            }));
        }
        remaining.truncate(StopProgress::REMAINING_MAX);
        tracing::info!(phase = phase.name(), ?remaining, "still under way");
        self.signal.show(StopProgress {
            phase,
            for_ms: millis(now.since(began)),
            limit_ms: limit.map(millis),
            remaining,
        });
    }
}

/// A report of a stop that did not come far.
fn blank(by: String, at_ms: u64, steps: &[Step], verifications: &[Step]) -> StopReport {
    let components = steps
        .iter()
        .filter(|step| matches!(step.make, Make::Component(_)))
        .map(|step| ComponentReport {
            name: step.name.clone(),
            outcome: ComponentOutcome::NotReached,
            took_ms: 0,
            drained: Drained::default(),
            in_flight: Vec::new(),
            why: None,
        });
    let not_reached = |name: &str| StepReport {
        name: name.to_owned(),
        outcome: StepOutcome::NotReached,
        took_ms: 0,
    };
    let verifications = verifications.iter().map(|step| step.name.as_str());
    StopReport {
        by,
        at_ms,
        outcome: StopOutcome::AtOnce,
        phases: Vec::new(),
        components: components.collect(),
        tasks: TasksReport::default(),
        hooks: steps.iter().map(|step| not_reached(&step.name)).collect(),
        verifications: verifications
            .chain([NO_TASK_LEFT])
            .map(not_reached)
            .collect(),
    }
}

/// A task that was dropped at its next wait has this time to come there.
async fn none_left(supervisor: &Supervisor, clock: &dyn Clock, limit: Duration) -> StepOutcome {
    match within(clock, limit, supervisor.all_over()).await {
        Some(()) => StepOutcome::Done,
        None => StepOutcome::Failed(format!(
            "still running: {}",
            supervisor.running().join(", ")
        )),
    }
}

/// What a component has under way, as far as it says; the first of a long list.
fn in_flight(component: &Arc<dyn Component>) -> impl Iterator<Item = (String, Moment)> + use<> {
    let under_way = caught(|| component.in_flight()).unwrap_or_default();
    let under_way = under_way.into_iter().take(StopProgress::REMAINING_MAX);
    under_way.map(|one| (one.what, one.since))
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
