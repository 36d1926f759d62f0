//! Health is what was observed: nothing less, nothing older.

use crate::support::{SECOND, STEP, passes, supervised};
use mainstay_clock::{Clock, ManualClock};
use mainstay_supervise::{
    CheckSpec, ErrorKind, Health, HealthChange, HealthSnapshot, HealthState, Observed, TaskContext,
    TaskSpec,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinHandle;

fn health() -> (Health, ManualClock) {
    let clock = ManualClock::new();
    (Health::new(Arc::new(clock.clone())).unwrap(), clock)
}

/// A check that answers what it is told to.
fn told(health: &Health, spec: CheckSpec) -> Arc<Mutex<Observed>> {
    let says = Arc::new(Mutex::new(Observed::healthy()));
    let heard = Arc::clone(&says);
    let check = move || {
        let observed = heard.lock().unwrap().clone();
        async move { observed }
    };
    health.register(spec, check).unwrap();
    says
}

fn told_by(changes: &mut Receiver<HealthChange>) -> Vec<(Option<String>, HealthState)> {
    std::iter::from_fn(|| changes.try_recv().ok())
        .map(|change| (change.check, change.to))
        .collect()
}

#[tokio::test]
async fn nothing_registered_is_unknown_and_never_healthy_or_ready() {
    let (health, _clock) = health();
    assert_eq!(health.check_all().await.state, HealthState::Unknown);
    let readiness = health.readiness().await;
    assert!(!readiness.is_ready);
    assert_eq!(readiness.why, ["no check of readiness is registered"]);
    assert!(health.is_live(), "and no reason to start anew");
    told(&health, CheckSpec::new("disk"));
    assert_eq!(
        health.snapshot().state,
        HealthState::Unknown,
        "it was not run"
    );
    assert!(
        !health.readiness().await.is_ready,
        "it is none of readiness"
    );
    assert_eq!(health.check_all().await.state, HealthState::Healthy);
    assert!(health.remove("disk"));
    assert_eq!(health.snapshot().state, HealthState::Unknown);
}

#[tokio::test]
async fn the_worst_wins_and_of_a_check_it_is_told_what_it_saw_how_long_it_took_and_what_to_do() {
    let (health, clock) = health();
    told(&health, CheckSpec::new("queue"));
    let slow = clock.clone();
    let spec = CheckSpec::new("disk").runbook("docs/operating/disk.md");
    health
        .register(spec, move || {
            let slow = slow.clone();
            async move {
                slow.advance(STEP);
                Observed::degraded("a tenth is free").with("free_bytes", 12)
            }
        })
        .unwrap();
    let snapshot = health.check_all().await;
    assert_eq!(snapshot.state, HealthState::Degraded);
    let disk = &snapshot.checks["disk"];
    let last = disk.last.as_ref().unwrap();
    assert_eq!(
        (last.message.as_str(), last.took_us),
        ("a tenth is free", 10_000)
    );
    assert_eq!(last.details["free_bytes"], "12");
    assert_eq!(disk.runbook.as_deref(), Some("docs/operating/disk.md"));
    health
        .register(CheckSpec::new("token"), || async {
            Err::<(), _>(crate::support::Chained)
        })
        .unwrap();
    let snapshot = health.check_all().await;
    assert_eq!(snapshot.state, HealthState::Unhealthy);
    let why = &snapshot.checks["token"].last.as_ref().unwrap().message;
    assert_eq!(why, "cannot read the folder: the disk is gone");
    let written = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(written["checks"]["disk"]["state"], "degraded");
    let metrics = snapshot.prometheus();
    let line = "mainstay_health_check_state{check=\"disk\",state=\"degraded\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
    assert!(
        metrics.contains("mainstay_health_state{state=\"unhealthy\"} 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_check_that_hangs_or_panics_is_unhealthy_in_its_time_and_holds_up_no_other() {
    let (health, clock) = health();
    let slow = CheckSpec::new("hangs").every(30 * SECOND, 2 * SECOND);
    health
        .register(slow, std::future::pending::<Observed>)
        .unwrap();
    health
        .register(CheckSpec::new("panics"), || async {
            panic!("it blew up");
            #[expect(unreachable_code, reason = "it says what it would return")]
            Observed::healthy()
        })
        .unwrap();
    fn at_once() -> std::future::Ready<Observed> {
        panic!("it does not even begin");
    }
    health
        .register(CheckSpec::new("panics early"), at_once)
        .unwrap();
    told(&health, CheckSpec::new("well"));
    let began = clock.now();
    let snapshot = passes(&clock, health.check_all()).await;
    let took = clock.now().since(began);
    assert!(
        took <= 2 * SECOND + 2 * STEP,
        "side by side, the longest counts: {took:?}"
    );
    let of = |name: &str| {
        let check = &snapshot.checks[name];
        let last = check.last.as_ref().unwrap();
        (check.state, last.message.clone())
    };
    let unhealthy = |why: &str| (HealthState::Unhealthy, why.to_owned());
    assert_eq!(of("hangs"), unhealthy("no answer within 2.0 s"));
    assert_eq!(of("panics"), unhealthy("it panicked: it blew up"));
    assert_eq!(
        of("panics early"),
        unhealthy("it panicked: it does not even begin")
    );
    assert_eq!(of("well").0, HealthState::Healthy);
    assert_eq!(
        health.history("hangs", 10).len(),
        1,
        "it is in the history, too"
    );
}

/// Has all looked at, and comes back once that has begun: its time must not be over before.
async fn asked(health: &Health, begun: &AtomicU32) -> JoinHandle<HealthSnapshot> {
    let health = health.clone();
    let first = tokio::spawn(async move { health.check_all().await });
    while begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    first
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_blocks_its_thread_is_not_started_beside_itself() {
    let (health, clock) = health();
    let begun = Arc::new(AtomicU32::new(0));
    let (release, released) = sync_channel::<()>(1);
    let (counted, released) = (Arc::clone(&begun), Arc::new(Mutex::new(released)));
    let spec = CheckSpec::new("blocks").fresh_for(std::time::Duration::ZERO);
    health
        .register(spec, move || {
            let (counted, released) = (Arc::clone(&counted), Arc::clone(&released));
            async move {
                if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                    released.lock().unwrap().recv().unwrap();
                }
                Observed::healthy()
            }
        })
        .unwrap();
    let first = asked(&health, &begun).await;
    passes(&clock, first).await.unwrap();
    let snapshot = passes(&clock, health.check_all()).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    let why = &snapshot.checks["blocks"].last.as_ref().unwrap().message;
    assert!(why.contains("an earlier run has not come back"), "{why}");
    release.send(()).unwrap();
    while begun.load(Ordering::SeqCst) < 2 {
        passes(&clock, health.check_all()).await;
        tokio::task::yield_now().await;
    }
}

/// What was remembered of it was the task that waited for the thread, which ends at once where it is given up: each interval one more
/// thread hung.
#[tokio::test]
async fn a_check_that_hangs_on_a_thread_of_its_own_is_not_started_beside_itself() {
    let (health, clock) = health();
    let begun = Arc::new(AtomicU32::new(0));
    let (release, released) = sync_channel::<()>(1);
    let (counted, released) = (Arc::clone(&begun), Mutex::new(released));
    let spec = CheckSpec::new("disk").fresh_for(std::time::Duration::ZERO);
    health
        .register_blocking(spec, move || {
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                released.lock().unwrap().recv().unwrap();
            }
            Observed::healthy()
        })
        .unwrap();
    let first = asked(&health, &begun).await;
    let snapshot = passes(&clock, first).await.unwrap();
    let message = |snapshot: &HealthSnapshot| {
        let last = snapshot.checks["disk"].last.as_ref().unwrap();
        last.message.clone()
    };
    assert!(message(&snapshot).contains("no answer within"));
    for _ in 0..3 {
        let snapshot = passes(&clock, health.check_all()).await;
        let why = message(&snapshot);
        assert!(why.contains("an earlier run has not come back"), "{why}");
    }
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    release.send(()).unwrap();
    while begun.load(Ordering::SeqCst) < 2 {
        passes(&clock, health.check_all()).await;
        tokio::task::yield_now().await;
    }
    let snapshot = passes(&clock, health.check_all()).await;
    assert_eq!(message(&snapshot), "");
}

#[tokio::test]
async fn a_check_on_a_thread_of_its_own_that_panics_is_unhealthy() {
    let (health, _clock) = health();
    let look = || -> Observed { panic!("nobody looked") };
    health
        .register_blocking(CheckSpec::new("disk"), look)
        .unwrap();
    let snapshot = health.check_all().await;
    let last = snapshot.checks["disk"].last.as_ref().unwrap();
    assert_eq!(last.state, HealthState::Unhealthy);
    assert!(last.message.contains("nobody looked"), "{}", last.message);
}

/// What was given up with its caller had not yet ended when the next one asked, and counted as hanging.
#[tokio::test]
async fn a_caller_who_goes_away_leaves_nothing_that_is_taken_for_hanging() {
    let (health, _clock) = health();
    let begun = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&begun);
    health
        .register(CheckSpec::new("disk"), move || {
            let is_first = counted.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if is_first {
                    std::future::pending::<()>().await;
                }
                Observed::healthy()
            }
        })
        .unwrap();
    {
        let mut goes_away = std::pin::pin!(health.check_all());
        while begun.load(Ordering::Relaxed) == 0 {
            tokio::select! {
                biased;
                _ = &mut goes_away => unreachable!("it hangs"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    // No time passes.
    assert_eq!(health.check_all().await.state, HealthState::Healthy);
    assert_eq!(health.history("disk", 10).len(), 1);
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_has_it_run_and_what_is_fresh_is_not_run_again() {
    let (health, clock) = health();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    health
        .register(CheckSpec::new("disk").fresh_for(SECOND), move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok::<(), std::io::Error>(()) }
        })
        .unwrap();
    tokio::join!(health.check_all(), health.check_all(), health.check_all());
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    clock.advance(SECOND);
    health.check_all().await;
    assert_eq!(runs.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn changes_are_told_once_and_good_news_only_when_they_last() {
    let (health, clock) = health();
    let mut changes = health.subscribe();
    let says = told(&health, CheckSpec::new("disk").hysteresis(1, 2));
    let mut see = async |observed: Observed| {
        *says.lock().unwrap() = observed;
        clock.advance(2 * SECOND);
        health.check_all().await;
        told_by(&mut changes)
    };
    let disk = || Some("disk".to_owned());
    let well = HealthState::Healthy;
    assert_eq!(
        see(Observed::healthy()).await,
        [(disk(), well), (None, well)]
    );
    let bad = HealthState::Unhealthy;
    let broken = || Observed::unhealthy("full");
    assert_eq!(see(broken()).await, [(disk(), bad), (None, bad)]);
    assert_eq!(see(broken()).await, []);
    assert_eq!(see(Observed::healthy()).await, [], "once is not yet");
    assert_eq!(see(broken()).await, []);
    assert_eq!(see(Observed::healthy()).await, []);
    assert_eq!(
        see(Observed::healthy()).await,
        [(disk(), well), (None, well)]
    );
    let history: Vec<HealthState> = health.snapshot().history.iter().map(|one| one.to).collect();
    assert_eq!(history, [well, bad, well]);
}

#[tokio::test]
async fn ready_is_who_could_take_something_now_and_live_who_need_not_be_started_anew() {
    let (health, clock) = health();
    let queue = told(&health, CheckSpec::new("queue").ready());
    let heart = told(&health, CheckSpec::new("heart").live());
    let server = told(&health, CheckSpec::new("server"));
    *server.lock().unwrap() = Observed::unhealthy("refused");
    assert!(
        health.readiness().await.is_ready,
        "documents wait in the queue"
    );
    // Full from now on: not ready at the next question, and not ready again before that lasts.
    *queue.lock().unwrap() = Observed::unhealthy("full");
    clock.advance(2 * SECOND);
    let readiness = health.readiness().await;
    assert_eq!(readiness.why, ["queue is unhealthy: full"]);
    *queue.lock().unwrap() = Observed::healthy();
    for ready in [false, true] {
        clock.advance(2 * SECOND);
        assert_eq!(health.readiness().await.is_ready, ready);
    }
    assert!(health.is_live());
    *heart.lock().unwrap() = Observed::unhealthy("it stands still");
    health.check_all().await;
    assert!(!health.is_live());
}

#[tokio::test]
async fn checks_are_run_when_they_are_due_and_what_nobody_looked_at_is_unknown() {
    let (supervisor, _) = supervised();
    let (health, clock) = health();
    told(&health, CheckSpec::new("disk").every(10 * SECOND, SECOND));
    let runs = health.clone();
    let task = supervisor
        .spawn(
            TaskSpec::new("the health checks"),
            move |context: TaskContext| {
                let runs = runs.clone();
                async move { runs.run(&context).await }
            },
        )
        .unwrap();
    let seen = async |times: usize| {
        while health.history("disk", 100).len() < times {
            tokio::task::yield_now().await;
        }
    };
    passes(&clock, seen(3)).await;
    let ran: Vec<u64> = health
        .history("disk", 3)
        .iter()
        .map(|one| one.at_ms / 1_000)
        .collect();
    assert_eq!((ran[0] - ran[1], ran[1] - ran[2]), (10, 10));
    // One that comes later is run at once.
    told(&health, CheckSpec::new("late"));
    passes(&clock, async {
        while health.history("late", 1).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(health.snapshot().state, HealthState::Healthy);
    task.cancel();
    task.over().await;
    clock.advance(31 * SECOND);
    assert_eq!(health.snapshot().checks["disk"].state, HealthState::Healthy);
    clock.advance(10 * SECOND);
    let snapshot = health.snapshot();
    assert!(snapshot.checks["disk"].is_stale);
    assert_eq!(snapshot.checks["disk"].state, HealthState::Unknown);
}

#[tokio::test]
async fn a_history_has_an_end_and_what_cannot_work_is_refused() {
    let (health, clock) = health();
    told(&health, CheckSpec::new("disk"));
    let detailed = || async { Observed::healthy().with("free_bytes", 7) };
    let spec = CheckSpec::new("detailed");
    health.register(spec, detailed).unwrap();
    for _ in 0..150 {
        clock.advance(2 * SECOND);
        health.check_all().await;
    }
    assert_eq!(health.history("disk", usize::MAX).len(), 100);
    assert!(health.history("disk", 0).is_empty());
    let known = health.history("detailed", usize::MAX);
    let with_details = known.iter().filter(|one| !one.details.is_empty());
    assert_eq!(with_details.count(), 1, "those of a hundred are a lot");
    assert_eq!(known[0].details["free_bytes"], "7");
    let nothing = || async { Observed::healthy() };
    let kind = |spec| health.register(spec, nothing).unwrap_err().kind();
    assert_eq!(kind(CheckSpec::new("disk")), ErrorKind::Taken);
    assert_eq!(
        kind(CheckSpec::new("x").hysteresis(0, 1)),
        ErrorKind::Settings
    );
    let never = std::time::Duration::ZERO;
    assert_eq!(
        kind(CheckSpec::new("x").every(never, SECOND)),
        ErrorKind::Settings
    );
    for number in 2..Health::CHECKS_MAX {
        let spec = CheckSpec::new(format!("check {number}"));
        health.register(spec, nothing).unwrap();
    }
    assert_eq!(kind(CheckSpec::new("one more")), ErrorKind::Full);
    let long = Observed::degraded("ü".repeat(5_000));
    health.remove("disk");
    health
        .register(CheckSpec::new("disk"), move || {
            let long = long.clone();
            async move { long }
        })
        .unwrap();
    health.check_all().await;
    let message = &health.history("disk", 1)[0].message;
    assert!(message.len() <= Observed::TEXT_MAX && message.ends_with('…'));
}
