use super::*;
use mainstay_clock::{Clock, ManualClock};
use std::thread;

fn limit(settings: AdaptiveSettings) -> (AdaptiveLimit, ManualClock) {
    let clock = ManualClock::new();
    let limit = AdaptiveLimit::new("printer", settings, Arc::new(clock.clone())).unwrap();
    (limit, clock)
}

fn gradient() -> AdaptiveSettings {
    AdaptiveSettings {
        rule: AdaptiveRule::gradient(),
        ..AdaptiveSettings::default()
    }
}

/// As many calls at once as may be.
fn begin(limit: &AdaptiveLimit) -> Vec<AdaptivePermit> {
    let permits = std::iter::from_fn(|| limit.try_enter().ok());
    permits.take(1_000).collect()
}

/// As many calls at once as may be, all answered after `latency`.
fn round(limit: &AdaptiveLimit, clock: &ManualClock, latency: Duration) {
    let permits = begin(limit);
    clock.advance(latency);
    for permit in permits {
        permit.success();
    }
}

/// A service that does `capacity` calls at once in `latency` each, and the others after them.
fn serve(limit: &AdaptiveLimit, clock: &ManualClock, capacity: u32, latency: Duration) {
    let under_way = limit.status().limit;
    let rounds = under_way.div_ceil(capacity);
    round(limit, clock, latency * rounds);
}

#[test]
fn as_many_calls_are_under_way_as_the_limit_says_and_a_permit_dropped_counts_for_nothing() {
    let (limit, _clock) = limit(AdaptiveSettings::default());
    let permits: Vec<_> = (0..20).map(|_| limit.try_enter().unwrap()).collect();
    let rejection = limit.try_enter().unwrap_err();
    assert_eq!(rejection.by, RejectedBy::Bulkhead);
    assert_eq!(limit.status().in_flight, 20);
    drop(permits);
    let status = limit.status();
    assert_eq!((status.limit, status.in_flight), (20, 0));
    assert_eq!((status.admitted, status.rejected), (20, 1));
}

#[test]
fn aimd_grows_by_one_for_each_round_of_calls_that_go_well() {
    let (limit, clock) = limit(AdaptiveSettings::default());
    for expected in [20, 21, 22] {
        round(&limit, &clock, Duration::from_millis(10));
        // A round makes a little less than one more: 20.98 after the first.
        assert_eq!(limit.status().limit, expected);
    }
    for _ in 0..1_000 {
        round(&limit, &clock, Duration::from_millis(10));
    }
    assert_eq!(limit.status().limit, 200);
}

#[test]
fn a_limit_that_is_not_used_does_not_grow() {
    for settings in [AdaptiveSettings::default(), gradient()] {
        let (limit, clock) = limit(settings);
        for _ in 0..1_000 {
            let permit = limit.try_enter().unwrap();
            clock.advance(Duration::from_millis(200));
            permit.success();
        }
        assert_eq!(limit.status().limit, 20);
    }
}

#[test]
fn aimd_takes_an_overload_that_hits_many_calls_at_once_for_one() {
    let (limit, clock) = limit(AdaptiveSettings::default());
    let permits: Vec<_> = (0..20).map(|_| limit.try_enter().unwrap()).collect();
    clock.advance(Duration::from_secs(1));
    for permit in permits {
        permit.dropped();
    }
    assert_eq!(limit.status().limit, 18);
    clock.advance(Duration::from_secs(1));
    for _ in 0..100 {
        let permit = limit.try_enter().unwrap();
        clock.advance(Duration::from_secs(6));
        permit.success();
    }
    assert_eq!(
        limit.status().limit,
        1,
        "slower than 5 s is an overload too"
    );
}

#[test]
fn the_gradient_follows_latencies_down_and_up_again() {
    let (limit, clock) = limit(gradient());
    for _ in 0..600 {
        round(&limit, &clock, Duration::from_millis(100));
    }
    let grown = limit.status().limit;
    assert!(40 < grown, "{grown}");
    let usual = limit.status().usual_latency.unwrap();
    assert_eq!(usual.as_millis(), 100);
    for _ in 0..60 {
        round(&limit, &clock, Duration::from_millis(500));
    }
    let lowered = limit.status().limit;
    assert!(lowered < grown / 2, "{lowered} of {grown}");
    for _ in 0..1_200 {
        round(&limit, &clock, Duration::from_millis(100));
    }
    assert!(grown <= limit.status().limit);
}

#[test]
fn the_gradient_lowers_the_limit_for_calls_that_are_dropped() {
    let (limit, clock) = limit(gradient());
    for _ in 0..20 {
        let permits = begin(&limit);
        clock.advance(Duration::from_secs(1));
        for permit in permits {
            permit.dropped();
        }
    }
    let lowered = limit.status().limit;
    assert!(lowered < 15, "{lowered}");
    assert_eq!(limit.status().usual_latency, None);
}

#[test]
fn the_gradient_lowers_the_limit_even_if_only_one_call_of_many_is_dropped() {
    let (limit, clock) = limit(gradient());
    for _ in 0..20 {
        let mut permits = begin(&limit);
        clock.advance(Duration::from_secs(1));
        permits.pop().unwrap().dropped();
        for permit in permits {
            permit.success();
        }
    }
    let lowered = limit.status().limit;
    assert!(lowered < 15, "{lowered}");
}

/// Else the limit would know no bound for minutes: every latency would be far less than usual.
#[test]
fn what_is_usual_comes_down_soon_after_an_overload() {
    let (limit, clock) = limit(gradient());
    for _ in 0..20 {
        round(&limit, &clock, Duration::from_secs(2));
    }
    for _ in 0..600 {
        round(&limit, &clock, Duration::from_millis(100));
    }
    let usual = limit.status().usual_latency.unwrap();
    assert!(usual < Duration::from_millis(250), "{usual:?}");
}

#[test]
fn the_limit_stays_near_what_the_service_can_take() {
    let (limit, clock) = limit(gradient());
    for _ in 0..100 {
        serve(&limit, &clock, 50, Duration::from_millis(100));
    }
    let mut sum = 0;
    for _ in 0..200 {
        serve(&limit, &clock, 50, Duration::from_millis(100));
        sum += limit.status().limit;
    }
    assert!((30..100).contains(&(sum / 200)), "{}", sum / 200);
}

#[test]
fn sixty_four_threads_are_never_more_than_the_limit_and_leave_nothing_behind() {
    let settings = AdaptiveSettings {
        initial: 8,
        max: 8,
        ..AdaptiveSettings::default()
    };
    let (limit, clock) = limit(settings);
    let under_way = AtomicU32::new(0);
    thread::scope(|scope| {
        for number in 0..64 {
            let (limit, clock, under_way) = (&limit, &clock, &under_way);
            scope.spawn(move || {
                for round in 0..500 {
                    let Ok(permit) = limit.try_enter() else {
                        continue;
                    };
                    assert!(under_way.fetch_add(1, Ordering::AcqRel) < 8);
                    clock.advance(Duration::from_micros(1));
                    under_way.fetch_sub(1, Ordering::AcqRel);
                    match (number + round) % 3 {
                        0 => permit.success(),
                        1 => permit.dropped(),
                        _ => drop(permit),
                    }
                }
            });
        }
    });
    let status = limit.status();
    assert_eq!(status.in_flight, 0);
    assert!((1..=8).contains(&status.limit));
    assert_eq!(status.admitted + status.rejected, 64 * 500);
    assert!(clock.now() < Moment::ORIGIN + Duration::from_secs(1));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let good = AdaptiveSettings::default();
    let timeout = Duration::from_secs(1);
    let aimd = |backoff, timeout| AdaptiveRule::Aimd { backoff, timeout };
    let gradient = |smoothing, long_window, tolerance, queue| AdaptiveRule::Gradient {
        smoothing,
        long_window,
        tolerance,
        queue,
    };
    let bounds = [(0, 0, 0), (5, 6, 10), (11, 5, 10), (5, 0, 10)];
    let bounds = bounds.map(|(initial, min, max)| AdaptiveSettings {
        initial,
        min,
        max,
        ..good
    });
    let rules = [
        aimd(0.0, timeout),
        aimd(1.0, timeout),
        aimd(f64::NAN, timeout),
        aimd(0.9, Duration::ZERO),
        gradient(0.0, 600, 1.5, 4),
        gradient(1.1, 600, 1.5, 4),
        gradient(0.2, 0, 1.5, 4),
        gradient(0.2, 600, 0.9, 4),
        gradient(0.2, 600, 1.5, 0),
    ];
    let rules = rules.map(|rule| AdaptiveSettings { rule, ..good });
    for settings in bounds.into_iter().chain(rules) {
        let refused = AdaptiveLimit::new("printer", settings, mainstay_clock::system());
        assert!(refused.is_err(), "{settings:?}");
    }
}

#[test]
fn a_status_tells_the_limit_and_the_usual_latency() {
    let (limit, clock) = limit(gradient());
    for _ in 0..2 {
        round(&limit, &clock, Duration::from_millis(500));
    }
    round(&limit, &clock, Duration::from_millis(500));
    let status = serde_json::to_value(limit.status()).unwrap();
    assert_eq!(status["usual_latency"], 0.5);
    assert_eq!(status["in_flight"], 0);
    assert!(status["limit"].as_u64().is_some());
}
