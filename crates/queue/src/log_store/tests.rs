//! The whole store on a disk whose power can be cut.

use super::*;
use crate::config::Io;
use crate::disk::cut::CutDisk;
use crate::document::NewDocument;
use crate::store::Outcome;

/// etcd #14370: a member that was alone answered before the disk had confirmed the write; a power cut just then took it back.
#[test]
fn etcd_14370_what_was_confirmed_is_there_when_the_power_goes_at_that_moment() {
    let config = Config {
        first_segment_bytes: 64 * 1024,
        segment_bytes: 64 * 1024,
        reserve_bytes: 64 * 1024,
        io: Io::Buffered,
        ..Config::default()
    };
    for last in 0..24 {
        let disk = Arc::new(CutDisk::new());
        let (store, _) = LogStore::open(disk.clone(), &config).unwrap();
        let declared = one(&store, Op::DeclareLane("main".to_owned()));
        let Outcome::Lane(lane) = declared else {
            panic!("a lane is declared")
        };
        // Several segments, begun one after the other.
        let confirmed: Vec<DocumentId> = (0..=last)
            .map(|number| {
                let document = NewDocument::new(vec![lane], vec![number; 9_000]);
                let id = document.id;
                let documents = vec![document];
                one(
                    &store,
                    Op::Enqueue {
                        documents,
                        claims: Vec::new(),
                    },
                );
                id
            })
            .collect();
        disk.cut();
        drop(store);
        let (store, _) = LogStore::open(disk, &config).unwrap();
        for (number, id) in confirmed.into_iter().enumerate() {
            let Some(document) = store.load(id).unwrap() else {
                panic!("document {number} of {last} is not there")
            };
            let Body::Bytes(bytes) = store.body(&document).unwrap() else {
                panic!("a small body lies with its document")
            };
            assert_eq!(bytes, vec![number as u8; 9_000]);
        }
    }
}

fn one(store: &LogStore, op: Op) -> Outcome {
    store.commit(&[op]).answers.remove(0).unwrap()
}
