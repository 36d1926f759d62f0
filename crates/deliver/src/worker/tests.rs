mod bench;

use super::*;
use crate::{Cause, Outcome};
use bench::{Bench, Reply};
use mainstay_clock::Clock;
use mainstay_queue::DocumentId;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

const MINUTE: Duration = Duration::from_mins(1);

fn deliver() -> Reply {
    Reply::Now(Outcome::Delivered)
}

fn reply(outcome: Outcome) -> Reply {
    Reply::Now(outcome)
}

fn refuse(reason: &str) -> Outcome {
    Outcome::Hold {
        reason: reason.into(),
        after: None,
        cause: Cause::Unclear,
    }
}

#[tokio::test]
async fn a_confirmed_document_is_acknowledged_and_never_sent_again() {
    let bench = Bench::start(|_, _| deliver());
    let ids = bench.queue.put(20);
    bench.rest().await;
    bench.pass(MINUTE).await;
    assert_eq!(bench.queue.state().acknowledged, ids);
    assert_eq!(*bench.destination.acknowledged.lock().unwrap(), ids);
    assert_eq!(bench.destination.sent(), 20);
    let status = bench.handle.status();
    assert_eq!(
        (status.delivered, status.in_flight, status.state),
        (20, 0, State::Idle)
    );
}

#[tokio::test]
async fn what_is_already_there_is_acknowledged_too() {
    let bench = Bench::start(|_, _| reply(Outcome::AlreadyThere));
    bench.queue.put(3);
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 3);
    assert_eq!(bench.handle.status().already_there, 3);
}

#[tokio::test]
async fn never_more_documents_are_under_way_than_allowed() {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let bench = Bench::start(move |_, _| Reply::When(Arc::clone(&released), Outcome::Delivered));
    bench.queue.put(20);
    bench.rest().await;
    assert_eq!(
        (bench.destination.sent(), bench.handle.status().in_flight),
        (5, 5)
    );
    assert_eq!(bench.handle.status().state, State::Delivering);
    for _ in 0..20 {
        release.notify_waiters();
        bench.rest().await;
    }
    assert_eq!(bench.acknowledged(), 20);
    assert_eq!(bench.destination.most_at_once(), 5);
}

#[tokio::test]
async fn no_more_attempts_begin_in_a_time_than_the_limit_allows_and_no_document_suffers_for_it() {
    let limit = mainstay_resilience::RateLimit {
        permits: 6,
        per: MINUTE,
        burst: 3,
    };
    let config = DeliverConfig {
        limit: Some(limit),
        seed: Some(1),
        ..DeliverConfig::default()
    };
    let bench = Bench::with(config, |_, _| deliver());
    bench.queue.put(10);
    bench.rest().await;
    let mut sent = vec![bench.destination.sent()];
    assert_eq!(
        bench.handle.status().limited_until,
        Some(bench.clock.wall() + 10_000)
    );
    for _ in 0..8 {
        bench.pass(Duration::from_secs(10)).await;
        sent.push(bench.destination.sent());
    }
    assert_eq!(sent, [3, 4, 5, 6, 7, 8, 9, 10, 10]);
    assert_eq!(bench.acknowledged(), 10);
    let status = bench.handle.status();
    assert_eq!((status.retried, status.rejected), (0, 0));
    // However long nothing was to be sent, no more than the burst goes at once.
    bench.pass(MINUTE).await;
    assert_eq!(bench.handle.status().limited_until, None);
    bench.queue.put(10);
    bench.rest().await;
    assert_eq!(bench.destination.sent(), 13);
}

#[tokio::test]
async fn documents_that_hang_hold_up_no_other() {
    let stuck: Arc<Mutex<HashSet<DocumentId>>> = Arc::default();
    let are_stuck = Arc::clone(&stuck);
    let bench = Bench::start(move |id, _| {
        if are_stuck.lock().unwrap().contains(&id) {
            Reply::Never
        } else {
            deliver()
        }
    });
    bench.handle.pause();
    let ids = bench.queue.put(40);
    stuck.lock().unwrap().extend(&ids[..4]);
    bench.handle.resume();
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 36);
    assert_eq!(bench.handle.status().in_flight, 4);
}

#[tokio::test]
async fn what_is_unknown_is_tried_again_without_limit_and_never_buried() {
    let bench = Bench::start(|_, before| {
        if before < 40 {
            reply(Outcome::retry("500"))
        } else {
            deliver()
        }
    });
    let id = bench.queue.put(1)[0];
    bench.rest().await;
    for _ in 0..40 {
        bench.pass(Duration::from_mins(5)).await;
    }
    assert_eq!(bench.queue.state().acknowledged, [id]);
    assert_eq!(bench.destination.attempts_of(id), 41);
    let state = bench.queue.state();
    let retry = DeliverConfig::default().retry;
    for (failures, (_, wait, _)) in (1..).zip(&state.retries) {
        assert!(
            *wait <= retry.bound(failures),
            "{wait:?} after {failures} failures"
        );
    }
    assert!(
        state
            .retries
            .iter()
            .any(|(_, wait, _)| *wait > Duration::from_mins(2)),
        "the waits grow"
    );
    assert!(state.buried.is_empty());
}

#[tokio::test]
async fn a_document_is_not_sent_again_before_the_time_its_destination_named() {
    let wait = Duration::from_secs(30);
    let bench = Bench::start(move |_, before| match before {
        0 => reply(Outcome::Retry {
            reason: "500".into(),
            after: Some(wait),
        }),
        _ => deliver(),
    });
    let id = bench.queue.put(1)[0];
    bench.rest().await;
    let others = bench.queue.put(5);
    bench.pass(Duration::from_secs(29)).await;
    assert_eq!(bench.destination.attempts_of(id), 1);
    assert!(
        others
            .iter()
            .all(|other| bench.destination.attempts_of(*other) == 2
                || bench.destination.attempts_of(*other) == 1)
    );
    bench.pass(Duration::from_secs(3)).await;
    assert_eq!(bench.destination.attempts_of(id), 2);
}

#[tokio::test]
async fn a_destination_that_asks_for_quiet_gets_it_from_all_documents() {
    let asked = Arc::new(AtomicBool::new(false));
    let first = Arc::clone(&asked);
    let bench = Bench::start(move |_, _| {
        if first.swap(true, Ordering::SeqCst) {
            return deliver();
        }
        reply(Outcome::Busy {
            reason: "429".into(),
            after: Duration::from_secs(30),
        })
    });
    let id = bench.queue.put(1)[0];
    bench.rest().await;
    bench.queue.put(10);
    bench.pass(Duration::from_secs(29)).await;
    assert_eq!(bench.destination.sent(), 1);
    assert!(
        matches!(bench.handle.status().state, State::Waiting { reason, .. } if reason == "429")
    );
    bench.pass(Duration::from_secs(3)).await;
    assert_eq!(bench.acknowledged(), 11);
    assert_eq!(bench.destination.attempts_of(id), 2);
    assert_eq!(bench.handle.status().state, State::Idle);
}

#[tokio::test]
async fn a_rejected_document_is_buried_after_five_attempts_and_others_are_not_held_up() {
    let poison: Arc<Mutex<Option<DocumentId>>> = Arc::default();
    let is_poison = Arc::clone(&poison);
    let bench = Bench::start(move |id, _| {
        if *is_poison.lock().unwrap() == Some(id) {
            reply(Outcome::reject("422 bad field"))
        } else {
            deliver()
        }
    });
    bench.handle.pause();
    let ids = bench.queue.put(10);
    *poison.lock().unwrap() = Some(ids[0]);
    bench.handle.resume();
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 9);
    bench.pass(MINUTE).await;
    assert_eq!(bench.destination.attempts_of(ids[0]), 5);
    assert_eq!(
        bench.queue.state().buried,
        [(ids[0], "rejected 5 of 5 times: 422 bad field".to_owned())]
    );
    let status = bench.handle.status();
    assert_eq!(
        (status.rejected, status.buried, status.delivered),
        (5, 1, 9)
    );
    assert_eq!(status.last_error.unwrap().reason, "422 bad field");
}

#[tokio::test]
async fn only_rejections_in_a_row_bury_a_document() {
    let bench = Bench::start(|_, before| match before {
        4 | 9 | 14 => reply(Outcome::retry("500")),
        0..=18 => reply(Outcome::reject("422")),
        _ => deliver(),
    });
    let id = bench.queue.put(1)[0];
    bench.rest().await;
    for _ in 0..20 {
        bench.pass(Duration::from_mins(5)).await;
    }
    assert_eq!(bench.queue.state().acknowledged, [id]);
    assert_eq!(bench.queue.state().buried.len(), 0);
}

#[tokio::test]
async fn a_held_destination_costs_no_document_an_attempt_and_is_probed_by_one_at_a_time() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let bench = Bench::start(move |_, _| {
        if is_down.load(Ordering::SeqCst) {
            reply(Outcome::hold("refused"))
        } else {
            deliver()
        }
    });
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
async fn acknowledgements_that_wait_for_the_disk_keep_no_document_from_being_sent() {
    let bench = Bench::start(|_, _| deliver());
    let disk = Arc::new(Notify::new());
    bench.queue.state().slow_disk = Some(Arc::clone(&disk));
    bench.queue.put(100);
    bench.rest().await;
    assert_eq!(bench.destination.sent(), 100);
    assert_eq!(
        (bench.acknowledged(), bench.queue.state().settling),
        (0, 100)
    );
    bench.queue.state().slow_disk = None;
    disk.notify_waiters();
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 100);
}

#[tokio::test]
async fn no_more_is_delivered_than_may_wait_to_be_recorded() {
    let bench = Bench::start(|_, _| deliver());
    let disk = Arc::new(Notify::new());
    bench.queue.state().slow_disk = Some(Arc::clone(&disk));
    bench.queue.put(250);
    bench.queue.put(250);
    bench.rest().await;
    bench.rest().await;
    let sent = bench.destination.sent();
    assert!((256..=261).contains(&sent), "{sent}");
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_sent_again_and_little_else_is_sent() {
    let bench = Bench::start(|_, _| deliver());
    bench.queue.state().disk_is_full = true;
    bench.queue.put(100);
    bench.rest().await;
    assert!(
        matches!(bench.handle.status().state, State::Held { reason, .. } if reason.contains("cannot be recorded: the queue is full"))
    );
    let sent = bench.destination.sent();
    assert!(sent <= 10, "{sent}");
    bench.pass(Duration::from_mins(3)).await;
    assert!(
        bench.destination.sent() < sent + 30,
        "one at a time, further and further apart"
    );
    let ids: Vec<_> = bench
        .destination
        .log
        .lock()
        .unwrap()
        .iter()
        .map(|(_, id)| *id)
        .collect();
    assert_eq!(
        ids.iter().collect::<HashSet<_>>().len(),
        ids.len(),
        "no document was sent twice"
    );

    bench.queue.state().disk_is_full = false;
    bench.pass(Duration::from_mins(2)).await;
    assert_eq!(bench.destination.sent(), 100);
    assert_eq!(bench.handle.status().state, State::Idle);
}

#[tokio::test]
async fn a_pause_stops_sending_and_lets_what_is_under_way_end() {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let bench = Bench::start(move |_, _| Reply::When(Arc::clone(&released), Outcome::Delivered));
    bench.queue.put(10);
    bench.rest().await;
    bench.handle.pause();
    bench.rest().await;
    assert_eq!(bench.handle.status().state, State::Paused);
    release.notify_waiters();
    bench.pass(MINUTE).await;
    assert_eq!((bench.acknowledged(), bench.destination.sent()), (5, 5));
    bench.handle.resume();
    bench.rest().await;
    assert_eq!(bench.destination.sent(), 10);
    assert_eq!(bench.handle.status().state, State::Delivering);
}

#[tokio::test]
async fn a_stop_waits_for_what_is_under_way_and_records_it() {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let bench = Bench::start(move |_, _| Reply::When(Arc::clone(&released), Outcome::Delivered));
    bench.queue.put(10);
    bench.rest().await;
    bench.stop.cancel();
    bench.rest().await;
    assert!(!bench.worker.is_finished());
    release.notify_waiters();
    assert_eq!(bench.worker.await.unwrap(), 0);
    assert_eq!(bench.queue.state().acknowledged.len(), 5);
    assert_eq!(bench.destination.sent(), 5, "nothing new was begun");
    assert_eq!(bench.handle.status().state, State::Stopped);
}

#[tokio::test]
async fn a_stop_gives_up_what_hangs_and_the_queue_still_has_it() {
    let bench = Bench::start(|_, _| Reply::Never);
    let ids = bench.queue.put(3);
    bench.rest().await;
    bench.stop.cancel();
    bench.pass(Duration::from_secs(59)).await;
    assert!(!bench.worker.is_finished());
    bench.pass(Duration::from_secs(2)).await;
    assert_eq!(bench.worker.await.unwrap(), 3);
    for id in ids {
        let doc = bench.queue.find(id).unwrap();
        assert_eq!((doc.attempts, doc.last_error), (0, None));
    }
    assert_eq!(bench.queue.state().ready.len(), 3);
}

#[tokio::test]
async fn a_held_destination_stops_at_once() {
    let bench = Bench::start(|_, _| reply(Outcome::hold("refused")));
    bench.queue.put(10);
    bench.rest().await;
    bench.stop.cancel();
    assert_eq!(bench.worker.await.unwrap(), 0);
    assert_eq!(
        bench.queue.state().ready.len(),
        10,
        "those that were set aside too"
    );
}

#[tokio::test]
async fn a_closed_queue_ends_the_worker() {
    let bench = Bench::start(|_, _| deliver());
    bench.queue.put(2);
    bench.rest().await;
    bench.queue.close();
    assert_eq!(bench.worker.await.unwrap(), 0);
}

#[tokio::test]
async fn a_worker_that_is_idle_turns_all_the_same() {
    let bench = Bench::start(|_, _| deliver());
    bench.rest().await;
    for _ in 0..12 {
        bench.clock.advance(Worker::TURN);
        bench.rest().await;
        assert_eq!(bench.handle.turned(), bench.clock.now());
        assert_eq!(bench.handle.status().state, State::Idle);
    }
    // It took nothing for it, and misses nothing.
    bench.queue.put(3);
    bench.rest().await;
    assert_eq!(bench.acknowledged(), 3);
    bench.stop.cancel();
    assert_eq!(bench.worker.await.unwrap(), 0);
}

#[tokio::test]
async fn a_worker_turns_while_it_is_held_paused_or_waits_for_what_hangs() {
    let bench = Bench::start(|_, _| Reply::Never);
    let turns = async || {
        bench.rest().await;
        for _ in 0..3 {
            bench.clock.advance(Worker::TURN);
            bench.rest().await;
            assert_eq!(bench.handle.turned(), bench.clock.now());
        }
    };
    bench.queue.put(10);
    turns().await;
    bench.handle.pause();
    turns().await;
    bench.stop.cancel();
    turns().await;
    assert!(!bench.worker.is_finished(), "it waits for what hangs");
    let held = Bench::start(|_, _| reply(Outcome::hold("refused")));
    held.queue.put(1);
    held.rest().await;
    held.pass(MINUTE).await;
    assert!(held.clock.now().since(held.handle.turned()) <= Worker::TURN);
}

#[tokio::test]
async fn a_worker_whose_run_was_dropped_says_that_it_stopped() {
    let limit = mainstay_resilience::RateLimit {
        permits: 1,
        per: MINUTE,
        burst: 3,
    };
    let config = DeliverConfig {
        limit: Some(limit),
        ..DeliverConfig::default()
    };
    let bench = Bench::with(config, |_, _| Reply::Never);
    bench.queue.put(10);
    bench.rest().await;
    let status = bench.handle.status();
    assert_eq!((status.state, status.in_flight), (State::Delivering, 3));
    assert!(status.limited_until.is_some());
    bench.clock.advance(MINUTE);
    bench.worker.abort();
    assert!(bench.worker.await.unwrap_err().is_cancelled());
    let status = bench.handle.status();
    assert_eq!((status.state, status.in_flight), (State::Stopped, 0));
    assert_eq!(status.limited_until, None);
    assert_eq!(status.since, bench.clock.wall());
    assert_eq!(bench.queue.state().ready.len(), 10, "all went back");
}

#[tokio::test]
async fn the_status_is_readable_by_programs() {
    let bench = Bench::start(|_, _| reply(Outcome::hold("refused")));
    bench.queue.put(1);
    bench.rest().await;
    let json = serde_json::to_value(bench.handle.status()).unwrap();
    assert_eq!(json["state"], "held");
    assert_eq!(json["reason"], "refused");
    assert_eq!(json["address"], "test://destination");
    assert!(
        json["since"].is_u64()
            && json["next_probe"].is_u64()
            && json["latency"]["mean_ms"].is_number()
    );
}
