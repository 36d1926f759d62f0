use super::model::{Act, Model, Observed};
use super::scenario::{Trouble, begin};
use super::*;
use crate::sim_disk::Outcome as Power;
use mainstay_queue::disk::{Disk, Folder};
use mainstay_queue::store::Verdict;

/// Each of these lives once ended badly; what was wrong is fixed.
#[test]
fn lives_that_once_were_broken_hold() {
    let seeds = [
        4, 23, 38, 44, 161, 199, 246, 415, 1371, 8535, 10_968, 14_894, 16_794, 17_246, 56_995,
        62_032, 62_101, 90_237, 102_629, 121_446, 148_591, 1_235_872,
    ];
    for seed in seeds {
        assert_eq!(live_of_queue(seed, false).0, Ok(()), "seed {seed}");
    }
}

#[test]
fn a_seed_gives_the_same_life_again_call_by_call() {
    for seed in [7, 30, 40, 47] {
        let (first, second) = (live_of_queue(seed, true), live_of_queue(seed, true));
        assert!(30 < first.1.len(), "seed {seed} does something");
        assert_eq!(first, second, "seed {seed}");
    }
}

/// Each of these found something that is fixed now: a claim that was forgotten before its file had left for good, an original
/// that was on no disk, an older memory of a file that counted, a marker that was put back, or was not, or too late,
/// a removal whose second sync was believed, a file that was refused and never left.
#[test]
fn lives_of_a_pickup_that_once_were_broken_hold() {
    let scratch = crate::campaigns::scratch().unwrap();
    for seed in [
        2, 1685, 4790, 10_040, 12_266, 14_927, 17_450, 18_602, 19_532, 69_134, 72_119, 115_736,
        120_419, 207_737, 296_177, 314_933, 338_690, 381_203, 393_344, 476_219, 542_828, 826_085,
        1_001_024, 1_398_305, 1_538_681, 1_800_407,
    ] {
        let held = live_with_pickup(seed, false, scratch.path()).0;
        assert_eq!(held, Ok(()), "seed {seed}");
    }
}

#[test]
fn a_seed_gives_the_same_life_of_a_pickup_again_call_by_call() {
    let scratch = crate::campaigns::scratch().unwrap();
    for seed in (2..60).step_by(3) {
        let lives = [(); 2].map(|()| live_with_pickup(seed, true, scratch.path()));
        assert!(30 < lives[0].1.len(), "seed {seed} does something");
        assert_eq!(lives[0], lives[1], "seed {seed}");
    }
}

#[test]
fn every_sequence_of_two_operations_survives_a_cut_in_every_call() {
    let counts = exhaustive::run(2, 0, 1).unwrap();
    assert_eq!(counts.sequences, 1 + 9 + 81);
    assert!(1000 < counts.cuts, "{counts:?}");
}

/// A queue with a document that was confirmed last; the power goes, and nothing says any more that it was.
fn cut_before_recovery(seed: u64) -> World {
    let mut world = begin(seed, Trouble::Power, false).unwrap();
    let lane = world.lanes[0];
    let ids: Vec<_> = (0..3)
        .map(|_| world.offer(3_000, false, 5, &[lane]))
        .collect();
    for id in ids {
        world.commit(&[Act::Store(vec![id], Vec::new())]).unwrap();
    }
    let settled = world.lease(lane).unwrap().unwrap();
    let act = Act::Settle(settled, lane, Verdict::Acknowledged);
    world.commit(&[act]).unwrap();
    world.close();
    world.disk.restart(Power::AllLost);
    world
}

/// What recovery copies is still to be found where it came from until all of the copy is durable.
#[test]
fn a_recovery_that_is_cut_and_torn_in_any_call_loses_nothing() {
    for seed in 0..40 {
        let mut is_over = false;
        for call in 1..20 {
            let mut world = cut_before_recovery(seed);
            world.disk.cut_in(Some(call));
            is_over = world.open().is_ok() && !world.disk.is_stopped();
            world.close();
            world.disk.restart(Power::Any);
            let held = world.start();
            assert_eq!(held, Ok(()), "seed {seed}, cut in change {call}");
        }
        assert!(is_over, "recovery takes fewer calls");
    }
}

/// Twice the first group after a clean stop is torn: the two are never taken for one.
#[test]
fn what_is_torn_in_one_place_twice_is_never_put_together() {
    for seed in 0..300 {
        let mut world = begin(seed, Trouble::Power, false).unwrap();
        let lane = world.lanes[0];
        world.store().close();
        for _ in 0..3 {
            world.close();
            world.disk.restart(Power::AllKept);
            world.start().unwrap();
            let ids = (0..3).map(|_| world.offer(6_000, false, 5, &[lane]));
            let act = Act::Store(ids.collect(), Vec::new());
            world.disk.cut_in(Some(1));
            world.commit(&[act]).unwrap();
            world.close();
            world.disk.restart(Power::Any);
            assert_eq!(world.start(), Ok(()), "seed {seed}");
        }
    }
}

/// The first write after a clean stop was torn, and its first block is lost: the next is not made over what is left.
#[test]
fn what_is_left_behind_a_clean_end_is_never_written_over() {
    let stopped = || {
        let mut world = begin(1, Trouble::Power, false).unwrap();
        world.store().close();
        world.close();
        world
    };
    let segment = |world: &World| {
        let name = "seg-0000000001.log";
        let file = world.disk.open(Folder::Root, name).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(&mut bytes, 0).unwrap();
        (file, bytes)
    };
    let (mut torn, mut whole) = (stopped(), stopped());
    whole.start().unwrap();
    let lane = whole.lanes[0];
    let ids = (0..4).map(|_| whole.offer(3_000, false, 5, &[lane]));
    let act = Act::Store(ids.collect(), Vec::new());
    whole.commit(&[act]).unwrap();
    let ((file, before), (_, after)) = (segment(&torn), segment(&whole));
    let changed = before
        .iter()
        .zip(&after)
        .position(|(one, other)| one != other);
    let second_block = changed.unwrap() / 4096 * 4096 + 4096;
    file.write_at(&after[second_block..], second_block as u64)
        .unwrap();
    file.sync().unwrap();
    let recovery = torn.open().unwrap();
    assert!(!recovery.clean, "{recovery:?}");
}

#[test]
fn what_was_only_retired_in_memory_is_still_there_after_a_cut() {
    for seed in 0..20 {
        let mut world = begin(seed, Trouble::Power, false).unwrap();
        let lane = world.lanes[0];
        let ids: Vec<_> = (0..8)
            .map(|_| world.offer(9_000, false, 5, &[lane]))
            .collect();
        for id in &ids {
            world.commit(&[Act::Store(vec![*id], Vec::new())]).unwrap();
        }
        // The documents of the first segment are copied to the end, and the process ends before a group says so.
        assert!(world.store().clean_step());
        world.kill().unwrap();
        world.store().maintain();
        assert_eq!(world.cut(Power::AllLost), Ok(()), "seed {seed}");
    }
}

#[test]
fn copying_forward_comes_to_an_end_before_anything_is_removed() {
    let mut world = begin(1, Trouble::Power, false).unwrap();
    let lane = world.lanes[0];
    for round in 0..30 {
        let id = world.offer(9_000, false, 5, &[lane]);
        world.commit(&[Act::Store(vec![id], Vec::new())]).unwrap();
        if round % 6 != 0 {
            let act = Act::Settle(id, lane, Verdict::Discarded);
            world.commit(&[act]).unwrap();
        }
    }
    let mut steps = 0;
    while world.store().wants_cleaning() && world.store().clean_step() {
        steps += 1;
        assert!(
            steps < 20,
            "what is on its way out is copied again and again"
        );
    }
    assert!(0 < steps);
    world.compare().unwrap();
}

#[test]
fn a_document_that_is_lost_foreign_or_back_is_seen() {
    let mut world = begin(1, Trouble::Power, false).unwrap();
    let lane = world.lanes[0];
    let (kept, other) = (
        world.offer(10, false, 5, &[lane]),
        world.offer(10, false, 5, &[lane]),
    );
    world.commit(&[Act::Store(vec![kept], Vec::new())]).unwrap();
    let observed = Observed::of(world.store());
    let agrees = |acts: &[Act]| {
        let mut model = Model::default();
        for name in ["a", "b"] {
            model.apply(&Act::Declare(name.to_owned()), |_| vec![lane]);
        }
        for act in acts {
            model.apply(act, |_| vec![lane]);
        }
        model.agrees(&observed)
    };
    let stored = |id| Act::Store(vec![id], Vec::new());
    assert_eq!(agrees(&[stored(kept)]), Ok(()));
    let lost = agrees(&[stored(kept), stored(other)]).unwrap_err();
    assert!(lost.contains("is lost"), "{lost}");
    let foreign = agrees(&[]).unwrap_err();
    assert!(foreign.contains("was not accepted"), "{foreign}");
    let discarded = Act::Settle(kept, lane, Verdict::Discarded);
    let back = agrees(&[stored(kept), discarded]).unwrap_err();
    assert!(back.contains("is back"), "{back}");
    let retried = agrees(&[stored(kept), Act::Retry(kept, lane)]).unwrap_err();
    assert!(retried.contains("stands at"), "{retried}");
}
