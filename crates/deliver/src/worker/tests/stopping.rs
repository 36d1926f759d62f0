//! How a worker pauses, turns and stops.

use super::*;

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
