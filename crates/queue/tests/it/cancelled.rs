//! Whoever gives up waiting, at whatever point, leaves the queue whole: nothing is half stored, held for ever, or counted
//! wrong, and the next one is served.

use crate::scratch::{Scratch, declare, document, drain, put};
use mainstay_queue::{Batch, LaneId, Lease, Ledger, Queue, WhenFull};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Polls it so many times, each time that it is woken, and drops it. Returns whether it came to its end.
async fn ends_within(polls: usize, mut work: Work) -> bool {
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(false);
        }
        left -= 1;
        let polled = work.as_mut().poll(context).map(|()| true);
        if polled.is_pending() && left == 0 {
            return std::task::Poll::Ready(false);
        }
        polled
    })
    .await
}

/// Drops it after every number of polls, each time on a queue of its own with two documents in it, until it comes to its
/// end; `nudge` runs beside it. What `judge` is shown is the account after everything before was done.
async fn dropped_everywhere(
    change: impl Fn(&mut mainstay_queue::Config),
    work: impl Fn(Queue, LaneId) -> Work,
    nudge: impl Fn(Queue, LaneId) -> Work,
    judge: impl Fn(&Ledger),
) {
    for polls in 0.. {
        let scratch = Scratch::with(&change);
        let (queue, lane) = scratch.open();
        put(&queue, lane, "one").await;
        put(&queue, lane, "two").await;
        let beside = tokio::spawn(nudge(queue.clone(), lane));
        let ended = ends_within(polls, work(queue.clone(), lane)).await;
        beside.await.unwrap();
        // The writer does things in their order: with this, all that was handed over before is done.
        declare(&queue, "afterwards");
        queue.try_lease(lane).unwrap().ack().await.unwrap();
        let ledger = queue.ledger();
        assert!(ledger.is_balanced(), "{ledger:?}");
        judge(&ledger);
        assert_eq!(queue.status().lanes[0].leased, 0, "after {polls} polls");
        put(&queue, lane, "after").await;
        let ledger = queue.ledger();
        queue.close().await;
        let (queue, recovery, lane) = scratch.open_with_report();
        assert!(recovery.clean);
        assert_eq!(queue.ledger(), ledger, "after {polls} polls");
        // What waits for its next attempt is due by then.
        scratch.clock.advance(Duration::from_mins(1));
        assert!(drain(&queue, lane).await.contains(&b"after".to_vec()));
        assert_eq!(queue.ledger().queued, 0, "each was offered");
        if ended {
            assert!(0 < polls);
            return;
        }
    }
}

fn nothing(_: Queue, _: LaneId) -> Work {
    Box::pin(async {})
}

fn take(queue: &Queue, lane: LaneId) -> Lease {
    queue.try_lease(lane).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_enqueued_and_given_up_is_stored_whole_or_not_at_all() {
    let one = |queue: Queue, lane| -> Work {
        Box::pin(async move { assert!(queue.enqueue(document(lane, "three")).await.is_ok()) })
    };
    dropped_everywhere(
        |_| {},
        one,
        nothing,
        |ledger| {
            assert!((2..=3).contains(&ledger.accepted));
        },
    )
    .await;
    let three = |queue: Queue, lane| -> Work {
        let documents = ["a", "b", "c"].map(|body| document(lane, body)).into();
        let claims = vec![];
        Box::pin(async move {
            let batch = Batch { documents, claims };
            assert_eq!(queue.enqueue_batch(batch).await.unwrap().len(), 3);
        })
    };
    dropped_everywhere(
        |_| {},
        three,
        nothing,
        |ledger| {
            assert!(matches!(ledger.accepted, 2 | 5), "{ledger:?}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_up_waiting_for_room_keeps_none() {
    let enqueue = |queue: Queue, lane| -> Work {
        Box::pin(async move { assert!(queue.enqueue(document(lane, "three")).await.is_ok()) })
    };
    let deliver = |queue: Queue, lane| -> Work {
        Box::pin(async move { take(&queue, lane).ack().await.unwrap() })
    };
    let full = |when_full| {
        move |config: &mut mainstay_queue::Config| {
            config.max_documents = 2;
            config.when_full = when_full;
        }
    };
    dropped_everywhere(full(WhenFull::Block), enqueue, deliver, |ledger| {
        assert!((2..=3).contains(&ledger.accepted));
        assert_eq!(ledger.delivered, 2);
    })
    .await;
    dropped_everywhere(full(WhenFull::DropOldest), enqueue, nothing, |ledger| {
        assert!((2..=3).contains(&ledger.accepted));
        assert!(ledger.discarded <= 1, "{ledger:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_up_waiting_for_a_document_takes_none() {
    let wait = |queue: Queue, lane| -> Work {
        Box::pin(async move {
            // The two that are there stay in its hands while it waits for a third, and go back with it.
            let first = queue.lease(lane).await.unwrap();
            let second = queue.lease(lane).await.unwrap();
            let third = queue.lease(lane).await.unwrap();
            assert_eq!([first, second, third].map(|lease| lease.attempts()), [0; 3]);
        })
    };
    let bring = |queue: Queue, lane| -> Work {
        Box::pin(async move { assert!(queue.enqueue(document(lane, "three")).await.is_ok()) })
    };
    dropped_everywhere(
        |_| {},
        wait,
        bring,
        |ledger| {
            assert_eq!(
                (ledger.accepted, ledger.delivered, ledger.queued),
                (3, 1, 2)
            );
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_is_given_up_is_given_or_not_and_counted_so() {
    let settles: [fn(Lease) -> Work; 4] = [
        |lease| Box::pin(async { lease.ack().await.unwrap() }),
        |lease| Box::pin(async { lease.retry(Duration::from_secs(5), "no").await.unwrap() }),
        |lease| Box::pin(async { lease.bury("no").await.unwrap() }),
        |lease| {
            Box::pin(async {
                Lease::ack_all(vec![lease])
                    .await
                    .into_iter()
                    .for_each(Result::unwrap);
            })
        },
    ];
    for settle in settles {
        let work = move |queue: Queue, lane| settle(take(&queue, lane));
        dropped_everywhere(
            |_| {},
            work,
            nothing,
            |ledger| {
                assert_eq!(ledger.accepted, 2);
                assert!((1..=2).contains(&ledger.delivered));
                assert!(ledger.dead <= 1);
            },
        )
        .await;
    }
    let by_hand: [fn(Queue, LaneId) -> Work; 3] = [
        |queue, lane| {
            let id = take(&queue, lane).id();
            Box::pin(async move { assert!(queue.bury(id, None, "a person").await.unwrap() <= 1) })
        },
        |queue, lane| {
            let id = take(&queue, lane).id();
            Box::pin(
                async move { assert!(queue.discard(id, None, "a person").await.unwrap() <= 1) },
            )
        },
        |queue, lane| {
            let id = take(&queue, lane).id();
            Box::pin(async move { assert!(queue.revive(id, None, "a person").await.unwrap() <= 1) })
        },
    ];
    for work in by_hand {
        dropped_everywhere(
            |_| {},
            work,
            nothing,
            |ledger| {
                assert_eq!((ledger.accepted, ledger.delivered), (2, 1));
                assert!(ledger.dead + ledger.discarded <= 1);
            },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_nobody_waits_for_is_done_all_the_same() {
    for polls in 0.. {
        let scratch = Scratch::new();
        let (queue, lane) = scratch.open();
        put(&queue, lane, "one").await;
        let ended = ends_within(polls, Box::pin(async { drop(queue.close().await) })).await;
        // The folder is free as soon as both threads have left it.
        let (queue, recovery) = loop {
            match Queue::open(scratch.path(), scratch.config.clone()) {
                Ok(opened) => break opened,
                Err(error) => assert_eq!(error.kind(), mainstay_queue::ErrorKind::Locked),
            }
            tokio::task::yield_now().await;
        };
        assert!(recovery.clean, "after {polls} polls");
        assert_eq!(drain(&queue, lane).await, [b"one".to_vec()]);
        if ended {
            return;
        }
    }
}
