use super::*;
use crate::hedge::HedgeDelay;
use crate::keyed::{KeyedLimit, KeyedLimiter};
use crate::shed::Priority;
use futures_util::FutureExt;
use mainstay_clock::{ManualClock, SharedClock};
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn registry() -> (Registry, Arc<Breaker>) {
    let clock = mainstay_clock::system();
    let registry = Registry::new();
    let settings = BreakerSettings::default();
    let breaker = Arc::new(Breaker::new("hub", settings, clock.clone()).unwrap());
    let limiter = RateLimiter::new("hub", RateLimit::default(), clock.clone()).unwrap();
    let budget = RetryBudget::new(BudgetSettings::default(), clock).unwrap();
    for (name, part) in [
        ("hub/breaker", Part::Breaker(Arc::clone(&breaker))),
        ("hub/limiter", Part::Limiter(Arc::new(limiter))),
        ("hub/budget", Part::Budget(Arc::new(budget))),
    ] {
        registry.add(name, part).unwrap();
    }
    (registry, breaker)
}

#[test]
fn what_is_registered_is_the_same_part_and_is_never_replaced_silently() {
    let (registry, breaker) = registry();
    let Some(Part::Breaker(found)) = registry.get("hub/breaker") else {
        panic!("it was registered");
    };
    assert!(Arc::ptr_eq(&found, &breaker));
    let again = registry.add("hub/breaker", Part::Breaker(found));
    assert_eq!(again, Err(Unregistered::Taken("hub/breaker".to_owned())));
}

#[test]
fn a_part_is_removed_only_where_the_condition_holds() {
    let (registry, breaker) = registry();
    drop(breaker);
    let mut asked = 0;
    let mut remove = |name, is_to_go| {
        let removed = registry.remove_if(name, |_| {
            asked += 1;
            is_to_go
        });
        removed.is_some()
    };
    assert!(!remove("hub", true), "there is none");
    assert!(!remove("hub/breaker", false));
    assert!(registry.get("hub/breaker").is_some());
    assert!(remove("hub/breaker", true));
    assert!(registry.get("hub/breaker").is_none() && asked == 2);
}

#[test]
fn all_are_listed_with_how_they_stand() {
    let (registry, breaker) = registry();
    breaker.force_open();
    let status = registry.status();
    let names: Vec<&str> = status.keys().map(String::as_str).collect();
    assert_eq!(names, ["hub/breaker", "hub/budget", "hub/limiter"]);
    let told = serde_json::to_value(&status).unwrap();
    assert_eq!(told["hub/breaker"]["kind"], "breaker");
    assert_eq!(told["hub/breaker"]["state"], "forced_open");
}

#[test]
fn a_part_is_changed_and_reset_by_its_name_and_a_wrong_name_or_kind_is_told() {
    let (registry, breaker) = registry();
    let settings = BreakerSettings {
        consecutive: Some(1),
        ..BreakerSettings::default()
    };
    registry
        .set("hub/breaker", Change::Breaker(settings.clone()))
        .unwrap();
    breaker.enter().unwrap().failure();
    assert!(breaker.enter().is_err());
    registry.reset("hub/breaker").unwrap();
    assert!(breaker.enter().is_ok());

    let unknown = registry.reset("hub").unwrap_err();
    assert_eq!(unknown.to_string(), "nothing is registered as `hub`");
    let other = registry.set("hub/limiter", Change::Breaker(settings));
    assert_eq!(
        other,
        Err(Unregistered::OtherKind("hub/limiter".to_owned()))
    );
    let wrong = Change::Breaker(BreakerSettings {
        consecutive: Some(0),
        ..BreakerSettings::default()
    });
    let refused = registry.set("hub/breaker", wrong).unwrap_err();
    assert!(refused.to_string().contains("consecutive"), "{refused}");
}

#[test]
fn every_kind_of_part_follows_other_settings_at_once_and_none_that_cannot_work() {
    let (registry, _) = registry();
    let clock = mainstay_clock::system();
    let limit = AdaptiveLimit::new("hub", AdaptiveSettings::default(), clock).unwrap();
    let shedder = LoadShedder::new("hub", Shedding::default(), || 0.5).unwrap();
    let (limit, shedder) = (Arc::new(limit), Arc::new(shedder));
    for (name, part) in [
        ("hub/adaptive", Part::Adaptive(Arc::clone(&limit))),
        ("hub/shedder", Part::Shedder(Arc::clone(&shedder))),
    ] {
        registry.add(name, part).unwrap();
    }
    let none = BudgetSettings {
        least: 0,
        ..BudgetSettings::default()
    };
    let small = AdaptiveSettings {
        initial: 2,
        min: 1,
        max: 3,
        ..AdaptiveSettings::default()
    };
    let early = Shedding {
        low: 0.4,
        ..Shedding::default()
    };
    registry.set("hub/budget", Change::Budget(none)).unwrap();
    registry
        .set("hub/adaptive", Change::Adaptive(small))
        .unwrap();
    registry.set("hub/shedder", Change::Shedder(early)).unwrap();
    let Some(PartStatus::Budget(budget)) = registry.status().remove("hub/budget") else {
        panic!("it was registered");
    };
    assert_eq!(budget.left, 0, "nobody has paid for a retry");
    assert_eq!(limit.status().limit, 3, "it was 20");
    assert!(shedder.admit(crate::Priority::Low).is_err());

    let impossible = [
        (
            "hub/budget",
            Change::Budget(BudgetSettings {
                share: -1.0,
                ..none
            }),
        ),
        (
            "hub/adaptive",
            Change::Adaptive(AdaptiveSettings { min: 0, ..small }),
        ),
        (
            "hub/shedder",
            Change::Shedder(Shedding { low: 2.0, ..early }),
        ),
    ];
    for (name, change) in impossible {
        let refused = registry.set(name, change.clone()).unwrap_err();
        assert!(matches!(refused, Unregistered::Settings(_)), "{name}");
        let other = registry.set("hub/limiter", change);
        assert_eq!(
            other,
            Err(Unregistered::OtherKind("hub/limiter".to_owned()))
        );
    }
    assert_eq!(limit.status().limit, 3);
    assert!(shedder.admit(crate::Priority::Low).is_err());
}

#[test]
fn a_breaker_is_forced_open_by_its_name_and_nothing_else_is() {
    let (registry, breaker) = registry();
    registry.force_open("hub/breaker").unwrap();
    assert_eq!(breaker.state(), crate::BreakerState::ForcedOpen);
    let other = registry.force_open("hub/budget");
    assert_eq!(other, Err(Unregistered::OtherKind("hub/budget".to_owned())));
    registry.reset("hub/breaker").unwrap();
    assert!(breaker.enter().is_ok());
}

/// A part of each kind, with something to forget.
fn used_parts() -> (Registry, ManualClock) {
    let (registry, manual) = (Registry::new(), ManualClock::new());
    let clock: SharedClock = Arc::new(manual.clone());
    let one_place = BulkheadSettings {
        max_concurrent: 1,
        ..BulkheadSettings::default()
    };
    let bulkhead = Bulkhead::new("hub", one_place, clock.clone()).unwrap();
    let place = bulkhead.try_enter().unwrap();
    assert!(bulkhead.try_enter().is_err());
    drop(place);
    let adaptive = AdaptiveLimit::new("hub", AdaptiveSettings::default(), clock.clone()).unwrap();
    manual.advance(Duration::from_secs(1));
    adaptive.try_enter().unwrap().dropped();
    let budget = RetryBudget::new(BudgetSettings::default(), clock.clone()).unwrap();
    assert!(budget.try_retry());
    let load = Arc::new(AtomicU32::new(100));
    let seen = Arc::clone(&load);
    let shedder = LoadShedder::new("hub", Shedding::default(), move || {
        f64::from(seen.load(Ordering::Relaxed)) / 100.0
    });
    let shedder = shedder.unwrap();
    assert!(shedder.admit(Priority::Low).is_err());
    // Low enough for whoever comes new, and not for one who saw more.
    load.store(75, Ordering::Relaxed);
    let fixed = HedgeSettings {
        delay: HedgeDelay::Percentile {
            part: 0.5,
            of_last: 1,
        },
        extra: 1,
    };
    let hedge = Hedge::new(fixed, clock.clone()).unwrap();
    let called = hedge.call(&|| true, async |_| Ok::<_, ()>(()));
    assert_eq!(called.now_or_never(), Some(Ok(())));
    let keyed = KeyedLimiter::<String>::new("hosts", KeyedLimit::default(), clock).unwrap();
    keyed
        .observe("a", None, None, Some(Duration::from_mins(1)))
        .unwrap();
    assert!(keyed.try_acquire("a", 1).is_err());
    for (name, part) in [
        ("bulkhead", Part::Bulkhead(Arc::new(bulkhead))),
        ("adaptive", Part::Adaptive(Arc::new(adaptive))),
        ("budget", Part::Budget(Arc::new(budget))),
        ("shedder", Part::Shedder(Arc::new(shedder))),
        ("hedge", Part::Hedge(Arc::new(hedge))),
        ("keyed", Part::Keyed(Arc::new(keyed))),
    ] {
        registry.add(name, part).unwrap();
    }
    (registry, manual)
}

#[test]
fn every_kind_of_part_is_put_back_to_its_beginning_by_its_name() {
    let (registry, _manual) = used_parts();
    let before = serde_json::to_value(registry.status()).unwrap();
    assert_eq!(before["bulkhead"]["rejected"], 1);
    assert_eq!(before["adaptive"]["limit"], 18);
    assert_eq!(before["budget"]["retries"], 1);
    assert_eq!(before["shedder"]["shedding"], "low");
    assert_eq!(before["hedge"]["calls"], 1);
    assert_eq!(before["hedge"]["delay"], 0.0);
    assert_eq!(before["keyed"]["kind"], "keyed");
    for name in [
        "bulkhead", "adaptive", "budget", "shedder", "hedge", "keyed",
    ] {
        registry.reset(name).unwrap();
    }
    let after = serde_json::to_value(registry.status()).unwrap();
    assert_eq!(after["bulkhead"]["rejected"], 0);
    assert_eq!(after["bulkhead"]["admitted"], 0);
    assert_eq!(after["adaptive"]["limit"], 20);
    assert_eq!(after["adaptive"]["admitted"], 0);
    assert_eq!(after["budget"]["retries"], 0);
    assert_eq!(after["shedder"]["shedding"], Value::Null);
    assert_eq!(after["shedder"]["rejected"], 0);
    assert_eq!(after["hedge"]["calls"], 0);
    assert_eq!(after["hedge"]["delay"], Value::Null);
}

#[test]
fn a_keyed_limiter_and_a_hedge_are_changed_by_their_names() {
    let (registry, manual) = (Registry::new(), ManualClock::new());
    let clock: SharedClock = Arc::new(manual.clone());
    let keyed = KeyedLimiter::<String>::new("hosts", KeyedLimit::default(), clock.clone()).unwrap();
    let (keyed, hedge) = (
        Arc::new(keyed),
        Arc::new(Hedge::new(HedgeSettings::default(), clock).unwrap()),
    );
    let part = Part::Keyed(Arc::clone(&keyed) as Arc<dyn AnyKeyed>);
    registry.add("hosts", part).unwrap();
    registry
        .add("hedge", Part::Hedge(Arc::clone(&hedge)))
        .unwrap();
    keyed.try_acquire("a", 1).unwrap();
    let one = RateLimit {
        burst: 1,
        ..RateLimit::default()
    };
    registry.set("hosts", Change::Limiter(one)).unwrap();
    assert!(keyed.try_acquire("a", 2).is_err(), "the burst was 10");
    keyed.try_acquire("b", 1).unwrap();
    assert!(keyed.try_acquire("b", 1).is_err());
    keyed
        .observe("c", None, None, Some(Duration::from_mins(1)))
        .unwrap();
    assert!(keyed.try_acquire("c", 1).is_err());
    registry.reset("hosts").unwrap();
    keyed.try_acquire("c", 1).unwrap();

    let fixed = HedgeSettings {
        delay: HedgeDelay::Fixed(Duration::from_secs(1)),
        extra: 1,
    };
    registry.set("hedge", Change::Hedge(fixed)).unwrap();
    assert_eq!(hedge.status().delay, Some(Duration::from_secs(1)));
    let none = HedgeSettings { extra: 0, ..fixed };
    let refused = registry.set("hedge", Change::Hedge(none)).unwrap_err();
    assert!(matches!(refused, Unregistered::Settings(_)));
    assert_eq!(hedge.status().delay, Some(Duration::from_secs(1)));
    let other = registry.set("hosts", Change::Hedge(fixed));
    assert_eq!(other, Err(Unregistered::OtherKind("hosts".to_owned())));
}
