//! The index by itself, without a log.

use super::{Applied, Index, Location, Now, Retention};
use crate::document::{DocumentId, LaneId, Priority, State};
use crate::record::{Head, Lanes, Record};
use mainstay_clock::Moment;
use std::time::Duration;

const NOW: Now = Now {
    moment: Moment::ORIGIN,
    wall: 1_000_000,
};

fn index() -> Index {
    let retention = Retention {
        time: Duration::ZERO,
        documents: 10,
        bytes: 1 << 20,
    };
    Index::new(retention, Duration::ZERO)
}

fn store(index: &mut Index, order: u64) -> DocumentId {
    let id = DocumentId::new();
    let head = Head {
        id,
        created: NOW.wall,
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
