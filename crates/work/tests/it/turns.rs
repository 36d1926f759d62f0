//! W2: the most urgent first, and nobody starves. The line itself is tried against a model beside its code.

use crate::held::{DISK, Held, drain, pool, workers};
use mainstay_work::{PoolSettings, Priority, Work};
use std::sync::{Arc, Mutex};

/// In which order one worker does them, all of which wait when it begins.
fn order(
    settings: &PoolSettings,
    jobs: &[(&'static str, &'static str, Priority)],
) -> Vec<&'static str> {
    let (pool, _clock) = pool(settings);
    let held = Held::begin(&pool, Work::new("long"));
    let order = Arc::new(Mutex::new(Vec::new()));
    for &(name, kind, priority) in jobs {
        let order = Arc::clone(&order);
        let work = Work::new(name).kind(kind).priority(priority);
        let handle = pool.try_submit(work, move |_| {
            order.lock().unwrap().push(name);
            Ok(())
        });
        drop(handle.unwrap());
    }
    drop(held.let_go());
    drain(&pool);
    order.lock().unwrap().clone()
}

#[test]
fn the_most_urgent_goes_first_and_the_oldest_of_those() {
    let jobs = [
        ("a", "", Priority::Low),
        ("b", "", Priority::Normal),
        ("c", "disk", Priority::High),
        ("d", "", Priority::Normal),
        ("e", "", Priority::High),
    ];
    let settings = PoolSettings {
        kinds: vec![DISK],
        ..workers(1, 10)
    };
    assert_eq!(order(&settings, &jobs), ["c", "e", "b", "d", "a"]);
}

#[test]
fn after_sixteen_more_urgent_ones_the_less_urgent_has_its_turn() {
    let mut jobs = vec![("low", "", Priority::Low); 2];
    jobs.extend([("high", "", Priority::High); 40]);
    let order = order(&workers(1, 100), &jobs);
    let turns: Vec<usize> = (0..order.len())
        .filter(|turn| order[*turn] == "low")
        .collect();
    assert_eq!(turns, [16, 33]);
}
