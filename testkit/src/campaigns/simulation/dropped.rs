//! One life of a pickup, from folders that lose and tear to the queue on a disk that does.
//!
//! Producers drop files, write to them slowly, append, rename and remove, between the turns of the pickup and in the middle of
//! its calls; the process ends in any of them, or the power goes; calls fail once or for good; the queue is full, fails, or
//! answers too late. In the end everything is sound again, and every file that was dropped is one document, and is where it was
//! to go.

mod judge;
mod life;
mod producer;
mod shelf;

use super::world::Held;
use crate::random::Random;
use crate::sim_disk::Outcome;
use crate::sim_tree::{Diary, EIO, Fault, On};
use life::Life;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Errors that a call may fail with: EIO, ENOSPC, EMFILE, EROFS and EACCES.
const CODES: [i32; 5] = [5, 28, 24, 30, 13];

/// One life in an empty folder, and what happened in it if that is wanted.
pub(super) fn live(seed: u64, traced: bool, folder: &Path) -> (Held, Vec<String>) {
    let diary: Option<Diary> = traced.then(|| Arc::new(Mutex::new(Vec::new())));
    let mut described = String::new();
    let held = super::caught(|| {
        let mut life = Life::new(seed, folder, diary.as_ref())?;
        described = life.described();
        run(&mut life)
    });
    let steps = diary.map(|diary| {
        let mut steps = diary.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *steps)
    });
    let held = held.map_err(|what| format!("{described}: {what}"));
    (held, steps.unwrap_or_default())
}

fn run(life: &mut Life) -> Held {
    life.start()?;
    let steps = 3 + life.random.below(10);
    for _ in 0..steps {
        for _ in 0..life.random.below(3) {
            life.producer().act(life.wall());
        }
        if life.chance(3) {
            trouble(life);
        }
        for _ in 0..=life.random.below(2) {
            life.turn()?;
        }
        if life.chance(16) {
            life.jump();
        }
        life.pass();
        if life.chance(12) {
            life.end(Outcome::Killed)?;
        }
    }
    finish(life)
}

fn trouble(life: &mut Life) {
    match life.random.below(8) {
        0..3 => {
            let change = 1 + life.random.below(14);
            life.tree.end_in(Some(change));
            life.say(|| format!("the process ends in change {change} from here"));
        }
        3 => {
            let change = 1 + life.random.below(4);
            life.shelf.disk().cut_in(Some(change));
            life.say(|| format!("the process ends in change {change} of the queue from here"));
        }
        4 if life.has_faults => {
            let fault = fault(&mut life.random);
            life.tree.refuse(Some(fault));
            life.say(|| format!("{fault:?}"));
        }
        5 if life.has_faults => {
            life.tree.refuse(None);
            life.shelf.disk().refuse(None);
            life.say(|| "calls succeed again".to_owned());
        }
        6 if life.has_faults && life.chance(3) => {
            let fault = Fault {
                on: [None, Some(On::Changes), Some(On::Syncs)][life.random.below(3) as usize],
                after: life.random.below(4),
                count: 1 + life.random.below(2),
                code: EIO,
            };
            life.shelf.disk().refuse(Some(fault));
            life.say(|| format!("the queue: {fault:?}"));
        }
        6 => {
            let mood = life.random.below(5);
            life.shelf.feel(mood);
            life.say(|| format!("the intake is in mood {mood}"));
        }
        _ => life.act_meanwhile(),
    }
}

fn fault(random: &mut Random) -> Fault {
    Fault {
        on: [None, Some(On::Looks), Some(On::Changes), Some(On::Syncs)][random.below(4) as usize],
        after: random.below(12),
        count: [1, 1, 2, 4, u64::MAX][random.below(5) as usize],
        code: CODES[random.below(5) as usize],
    }
}

/// Everything is sound again, the producers have ended, and nothing happens any more but what pickup does.
fn finish(life: &mut Life) -> Held {
    life.say(|| "the end: everything is sound, and nobody drops anything".to_owned());
    life.heal();
    match life.random.below(3) {
        0 => life.end(Outcome::Killed)?,
        1 => life.end(Outcome::Any)?,
        _ => {}
    }
    life.producer().leave(life.wall());
    life.rest()?;
    judge::everything(life)
}
