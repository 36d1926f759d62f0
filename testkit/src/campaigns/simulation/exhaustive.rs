//! Every short sequence of operations, cut in every call of its last one, in every plain way.
//!
//! A cut in an earlier operation is a cut in the last one of a shorter sequence, so each is made once.

use super::model::Act;
use super::scenario::{Trouble, begin};
use super::world::{Held, World};
use crate::sim_disk::Outcome as Power;
use mainstay_queue::store::Verdict;

/// The operations, by their places in a sequence.
const OPERATIONS: [&str; 9] = [
    "enqueue",
    "enqueue a batch",
    "enqueue a large body",
    "acknowledge",
    "retry",
    "bury",
    "maintain",
    "copy forward",
    "stop and start",
];

/// What becomes of what was under way in the call that was cut.
const OUTCOMES: [Power; 5] = [
    Power::Killed,
    Power::AllLost,
    Power::AllKept,
    Power::NamesKept,
    Power::Torn,
];

/// How many sequences and cuts there were.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) sequences: u64,
    pub(super) cuts: u64,
}

/// All sequences of up to `longest` operations; every `share`-th of them, from the one numbered `first` on.
pub(super) fn run(longest: usize, first: usize, share: usize) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let mut number = 0;
    for length in 0..=longest {
        for code in 0..OPERATIONS.len().pow(length as u32) {
            number += 1;
            if number % share == first {
                let sequence: Vec<usize> = (0..length)
                    .map(|place| code / OPERATIONS.len().pow(place as u32) % OPERATIONS.len())
                    .collect();
                counts.sequences += 1;
                counts.cuts += cut_everywhere(&sequence)?;
            }
        }
    }
    Ok(counts)
}

/// Cuts the last operation of a sequence in each of its calls; returns how many cuts that were.
fn cut_everywhere(sequence: &[usize]) -> Result<u64, String> {
    let mut cuts = 0;
    for call in 1.. {
        let mut is_over = false;
        for outcome in OUTCOMES {
            let what = || {
                let names: Vec<&str> = sequence.iter().map(|place| OPERATIONS[*place]).collect();
                format!("[{}] cut in change {call}, {outcome:?}", names.join(", "))
            };
            let came = super::caught(|| cut_once(sequence, call, outcome))
                .map_err(|error| format!("{}: {error}", what()))?;
            if !came {
                is_over = true;
                break;
            }
            cuts += 1;
        }
        if is_over {
            break;
        }
    }
    Ok(cuts)
}

/// Returns whether the cut came: an operation with fewer calls is over before.
fn cut_once(sequence: &[usize], call: u64, outcome: Power) -> Result<bool, String> {
    let mut world = begin(1, Trouble::Power, false)?;
    prepare(&mut world)?;
    if let Some((last, before)) = sequence.split_last() {
        for operation in before {
            perform(*operation, &mut world)?;
        }
        world.disk.cut_in(Some(call));
        perform(*last, &mut world)?;
    } else {
        world.disk.cut_in(Some(call));
        world.kill()?;
    }
    let came = world.disk.is_stopped();
    if came {
        world.recover_once(outcome)?;
        // It goes on as if nothing had been.
        perform(0, &mut world)?;
        world.compare()?;
    } else {
        world.disk.cut_in(None);
        world.compare()?;
    }
    Ok(came)
}

/// A queue with documents in all states, whose segment in use has room for a few groups more: every sequence goes on in
/// another one soon.
fn prepare(world: &mut World) -> Held {
    let lane = world.lanes[0];
    let ids: Vec<_> = (0..4)
        .map(|_| world.offer(100, false, 5, &[lane]))
        .collect();
    world.commit(&[Act::Store(ids, Vec::new())])?;
    let large = world.offer(36_000, false, 5, &[lane]);
    world.commit(&[Act::Store(vec![large], Vec::new())])?;
    world.commit(&[Act::Settle(large, lane, Verdict::Acknowledged)])?;
    world.store().maintain();
    Ok(())
}

fn perform(operation: usize, world: &mut World) -> Held {
    let lane = world.lanes[0];
    match operation {
        0 => {
            let id = world.offer(500, false, 5, &[lane]);
            world.commit(&[Act::Store(vec![id], Vec::new())])
        }
        1 => {
            let ids = (0..3)
                .map(|_| world.offer(3_000, false, 5, &[lane]))
                .collect();
            world.commit(&[Act::Store(ids, Vec::new())])
        }
        2 => {
            let id = world.offer(5_000, true, 5, &[lane]);
            world.commit(&[Act::Store(vec![id], Vec::new())])
        }
        3..6 => {
            let Some(id) = world.lease(lane)? else {
                return Ok(());
            };
            world.leased.clear();
            world.commit(&[match operation {
                3 => Act::Settle(id, lane, Verdict::Acknowledged),
                4 => Act::Retry(id, lane),
                _ => Act::Settle(id, lane, Verdict::Buried),
            }])
        }
        6 => {
            world.store().advance_cursor();
            world.store().maintain();
            Ok(())
        }
        7 => {
            world.store().clean_step();
            Ok(())
        }
        _ => {
            world.store().close();
            world.close();
            world.start()
        }
    }
}
