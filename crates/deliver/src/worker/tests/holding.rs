//! A destination that is held: who finds out whether it is over, and who is to blame.

use super::*;
use std::sync::atomic::AtomicUsize;

/// A destination that refuses connections until the flag is taken back.
fn refused_while_down() -> (Bench, Arc<AtomicBool>) {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let bench = Bench::start(move |_, _| {
        if is_down.load(Ordering::SeqCst) {
            reply(Outcome::hold("refused"))
        } else {
            deliver()
        }
    });
    (bench, down)
}

#[tokio::test]
async fn a_held_destination_costs_no_document_an_attempt_and_is_probed_by_one_at_a_time() {
    let (bench, down) = refused_while_down();
    let ids = bench.queue.put(30);
    bench.rest().await;
    let in_flight_at_first = bench.destination.sent();
    assert!(in_flight_at_first <= 5);
    for _ in 0..10 {
        bench.pass(MINUTE).await;
    }
    let probes = bench.destination.sent() - in_flight_at_first;
    assert!(
        (10..=60).contains(&probes),
        "{probes} probes in ten minutes"
    );
    assert!(
        matches!(bench.handle.status().state, State::Held { reason, .. } if reason == "refused")
    );
    assert!(
        bench.queue.state().retries.is_empty(),
        "no attempt is counted"
    );

    down.store(false, Ordering::SeqCst);
    bench.pass(Duration::from_secs(61)).await;
    assert_eq!(bench.acknowledged(), 30);
    assert_eq!(bench.handle.status().state, State::Idle);
    assert!(ids.iter().all(|id| bench.queue.find(*id).is_none()));
    // All failed probes came one by one.
    let busiest = bench
        .attempts_per_second()
        .into_iter()
        .filter(|(second, _)| (1..600).contains(second))
        .map(|(_, count)| count)
        .max();
    assert!(busiest.unwrap() <= 2, "{busiest:?} attempts in one second");
}

#[tokio::test]
async fn a_held_destination_is_probed_at_once_where_somebody_knows_that_something_changed() {
    let (bench, down) = refused_while_down();
    bench.queue.put(1);
    for _ in 0..10 {
        bench.pass(MINUTE).await;
    }
    let sent = bench.destination.sent();
    bench.handle.probe_now();
    bench.rest().await;
    assert_eq!(bench.destination.sent(), sent + 1, "once, and held again");
    bench.rest().await;
    assert_eq!(bench.destination.sent(), sent + 1);

    down.store(false, Ordering::SeqCst);
    bench.handle.pause();
    bench.handle.probe_now();
    bench.rest().await;
    assert_eq!(bench.destination.sent(), sent + 1, "a pause stays one");
    bench.handle.resume();
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 1);
}

/// Each of a million documents was sent to a server that answered all of them with an error, and again every few minutes.
#[tokio::test]
async fn a_server_that_fails_everybody_is_not_asked_with_the_whole_backlog() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let bench = Bench::start(move |_, _| {
        if is_down.load(Ordering::SeqCst) {
            reply(Outcome::retry(Category::Internal, "500"))
        } else {
            deliver()
        }
    });
    let ids: Vec<_> = (0..8).flat_map(|_| bench.queue.put(250)).collect();
    bench.rest().await;
    let at_first = bench.destination.sent();
    assert!(at_first <= 15, "{at_first}");
    let status = bench.handle.status();
    assert!(
        matches!(&status.state, State::Held { reason, .. } if reason == "10 documents in a row failed: 500"),
        "{status:?}"
    );
    assert!(status.failing.is_some(), "{status:?}");
    for _ in 0..10 {
        bench.pass(MINUTE).await;
    }
    let busiest = bench.attempts_per_second().into_values().max().unwrap();
    assert!(busiest <= 50, "{busiest} attempts in one second");

    down.store(false, Ordering::SeqCst);
    for _ in 0..6 {
        bench.pass(MINUTE).await;
    }
    assert_eq!(bench.acknowledged(), ids.len());
    assert!(bench.queue.state().buried.is_empty());
    assert_eq!(bench.handle.status().state, State::Idle);
}

/// They come again before those that stand behind them, and must not take all that is sent.
#[tokio::test]
async fn many_documents_that_always_fail_let_the_others_through() {
    let poison: Arc<Mutex<HashSet<DocumentId>>> = Arc::default();
    let are_poison = Arc::clone(&poison);
    let bench = Bench::start(move |id, _| {
        if are_poison.lock().unwrap().contains(&id) {
            reply(Outcome::retry(Category::Internal, "500"))
        } else {
            deliver()
        }
    });
    bench.handle.pause();
    let ids = bench.queue.put(100);
    poison.lock().unwrap().extend(&ids);
    bench.queue.put(20);
    bench.handle.resume();
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 0);
    for _ in 0..5 {
        bench.pass(MINUTE).await;
    }
    assert_eq!(bench.acknowledged(), 20);
    assert!(bench.queue.state().buried.is_empty());
}

#[tokio::test]
async fn a_few_documents_that_always_fail_hold_up_no_other() {
    let poison: Arc<Mutex<HashSet<DocumentId>>> = Arc::default();
    let are_poison = Arc::clone(&poison);
    let bench = Bench::start(move |id, _| {
        if are_poison.lock().unwrap().contains(&id) {
            reply(Outcome::retry(Category::Internal, "500"))
        } else {
            deliver()
        }
    });
    bench.handle.pause();
    let ids = bench.queue.put(9);
    poison.lock().unwrap().extend(&ids);
    bench.handle.resume();
    for round in 1..=60 {
        bench.pass(Duration::from_secs(10)).await;
        bench.queue.put(1);
        bench.rest().await;
        assert_eq!(bench.acknowledged(), round);
    }
}

#[tokio::test]
async fn the_start_of_a_hold_is_told_and_stays() {
    let bench = Bench::start(|_, _| reply(Outcome::hold("refused")));
    bench.queue.put(1);
    bench.rest().await;
    let first = bench.handle.status();
    bench.pass(Duration::from_mins(3)).await;
    let later = bench.handle.status();
    assert_eq!(first.since, later.since);
    let State::Held { next_probe, .. } = later.state else {
        panic!("{later:?}")
    };
    assert!(bench.clock.wall() < next_probe && next_probe <= bench.clock.wall() + 60_000);
    assert!(later.held_back > 1);
}

/// A document that was sent before the hold and is not answered looked like the one that finds out whether it is over.
#[tokio::test]
async fn what_was_sent_before_a_hold_is_no_probe() {
    let attempts = AtomicUsize::new(0);
    let bench = Bench::start(move |_, _| {
        if attempts.fetch_add(1, Ordering::SeqCst) == 1 {
            reply(refuse("403"))
        } else {
            Reply::Never
        }
    });
    bench.queue.put(2);
    bench.rest().await;
    let held = bench.handle.status();
    assert!(matches!(held.state, State::Held { .. }), "{held:?}");
    assert_eq!((held.in_flight, held.is_probing), (1, false));
    bench.queue.put(1);
    bench.pass(Duration::from_secs(5)).await;
    let probed = bench.handle.status();
    assert!(matches!(probed.state, State::Held { .. }), "{probed:?}");
    assert_eq!((probed.in_flight, probed.is_probing), (2, true));
}

#[tokio::test]
async fn one_document_that_is_refused_like_a_whole_destination_holds_up_the_others_once_and_is_buried()
 {
    let poison: Arc<Mutex<Option<DocumentId>>> = Arc::default();
    let is_poison = Arc::clone(&poison);
    let bench = Bench::start(move |id, _| {
        if *is_poison.lock().unwrap() == Some(id) {
            reply(refuse("403"))
        } else {
            deliver()
        }
    });
    bench.handle.pause();
    let ids = bench.queue.put(30);
    *poison.lock().unwrap() = Some(ids[0]);
    bench.handle.resume();
    bench.rest().await;
    bench.pass(Duration::from_secs(3)).await;
    assert_eq!(bench.acknowledged(), 29, "the probe is another document");
    bench.pass(Duration::from_mins(2)).await;
    bench.queue.put(1);
    bench.pass(Duration::from_mins(2)).await;
    assert_eq!(bench.acknowledged(), 30);
    let buried = bench.queue.state().buried.clone();
    assert_eq!(buried.len(), 1, "{:?}", bench.handle.status());
    assert!(
        buried[0].1.contains("refused while others are taken: 403"),
        "{buried:?}"
    );
}

#[tokio::test]
async fn a_document_that_does_not_fit_where_others_do_waits_and_is_not_buried() {
    let large: Arc<Mutex<Option<DocumentId>>> = Arc::default();
    let is_large = Arc::clone(&large);
    let bench = Bench::start(move |id, before| {
        let is_large = *is_large.lock().unwrap() == Some(id);
        if is_large && before < 12 {
            reply(Outcome::hold("disk full"))
        } else {
            deliver()
        }
    });
    bench.handle.pause();
    let ids = bench.queue.put(30);
    *large.lock().unwrap() = Some(ids[0]);
    bench.handle.resume();
    bench.rest().await;
    bench.pass(Duration::from_secs(3)).await;
    assert_eq!(bench.acknowledged(), 29);
    for _ in 0..12 {
        bench.pass(Duration::from_mins(5)).await;
    }
    assert_eq!(bench.acknowledged(), 30);
    assert!(bench.queue.state().buried.is_empty());
}

#[tokio::test]
async fn many_poisonous_documents_at_the_head_of_the_line_do_not_keep_the_gate_closed() {
    let poison: Arc<Mutex<HashSet<DocumentId>>> = Arc::default();
    let are_poison = Arc::clone(&poison);
    let bench = Bench::start(move |id, _| {
        if are_poison.lock().unwrap().contains(&id) {
            reply(refuse("404"))
        } else {
            deliver()
        }
    });
    bench.handle.pause();
    let ids = bench.queue.put(40);
    poison.lock().unwrap().extend(&ids[..12]);
    bench.handle.resume();
    for _ in 0..30 {
        bench.pass(MINUTE).await;
    }
    assert_eq!(bench.acknowledged(), 28);
    assert_eq!(bench.queue.state().buried.len(), 12);
}

#[tokio::test]
async fn a_probe_that_hangs_gives_way_to_another_document() {
    let stuck: Arc<Mutex<Option<DocumentId>>> = Arc::default();
    let is_stuck = Arc::clone(&stuck);
    let bench = Bench::start(move |id, before| match before {
        0 if is_stuck.lock().unwrap().is_none() => {
            *is_stuck.lock().unwrap() = Some(id);
            reply(Outcome::hold("refused"))
        }
        _ if *is_stuck.lock().unwrap() == Some(id) => Reply::Never,
        _ => deliver(),
    });
    bench.queue.put(1);
    bench.rest().await;
    bench.pass(Duration::from_secs(2)).await;
    assert_eq!(
        bench.destination.sent(),
        2,
        "the only document there is makes the probe"
    );
    bench.queue.put(10);
    bench.pass(Duration::from_secs(12)).await;
    assert_eq!(bench.acknowledged(), 10);
}

#[tokio::test]
async fn a_damaged_document_says_nothing_about_its_destination() {
    let first: Arc<Mutex<Option<DocumentId>>> = Arc::default();
    let is_first = Arc::clone(&first);
    let bench = Bench::start(move |id, before| {
        let first = *is_first.lock().unwrap().get_or_insert(id);
        match (first == id, before) {
            (true, 0) => reply(Outcome::hold("refused")),
            (true, _) => reply(Outcome::unsendable("damaged")),
            _ => Reply::Never,
        }
    });
    bench.queue.put(1);
    bench.rest().await;
    bench.pass(Duration::from_secs(2)).await;
    let before = bench.destination.sent();
    assert!(before > 1, "it was the probe");
    assert!(matches!(bench.handle.status().state, State::Held { .. }));
    bench.queue.put(10);
    bench.rest().await;
    assert_eq!(
        bench.destination.sent(),
        before + 1,
        "one probe, not five documents"
    );
}

#[tokio::test]
async fn a_held_destination_is_tried_at_once_when_a_person_says_so_and_not_while_it_is_paused() {
    let (bench, down) = refused_while_down();
    bench.queue.put(3);
    bench.rest().await;
    let failures = || match bench.handle.status().state {
        State::Held { failures, .. } => failures,
        other => panic!("{other:?}"),
    };
    assert_eq!(failures(), 1);
    bench.handle.try_now();
    bench.rest().await;
    assert_eq!(failures(), 2, "it was tried, and is as before");
    bench.rest().await;
    assert_eq!(failures(), 2, "once, and no more");
    down.store(false, Ordering::SeqCst);
    bench.handle.pause();
    bench.handle.try_now();
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 0, "a pause stays one");
    bench.handle.resume();
    bench.handle.try_now();
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 3, "no time has passed");
}
