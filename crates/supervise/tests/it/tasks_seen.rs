//! Whatever a task ends with, it is seen, with its cause, and the rest goes on.

use crate::support::{Chained, SECOND, next, passes, supervised};
use mainstay_clock::{Clock, ManualClock, Moment, Sleep};
use mainstay_resilience::within;
use mainstay_supervise::{
    Error, ErrorKind, Event, FailureKind, Restart, ServiceState, Supervisor, SupervisorSettings,
    TaskContext, TaskError, TaskHandle, TaskSpec, TaskState,
};
use std::future::pending;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// In which way the first attempt ends; the second one stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Panics,
    Fails,
    Returns,
}

fn ends(how: Ends) -> Result<(), TaskError> {
    match how {
        Ends::Panics => panic!("no such {}", "thing"),
        Ends::Fails => Err(Box::new(Chained)),
        Ends::Returns => Ok(()),
    }
}

fn start(supervisor: &Supervisor, spec: TaskSpec, how: Ends, on_thread: bool) -> TaskHandle {
    let started = if on_thread {
        supervisor.spawn_thread(spec, move |context| {
            if context.attempt() == 1 {
                return ends(how);
            }
            while context.pause_blocking(SECOND) {}
            Ok(())
        })
    } else {
        supervisor.spawn(spec, move |context| async move {
            if context.attempt() == 1 {
                return ends(how);
            }
            context.stopping().await;
            Ok(())
        })
    };
    started.unwrap()
}

const WAYS: [(Ends, FailureKind, &str); 3] = [
    (
        Ends::Panics,
        FailureKind::Panic,
        "it panicked: no such thing",
    ),
    (
        Ends::Fails,
        FailureKind::Error,
        "cannot read the folder: the disk is gone",
    ),
    (
        Ends::Returns,
        FailureKind::EarlyReturn,
        "it ended, and nobody had asked it to",
    ),
];

#[tokio::test]
async fn whatever_a_task_ends_with_is_told_with_its_cause_and_it_is_started_again() {
    for on_thread in [false, true] {
        for (how, kind, told) in WAYS {
            let (supervisor, clock) = supervised();
            let mut events = supervisor.subscribe();
            supervisor.started();
            let other = supervisor
                .spawn(
                    TaskSpec::new("the other"),
                    |context: TaskContext| async move {
                        context.stopping().await;
                    },
                )
                .unwrap();
            let task = start(&supervisor, TaskSpec::new("the pickup"), how, on_thread);
            let is_it = |event: &Event| matches!(event, Event::Restarting { .. });
            let Event::Restarting {
                task: name,
                failure,
                ..
            } = next(&mut events, &clock, is_it).await
            else {
                unreachable!("it was looked for");
            };
            assert_eq!((&*name.name, failure.kind), ("the pickup", kind));
            assert_eq!(failure.to_string(), told);
            assert_eq!(supervisor.errors().recent(1)[0], failure.error);

            let is_well = |event: &Event| matches!(event, Event::Service(change) if change.to == ServiceState::Running);
            next(&mut events, &clock, is_well).await;
            let status = task.status();
            assert_eq!((status.state, status.failures), (TaskState::Running, 1));
            assert_eq!(status.last_failure, Some(failure));
            assert_eq!(status.attempts, 2);
            assert_eq!(other.status().state, TaskState::Running);
            assert_eq!(supervisor.status().counts.restarts, 1);
            supervisor.cancel();
            passes(&clock, supervisor.all_over()).await;
        }
    }
}

#[tokio::test]
async fn a_failure_is_in_the_log_and_nowhere_in_the_log_alone() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logged = tracing::subscriber::set_default(log);
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    let spec = TaskSpec::new("the pickup")
        .critical()
        .restart(Restart::Never);
    start(&supervisor, spec, Ends::Fails, false);
    let failed = next(&mut events, &clock, |event| {
        matches!(event, Event::Failed { .. })
    })
    .await;
    let told = serde_json::to_string(&failed).unwrap();
    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let status = supervisor.status();
    let state = serde_json::to_string(&status).unwrap();
    for text in [&told, &logged, &state] {
        assert!(text.contains("the pickup"), "{text}");
        assert!(text.contains("cannot read the folder"), "{text}");
        assert!(text.contains("the disk is gone"), "{text}");
    }
    assert_eq!(status.state, ServiceState::Error);
    assert_eq!(
        status.why.unwrap(),
        "the pickup failed for good: cannot read the folder: the disk is gone"
    );
}

#[tokio::test]
async fn a_task_that_may_be_done_ends_well_and_one_that_is_asked_to_stop_does_too() {
    let (supervisor, clock) = supervised();
    let held = Arc::new(());
    let holds = Arc::clone(&held);
    let done = supervisor
        .spawn(TaskSpec::new("a job").until_done(), move |_| {
            drop(Arc::clone(&holds));
            async {}
        })
        .unwrap();
    let asked = supervisor
        .spawn(
            TaskSpec::new("a service"),
            |context: TaskContext| async move {
                context.stopping().await;
            },
        )
        .unwrap();
    passes(&clock, done.over()).await;
    assert_eq!(Arc::strong_count(&held), 1, "what it held went before");
    asked.cancel();
    passes(&clock, asked.over()).await;
    let counts = supervisor.status().counts;
    assert_eq!((counts.ended, counts.early_returns), (2, 0));
    assert!(supervisor.status().tasks.is_empty());
}

#[tokio::test]
async fn who_drops_a_task_between_its_waits_ends_it_and_that_is_no_failure() {
    for aborts in [false, true] {
        let (supervisor, clock) = supervised();
        let steps = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&steps);
        let held = Arc::clone(&steps);
        let task = supervisor
            .spawn(TaskSpec::new("a loop"), move |_| {
                let (counted, held) = (Arc::clone(&counted), Arc::clone(&held));
                async move {
                    let held = held;
                    while counted.fetch_add(1, Ordering::Relaxed) < u32::MAX {
                        tokio::task::yield_now().await;
                    }
                    drop(held);
                }
            })
            .unwrap();
        while steps.load(Ordering::Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
        if aborts {
            task.abort();
            passes(&clock, task.over()).await;
            assert_eq!(supervisor.status().counts.cancelled, 1);
        } else {
            drop(supervisor);
            passes(&clock, task.over()).await;
        }
        // What it held was gone before its end was told.
        assert_eq!(Arc::strong_count(&steps), 1);
        assert_eq!(task.status().failures, 0);
    }
}

#[test]
fn a_runtime_that_goes_away_ends_its_tasks_and_no_one_hangs() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let (supervisor, task) = runtime.block_on(async {
        let (supervisor, _clock) = supervised();
        let task = supervisor
            .spawn(
                TaskSpec::new("a service"),
                |context: TaskContext| async move {
                    context.stopping().await;
                },
            )
            .unwrap();
        tokio::task::yield_now().await;
        (supervisor, task)
    });
    drop(runtime);
    assert!(task.is_over());
    assert_eq!(supervisor.status().counts.cancelled, 1);
}

/// Whoever waited for such a task hung for ever: its end was watched from its first poll on.
#[tokio::test]
async fn a_task_that_is_dropped_before_it_begins_is_seen_to_end() {
    let (supervisor, _clock) = supervised();
    let held = Arc::new(());
    let holds = Arc::clone(&held);
    let task = supervisor
        .spawn(TaskSpec::new("a service"), move |_| {
            drop(Arc::clone(&holds));
            pending::<()>()
        })
        .unwrap();
    task.abort();
    task.over().await;
    assert_eq!(Arc::strong_count(&held), 1, "what it held went before");
    supervisor.all_over().await;
    assert_eq!(supervisor.status().counts.cancelled, 1);
}

#[test]
fn a_runtime_that_goes_away_before_a_task_begins_ends_it_too() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let (supervisor, before) = runtime.block_on(async {
        let (supervisor, _clock) = supervised();
        let never_polled = supervisor.spawn(TaskSpec::new("a service"), |_| pending::<()>());
        (supervisor, never_polled.unwrap())
    });
    drop(runtime);
    let after = supervisor.spawn(TaskSpec::new("another"), |_| pending::<()>());
    assert!(before.is_over() && after.unwrap().is_over());
    assert_eq!(supervisor.running(), Vec::<String>::new());
}

/// Such a task was in the table, and not yet to be dropped: it ran on, and a stop said that it was left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_started_while_all_are_abandoned_is_dropped_too() {
    for round in 0..200 {
        let (supervisor, _clock) = supervised();
        let starts = supervisor.clone();
        let (tell, told) = sync_channel(1);
        let starter = std::thread::spawn(move || {
            let deaf = || starts.spawn(TaskSpec::new("deaf"), |_| pending::<()>());
            let mut started = 0;
            while deaf().is_ok() {
                started += 1;
                if started == 1 + round % 16 {
                    tell.send(()).unwrap();
                }
            }
        });
        told.recv().unwrap();
        supervisor.abandon();
        starter.join().unwrap();
        let system = mainstay_clock::system();
        let all_over = within(&*system, 60 * SECOND, supervisor.all_over()).await;
        assert_eq!(all_over, Some(()), "{:?}", supervisor.running());
    }
}

/// A clock that stands still, and looks whether what nobody runs any more is over, each time that it is asked for the date.
#[derive(Debug, Default)]
struct Looks {
    clock: ManualClock,
    at: OnceLock<(Supervisor, TaskHandle)>,
    saw_half_an_end: AtomicBool,
}

impl Clock for Looks {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn wall(&self) -> u64 {
        if let Some((supervisor, task)) = self.at.get()
            && supervisor.running().is_empty()
            && !task.is_over()
        {
            self.saw_half_an_end.store(true, Ordering::Relaxed);
        }
        self.clock.wall()
    }

    fn sleep(&self, duration: std::time::Duration) -> Sleep {
        self.clock.sleep(duration)
    }
}

#[tokio::test]
async fn where_nothing_runs_any_more_all_that_is_to_be_told_of_an_end_was_told() {
    let clock = Arc::new(Looks::default());
    let settings = SupervisorSettings {
        stall_after: None,
        ..SupervisorSettings::default()
    };
    let supervisor = Supervisor::new(settings, Arc::clone(&clock) as _).unwrap();
    let spec = TaskSpec::new("x").restart(Restart::Never);
    let fails = start(&supervisor, spec, Ends::Fails, false);
    clock.at.set((supervisor.clone(), fails)).unwrap();
    supervisor.all_over().await;
    assert!(!clock.saw_half_an_end.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_status_misses_a_task_that_fails_meanwhile() {
    let (supervisor, _clock) = supervised();
    let spec = TaskSpec::new("x").restart(Restart::Never);
    for _ in 0..2_000 {
        let fails = start(&supervisor, spec.clone(), Ends::Fails, false);
        loop {
            let status = supervisor.status();
            let state = status.tasks.iter().find(|task| task.id == fails.id());
            assert_eq!(status.tasks.len(), 1, "{state:?}");
            if state.is_some_and(|task| task.state == TaskState::Failed) {
                break;
            }
        }
        fails.over().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_stands_in_the_same_status() {
    for _ in 0..500 {
        let (supervisor, _clock) = supervised();
        supervisor.started();
        let fails = start(&supervisor, TaskSpec::new("x"), Ends::Fails, false);
        loop {
            let status = supervisor.status();
            if 0 < status.counts.errors {
                assert_eq!(status.state, ServiceState::Degraded, "it waits");
                assert!(status.tasks[0].last_failure.is_some());
                break;
            }
        }
        fails.abort();
    }
}

#[tokio::test]
async fn a_panic_of_what_a_dropped_task_leaves_is_seen() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("it does not want to go");
        }
    }
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    let task = supervisor
        .spawn_once(TaskSpec::new("a bomb").restart(Restart::Never), async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        })
        .unwrap();
    tokio::task::yield_now().await;
    task.abort();
    let failed = next(&mut events, &clock, |event| {
        matches!(event, Event::Failed { .. })
    })
    .await;
    assert!(matches!(failed, Event::Failed { failure, .. } if failure.kind == FailureKind::Panic));
    passes(&clock, task.over()).await;
}

#[tokio::test]
async fn what_cannot_work_or_comes_too_late_is_refused_and_nothing_is_started() {
    let (supervisor, _clock) = supervised();
    let kind = |started: Result<TaskHandle, Error>| started.unwrap_err().kind();
    let spec = TaskSpec::new("x");
    let nothing = |_| async {};
    let refused = supervisor.spawn(spec.clone().heartbeat(Duration::ZERO), nothing);
    assert_eq!(kind(refused), ErrorKind::Settings);
    let refused = supervisor.spawn(spec.clone().limit(3, Duration::ZERO), nothing);
    assert_eq!(kind(refused), ErrorKind::Settings);
    assert_eq!(
        kind(supervisor.spawn(TaskSpec::new(""), nothing)),
        ErrorKind::Settings
    );
    let refused = supervisor.spawn_once(spec.clone(), async {});
    assert_eq!(
        kind(refused),
        ErrorKind::Settings,
        "it cannot be made again"
    );
    supervisor.cancel();
    let late = supervisor.spawn(spec, nothing).unwrap_err();
    assert_eq!(late.to_string(), "cannot start `x`: it is stopping");
    assert_eq!(late.kind(), ErrorKind::Stopping);
    assert_eq!(supervisor.status().counts.spawned, 0);
}
