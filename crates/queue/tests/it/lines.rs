//! The order in which documents are offered, and how they wait.

use crate::scratch::{Scratch, body_of, declare, document, drain, put};
use mainstay_queue::{Filter, NewDocument, Priority, Queue, State};
use std::time::Duration;

fn urgent(document: NewDocument, priority: u8) -> NewDocument {
    NewDocument {
        priority: Priority::new(priority).unwrap(),
        ..document
    }
}

#[tokio::test]
async fn the_most_urgent_goes_first_and_the_oldest_of_those() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for (priority, name) in [(5, "c"), (10, "e"), (1, "a"), (5, "d"), (1, "b")] {
        queue
            .enqueue(urgent(document(lane, name), priority))
            .await
            .unwrap();
    }
    let order = drain(&queue, lane).await.concat();
    assert_eq!(String::from_utf8(order).unwrap(), "abcde");
}

#[tokio::test]
async fn the_least_urgent_is_not_starved_by_an_endless_stream_of_urgent_ones() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    queue
        .enqueue(urgent(document(lane, "patient"), 10))
        .await
        .unwrap();
    let mut waited = Duration::ZERO;
    loop {
        queue
            .enqueue(urgent(document(lane, "urgent"), 1))
            .await
            .unwrap();
        let lease = queue.try_lease(lane).unwrap();
        let body = body_of(&lease);
        lease.ack().await.unwrap();
        if body == b"patient" {
            break;
        }
        scratch.clock.advance(Duration::from_secs(10));
        waited += Duration::from_secs(10);
        assert!(waited <= Duration::from_mins(5), "still waiting");
    }
    assert!(waited >= Duration::from_mins(4), "it was not its turn yet");
}

/// A start in between is a start of the clock too: what it counts from is the start of the process.
#[tokio::test]
async fn what_waited_before_a_start_does_not_wait_anew() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let patient = urgent(document(lane, "patient"), 10);
    queue.enqueue(patient).await.unwrap();
    scratch.clock.advance(Duration::from_mins(2));
    queue.close().await;
    // Two starts, a minute apart: what one writes down the next one reads.
    let mut later = scratch;
    for _ in 0..2 {
        let wall = mainstay_clock::Clock::wall(&later.clock);
        later = later.started_again(wall + 60_000);
        later.open().0.close().await;
    }
    later.clock.advance(Duration::from_secs(31));
    let (queue, lane) = later.open();
    let urgent = urgent(document(lane, "urgent"), 1);
    queue.enqueue(urgent).await.unwrap();
    assert_eq!(
        drain(&queue, lane).await,
        [b"patient".to_vec(), b"urgent".to_vec()]
    );
}

#[tokio::test]
async fn the_age_of_the_oldest_is_that_of_what_still_has_to_go() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let oldest = |queue: &Queue| queue.status().lanes[0].oldest_seconds;
    assert_eq!(oldest(&queue), None);
    for (name, priority) in [("first", 5), ("second", 7), ("third", 5)] {
        let document = urgent(document(lane, name), priority);
        queue.enqueue(document).await.unwrap();
        scratch.clock.advance(Duration::from_secs(100));
    }
    assert_eq!(oldest(&queue), Some(300));
    let first = queue.try_lease(lane).unwrap();
    assert_eq!(body_of(&first), b"first");
    assert_eq!(oldest(&queue), Some(300), "it is on its way, and not there");
    drop(first);
    assert_eq!(oldest(&queue), Some(300));
    let first = queue.try_lease(lane).unwrap();
    first.retry(Duration::from_mins(1), "busy").await.unwrap();
    assert_eq!(oldest(&queue), Some(300));
    scratch.clock.advance(Duration::from_mins(1));
    let first = queue.try_lease(lane).unwrap();
    assert_eq!(body_of(&first), b"first");
    assert_eq!(oldest(&queue), Some(360));
    first.bury("refused").await.unwrap();
    assert_eq!(
        oldest(&queue),
        Some(260),
        "what was given up waits for nobody"
    );
    // A start later it is as old, and a date that was set since changes nothing.
    queue.close().await;
    let wall = mainstay_clock::Clock::wall(&scratch.clock);
    let later = scratch.started_again(wall + 60_000);
    let (queue, lane) = later.open();
    later.clock.set_wall(wall + 3_600_000);
    assert_eq!(oldest(&queue), Some(320));
    drain(&queue, lane).await;
    assert_eq!(oldest(&queue), None);
}

#[tokio::test]
async fn a_lease_that_is_dropped_goes_back_to_its_place_uncounted() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    put(&queue, lane, "first").await;
    put(&queue, lane, "second").await;
    let first = queue.try_lease(lane).unwrap();
    let second = queue.try_lease(lane).unwrap();
    assert!(queue.try_lease(lane).is_none());
    drop(second);
    drop(first);
    let first = queue.try_lease(lane).unwrap();
    assert_eq!((body_of(&first), first.attempts()), (b"first".to_vec(), 0));
}

#[tokio::test]
async fn a_failed_document_waits_holds_up_no_other_and_counts_its_attempts() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    put(&queue, lane, "poison").await;
    put(&queue, lane, "good").await;
    queue
        .try_lease(lane)
        .unwrap()
        .retry(Duration::from_mins(1), "said no")
        .await
        .unwrap();
    assert_eq!(drain(&queue, lane).await, [b"good".to_vec()]);
    assert_eq!(queue.next_due(lane), Some(Duration::from_mins(1)));
    scratch.clock.advance(Duration::from_secs(59));
    assert!(queue.try_lease(lane).is_none());
    scratch.clock.advance(Duration::from_secs(1));
    let again = queue.try_lease(lane).unwrap();
    assert_eq!((again.attempts(), again.last_error()), (1, Some("said no")));
}

#[tokio::test]
async fn a_wait_survives_a_kill_and_a_clock_that_jumps() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    put(&queue, lane, "later").await;
    queue
        .try_lease(lane)
        .unwrap()
        .retry(Duration::from_mins(1), "busy")
        .await
        .unwrap();
    // The clock goes back by years before the next start: the whole wait is left, never more.
    let killed = scratch.killed();
    let wall = mainstay_clock::Clock::wall(&scratch.clock);
    scratch.clock.set_wall(wall - 100_000_000_000);
    let (after, lane) = killed.open();
    assert_eq!(after.next_due(lane), Some(Duration::from_mins(1)));
    // It goes forward: it is due, and not overdue for years.
    let killed = killed.killed();
    scratch.clock.set_wall(wall + 100_000_000_000);
    let (after, lane) = killed.open();
    assert_eq!(after.try_lease(lane).unwrap().attempts(), 1);
}

#[tokio::test]
async fn whoever_waits_is_woken_by_a_document_and_by_one_that_is_due() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { body_of(&queue.lease(lane).await.unwrap()) }
    });
    tokio::task::yield_now().await;
    put(&queue, lane, "come").await;
    assert_eq!(waiting.await.unwrap(), b"come");

    let lease = queue.lease(lane).await.unwrap();
    lease.retry(Duration::from_secs(5), "wait").await.unwrap();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { body_of(&queue.lease(lane).await.unwrap()) }
    });
    while !waiting.is_finished() {
        scratch.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(waiting.await.unwrap(), b"come");
}

#[tokio::test]
async fn each_destination_acknowledges_by_itself() {
    let scratch = Scratch::new();
    let (queue, first) = scratch.open();
    let second = declare(&queue, "second");
    let both = NewDocument {
        lanes: vec![first, second],
        ..document(first, "both")
    };
    queue.enqueue(both).await.unwrap();
    assert_eq!(drain(&queue, first).await.len(), 1);
    assert_eq!(queue.ledger().queued, 1, "one destination is still to come");
    let killed = scratch.killed();
    let (after, first) = killed.open();
    assert!(after.try_lease(first).is_none());
    assert_eq!(drain(&after, declare(&after, "second")).await.len(), 1);
    assert_eq!(after.ledger().delivered, 1);
}

#[tokio::test]
async fn dead_sent_and_waiting_documents_can_be_delivered_again_by_hand() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let dead = put(&queue, lane, "dead").await;
    queue
        .try_lease(lane)
        .unwrap()
        .bury("refused")
        .await
        .unwrap();
    let sent = put(&queue, lane, "sent").await;
    queue.try_lease(lane).unwrap().ack().await.unwrap();
    let waiting = put(&queue, lane, "waiting").await;
    queue
        .try_lease(lane)
        .unwrap()
        .retry(Duration::from_hours(1), "busy")
        .await
        .unwrap();
    assert!(queue.try_lease(lane).is_none());
    assert_eq!(
        (
            queue.ledger().dead,
            queue.ledger().delivered,
            queue.ledger().queued
        ),
        (1, 1, 1)
    );
    for id in [dead, sent, waiting] {
        assert_eq!(queue.revive(id, None, "by hand").await.unwrap(), 1);
    }
    assert_eq!(
        (
            queue.ledger().dead,
            queue.ledger().delivered,
            queue.ledger().queued
        ),
        (0, 0, 3)
    );
    assert_eq!(
        drain(&queue, lane).await,
        [b"dead".to_vec(), b"sent".to_vec(), b"waiting".to_vec()]
    );
    let killed = scratch.killed();
    let ledger = killed.open().0.ledger();
    assert_eq!((ledger.accepted, ledger.delivered), (3, 3));
}

#[tokio::test]
async fn what_a_person_discards_is_counted_under_its_policy() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    let id = put(&queue, lane, "unwanted").await;
    assert_eq!(queue.discard(id, None, "operator").await.unwrap(), 1);
    assert_eq!((queue.ledger().discarded, queue.ledger().queued), (1, 0));
    assert!(queue.discard(id, None, "operator").await.is_err());
    assert!(scratch.killed().open().0.ledger().is_balanced());
}

#[tokio::test]
async fn documents_are_found_by_lane_state_and_text() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for name in ["Report-A.json", "report-b.json", "photo.png"] {
        let named = NewDocument {
            source: name.into(),
            ..document(lane, name)
        };
        queue.enqueue(named).await.unwrap();
    }
    queue
        .try_lease(lane)
        .unwrap()
        .bury("unreadable report")
        .await
        .unwrap();
    let find = |filter: Filter| {
        let found = queue.list(&filter).unwrap();
        found
            .into_iter()
            .map(|summary| summary.source)
            .collect::<Vec<_>>()
    };
    let text = Some("REPORT".to_owned());
    assert_eq!(
        find(Filter {
            text,
            ..Filter::default()
        }),
        ["Report-A.json", "report-b.json"]
    );
    assert_eq!(
        find(Filter {
            states: vec![State::Dead],
            ..Filter::default()
        }),
        ["Report-A.json"]
    );
    assert_eq!(
        find(Filter {
            limit: 1,
            ..Filter::default()
        }),
        ["Report-A.json"]
    );
    let first = queue
        .list(&Filter {
            limit: 1,
            ..Filter::default()
        })
        .unwrap()[0]
        .id;
    assert_eq!(
        find(Filter {
            after: Some(first),
            ..Filter::default()
        }),
        ["report-b.json", "photo.png"]
    );
    let detail = queue.get(first).unwrap().unwrap();
    assert_eq!(
        detail.summary.lanes[0].error.as_deref(),
        Some("unreadable report")
    );
}

#[tokio::test]
async fn when_a_document_was_sent_is_known_lane_by_lane_and_after_a_restart() {
    let scratch = Scratch::new();
    let (queue, first) = scratch.open();
    let second = declare(&queue, "second");
    let id = queue
        .enqueue(NewDocument::new(vec![first, second], "a"))
        .await
        .unwrap()
        .id();
    let wall = || mainstay_clock::Clock::wall(&scratch.clock);
    let times = |queue: &Queue| {
        let lanes = queue.get(id).unwrap().unwrap().summary.lanes;
        lanes.iter().map(|lane| lane.sent_at).collect::<Vec<_>>()
    };
    let early = wall();
    queue.try_lease(first).unwrap().ack().await.unwrap();
    scratch.clock.advance(Duration::from_secs(30));
    assert_eq!(times(&queue), [Some(early), None]);
    // From the log, and from a snapshot.
    assert_eq!(times(&scratch.killed().open().0), [Some(early), None]);
    let late = wall();
    queue.try_lease(second).unwrap().ack().await.unwrap();
    scratch.clock.advance(Duration::from_secs(30));
    queue.close().await;
    let (queue, _) = scratch.open();
    assert_eq!(times(&queue), [Some(early), Some(late)]);
    queue.revive(id, Some(first), "lost").await.unwrap();
    assert_eq!(times(&queue), [None, Some(late)]);
}
