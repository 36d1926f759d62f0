//! A stop always comes to its end, in order, and says what it left.

use crate::support::{SECOND, STEP, passes, supervised};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mainstay_clock::{Clock, ManualClock, Moment};
use mainstay_supervise::{
    Asked, Component, ComponentOutcome, Drained, ErrorKind, Holdings, InFlight, Resource,
    ServiceState, StepOutcome, StopOutcome, StopPhase, StopProgress, StopReport, StopSettings,
    Stopping, Supervisor, TaskContext, TaskError, TaskSpec,
};
use proptest::prelude::*;
use std::fmt::{Debug, Write};
use std::future::pending;
use std::pin::pin;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

/// What something does when its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Well,
    Fails,
    Panics,
    Hangs,
}

async fn does(what: Does) -> Result<(), TaskError> {
    match what {
        Does::Well => Ok(()),
        Does::Fails => Err("it broke".into()),
        Does::Panics => panic!("it blew up"),
        Does::Hangs => pending().await,
    }
}

pub(crate) type Said = Arc<Mutex<Vec<String>>>;

/// A component that says what happens to it.
pub(crate) struct Told {
    name: &'static str,
    said: Said,
    pub(crate) drains: Does,
    closes: Does,
    /// Whether it gives up when it is told to.
    gives_up: Option<CancellationToken>,
}

impl Told {
    pub(crate) fn new(name: &'static str, said: &Said) -> Self {
        Self {
            name,
            said: Arc::clone(said),
            drains: Does::Well,
            closes: Does::Well,
            gives_up: None,
        }
    }

    fn say(&self, what: &str) {
        self.said
            .lock()
            .unwrap()
            .push(format!("{} {what}", self.name));
    }
}

impl Component for Told {
    fn name(&self) -> &str {
        self.name
    }

    fn pause(&self) {
        self.say("pauses");
    }

    fn in_flight(&self) -> Vec<InFlight> {
        vec![InFlight {
            what: "document 7".to_owned(),
            since: Moment::ORIGIN,
        }]
    }

    fn drain(&self) -> BoxFuture<'_, Drained> {
        async move {
            let told = self.gives_up.as_ref();
            let cancelled = async {
                match told {
                    Some(token) => token.cancelled().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                done = does(self.drains) => done.unwrap(),
                () = cancelled => return Drained { cancelled: 1, left: 1, completed: 0 },
            }
            self.say("is drained");
            Drained {
                completed: 2,
                cancelled: 0,
                left: 3,
            }
        }
        .boxed()
    }

    fn so_far(&self) -> Drained {
        Drained {
            completed: 1,
            cancelled: 0,
            left: 4,
        }
    }

    fn cancel(&self) {
        self.say("is told to give up");
        if let Some(token) = &self.gives_up {
            token.cancel();
        }
    }

    fn close(&self) -> BoxFuture<'_, Result<(), TaskError>> {
        async move {
            self.say("closes");
            does(self.closes).await
        }
        .boxed()
    }
}

pub(crate) fn prepared() -> (Supervisor, ManualClock, Stopping, Said) {
    let (supervisor, clock) = supervised();
    supervisor.started();
    let stopping = Stopping::new(&supervisor, StopSettings::default()).unwrap();
    (supervisor, clock, stopping, Said::default())
}

#[tokio::test]
async fn everything_is_stopped_in_reverse_whatever_becomes_of_the_ones_in_the_middle() {
    let (_supervisor, clock, mut stopping, said) = prepared();
    let mut with = |name, closes| {
        let component = Told {
            closes,
            ..Told::new(name, &said)
        };
        stopping.register(component).unwrap();
    };
    with("the queue", Does::Well);
    with("the delivery", Does::Fails);
    with("the cache", Does::Hangs);
    with("the intake", Does::Panics);
    with("the socket", Does::Well);
    let report = passes(&clock, stopping.run()).await;
    assert_eq!(
        *said.lock().unwrap(),
        [
            "the socket pauses",
            "the intake pauses",
            "the cache pauses",
            "the delivery pauses",
            "the queue pauses",
            "the socket is drained",
            "the intake is drained",
            "the cache is drained",
            "the delivery is drained",
            "the queue is drained",
            "the socket closes",
            "the intake closes",
            "the cache closes",
            "the delivery closes",
            "the queue closes",
        ]
    );
    let outcomes: Vec<StepOutcome> = report
        .hooks
        .iter()
        .map(|hook| hook.outcome.clone())
        .collect();
    assert_eq!(
        outcomes,
        [
            StepOutcome::Done,
            StepOutcome::Panicked("it blew up".to_owned()),
            StepOutcome::TimedOut,
            StepOutcome::Failed("it broke".to_owned()),
            StepOutcome::Done,
        ]
    );
    assert_eq!(report.outcome, StopOutcome::Unclean);
    assert_eq!(
        report.complaints(),
        [
            "the intake: panicked: it blew up",
            "the cache: was given up, it took too long",
            "the delivery: it broke",
        ]
    );
    let sum = Drained {
        completed: 10,
        cancelled: 0,
        left: 15,
    };
    assert_eq!(report.drained(), sum);
}

#[tokio::test]
async fn a_drain_that_hangs_is_abandoned_by_name_within_the_grace_and_holds_up_no_other() {
    let (supervisor, clock, mut stopping, said) = prepared();
    stopping.register(Told::new("the queue", &said)).unwrap();
    let hangs = Told {
        drains: Does::Hangs,
        ..Told::new("the delivery", &said)
    };
    stopping.register(hangs).unwrap();
    let blows_up = Told {
        drains: Does::Panics,
        ..Told::new("the cache", &said)
    };
    stopping.register(blows_up).unwrap();
    let gives_up = Told {
        drains: Does::Hangs,
        gives_up: Some(CancellationToken::new()),
        ..Told::new("the intake", &said)
    };
    stopping.register(gives_up).unwrap();
    let longest = stopping.longest();
    let report = passes(&clock, stopping.run()).await;
    assert!(u128::from(report.took_ms()) <= longest.as_millis());
    let outcomes: Vec<(&str, ComponentOutcome)> = report
        .components
        .iter()
        .map(|component| (component.name.as_str(), component.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("the intake", ComponentOutcome::Cancelled),
            ("the cache", ComponentOutcome::Panicked),
            ("the delivery", ComponentOutcome::Abandoned),
            ("the queue", ComponentOutcome::Drained),
        ]
    );
    assert_eq!(
        report.complaints(),
        [
            "the intake gave up what was under way",
            "the cache panicked: it blew up",
            "the delivery was abandoned with document 7",
        ]
    );
    let phases: Vec<u64> = report
        .phases
        .iter()
        .map(|phase| phase.took_ms / 1_000)
        .collect();
    assert_eq!(phases, [60, 60, 0]);
    assert!(report.hooks.iter().all(|hook| hook.outcome.is_done()));
    assert_eq!(supervisor.state(), ServiceState::Stopped);
}

/// A component whose pause blocks until somebody lets it go.
struct Stuck(Mutex<Receiver<()>>);

impl Component for Stuck {
    fn name(&self) -> &'static str {
        "the intake"
    }

    fn pause(&self) {
        self.0.lock().unwrap().recv().ok();
    }
}

/// One that blocked took all of the time from those whose turn came after it: none of them was drained.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_hangs_leaves_the_others_their_time_to_drain() {
    let (_supervisor, clock, mut stopping, said) = prepared();
    let (_let_go, blocks) = sync_channel(0);
    stopping.register(Told::new("the queue", &said)).unwrap();
    stopping.register(Stuck(Mutex::new(blocks))).unwrap();
    let progress = stopping.signal().progress();
    let mut running = pin!(stopping.run());
    let report = loop {
        tokio::select! {
            biased;
            report = &mut running => break report,
            () = tokio::task::yield_now() => {}
        }
        // Time goes on until the pauses are over, and not while anybody drains.
        if progress.borrow().phase == StopPhase::NotBegun {
            clock.advance(STEP);
        }
    };
    let queue = report.components.last().unwrap();
    assert_eq!(queue.name, "the queue");
    assert_eq!(queue.outcome, ComponentOutcome::Drained);
    // A third of the drain for each of the two, where no thread is free to pause the other one.
    assert!(report.phases[0].took_ms < 41_000, "{:?}", report.phases);
}

#[tokio::test]
async fn tasks_are_asked_to_stop_and_those_that_do_not_listen_are_named() {
    let (supervisor, clock, stopping, _said) = prepared();
    let listens = supervisor
        .spawn(
            TaskSpec::new("listens"),
            |context: TaskContext| async move {
                context.stopping().await;
            },
        )
        .unwrap();
    let deaf = supervisor
        .spawn(TaskSpec::new("a deaf task"), |_| pending::<()>())
        .unwrap();
    let (release, released) = sync_channel::<()>(1);
    let released = Mutex::new(released);
    supervisor
        .spawn_thread(TaskSpec::new("a deaf thread"), move |_| {
            released.lock().unwrap().recv().unwrap();
        })
        .unwrap();
    let report = passes(&clock, stopping.run()).await;
    assert!(listens.is_over() && deaf.is_over());
    assert_eq!(report.tasks.ended, 1);
    assert_eq!(report.tasks.abandoned, ["a deaf task", "a deaf thread"]);
    let last = report.verifications.last().unwrap();
    assert_eq!(last.name, "no task is left");
    let why = StepOutcome::Failed("still running: a deaf thread".to_owned());
    assert_eq!(
        last.outcome, why,
        "one that is dropped at its next wait is gone"
    );
    release.send(()).unwrap();
    supervisor.all_over().await;
}

/// While the stop tells what is still under way, that comes to its end.
struct EndsMeanwhile(Supervisor);

impl Subscriber for EndsMeanwhile {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut words = String::new();
        event.record(&mut |field: &Field, value: &dyn Debug| {
            write!(words, "{field} {value:?} ").unwrap();
        });
        while words.contains("cancel") && words.contains("a task") && 0 < running(&self.0) {
            std::thread::yield_now();
        }
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn running(supervisor: &Supervisor) -> usize {
    supervisor.status().tasks.len()
}

/// The time stands still, so that a stop which waits for nothing but its end never comes to one.
#[test]
fn what_ends_while_it_is_looked_at_is_waited_for_no_longer() {
    let (sender, report) = sync_channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).build().unwrap();
        let stopped = runtime.block_on(async {
            let (supervisor, _clock, stopping, _said) = prepared();
            let listens = |context: TaskContext| async move { context.stopping().await };
            supervisor.spawn(TaskSpec::new("a task"), listens).unwrap();
            let ends = EndsMeanwhile(supervisor.clone());
            let _default = tracing::subscriber::set_default(ends);
            stopping.run().await
        });
        sender.send(stopped).unwrap();
    });
    let patience = Duration::from_secs(30);
    let report = report.recv_timeout(patience).expect("the stop has an end");
    assert_eq!(report.tasks.ended, 1);
    assert_eq!(report.outcome, StopOutcome::Clean);
}

#[tokio::test]
async fn a_second_request_ends_everything_at_once_and_says_what_was_not_reached() {
    for hangs_in_drain in [true, false] {
        let (supervisor, clock, mut stopping, said) = prepared();
        stopping.register(Told::new("the queue", &said)).unwrap();
        let drains = if hangs_in_drain {
            Does::Hangs
        } else {
            Does::Well
        };
        let hangs = Told {
            drains,
            closes: Does::Hangs,
            ..Told::new("the delivery", &said)
        };
        stopping.register(hangs).unwrap();
        supervisor
            .spawn(TaskSpec::new("a deaf task"), |_| pending::<()>())
            .unwrap();
        let signal = stopping.signal();
        assert_eq!(signal.ask("SIGTERM"), Asked::InOrder);
        assert!(signal.asked().is_cancelled());
        let mut progress = signal.progress();
        let running = tokio::spawn(stopping.run());
        let until = if hangs_in_drain {
            StopPhase::Drain
        } else {
            StopPhase::CleanUp
        };
        let is_there = |progress: &StopProgress| progress.phase == until;
        passes(&clock, progress.wait_for(is_there)).await.unwrap();
        clock.advance(SECOND);
        let before = clock.now();
        assert_eq!(signal.ask("SIGTERM"), Asked::AtOnce);
        // No time passes.
        let report = running.await.unwrap();
        assert_eq!(clock.now(), before);
        assert_eq!(
            (report.outcome, report.by.as_str()),
            (StopOutcome::AtOnce, "SIGTERM")
        );
        let cut_short = report.phases.last().unwrap();
        assert_eq!(cut_short.phase, until);
        assert!(1_000 <= cut_short.took_ms, "{:?}", report.phases);
        let queue = report.hooks.last().unwrap();
        assert_eq!(queue.outcome, StepOutcome::NotReached);
        // The queue is drained at once, the delivery where it does not hang.
        let sum = if hangs_in_drain { (3, 7) } else { (4, 6) };
        let drained = report.drained();
        assert_eq!((drained.completed, drained.left), sum, "{report:?}");
        assert!(
            report
                .complaints()
                .contains(&"the queue: was not done".to_owned())
        );
        assert!(
            !said
                .lock()
                .unwrap()
                .contains(&"the queue closes".to_owned())
        );
        supervisor.all_over().await;
    }
}

#[tokio::test]
async fn it_is_shown_what_is_still_under_way_and_for_how_long() {
    let (_supervisor, clock, mut stopping, said) = prepared();
    let hangs = Told {
        drains: Does::Hangs,
        ..Told::new("the delivery", &said)
    };
    stopping.register(hangs).unwrap();
    let signal = stopping.signal();
    let mut progress = signal.progress();
    let running = tokio::spawn(stopping.run());
    let long = |progress: &StopProgress| 20_000 <= progress.for_ms;
    let shown = passes(&clock, progress.wait_for(long))
        .await
        .unwrap()
        .clone();
    assert_eq!(
        (shown.phase, shown.limit_ms),
        (StopPhase::Drain, Some(60_000))
    );
    let [remaining] = &shown.remaining[..] else {
        panic!("{shown:?}");
    };
    assert_eq!(remaining.who, "the delivery");
    assert_eq!(remaining.what.as_deref(), Some("document 7"));
    assert!(shown.for_ms <= remaining.for_ms);
    // Whoever looks between two times at which it is told sees the time go on.
    let before = signal.look();
    clock.advance(Duration::from_millis(1));
    let after = signal.look();
    assert_eq!(after.for_ms, before.for_ms + 1);
    assert_eq!(after.remaining[0].for_ms, before.remaining[0].for_ms + 1);
    passes(&clock, running).await.unwrap();
    assert_eq!(progress.borrow().phase, StopPhase::Over);
}

#[tokio::test]
async fn what_has_to_be_so_in_the_end_is_looked_at_and_told() {
    let (supervisor, clock, mut stopping, _said) = prepared();
    let holdings = Holdings::new(Arc::new(clock.clone()));
    let held = holdings.hold(Resource::Watcher, "the watch of inbox", (), |()| {});
    let looked = holdings.clone();
    stopping
        .verify("nothing is held", || async move { looked.verify_empty() })
        .unwrap();
    stopping.verify("the queue is synced", || async {}).unwrap();
    let taken = stopping.verify("the queue is synced", || async {});
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::Taken);
    let report = passes(&clock, stopping.run()).await;
    let told = ["nothing is held: still held: the watch of inbox (Watcher)"];
    assert_eq!(report.complaints(), told);
    drop(held);
    assert!(holdings.list().is_empty());
    drop(supervisor);
}

#[tokio::test]
async fn a_stop_of_nothing_is_clean_and_a_report_comes_back_as_it_was_written() {
    let (supervisor, clock, mut stopping, said) = prepared();
    stopping.register(Told::new("the queue", &said)).unwrap();
    let again = stopping
        .register(Told::new("the queue", &said))
        .unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Taken);
    let report = passes(&clock, stopping.run()).await;
    assert_eq!(report.outcome, StopOutcome::Clean);
    assert_eq!(report.complaints(), Vec::<String>::new());
    let written = serde_json::to_string(&report).unwrap();
    assert_eq!(
        serde_json::from_str::<StopReport>(&written).unwrap(),
        report
    );
    let late = supervisor.spawn(TaskSpec::new("late"), |_| async {});
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Stopping);
}

#[tokio::test]
async fn the_longest_time_of_a_stop_can_be_asked_for_however_long_its_steps_may_take() {
    let (_supervisor, _clock, mut stopping, _said) = prepared();
    for name in ["one", "another"] {
        stopping.hook(name, Duration::MAX, || async {}).unwrap();
    }
    assert_eq!(stopping.longest(), Duration::MAX);
}

fn any_end() -> impl Strategy<Value = Does> {
    prop::sample::select(vec![Does::Well, Does::Fails, Does::Panics, Does::Hangs])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_hangs_fails_or_panics_each_step_is_reached_once_in_reverse_and_the_time_is_kept(
        ends in prop::collection::vec((any_end(), any_end(), 0..3_u64), 0..6),
        checks in prop::collection::vec(any_end(), 0..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let steps = ends.len();
        // A hook whose time is nothing is given up before it begins; every other one begins.
        let (report, longest, took, sure, said) = runtime.block_on(async {
            let (supervisor, clock) = supervised();
            let settings = StopSettings {
                drain: 3 * SECOND,
                cancel: 2 * SECOND,
                close: SECOND,
                verify: SECOND,
                tell: SECOND,
            };
            let mut stopping = Stopping::new(&supervisor, settings).unwrap();
            let said = Said::default();
            let mut sure = Vec::new();
            for (place, (drains, closes, limit)) in ends.into_iter().enumerate() {
                let name: &'static str = ["a", "b", "c", "d", "e", "f"][place];
                if place % 2 == 0 || 0 < limit {
                    sure.push(name);
                }
                if place % 2 == 0 {
                    stopping.register(Told { drains, closes, ..Told::new(name, &said) }).unwrap();
                } else {
                    let told = Told::new(name, &said);
                    stopping.hook(name, Duration::from_secs(limit), move || async move {
                        told.say("closes");
                        does(closes).await
                    }).unwrap();
                }
            }
            for (place, check) in checks.into_iter().enumerate() {
                stopping.verify(&format!("check {place}"), move || does(check)).unwrap();
            }
            let longest = stopping.longest();
            let began = clock.now();
            // Time flies while the monitor's thread is waited for, which comes after it.
            let stopped = async {
                while supervisor.state() != ServiceState::Stopped {
                    tokio::task::yield_now().await;
                }
                clock.now().since(began)
            };
            let both = async { tokio::join!(stopping.run(), stopped) };
            let (report, took) = passes(&clock, both).await;
            let said = said.lock().unwrap().clone();
            (report, longest, took, sure, said)
        });
        // Each wait may be overshot by the step in which time goes on here.
        prop_assert!(Duration::from_millis(report.took_ms()) <= took);
        prop_assert!(took <= longest + 20 * STEP, "{took:?} {longest:?}");
        let closed: Vec<&str> = said.iter().filter_map(|said| said.strip_suffix(" closes")).collect();
        let expected: Vec<&str> = report.hooks.iter().map(|hook| hook.name.as_str()).collect();
        prop_assert!(sure.iter().all(|name| closed.contains(name)), "{sure:?} {closed:?}");
        let begun = |name: &&str| closed.contains(name);
        prop_assert_eq!(expected.iter().copied().filter(begun).collect::<Vec<_>>(), closed.clone());
        prop_assert_eq!(report.hooks.len(), steps);
        let mut sorted = expected.clone();
        sorted.sort_unstable_by(|one, other| other.cmp(one));
        prop_assert_eq!(expected, sorted);
        for step in report.hooks.iter().chain(&report.verifications) {
            prop_assert_ne!(&step.outcome, &StepOutcome::NotReached);
        }
        prop_assert_eq!(report.outcome == StopOutcome::Clean, report.complaints().is_empty());
    }
}
