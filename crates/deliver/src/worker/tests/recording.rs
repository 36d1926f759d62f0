//! What is delivered and not yet recorded in the queue.

use super::*;

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
