//! The index by itself, without a log.

use super::{Applied, Index, Location, Now, Retention, Since};
use crate::document::{DocumentId, LaneId, Priority, State};
use crate::record::{Head, Lanes, Record, Settlement};
use mainstay_clock::Moment;
use std::time::Duration;

const NOW: Now = Now {
    moment: Moment::ORIGIN,
    wall: 1_000_000,
};

/// What is tried again is due then.
fn later() -> Now {
    Now {
        moment: NOW.moment + Duration::from_hours(2),
        wall: NOW.wall + 7_200_000,
    }
}

fn index() -> Index {
    let retention = Retention {
        time: Duration::ZERO,
        documents: 10,
        bytes: 1 << 20,
    };
    Index::new(retention, Duration::ZERO)
}

fn store(index: &mut Index, order: u64) -> DocumentId {
    store_aged(index, order, 0)
}

/// One that was stored so many seconds ago.
fn store_aged(index: &mut Index, order: u64, age: u64) -> DocumentId {
    let id = DocumentId::new();
    let head = Head {
        id,
        created: NOW.wall - age * 1_000,
        priority: Priority::default(),
        lanes: Lanes::One(LaneId(0)),
        body_file: None,
        body_len: 10,
    };
    let location = Location {
        segment: 1,
        offset: order as u32,
        len: 100,
    };
    assert_eq!(
        index.apply(&Record::Store(head), order, location, NOW),
        Applied::Done
    );
    id
}

#[test]
fn a_note_is_kept_once_however_many_documents_it_belongs_to() {
    let mut index = index();
    for order in 1..=1000 {
        let id = store(&mut index, order);
        let retry = Record::Retry {
            id,
            lane: LaneId(0),
            attempts: 1,
            after: 5,
            wall: NOW.wall,
            note: "connection reset",
        };
        index.apply(
            &retry,
            0,
            Location {
                segment: 1,
                offset: 0,
                len: 0,
            },
            NOW,
        );
    }
    assert_eq!(index.notes.len(), 1);
    assert_eq!(index.depth(LaneId(0), State::Waiting), 1000);
}

const NOWHERE: Location = Location {
    segment: 1,
    offset: 0,
    len: 0,
};

fn settle(index: &mut Index, id: DocumentId, settlement: Settlement) {
    let record = Record::Settle {
        id,
        lane: LaneId(0),
        settlement,
        wall: NOW.wall,
        note: "",
    };
    index.apply(&record, 0, NOWHERE, NOW);
}

fn retry(index: &mut Index, id: DocumentId) {
    let record = Record::Retry {
        id,
        lane: LaneId(0),
        attempts: 1,
        after: 3_600_000,
        wall: NOW.wall,
        note: "busy",
    };
    index.apply(&record, 0, NOWHERE, NOW);
}

/// What it would be if every document was looked at.
fn oldest_of_all(index: &Index) -> Option<Since> {
    let pending = index
        .views()
        .filter(|view| view.lanes.iter().any(|lane| lane.state.is_pending()));
    pending.map(|view| view.since).min()
}

proptest::proptest! {
    /// It is kept as deliveries come and go, and not counted anew: a million that wait would hold up whoever stores.
    #[test]
    fn the_oldest_of_a_lane_is_that_of_all_documents_whatever_was_done_with_them(
        steps in proptest::collection::vec((0_u8..10, 0_usize..12), 1..120),
    ) {
        let mut index = index();
        let mut ids = Vec::new();
        for (order, (step, which)) in (1..).zip(steps) {
            let id = ids.get(which).copied();
            match (step, id) {
                (0 | 1, _) | (_, None) => ids.push(store_aged(&mut index, order, 1_000 - order / 4)),
                (2, _) => drop(index.lease(LaneId(0), NOW)),
                (3, Some(id)) => index.give_back(id, LaneId(0)),
                (4, Some(id)) => retry(&mut index, id),
                (5, Some(id)) => settle(&mut index, id, Settlement::Acknowledged),
                (6, Some(id)) => settle(&mut index, id, Settlement::Buried),
                (7, Some(id)) => settle(&mut index, id, Settlement::Discarded),
                (8, Some(id)) => settle(&mut index, id, Settlement::Revived),
                // What waits is due.
                (_, Some(_)) => drop(index.next_due(LaneId(0), later())),
            }
            let expected = oldest_of_all(&index);
            proptest::prop_assert_eq!(index.oldest(LaneId(0)), expected);
        }
    }
}

/// The places in line, of those that are ready, wait, and were sent.
#[test]
fn documents_that_are_written_again_keep_their_places_under_new_sequences() {
    let mut index = index();
    let ids: Vec<_> = (1..=4).map(|order| store(&mut index, order)).collect();
    let [ready, waits, sent, later] = ids[..] else {
        panic!("four are stored")
    };
    let retry = Record::Retry {
        id: waits,
        lane: LaneId(0),
        attempts: 1,
        after: 5,
        wall: NOW.wall,
        note: "",
    };
    index.apply(&retry, 5, NOWHERE, NOW);
    let settle = Record::Settle {
        id: sent,
        lane: LaneId(0),
        settlement: Settlement::Acknowledged,
        wall: NOW.wall,
        note: "",
    };
    index.apply(&settle, 6, NOWHERE, NOW);
    for (order, id) in (11..).zip(&ids) {
        index.reorder(*id, order);
    }
    let orders: Vec<u64> = index.views().map(|view| view.order).collect();
    assert_eq!(orders, [11, 12, 13, 14]);
    let past = Now {
        moment: NOW.moment + Duration::from_mins(1),
        wall: NOW.wall + 60_000,
    };
    let leased = std::iter::from_fn(|| index.lease(LaneId(0), past));
    let leased: Vec<_> = leased.map(|leased| leased.id).collect();
    assert_eq!(leased, [ready, waits, later]);
    assert!(index.contains(sent));
    assert!(index.expire(past.moment) && !index.contains(sent));
}

#[test]
fn notes_that_never_repeat_take_bounded_memory() {
    let mut index = index();
    for order in 1..=5000 {
        let id = store(&mut index, order);
        let note = format!("error number {order}");
        let retry = Record::Retry {
            id,
            lane: LaneId(0),
            attempts: 1,
            after: 5,
            wall: NOW.wall,
            note: &note,
        };
        index.apply(
            &retry,
            0,
            Location {
                segment: 1,
                offset: 0,
                len: 0,
            },
            NOW,
        );
    }
    assert!(index.notes.len() <= super::NOTES_MAX + 1);
}

#[test]
fn what_a_document_takes_in_memory_is_what_the_documentation_says() {
    // 48 bytes for the document (with its place in the slab), 12 for its delivery, 8 for its place in line.
    assert!(size_of::<Option<super::Doc>>() <= 56);
    assert!(size_of::<Option<super::Delivery>>() <= 16);
}
