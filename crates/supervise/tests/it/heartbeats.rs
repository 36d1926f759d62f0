//! Silence, a runtime that stands still, and tasks that outlive their owner.

use crate::support::{SECOND, STEP, next, passes, supervised};
use mainstay_clock::{Clock, ManualClock, Moment};
use mainstay_supervise::{
    CheckSpec, Event, FailureKind, Health, Observed, Restart, ServiceState, Supervisor,
    SupervisorSettings, TaskContext, TaskSpec, TaskState,
};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

fn is_silent(event: &Event) -> bool {
    matches!(event, Event::Silent { .. })
}

#[tokio::test]
async fn a_task_that_hangs_is_dropped_and_started_again() {
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    supervisor.started();
    let task = supervisor
        .spawn(
            TaskSpec::new("the pickup").heartbeat(5 * SECOND),
            |context: TaskContext| async move {
                if context.attempt() == 1 {
                    std::future::pending::<()>().await;
                }
                while context.pause(SECOND).await {}
            },
        )
        .unwrap();
    let Event::Silent { failure, .. } = next(&mut events, &clock, is_silent).await else {
        unreachable!("it was looked for");
    };
    assert_eq!(failure.kind, FailureKind::Silence);
    assert_eq!(failure.to_string(), "no heartbeat for 5.0 s");
    let is_back = |event: &Event| matches!(event, Event::Restarting { .. });
    next(&mut events, &clock, is_back).await;
    passes(&clock, async {
        while supervisor.state() != ServiceState::Running || task.status().attempts < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(supervisor.status().counts.silences, 1);
}

/// It was well again with each restart, until its deadline was over once more: whoever looked now and then saw nothing.
#[tokio::test]
async fn a_task_that_hangs_again_after_its_restart_is_told_all_the_time_until_it_beats() {
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    supervisor.started();
    let spec = TaskSpec::new("the pickup").heartbeat(5 * SECOND);
    let task = supervisor
        .spawn(spec, |context: TaskContext| async move {
            if context.attempt() < 3 {
                std::future::pending::<()>().await;
            }
            while context.pause(SECOND).await {}
        })
        .unwrap();
    next(&mut events, &clock, is_silent).await;
    passes(&clock, async {
        while task.status().attempts < 2 || task.status().state != TaskState::Running {
            assert_ne!(supervisor.state(), ServiceState::Running);
            tokio::task::yield_now().await;
        }
    })
    .await;
    let status = supervisor.status();
    assert_eq!(status.state, ServiceState::Degraded);
    let words = "the pickup hung and was started again: no heartbeat for 5.0 s";
    assert_eq!(status.troubles, [words]);
    passes(&clock, async {
        while supervisor.state() != ServiceState::Running {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(task.status().attempts, 3);
    assert_eq!(supervisor.status().troubles, Vec::<String>::new());
}

#[tokio::test]
async fn a_task_that_waits_for_long_is_missed_only_when_what_it_waits_for_does_not_move() {
    for is_alive in [true, false] {
        let (supervisor, clock) = supervised();
        let mut events = supervisor.subscribe();
        supervisor.started();
        let spec = TaskSpec::new("the delivery").heartbeat(4 * SECOND);
        let task = supervisor
            .spawn(spec, move |context: TaskContext| async move {
                // A pause may be longer than the deadline.
                context.pause(20 * SECOND).await;
                context
                    .alive_while(std::future::pending::<()>(), || is_alive)
                    .await;
            })
            .unwrap();
        if is_alive {
            passes(&clock, clock.sleep(60 * SECOND)).await;
            assert_eq!(supervisor.status().counts.silences, 0);
        } else {
            next(&mut events, &clock, is_silent).await;
            assert!(
                20 * SECOND <= clock.now().since(Moment::ORIGIN),
                "not in its pause"
            );
        }
        task.abort();
    }
}

#[tokio::test]
async fn a_loop_that_waits_is_heard_and_one_whose_round_does_not_end_is_missed() {
    for hangs in [false, true] {
        let (supervisor, clock) = supervised();
        let mut events = supervisor.subscribe();
        supervisor.started();
        let spec = TaskSpec::new("the door").heartbeat(4 * SECOND);
        let task = supervisor
            .spawn(spec, move |context: TaskContext| async move {
                for round in 0_u64.. {
                    context.beat();
                    // Nobody comes.
                    context.beat_due().await;
                    if hangs && round == 9 {
                        std::future::pending::<()>().await;
                    }
                }
            })
            .unwrap();
        if hangs {
            next(&mut events, &clock, is_silent).await;
            let at = clock.now().since(Moment::ORIGIN);
            assert!(10 * SECOND <= at, "not while it waited: {at:?}");
        } else {
            passes(&clock, clock.sleep(60 * SECOND)).await;
            assert_eq!(supervisor.status().counts.silences, 0);
        }
        task.abort();
    }
}

/// Checks that are due once an hour leave their runner nothing to do meanwhile.
#[tokio::test]
async fn the_runner_of_checks_is_heard_while_none_is_due() {
    let (supervisor, clock) = supervised();
    supervisor.started();
    let health = Health::new(Arc::new(clock.clone())).unwrap();
    let hourly = CheckSpec::new("disk").every(3_600 * SECOND, SECOND);
    health
        .register(hourly, || async { Observed::healthy() })
        .unwrap();
    let spec = TaskSpec::new("the checks").heartbeat(4 * SECOND);
    let runs = health.clone();
    let task = supervisor
        .spawn(spec, move |context: TaskContext| {
            let runs = runs.clone();
            async move { runs.run(&context).await }
        })
        .unwrap();
    passes(&clock, clock.sleep(60 * SECOND)).await;
    assert_eq!(supervisor.status().counts.silences, 0);
    assert_eq!(health.history("disk", 9).len(), 1);
    task.abort();
}

#[tokio::test]
async fn a_thread_that_hangs_is_told_and_not_doubled_and_when_it_beats_again_that_is_told_too() {
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    supervisor.started();
    let (release, released) = sync_channel::<()>(1);
    let released = Mutex::new(released);
    let spec = TaskSpec::new("the writer").critical().heartbeat(5 * SECOND);
    let task = supervisor
        .spawn_thread(spec, move |context| {
            released.lock().unwrap().recv().unwrap();
            context.beat();
            // The time that is moved by hand runs away from any pause.
            while !context.is_stopping() {
                context.beat();
                std::thread::yield_now();
            }
        })
        .unwrap();
    next(&mut events, &clock, is_silent).await;
    let status = supervisor.status();
    assert_eq!(status.state, ServiceState::Error, "it is critical");
    assert_eq!(status.tasks[0].state, TaskState::Silent);
    assert_eq!(
        status.why.unwrap(),
        "the writer hangs: no heartbeat for 5.0 s"
    );
    release.send(()).unwrap();
    while supervisor.state() != ServiceState::Running {
        tokio::task::yield_now().await;
    }
    assert_eq!(task.status().attempts, 1);
    task.cancel();
    task.over().await;
    assert_eq!(supervisor.status().counts.restarts, 0);
}

#[tokio::test]
async fn what_was_silent_and_then_ended_well_is_well_when_it_is_started_again() {
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    supervisor.started();
    let (release, released) = sync_channel::<()>(1);
    let released = Mutex::new(released);
    let spec = TaskSpec::new("the writer")
        .until_done()
        .restart(Restart::Always)
        .heartbeat(5 * SECOND);
    let task = supervisor
        .spawn_thread(spec, move |context| {
            if context.attempt() == 1 {
                released.lock().unwrap().recv().unwrap();
                return;
            }
            while !context.is_stopping() {
                context.beat();
                std::thread::yield_now();
            }
        })
        .unwrap();
    next(&mut events, &clock, is_silent).await;
    assert_eq!(supervisor.state(), ServiceState::Degraded);
    release.send(()).unwrap();
    passes(&clock, async {
        while task.status().attempts < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(supervisor.status().troubles, Vec::<String>::new());
    task.cancel();
    task.over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_blocks_its_thread_is_silent_and_its_end_is_seen() {
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    let (release, released) = sync_channel::<()>(1);
    let released = Arc::new(Mutex::new(released));
    let spec = TaskSpec::new("a blocker")
        .heartbeat(5 * SECOND)
        .restart(Restart::Never);
    let task = supervisor
        .spawn(spec, move |_| {
            let released = Arc::clone(&released);
            async move { released.lock().unwrap().recv().unwrap() }
        })
        .unwrap();
    next(&mut events, &clock, is_silent).await;
    assert_eq!(task.status().state, TaskState::Silent);
    release.send(()).unwrap();
    task.over().await;
    let failed = next(&mut events, &clock, |event| {
        matches!(event, Event::Failed { .. })
    })
    .await;
    assert!(
        matches!(failed, Event::Failed { failure, .. } if failure.kind == FailureKind::EarlyReturn)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_runtime_that_stands_still_is_seen_while_it_does() {
    let clock = ManualClock::new();
    let settings = SupervisorSettings::default();
    let supervisor = Supervisor::new(settings, Arc::new(clock.clone())).unwrap();
    let mut events = supervisor.subscribe();
    supervisor.started();
    let (release, released) = sync_channel::<()>(1);
    let (tell, told) = sync_channel::<()>(1);
    let spec = TaskSpec::new("a blocker")
        .restart(Restart::Never)
        .until_done();
    supervisor
        .spawn_once(spec, async move {
            tell.send(()).unwrap();
            released.recv().unwrap();
        })
        .unwrap();
    told.recv().unwrap();
    // This thread is none of the runtime's: it goes on, and nothing else does.
    while supervisor.status().counts.stalls == 0 {
        clock.advance(STEP);
        std::thread::yield_now();
    }
    assert_eq!(supervisor.state(), ServiceState::Degraded);
    assert!(supervisor.status().why.unwrap().contains("runs no tasks"));
    release.send(()).unwrap();
    let event = next(&mut events, &clock, |event| matches!(event, Event::Flows)).await;
    assert_eq!(event, Event::Flows);
}

#[tokio::test]
async fn a_task_that_outlives_its_owner_is_told_by_name_and_its_end_too() {
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    supervisor.started();
    let owner = supervisor.owner("route a");
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let deaf = TaskSpec::new("a watcher").restart(Restart::Never);
    owner
        .spawn_once(deaf, async move {
            released.await.ok();
        })
        .unwrap();
    let hears = owner
        .spawn(
            TaskSpec::new("a rescan"),
            |context: TaskContext| async move {
                context.stopping().await;
            },
        )
        .unwrap();
    drop(owner);
    hears.over().await;
    let leaked = next(&mut events, &clock, |event| {
        matches!(event, Event::Leaked { .. })
    })
    .await;
    let Event::Leaked { task, owner } = leaked else {
        unreachable!("it was looked for");
    };
    assert_eq!((&*task.name, &*owner), ("a watcher", "route a"));
    assert_eq!(supervisor.state(), ServiceState::Degraded);
    release.send(()).unwrap();
    next(&mut events, &clock, |event| {
        matches!(event, Event::LeakEnded { .. })
    })
    .await;
    assert_eq!(supervisor.state(), ServiceState::Running);
    assert_eq!(supervisor.status().counts.leaks, 1);
}

#[tokio::test]
async fn an_owner_that_is_closed_waits_for_its_tasks_and_for_no_others() {
    let (supervisor, _clock) = supervised();
    let owner = supervisor.owner("route a");
    let service = |context: TaskContext| async move { context.stopping().await };
    let mine = owner.spawn(TaskSpec::new("a pickup"), service).unwrap();
    let other = supervisor
        .spawn(TaskSpec::new("b pickup"), service)
        .unwrap();
    owner.close().await;
    assert!(mine.is_over());
    assert!(!other.is_over());
}
