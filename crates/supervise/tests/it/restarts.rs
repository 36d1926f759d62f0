//! A task that fails is started again, with pauses, and not for ever.

use crate::support::{SECOND, next, passes, supervised};
use mainstay_clock::{Clock, ManualClock, Moment};
use mainstay_resilience::{Backoff, Jitter};
use mainstay_supervise::{
    Event, Restart, ServiceState, Supervisor, TaskContext, TaskSpec, TaskState,
};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

/// Starts a task that fails so often, and then stays; answers when its attempts began.
fn failing(
    supervisor: &Supervisor,
    clock: &ManualClock,
    spec: TaskSpec,
    failures: u32,
) -> Arc<Mutex<Vec<Moment>>> {
    let begun = Arc::new(Mutex::new(Vec::new()));
    let (noted, clock) = (Arc::clone(&begun), clock.clone());
    supervisor
        .spawn(spec, move |context: TaskContext| {
            noted.lock().unwrap().push(clock.now());
            async move {
                if context.attempt() <= failures {
                    return Err("it broke");
                }
                context.stopping().await;
                Ok(())
            }
        })
        .unwrap();
    begun
}

fn doubling() -> Backoff {
    Backoff::doubling(SECOND, 30 * SECOND).with_jitter(Jitter::None)
}

fn is_failed(event: &Event) -> bool {
    matches!(event, Event::Failed { .. })
}

#[tokio::test]
async fn past_its_limit_a_critical_task_is_an_error_another_degrades_and_the_rest_goes_on() {
    for critical in [true, false] {
        let (supervisor, clock) = supervised();
        let mut events = supervisor.subscribe();
        supervisor.started();
        let rest = failing(&supervisor, &clock, TaskSpec::new("the rest"), 0);
        let mut spec = TaskSpec::new("the delivery").backoff(doubling());
        spec.critical = critical;
        let begun = failing(&supervisor, &clock, spec, u32::MAX);
        next(&mut events, &clock, is_failed).await;
        let status = supervisor.status();
        assert_eq!(begun.lock().unwrap().len(), 4, "the first, and 3 restarts");
        let state = if critical {
            ServiceState::Error
        } else {
            ServiceState::Degraded
        };
        assert_eq!(status.state, state);
        assert_eq!(status.counts.given_up, 1);
        let states: Vec<TaskState> = status.tasks.iter().map(|task| task.state).collect();
        assert_eq!(states, [TaskState::Running, TaskState::Failed]);
        assert_eq!(rest.lock().unwrap().len(), 1);
        let (newest, oldest) = (status.history.first(), status.history.last());
        assert_eq!(newest.map(|change| change.to), Some(state));
        assert_eq!(oldest.map(|change| change.to), Some(ServiceState::Running));

        // Somebody mends it, and starts it again.
        failing(&supervisor, &clock, TaskSpec::new("the delivery"), 0);
        assert_eq!(supervisor.state(), ServiceState::Running);
    }
}

#[tokio::test]
async fn a_task_that_failed_for_good_is_started_once_more_after_its_rest_and_has_a_new_limit() {
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    supervisor.started();
    let minute = 60 * SECOND;
    let spec = TaskSpec::new("the delivery").critical().backoff(doubling());
    // It works from its sixth attempt on: four before the rest, one failure after it.
    let begun = failing(&supervisor, &clock, spec.rest(minute), 5);
    next(&mut events, &clock, is_failed).await;
    let failed = clock.now();
    assert_eq!(supervisor.state(), ServiceState::Error);
    assert_eq!(supervisor.running(), ["the delivery"], "it only rests");
    passes(&clock, async {
        while supervisor.state() != ServiceState::Running {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let begun = begun.lock().unwrap().clone();
    assert!(minute <= begun[4].since(failed), "{begun:?}");
    let status = supervisor.status();
    assert_eq!(status.tasks.len(), 1);
    assert_eq!(status.counts.given_up, 1);
    supervisor.close().await;
}

#[tokio::test]
async fn a_task_that_rests_stops_at_once() {
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    let spec = TaskSpec::new("x").limit(0, SECOND).rest(60 * SECOND);
    let begun = failing(&supervisor, &clock, spec, u32::MAX);
    next(&mut events, &clock, is_failed).await;
    supervisor.cancel();
    supervisor.all_over().await;
    assert_eq!(begun.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn pauses_grow_from_restart_to_restart_and_restarts_that_are_long_past_count_no_more() {
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    let spec = TaskSpec::new("x").backoff(doubling()).limit(3, 5 * SECOND);
    let begun = failing(&supervisor, &clock, spec, 6);
    // 1, 2 and 4 s: with the third, the first is past.
    passes(&clock, async {
        while begun.lock().unwrap().len() < 7 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let begun = begun.lock().unwrap().clone();
    let pauses: Vec<u64> = begun
        .windows(2)
        .map(|pair| pair[1].since(pair[0]).as_secs())
        .collect();
    assert_eq!(pauses[..3], [1, 2, 4]);
    assert!(
        pauses.iter().all(|pause| (1..=4).contains(pause)),
        "{pauses:?}"
    );
    while let Ok(event) = events.try_recv() {
        assert!(!is_failed(&event), "{event:?}");
    }
}

#[tokio::test]
async fn a_task_is_started_again_as_its_rule_says() {
    for (restart, fails, attempts) in [
        (Restart::Never, true, 1),
        (Restart::OnFailure, true, 2),
        (Restart::OnFailure, false, 1),
        (Restart::Always, false, 2),
    ] {
        let (supervisor, clock) = supervised();
        let spec = TaskSpec::new("x").until_done().restart(restart);
        let task = supervisor
            .spawn(spec, move |context: TaskContext| async move {
                if context.attempt() == 2 {
                    context.stopping().await;
                    Ok(())
                } else if fails {
                    Err("it broke")
                } else {
                    Ok(())
                }
            })
            .unwrap();
        let settled = async {
            while !task.is_over() && task.status().attempts < 2 {
                tokio::task::yield_now().await;
            }
        };
        passes(&clock, settled).await;
        assert_eq!(task.status().attempts, attempts, "{restart:?} {fails}");
    }
}

#[tokio::test]
async fn a_task_that_is_asked_to_stop_while_it_waits_is_not_started_again() {
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    let begun = failing(&supervisor, &clock, TaskSpec::new("x"), u32::MAX);
    let is_waiting = |event: &Event| matches!(event, Event::Restarting { .. });
    next(&mut events, &clock, is_waiting).await;
    supervisor.cancel();
    // No time passes: it does not wait to its end.
    supervisor.all_over().await;
    assert_eq!(begun.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_failed_for_good_is_told_until_somebody_has_seen_to_it() {
    let (supervisor, clock) = supervised();
    let mut events = supervisor.subscribe();
    supervisor.started();
    let spec = TaskSpec::new("x").critical().restart(Restart::Never);
    failing(&supervisor, &clock, spec, 1);
    next(&mut events, &clock, is_failed).await;
    assert_eq!(supervisor.state(), ServiceState::Error);
    assert!(!supervisor.acknowledge("another"));
    assert_eq!(supervisor.state(), ServiceState::Error);
    assert!(supervisor.acknowledge("x"));
    assert_eq!(supervisor.state(), ServiceState::Running);
    assert!(supervisor.status().tasks.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However long the attempts take, and however they end.
    #[test]
    fn no_more_restarts_than_allowed_in_any_stretch_of_time_and_every_failure_is_counted(
        most in 0..4_u32,
        within in 1..20_u32,
        lasts in prop::collection::vec((0..12_u32, any::<bool>()), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (begun, status) = runtime.block_on(async {
            let (supervisor, clock) = supervised();
            let begun = Arc::new(Mutex::new(Vec::new()));
            let (noted, ticking) = (Arc::clone(&begun), clock.clone());
            let spec = TaskSpec::new("x")
                .until_done()
                .backoff(doubling())
                .limit(most, SECOND * within);
            let task = supervisor.spawn(spec, move |context: TaskContext| {
                noted.lock().unwrap().push(ticking.now());
                let lasts = lasts.get(context.attempt() as usize - 1).copied();
                async move {
                    let Some((seconds, panics)) = lasts else { return Ok(()) };
                    context.pause(SECOND * seconds).await;
                    assert!(!panics, "it panics");
                    Err("it fails")
                }
            }).unwrap();
            passes(&clock, task.over()).await;
            let counts = supervisor.status().counts;
            let begun = begun.lock().unwrap().clone();
            (begun, (task.status(), counts))
        });
        let (task, counts) = status;
        let window = SECOND * within;
        for (place, start) in begun.iter().enumerate().skip(1) {
            let later = begun[place..].iter().filter(|other| other.since(*start) < window);
            // The limit counts from when it was decided, which lies before the wait: one more may begin in the same stretch.
            prop_assert!(later.count() <= most as usize + 1);
        }
        prop_assert_eq!(counts.panics + counts.errors, u64::from(task.failures));
        prop_assert_eq!(counts.restarts + 1, begun.len() as u64);
    }
}
