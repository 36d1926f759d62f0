//! What the disk loses is named, counted and copied aside, and the rest goes on.

use crate::scratch::{Scratch, declare, document, drain, put};
use mainstay_queue::{Batch, ErrorKind, Queue};
use sha2::{Digest, Sha256};
use std::fs;

/// 30 documents of 3000 bytes, each in a group of its own, over several segments; as a kill leaves them.
async fn filled() -> Scratch {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for number in 0..60u8 {
        put(&queue, lane, vec![number; 3000]).await;
    }
    scratch.killed()
}

fn position(bytes: &[u8], number: u8) -> usize {
    bytes
        .windows(64)
        .position(|window| window == [number; 64])
        .expect("the body lies here")
}

fn change(scratch: &Scratch, segment: usize, change: impl FnOnce(&mut Vec<u8>)) {
    let path = &scratch.segments()[segment];
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_costs_one_document_and_says_so() {
    let scratch = filled().await;
    change(&scratch, 0, |bytes| {
        let place = position(bytes, 4);
        bytes[place] ^= 0x10;
    });
    let (queue, recovery, lane) = scratch.open_with_report();
    assert_eq!(recovery.documents_unreadable, 1);
    assert_eq!(recovery.damage.len(), 1);
    let copy = recovery.damage[0].copied_to.as_ref().unwrap();
    assert!(
        fs::metadata(scratch.path().join("damaged").join(copy))
            .unwrap()
            .len()
            >= 3000
    );
    let left: Vec<u8> = drain(&queue, lane)
        .await
        .iter()
        .map(|body| body[0])
        .collect();
    assert_eq!(
        left,
        (0..60).filter(|number| *number != 4).collect::<Vec<u8>>()
    );
    assert!(queue.ledger().is_balanced(), "{:?}", queue.ledger());
    queue.close().await;
    let (queue, recovery, _) = scratch.open_with_report();
    assert!(recovery.clean);
    assert_eq!(queue.ledger().unreadable, 1, "it stays in the account");
}

/// A power cut, as far as the watermark goes: it was never synced, and is gone.
fn forget_watermark(scratch: &Scratch) {
    fs::remove_file(scratch.path().join("watermark")).unwrap();
}

#[tokio::test]
async fn a_damaged_first_group_of_a_segment_costs_none_of_those_behind_it() {
    for power_cut in [false, true] {
        for segment in 0..2 {
            for byte in [4096 + 1, 4096 + 9, 4096 + 40, 4096 + 140] {
                let scratch = filled().await;
                change(&scratch, segment, |bytes| bytes[byte] ^= 1);
                if power_cut {
                    forget_watermark(&scratch);
                }
                let (queue, recovery, lane) = scratch.open_with_report();
                let place = format!("segment {segment}, byte {byte}: {recovery:?}");
                assert_eq!(recovery.torn_groups, 0, "{place}");
                assert_eq!(drain(&queue, lane).await.len(), 60, "{place}");
                assert!(queue.ledger().is_balanced(), "{place}");
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_head_of_a_group_costs_none_of_its_documents() {
    for power_cut in [false, true] {
        let scratch = Scratch::new();
        let (queue, lane) = scratch.open();
        let documents = (0..10u8).map(|number| document(lane, [number; 2000]));
        let batch = Batch {
            documents: documents.collect(),
            claims: Vec::new(),
        };
        queue.enqueue_batch(batch).await.unwrap();
        put(&queue, lane, [77; 100]).await;
        let scratch = scratch.killed();
        change(&scratch, 0, |bytes| {
            let head = position(bytes, 0) / 4096 * 4096;
            bytes[head + 2] ^= 1;
        });
        if power_cut {
            forget_watermark(&scratch);
        }
        let (queue, recovery, lane) = scratch.open_with_report();
        assert!(!recovery.damage.is_empty(), "it is said all the same");
        assert_eq!(recovery.documents_unreadable, 0, "{recovery:?}");
        assert_eq!(drain(&queue, lane).await.len(), 11, "{recovery:?}");
        assert!(queue.ledger().is_balanced());
    }
}

#[tokio::test]
async fn documents_whose_blocks_changed_places_are_never_taken_for_each_other() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for number in [41; 3] {
        put(&queue, lane, [number; 3000]).await;
    }
    let first = put(&queue, lane, [1; 3000]).await;
    let second = put(&queue, lane, [2; 3000]).await;
    queue.close().await;
    change(&scratch, 0, |bytes| {
        let (a, b) = (position(bytes, 1) / 4096, position(bytes, 2) / 4096);
        assert_eq!(a + 1, b);
        let (front, back) = bytes.split_at_mut(b * 4096);
        front[a * 4096..].swap_with_slice(&mut back[..4096]);
    });
    let (queue, _, lane) = scratch.open_with_report();
    let mut seen = 0;
    while let Some(lease) = queue.try_lease(lane) {
        assert!(lease.id() != first && lease.id() != second);
        lease.ack().await.unwrap();
        seen += 1;
    }
    assert_eq!(seen, 3);
    assert_eq!(queue.ledger().unreadable, 2);
    assert!(queue.ledger().is_balanced());
}

/// What a segment begins with and its first documents are one write; only what was written after it says that it was
/// confirmed.
#[tokio::test]
async fn a_bad_first_group_of_the_last_segment_is_damage_and_not_its_end() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for number in 0..5u8 {
        put(&queue, lane, vec![number; 3000]).await;
    }
    let scratch = scratch.killed();
    change(&scratch, 0, |bytes| bytes[4096 + 20] ^= 1);
    fs::remove_file(scratch.path().join("watermark")).unwrap();
    let (queue, recovery, lane) = scratch.open_with_report();
    assert!(!recovery.damage.is_empty(), "{recovery:?}");
    assert_eq!(drain(&queue, lane).await.len(), 5);
    assert!(queue.ledger().is_balanced(), "{:?}", queue.ledger());
}

#[tokio::test]
async fn a_document_that_rots_in_the_last_group_is_counted() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for number in 1..6u8 {
        put(&queue, lane, vec![number; 3000]).await;
    }
    let scratch = scratch.killed();
    change(&scratch, 0, |bytes| {
        let place = position(bytes, 5);
        bytes[place] ^= 0x10;
    });
    let (queue, recovery, _) = scratch.open_with_report();
    assert_eq!(recovery.documents_unreadable, 1, "{recovery:?}");
    assert_eq!(queue.ledger().accepted, 5);
    assert!(queue.ledger().is_balanced(), "{:?}", queue.ledger());
}

#[tokio::test]
async fn zeroed_blocks_cost_what_lay_in_them() {
    let scratch = filled().await;
    change(&scratch, 0, |bytes| {
        let block = position(bytes, 3) / 4096 * 4096;
        bytes[block..block + 8192].fill(0);
    });
    let (queue, recovery, lane) = scratch.open_with_report();
    assert_eq!(recovery.documents_unreadable, 2, "{recovery:?}");
    assert_eq!(drain(&queue, lane).await.len(), 58);
    assert!(queue.ledger().is_balanced());
}

#[tokio::test]
async fn any_missing_segment_is_reported_and_the_others_are_delivered() {
    for missing in 0..4 {
        let scratch = Scratch::new();
        let (queue, lane) = scratch.open();
        for number in 0..200u8 {
            put(&queue, lane, vec![number; 3000]).await;
        }
        let scratch = scratch.killed();
        fs::remove_file(&scratch.segments()[missing]).unwrap();
        let (queue, recovery, lane) = scratch.open_with_report();
        assert!(!recovery.damage.is_empty(), "segment {missing}");
        let left = drain(&queue, lane).await.len() as u64;
        assert!(left > 0 && left < 200, "segment {missing}: {left} left");
        assert_eq!(
            recovery.documents_unreadable,
            200 - left,
            "segment {missing}: {recovery:?}"
        );
        assert!(queue.ledger().is_balanced(), "segment {missing}");
    }
}

/// A file system that lost a block, and moved all behind it up.
#[tokio::test]
async fn a_group_that_is_gone_without_a_trace_is_told_where_it_was() {
    let scratch = filled().await;
    change(&scratch, 0, |bytes| {
        let gone = position(bytes, 3) / 4096 * 4096;
        bytes.drain(gone..gone + 4096);
        bytes.extend([0; 4096]);
    });
    let (queue, recovery, lane) = scratch.open_with_report();
    let told = |damage: &mainstay_queue::Damage| damage.what == "records are missing";
    assert!(recovery.damage.iter().any(told), "{recovery:?}");
    assert_eq!(recovery.documents_unreadable, 1, "{recovery:?}");
    assert_eq!(drain(&queue, lane).await.len(), 59);
    assert!(queue.ledger().is_balanced(), "{:?}", queue.ledger());
}

/// Nothing behind its last group says that it was confirmed, nor does the next segment say where it ended: the watermark does.
#[tokio::test]
async fn a_damaged_last_group_costs_none_of_its_documents_where_the_segment_behind_it_is_missing() {
    let scratch = filled().await;
    let holds = |path: &std::path::PathBuf, number: u8| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(64).any(|window| window == [number; 64])
    };
    let segments = scratch.segments();
    let last = (segments.iter().position(|path| holds(path, 59))).unwrap();
    for path in &segments[last..] {
        fs::remove_file(path).unwrap();
    }
    let newest = (0..60).rfind(|number| holds(&segments[last - 1], *number));
    let newest = newest.unwrap();
    change(&scratch, last - 1, |bytes| {
        let head = position(bytes, newest) / 4096 * 4096;
        bytes[head + 2] ^= 1;
    });
    let (queue, recovery, lane) = scratch.open_with_report();
    assert_eq!(recovery.torn_groups, 0, "{recovery:?}");
    let left = drain(&queue, lane).await;
    assert_eq!(left.len(), usize::from(newest) + 1, "{recovery:?}");
    assert_eq!(recovery.documents_unreadable, 59 - u64::from(newest));
    assert!(queue.ledger().is_balanced(), "{:?}", queue.ledger());
}

#[tokio::test]
async fn a_segment_missing_after_a_clean_stop_is_noticed_document_by_document() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for number in 0..60u8 {
        put(&queue, lane, vec![number; 3000]).await;
    }
    queue.close().await;
    fs::remove_file(&scratch.segments()[0]).unwrap();
    let (queue, _, lane) = scratch.open_with_report();
    let left = drain(&queue, lane).await.len() as u64;
    assert!(left > 0 && left < 60);
    assert_eq!(queue.ledger().unreadable, 60 - left);
    assert!(queue.ledger().is_balanced());
    assert!(!queue.status().damage.is_empty());
}

#[tokio::test]
async fn the_segment_that_a_clean_stop_ended_in_may_be_missing() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    for number in 0..40u8 {
        put(&queue, lane, vec![number; 3000]).await;
    }
    queue.close().await;
    let is_last = |path: &&std::path::PathBuf| {
        fs::read(path)
            .unwrap()
            .windows(64)
            .any(|window| window == [39; 64])
    };
    let segments = scratch.segments();
    fs::remove_file(segments.iter().find(is_last).unwrap()).unwrap();
    for _ in 0..2 {
        let (queue, _, lane) = scratch.open_with_report();
        put(&queue, lane, "it goes on").await;
        let left = drain(&queue, lane).await.len();
        assert!(0 < left && left < 41, "{left} left");
        assert!(queue.ledger().is_balanced(), "{:?}", queue.ledger());
        queue.close().await;
    }
}

#[tokio::test]
async fn a_segment_that_was_truncated_below_what_was_confirmed_is_damage_not_a_torn_tail() {
    let scratch = filled().await;
    let with_data = scratch.segments().len() - 2;
    let mut cut_at = 0;
    for segment in (0..=with_data + 1).rev() {
        let bytes = fs::read(&scratch.segments()[segment]).unwrap();
        if let Some(place) = bytes.windows(64).position(|window| window == [59; 64]) {
            cut_at = place / 4096 * 4096;
            change(&scratch, segment, |bytes| bytes.truncate(cut_at));
            break;
        }
    }
    assert!(cut_at > 0);
    let (queue, recovery, lane) = scratch.open_with_report();
    assert_eq!(recovery.torn_groups, 0);
    assert!(!recovery.damage.is_empty(), "{recovery:?}");
    assert_eq!(drain(&queue, lane).await.len(), 59);
}

#[tokio::test]
async fn a_segment_that_ends_before_the_log_goes_on_elsewhere_is_named() {
    let scratch = filled().await;
    change(&scratch, 0, |bytes| {
        let cut_at = position(bytes, 7) / 4096 * 4096;
        bytes.truncate(cut_at);
    });
    let name = scratch.segments()[0].file_name().unwrap().to_owned();
    let (queue, recovery, lane) = scratch.open_with_report();
    let told = |damage: &mainstay_queue::Damage| {
        damage.file == name.to_string_lossy()
            && damage.what == "the file is shorter than the log says"
    };
    assert!(recovery.damage.iter().any(told), "{recovery:?}");
    let left = drain(&queue, lane).await.len() as u64;
    assert_eq!(recovery.documents_unreadable, 60 - left, "{recovery:?}");
    assert!(queue.ledger().is_balanced(), "{:?}", queue.ledger());
}

#[tokio::test]
async fn a_snapshot_watermark_or_format_that_is_damaged_costs_nothing() {
    for file in ["snapshot", "watermark", "FORMAT"] {
        let scratch = Scratch::new();
        let (queue, lane) = scratch.open();
        for number in 0..60u8 {
            put(&queue, lane, vec![number; 3000]).await;
        }
        queue.close().await;
        let path = scratch.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[..middle].fill(0xaa);
        fs::write(&path, bytes).unwrap();
        let (queue, recovery, lane) = scratch.open_with_report();
        assert_eq!(recovery.documents_unreadable, 0, "{file}: {recovery:?}");
        assert_eq!(drain(&queue, lane).await.len(), 60, "{file}");
        assert!(queue.ledger().is_balanced(), "{file}");
    }
}

/// A disk that writes a block to the wrong place, or a hand that restores the wrong file: FORMAT was believed, all segments
/// were another queue's, and the documents were gone without a word.
#[tokio::test]
async fn a_format_of_another_queue_costs_nothing_and_is_named() {
    for is_clean in [false, true] {
        let scratch = Scratch::new();
        let (queue, lane) = scratch.open();
        for number in 0..60u8 {
            put(&queue, lane, vec![number; 3000]).await;
        }
        if is_clean {
            queue.close().await;
        }
        let stranger = filled().await;
        let killed = scratch.killed();
        let [own, other] = [&killed, &stranger].map(|of| of.path().join("FORMAT"));
        fs::copy(other, &own).unwrap();
        let (queue, recovery, lane) = killed.open_with_report();
        assert_eq!(recovery.documents_unreadable, 0, "{recovery:?}");
        let named = recovery
            .damage
            .iter()
            .find(|damage| damage.file == "FORMAT");
        assert!(named.is_some_and(|damage| damage.what.contains("another queue")));
        assert_eq!(drain(&queue, lane).await.len(), 60);
        queue.close().await;
        let (_, recovery, _) = killed.open_with_report();
        assert!(
            recovery.damage.is_empty(),
            "it was made again: {recovery:?}"
        );
    }
}

/// The other way round: a segment of another queue is none of this one, whatever it says.
#[tokio::test]
async fn a_segment_of_another_queue_does_not_make_its_format_that_of_this_one() {
    let scratch = Scratch::new();
    let (queue, _) = scratch.open();
    queue.close().await;
    for segment in scratch.segments() {
        fs::remove_file(segment).unwrap();
    }
    let stranger = filled().await;
    let segment = &stranger.segments()[0];
    let here = scratch.path().join(segment.file_name().unwrap());
    fs::copy(segment, here).unwrap();
    let (queue, _, lane) = scratch.open_with_report();
    assert_eq!(drain(&queue, lane).await.len(), 0);
}

#[tokio::test]
async fn the_head_of_a_segment_can_be_lost_without_its_documents() {
    for segment in 0..2 {
        let scratch = filled().await;
        change(&scratch, segment, |bytes| bytes[..4096].fill(0));
        let (queue, recovery, lane) = scratch.open_with_report();
        assert_eq!(
            drain(&queue, lane).await.len(),
            60,
            "segment {segment}: {recovery:?}"
        );
        assert!(queue.ledger().is_balanced());
    }
}

#[tokio::test]
async fn garbage_in_every_file_is_survived() {
    // A small generator of numbers, so that a failure can be repeated by its seed.
    for seed in 1..25u64 {
        let scratch = filled().await;
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for segment in 0..scratch.segments().len() {
            change(&scratch, segment, |bytes| {
                for _ in 0..4 {
                    let start = next() as usize % bytes.len();
                    let end = (start + next() as usize % 9000).min(bytes.len());
                    bytes[start..end].fill_with(|| next() as u8);
                }
            });
        }
        let (queue, _, lane) = scratch.open_with_report();
        for body in drain(&queue, lane).await {
            assert!(
                body.len() == 3000 && body.iter().all(|byte| *byte == body[0]),
                "seed {seed}: a wrong body"
            );
        }
        assert!(
            queue.ledger().is_balanced(),
            "seed {seed}: {:?}",
            queue.ledger()
        );
        put(&queue, lane, "it goes on").await;
    }
}

#[tokio::test]
async fn a_newer_format_is_refused_and_not_touched() {
    let scratch = filled().await;
    let path = scratch.path().join("FORMAT");
    let text = fs::read_to_string(&path).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = format!("mainstay-queue 2 {}", words[2]);
    let text = format!("{text} {:08x}\n", crc32c::crc32c(text.as_bytes()));
    fs::write(&path, &text).unwrap();
    let before: Vec<_> = scratch.segments();
    let error = Queue::open(scratch.path(), scratch.config.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NewerFormat);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(scratch.segments(), before);
}

#[tokio::test]
async fn a_document_that_imitates_the_log_is_never_taken_for_it() {
    let scratch = Scratch::new();
    let (queue, lane) = scratch.open();
    put(&queue, lane, vec![1; 3000]).await;
    // The content of the very segment that it is going to lie in, shifted over all alignments, behind a bad block.
    let forged = fs::read(&scratch.segments()[0]).unwrap()[..20_000].to_vec();
    queue.enqueue(document(lane, forged.clone())).await.unwrap();
    put(&queue, lane, vec![2; 3000]).await;
    let killed = scratch.killed();
    change(&killed, 0, |bytes| {
        let place = bytes
            .windows(64)
            .skip(20_000)
            .position(|window| window == [1; 64])
            .unwrap()
            + 20_000;
        bytes[place - 4000..place - 3900].fill(0);
    });
    let (after, _, lane) = killed.open_with_report();
    for body in drain(&after, lane).await {
        assert!(body == [1; 3000] || body == [2; 3000] || body == forged);
    }
    assert!(after.ledger().is_balanced());
}

/// What a kill leaves of a segment that was being filled: after a failed sync it may look longer than the disk has it.
#[tokio::test]
async fn a_segment_that_was_being_made_at_a_kill_is_not_used_and_goes() {
    let scratch = filled().await;
    let half = ["seg-0000000099.log.new", "reserve.new"];
    for name in half {
        fs::write(scratch.path().join(name), [7; 100_000]).unwrap();
    }
    let (queue, recovery, lane) = scratch.open_with_report();
    assert!(recovery.damage.is_empty(), "{recovery:?}");
    for name in half {
        assert!(!scratch.path().join(name).exists(), "{name}");
    }
    assert!(!drain(&queue, lane).await.is_empty());
    assert!(queue.ledger().is_balanced());
}

/// Where the LANE record of this name lies in a segment.
fn lane_record(bytes: &[u8], name: &str) -> usize {
    let said = [&(name.len() as u16).to_le_bytes(), name.as_bytes()].concat();
    let found = bytes.windows(said.len()).position(|window| window == said);
    found.expect("the lane is declared here") - 34
}

/// Changes the payload of a record, under a checksum that holds: what a fault of ours would write.
fn forge(bytes: &mut [u8], record: usize, change: impl FnOnce(&mut [u8])) {
    let mut seed = Sha256::new();
    seed.update(&bytes[16..32]);
    seed.update(&bytes[32..40]);
    let seed = u32::from_le_bytes(seed.finalize()[..4].try_into().unwrap());
    let len = u32::from_le_bytes(bytes[record + 4..record + 8].try_into().unwrap()) as usize;
    let end = record + 32 + len;
    change(&mut bytes[record + 32..end]);
    let crc = crc32c::crc32c_append(seed, &bytes[record + 4..end]);
    bytes[record..record + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The name of a lane stood in one place of the log. With it went the lane: its documents came back under `lane-1`, which
/// nobody asks for.
#[tokio::test]
async fn documents_come_back_under_their_lane_when_its_name_rots() {
    for rotten in [&["main"][..], &["other"], &["main", "other"]] {
        for power_cut in [false, true] {
            let scratch = Scratch::new();
            let (queue, main) = scratch.open();
            let other = declare(&queue, "other");
            put(&queue, main, "to main").await;
            put(&queue, other, "to other").await;
            put(&queue, main, "behind both").await;
            let scratch = scratch.killed();
            change(&scratch, 0, |bytes| {
                for name in rotten {
                    let record = lane_record(bytes, name);
                    bytes[record + 33] ^= 1;
                }
            });
            if power_cut {
                forget_watermark(&scratch);
            }
            let (queue, recovery, main) = scratch.open_with_report();
            assert!(!recovery.damage.is_empty(), "{rotten:?}: it is said");
            assert_eq!(recovery.documents_unreadable, 0, "{rotten:?}");
            assert_eq!(queue.lanes().len(), 2, "{rotten:?}: {:?}", queue.lanes());
            assert_eq!(
                drain(&queue, main).await,
                [b"to main".to_vec(), b"behind both".to_vec()]
            );
            let other = declare(&queue, "other");
            assert_eq!(drain(&queue, other).await, [b"to other"]);
            assert!(queue.ledger().is_balanced());
        }
    }
}

#[tokio::test]
async fn a_lane_whose_name_is_lost_everywhere_is_reported_until_its_documents_are_gone() {
    let scratch = Scratch::new();
    let (queue, main) = scratch.open();
    put(&queue, main, "kept").await;
    put(&queue, main, "behind it").await;
    let scratch = scratch.killed();
    change(&scratch, 0, |bytes| {
        let record = lane_record(bytes, "main");
        bytes[record + 33] ^= 1;
    });
    fs::remove_file(scratch.path().join("lanes")).unwrap();
    for start in 0..2 {
        let (queue, recovery, _) = scratch.open_with_report();
        let said = recovery.damage.iter().find(|damage| damage.file == "lanes");
        let said = said.unwrap_or_else(|| panic!("start {start}: {recovery:?}"));
        assert!(said.what.contains("`lane-0`"), "{said:?}");
        assert_eq!(recovery.documents_unreadable, 0);
        queue.close().await;
    }
    let (queue, _, _) = scratch.open_with_report();
    let lost = declare(&queue, "lane-0");
    assert_eq!(
        drain(&queue, lost).await.len(),
        2,
        "they can be had under the name that is told"
    );
    queue.close().await;
    scratch.clock.advance(std::time::Duration::from_mins(20));
    let (queue, _, _) = scratch.open_with_report();
    queue.close().await;
    let (queue, recovery, _) = scratch.open_with_report();
    assert!(recovery.damage.is_empty(), "{recovery:?}");
    assert_eq!(queue.lanes().len(), 1, "{:?}", queue.lanes());
}

/// A number of 65,535 had as many lanes made, and all of them were written to the next segment.
#[tokio::test]
async fn the_number_of_a_lane_that_lies_is_damage_and_makes_no_lanes() {
    for lies in ["in the declaration", "in the document"] {
        let scratch = Scratch::new();
        let (queue, main) = scratch.open();
        put(&queue, main, vec![1; 3000]).await;
        put(&queue, main, vec![2; 3000]).await;
        let scratch = scratch.killed();
        change(&scratch, 0, |bytes| {
            let lying = u16::MAX.to_le_bytes();
            if lies == "in the declaration" {
                let record = lane_record(bytes, "main");
                forge(bytes, record, |lane| lane[..2].copy_from_slice(&lying));
            } else {
                let group = position(bytes, 1) / 4096 * 4096;
                forge(bytes, group + 104, |store| {
                    store[26..28].copy_from_slice(&lying);
                });
            }
        });
        let (queue, recovery, main) = scratch.open_with_report();
        let what = "a record says what cannot be";
        assert!(
            recovery.damage.iter().any(|damage| damage.what == what),
            "{lies}: {recovery:?}"
        );
        assert_eq!(queue.lanes().len(), 1, "{lies}");
        let unreadable = u64::from(lies == "in the document");
        assert_eq!(recovery.documents_unreadable, unreadable, "{lies}");
        assert_eq!(drain(&queue, main).await.len() as u64, 2 - unreadable);
        assert!(queue.ledger().is_balanced());
    }
}

/// The account that a group states is held against what was counted before it. Where the head of every group before the
/// damage was lost too, nothing was counted, and a document and the acknowledgement of another hid each other.
#[tokio::test]
async fn a_lost_document_and_a_lost_acknowledgement_are_both_told_where_the_log_begins() {
    let scratch = Scratch::new();
    let (queue, main) = scratch.open();
    put(&queue, main, vec![1; 3000]).await;
    put(&queue, main, vec![2; 3000]).await;
    queue.try_lease(main).unwrap().ack().await.unwrap();
    put(&queue, main, vec![3; 3000]).await;
    let scratch = scratch.killed();
    change(&scratch, 0, |bytes| {
        let [first, second, third] = [1, 2, 3].map(|body| position(bytes, body) / 4096 * 4096);
        for head in (4096..=first).step_by(4096) {
            bytes[head + 2] ^= 1;
        }
        bytes[second..third].fill(0);
    });
    let (queue, recovery, main) = scratch.open_with_report();
    assert_eq!(
        (
            recovery.documents_unreadable,
            recovery.settlements_unreadable
        ),
        (1, 1),
        "{recovery:?}"
    );
    let offered = drain(&queue, main).await;
    assert_eq!(offered, [vec![1; 3000], vec![3; 3000]]);
    let ledger = queue.ledger();
    assert!(ledger.is_balanced(), "{ledger:?}");
    assert_eq!(
        (ledger.accepted, ledger.delivered, ledger.unreadable),
        (3, 2, 1)
    );
}
