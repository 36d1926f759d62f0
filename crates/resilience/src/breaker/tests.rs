use super::*;
use crate::class::{Category, Class, Severity};
use mainstay_clock::ManualClock;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU32;

/// An error of the other side, or of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Theirs,
    Ours,
}

impl Classify for Fault {
    fn class(&self) -> Class {
        match self {
            Self::Theirs => Class::retryable(Category::Network, Severity::Medium),
            Self::Ours => Class::permanent(Category::Validation, Severity::Low),
        }
    }
}

fn breaker(settings: BreakerSettings) -> (Breaker, ManualClock) {
    let clock = ManualClock::new();
    let shared = Arc::new(clock.clone());
    let random = Random::from_seed(1);
    let breaker = Breaker::with_random("registry", settings, shared, random).unwrap();
    (breaker, clock)
}

fn exact() -> BreakerSettings {
    BreakerSettings {
        open_jitter: 0.0,
        ..BreakerSettings::default()
    }
}

fn succeed(breaker: &Breaker) -> bool {
    breaker.run_blocking(|| Ok::<(), Fault>(())).is_ok()
}

fn fail(breaker: &Breaker, fault: Fault) -> Result<(), Error<Fault>> {
    breaker.run_blocking(|| Err(fault))
}

fn open(breaker: &Breaker) {
    for _ in 0..5 {
        assert_eq!(
            fail(breaker, Fault::Theirs),
            Err(Error::Failed(Fault::Theirs))
        );
    }
    assert_eq!(breaker.state(), BreakerState::Open);
}

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn so_many_failures_in_a_row_open_it_and_a_success_in_between_begins_anew() {
    let (breaker, _clock) = breaker(exact());
    for _ in 0..3 {
        for _ in 0..4 {
            fail(&breaker, Fault::Theirs).unwrap_err();
        }
        assert!(succeed(&breaker));
    }
    assert_eq!(breaker.status().failure_count, 0);
    open(&breaker);
    let rejected = fail(&breaker, Fault::Theirs).unwrap_err();
    let rejection = rejected.rejection().unwrap();
    assert_eq!(rejection.retry_after, Some(MINUTE));
    assert!(rejection.to_string().contains("registry"), "{rejection}");
    assert!(!rejected.class().is_retryable);
    assert_eq!(breaker.status().rejected, 1);
}

#[test]
fn what_the_caller_did_wrong_opens_nothing_and_closes_nothing() {
    let (breaker, clock) = breaker(exact());
    for _ in 0..20 {
        fail(&breaker, Fault::Ours).unwrap_err();
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    open(&breaker);
    clock.advance(MINUTE);
    for _ in 0..20 {
        assert_eq!(fail(&breaker, Fault::Ours), Err(Error::Failed(Fault::Ours)));
    }
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

#[test]
fn two_successes_in_a_row_close_it_and_any_failure_opens_it_again() {
    let (breaker, clock) = breaker(exact());
    open(&breaker);
    clock.advance(Duration::from_nanos(59_999_999_999));
    assert!(!succeed(&breaker));
    clock.advance(Duration::from_nanos(1));
    assert!(succeed(&breaker));
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    fail(&breaker, Fault::Theirs).unwrap_err();
    assert_eq!(breaker.state(), BreakerState::Open, "one failure is enough");
    clock.advance(MINUTE);
    assert!(succeed(&breaker) && succeed(&breaker));
    assert_eq!(breaker.state(), BreakerState::Closed);
    // Its old failures are forgotten.
    for _ in 0..4 {
        fail(&breaker, Fault::Theirs).unwrap_err();
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn of_a_stampede_exactly_the_permitted_pass() {
    for permits in [1, 3] {
        let (breaker, clock) = breaker(BreakerSettings {
            half_open_permits: permits,
            successes_to_close: 100,
            ..exact()
        });
        open(&breaker);
        clock.advance(MINUTE);
        let admitted = AtomicU32::new(0);
        let start = std::sync::Barrier::new(64);
        let held: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..64)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        let permit = breaker.enter();
                        admitted.fetch_add(u32::from(permit.is_ok()), Ordering::Relaxed);
                        permit
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(admitted.load(Ordering::Relaxed), permits);
        drop(held);
    }
}

#[test]
fn a_call_that_is_given_up_or_ignored_gives_its_place_back() {
    let (breaker, clock) = breaker(exact());
    open(&breaker);
    clock.advance(MINUTE);
    for _ in 0..1_000 {
        let permit = breaker.enter().unwrap();
        assert!(breaker.enter().is_err(), "one at a time");
        drop(permit);
    }
    let mut given_up = Box::pin(breaker.run(std::future::pending::<Result<(), Fault>>()));
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    assert!(given_up.as_mut().poll(&mut context).is_pending());
    assert!(breaker.enter().is_err());
    drop(given_up);
    assert!(succeed(&breaker));
}

#[test]
fn a_call_of_an_earlier_time_changes_nothing() {
    let (breaker, clock) = breaker(exact());
    let early = [breaker.enter().unwrap(), breaker.enter().unwrap()];
    open(&breaker);
    let [success, failure] = early;
    success.success();
    assert_eq!(
        breaker.state(),
        BreakerState::Open,
        "a late success closes nothing"
    );
    clock.advance(MINUTE);
    assert!(succeed(&breaker));
    failure.failure();
    assert_eq!(
        breaker.state(),
        BreakerState::HalfOpen,
        "a late failure opens nothing"
    );
    assert_eq!(breaker.status().late, 2);
}

#[test]
fn a_probe_that_never_answers_does_not_hold_it_half_open_for_ever() {
    let (breaker, clock) = breaker(exact());
    open(&breaker);
    clock.advance(MINUTE);
    let hangs = breaker.enter().unwrap();
    clock.advance(Duration::from_nanos(59_999_999_999));
    assert!(breaker.enter().is_err());
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    clock.advance(Duration::from_nanos(1));
    assert!(breaker.enter().is_err());
    assert_eq!(breaker.state(), BreakerState::Open);
    clock.advance(MINUTE);
    assert!(succeed(&breaker));
    hangs.success();
    assert_eq!(
        breaker.state(),
        BreakerState::HalfOpen,
        "it came too late to count"
    );
}

#[test]
fn a_probe_has_its_own_time_however_long_ago_the_one_before_it_succeeded() {
    let (breaker, clock) = breaker(exact());
    open(&breaker);
    clock.advance(MINUTE);
    assert!(succeed(&breaker));
    clock.advance(2 * MINUTE);
    let second = breaker.enter().unwrap();
    assert!(breaker.enter().is_err(), "one probe at a time");
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    second.success();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn a_time_beyond_all_counting_keeps_it_open_for_ever() {
    let (breaker, _clock) = breaker(BreakerSettings {
        open_for: Duration::MAX,
        open_max: Duration::MAX,
        open_growth: 1.0,
        ..exact()
    });
    open(&breaker);
    assert!(breaker.enter().is_err());
}

#[test]
fn a_probe_that_panics_has_failed() {
    let (breaker, clock) = breaker(exact());
    open(&breaker);
    clock.advance(MINUTE);
    let panics = std::thread::scope(|scope| {
        let call =
            || breaker.run_blocking(|| -> Result<(), Fault> { panic!("a fault of the test") });
        scope.spawn(call).join().is_err()
    });
    assert!(panics);
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn it_opens_for_longer_each_time_up_to_its_maximum_and_begins_anew_when_it_was_closed() {
    let (breaker, clock) = breaker(BreakerSettings {
        open_growth: 2.0,
        open_max: 3 * MINUTE,
        ..exact()
    });
    open(&breaker);
    for minutes in [1, 2, 3, 3] {
        let wait = breaker.enter().unwrap_err().retry_after.unwrap();
        assert_eq!(wait, minutes * MINUTE);
        clock.advance(wait);
        fail(&breaker, Fault::Theirs).unwrap_err();
    }
    clock.advance(3 * MINUTE);
    assert!(succeed(&breaker) && succeed(&breaker));
    open(&breaker);
    assert_eq!(breaker.enter().unwrap_err().retry_after, Some(MINUTE));
}

/// The jitter came after the cap, and made of it up to twice as much.
#[test]
fn no_jitter_keeps_it_open_for_longer_than_its_maximum_nor_are_all_back_at_once() {
    let (breaker, clock) = breaker(BreakerSettings {
        open_growth: 2.0,
        open_max: 3 * MINUTE,
        open_jitter: 1.0,
        ..exact()
    });
    open(&breaker);
    let mut waits = BTreeSet::new();
    for _ in 0..100 {
        let Err(rejection) = breaker.enter() else {
            // It was open for no time at all, which the jitter allows.
            clock.advance(Duration::from_millis(1));
            continue;
        };
        let wait = rejection.retry_after.unwrap();
        assert!(wait <= 3 * MINUTE, "{wait:?}");
        waits.insert(wait);
        clock.advance(wait);
        fail(&breaker, Fault::Theirs).unwrap_err();
    }
    assert!(waits.len() > 50, "{}", waits.len());
}

#[test]
fn a_share_of_failures_opens_it_once_there_are_enough_calls() {
    for window in [Window::Calls(40), Window::Time(Duration::from_secs(30))] {
        let (breaker, clock) = breaker(BreakerSettings {
            consecutive: None,
            rate: Some(Rate {
                window,
                ..Rate::default()
            }),
            ..exact()
        });
        for call in 0..19 {
            if call % 2 == 0 {
                fail(&breaker, Fault::Theirs).unwrap_err();
            } else {
                assert!(succeed(&breaker));
            }
            clock.advance(Duration::from_millis(10));
        }
        assert_eq!(
            breaker.state(),
            BreakerState::Closed,
            "19 calls are too few"
        );
        fail(&breaker, Fault::Theirs).unwrap_err();
        assert_eq!(breaker.state(), BreakerState::Open, "{window:?}");
        let status = breaker.status();
        assert_eq!(status.calls, 20);
        assert_eq!(status.reason, "11 of the last 20 calls failed");
    }
}

#[test]
fn failures_that_are_long_ago_do_not_open_it() {
    let (breaker, clock) = breaker(BreakerSettings {
        consecutive: None,
        rate: Some(Rate::default()),
        ..exact()
    });
    for _ in 0..19 {
        fail(&breaker, Fault::Theirs).unwrap_err();
    }
    clock.advance(Duration::from_secs(40));
    for _ in 0..19 {
        assert!(succeed(&breaker));
    }
    fail(&breaker, Fault::Theirs).unwrap_err();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn slow_calls_open_it_though_they_succeed() {
    let (breaker, clock) = breaker(BreakerSettings {
        consecutive: None,
        rate: Some(Rate {
            calls_min: 4,
            slow: Some(Slow {
                longer_than: Duration::from_secs(1),
                share: 0.5,
            }),
            ..Rate::default()
        }),
        ..exact()
    });
    for wait in [0, 2, 0, 2] {
        let permit = breaker.enter().unwrap();
        clock.advance(Duration::from_secs(wait));
        permit.success();
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    let status = breaker.status();
    assert_eq!(status.reason, "2 of the last 4 calls took longer than 1 s");
    assert_eq!(status.slow_rate, Some(0.5));
}

#[test]
fn by_hand_it_is_forced_open_disabled_only_counting_or_reset() {
    let (breaker, clock) = breaker(exact());
    breaker.force_open();
    clock.advance(100 * MINUTE);
    assert_eq!(breaker.enter().unwrap_err().retry_after, None);
    breaker.disable();
    for _ in 0..20 {
        fail(&breaker, Fault::Theirs).unwrap_err();
    }
    assert_eq!(breaker.status().failure_count, 0);
    breaker.only_count();
    for _ in 0..20 {
        assert_eq!(
            fail(&breaker, Fault::Theirs),
            Err(Error::Failed(Fault::Theirs))
        );
    }
    assert_eq!(breaker.status().opened, 4, "it would have been opened");
    breaker.reset();
    assert_eq!(breaker.state(), BreakerState::Closed);
    open(&breaker);
    breaker.reset();
    assert!(succeed(&breaker));
}

#[test]
fn every_change_is_told_in_order_and_remembered() {
    let (breaker, clock) = breaker(exact());
    let mut told = breaker.subscribe();
    open(&breaker);
    clock.advance(MINUTE);
    assert!(succeed(&breaker) && succeed(&breaker));
    let changes: Vec<String> = std::iter::from_fn(|| told.try_recv().ok())
        .map(|change| {
            format!(
                "{} {} {}: {}",
                change.name, change.from, change.to, change.reason
            )
        })
        .collect();
    assert_eq!(
        changes,
        [
            "registry closed open: 5 failures in a row",
            "registry open half_open: its time is over",
            "registry half_open closed: 2 successes in a row",
        ]
    );
    assert_eq!(breaker.status().history.len(), 3);
    for _ in 0..1_000 {
        breaker.force_open();
    }
    assert_eq!(breaker.status().history.len(), REMEMBERED);
}

#[test]
fn a_date_that_jumps_changes_nothing() {
    let (breaker, clock) = breaker(exact());
    open(&breaker);
    clock.set_wall(u64::MAX / 2);
    assert!(breaker.enter().is_err());
    clock.set_wall(0);
    clock.advance(MINUTE);
    assert!(succeed(&breaker));
}

#[test]
fn new_settings_hold_from_the_next_call_on() {
    let (breaker, clock) = breaker(exact());
    breaker
        .set(BreakerSettings {
            consecutive: Some(1),
            open_for: Duration::from_secs(5),
            ..exact()
        })
        .unwrap();
    fail(&breaker, Fault::Theirs).unwrap_err();
    assert_eq!(breaker.state(), BreakerState::Open);
    clock.advance(Duration::from_secs(5));
    assert!(succeed(&breaker));
    let wrong = BreakerSettings {
        consecutive: None,
        ..exact()
    };
    let error = breaker.set(wrong.clone()).unwrap_err();
    assert!(error.to_string().contains("never opens"), "{error}");
}

#[test]
fn settings_that_cannot_work_are_refused_by_their_name() {
    type Change = fn(&mut BreakerSettings);
    let cases: [(&str, Change); 9] = [
        ("consecutive", |settings| settings.consecutive = Some(0)),
        ("open_for", |settings| settings.open_for = Duration::ZERO),
        ("open_max", |settings| {
            settings.open_max = Duration::from_secs(1);
        }),
        ("open_growth", |settings| settings.open_growth = 0.5),
        ("open_jitter", |settings| settings.open_jitter = f64::NAN),
        ("half_open_permits", |settings| {
            settings.half_open_permits = 0;
        }),
        ("half_open_for", |settings| {
            settings.half_open_for = Duration::ZERO;
        }),
        ("successes_to_close", |settings| {
            settings.successes_to_close = 0;
        }),
        ("rate.window", |settings| {
            settings.rate = Some(Rate {
                window: Window::Calls(3),
                ..Rate::default()
            });
        }),
    ];
    for (name, change) in cases {
        let mut settings = exact();
        change(&mut settings);
        let error = settings.check().unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// What may be done to a breaker.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Enter,
    Tell(usize, Option<bool>),
    Wait(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        3 => Just(Deed::Enter),
        3 => (any::<usize>(), any::<Option<bool>>()).prop_map(|(which, how)| Deed::Tell(which, how)),
        1 => (0..90_u64).prop_map(Deed::Wait),
    ];
    prop::collection::vec(deed, 0..300)
}

proptest! {
    /// Whatever happens in whatever order: no more probes than permitted are under way, it is never stuck, and it is open only
    /// after as many failures as it takes.
    #[test]
    fn no_order_of_calls_breaks_it(deeds in deeds(), permits in 1..4_u32) {
        let (breaker, clock) = breaker(BreakerSettings {
            consecutive: Some(2),
            half_open_permits: permits,
            ..exact()
        });
        let mut under_way = Vec::new();
        let mut number = 0;
        for deed in deeds {
            match deed {
                Deed::Enter => {
                    if let Ok(permit) = breaker.enter() {
                        under_way.push(permit);
                    }
                }
                Deed::Tell(_, _) if under_way.is_empty() => {}
                Deed::Tell(which, how) => {
                    let permit = under_way.swap_remove(which % under_way.len());
                    match how {
                        Some(true) => permit.success(),
                        Some(false) => permit.failure(),
                        None => drop(permit),
                    }
                }
                Deed::Wait(seconds) => clock.advance(Duration::from_secs(seconds)),
            }
            let now = breaker.word.load(Ordering::Acquire) >> STATE_BITS;
            prop_assert!(now >= number);
            number = now;
            let probes = breaker.inner().probes;
            if breaker.state() == BreakerState::HalfOpen {
                prop_assert!(probes <= permits);
            }
        }
        drop(under_way);
        clock.advance(2 * MINUTE);
        prop_assert!(succeed(&breaker), "it is stuck: {:?}", breaker.status());
    }
}
