//! What happens in one run: work, upkeep, kills, cuts and faults, all chosen by the seed.

use super::model::{Act, At};
use super::world::{Held, World};
use crate::sim_disk::{EIO, Fault, On, Outcome as Power};
use mainstay_clock::{Clock, ManualClock};
use mainstay_queue::store::{Store, Verdict};
use mainstay_queue::{ClaimId, Config, DocumentId, LaneId, Mode};
use std::sync::Arc;
use std::time::Duration;

/// What goes wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Kills and clean stops alone; the same is asked of the store on SQLite.
    None,
    /// The power goes.
    Power,
    /// Calls are refused with EIO, and the power goes.
    Refusals,
    /// The disk is full at times, and the power goes.
    Full,
    /// Bits rot.
    Rot,
}

impl Trouble {
    pub(super) fn of(seed: u64) -> Self {
        match seed % 50 {
            0 => Self::None,
            1..28 => Self::Power,
            28..38 => Self::Refusals,
            38..44 => Self::Full,
            _ => Self::Rot,
        }
    }
}

/// The smallest segments that the queue makes, in bytes: a run of a few dozen steps goes through several.
const SEGMENT: u32 = 64 * 1024;

/// A configuration in which everything that the queue does happens within a few dozen steps.
pub(super) fn config(clock: &ManualClock) -> Config {
    Config {
        first_segment_bytes: SEGMENT,
        segment_bytes: SEGMENT,
        reserve_bytes: SEGMENT,
        snapshot_bytes: 150_000,
        retain_documents: 4,
        // The order of a line is then the priority and the order of arrival alone.
        ageing: Duration::ZERO,
        clock: Arc::new(clock.clone()),
        ..Config::default()
    }
}

/// A world with two lanes.
pub(super) fn begin(seed: u64, trouble: Trouble, traced: bool) -> Result<World, String> {
    let clock = ManualClock::new();
    let mut config = config(&clock);
    if trouble == Trouble::None {
        config.ageing = Duration::from_secs(30);
        // Which of those that were sent in the same millisecond goes first is nobody's business.
        config.retain_documents = 1000;
    }
    let mut world = World::new(seed, config, clock, traced);
    if trouble == Trouble::None {
        world = world.with_reference()?;
    }
    world.start()?;
    world.commit(&[Act::Declare("a".to_owned()), Act::Declare("b".to_owned())])?;
    world.lanes = world.store().lanes().iter().map(|lane| lane.id).collect();
    Ok(world)
}

/// One run.
pub(super) fn run(trouble: Trouble, world: &mut World) -> Held {
    let steps = 10 + world.random.below(40);
    for _ in 0..steps {
        if world.chance(9) {
            make_trouble(trouble, world);
        }
        step(trouble, world)?;
        if world.disk.is_stopped() {
            power(world)?;
        }
    }
    if trouble == Trouble::Rot {
        return super::rot::run(world);
    }
    finish(world)
}

fn make_trouble(trouble: Trouble, world: &mut World) {
    if matches!(trouble, Trouble::None | Trouble::Rot) {
        return;
    }
    if trouble == Trouble::Refusals && world.chance(2) {
        let on = [None, Some(On::Looks), Some(On::Changes), Some(On::Syncs)];
        let fault = Fault {
            on: on[world.random.below(4) as usize],
            after: world.random.below(12),
            count: [1, 2, 4, u64::MAX][world.random.below(4) as usize],
            code: EIO,
        };
        world.is_refused = true;
        world.disk.refuse(Some(fault));
        world.say(|| format!("{fault:?}"));
    } else if trouble == Trouble::Full && world.chance(2) {
        // Half a megabyte is what the queue leaves free of its own accord.
        let room = 512 * 1024 + world.disk.used() + world.random.below(200_000);
        let room = [Some(room), Some(world.disk.used()), None][world.random.below(3) as usize];
        world.disk.set_capacity(room);
        world.say(|| format!("room for {room:?}"));
    } else {
        let change = 1 + world.random.below(20);
        world.disk.cut_in(Some(change));
        world.say(|| format!("the power goes in change {change} from here"));
    }
}

fn power(world: &mut World) -> Held {
    let power = match world.random.below(10) {
        0 => Power::AllLost,
        1 => Power::AllKept,
        2 => Power::NamesKept,
        3 => Power::Torn,
        4 | 5 => Power::Killed,
        _ => Power::Any,
    };
    world.is_refused = false;
    world.cut(power)?;
    // A cut that recovery met: it is recovered from as from any other.
    while world.disk.is_stopped() {
        world.cut(power)?;
    }
    Ok(())
}

fn step(trouble: Trouble, world: &mut World) -> Held {
    match world.random.below(32) {
        0..8 => store(trouble, world),
        8..16 => lease_and_settle(world),
        16 => store_again(world),
        17 | 18 => settle_any(world),
        19 => pass(trouble, world),
        20 => {
            let claims = world.claims.split_off(world.claims.len() / 2);
            world.commit(&[Act::Close(claims)])
        }
        21 => several(trouble, world),
        22..26 => {
            upkeep(world);
            Ok(())
        }
        26 => world.kill(),
        27 => stop(world),
        28 => {
            let name = format!("lane-{}", world.random.below(3));
            world.commit(&[Act::Declare(name)])
        }
        29 => {
            give_back(world);
            Ok(())
        }
        30 if trouble == Trouble::Refusals => {
            world.disk.refuse(None);
            world.say(|| "calls succeed again".to_owned());
            Ok(())
        }
        _ => {
            world.say(|| "compare".to_owned());
            world.compare()
        }
    }
}

fn new_documents(trouble: Trouble, world: &mut World) -> Act {
    let count = [1, 1, 1, 2, 3, 6][world.random.below(6) as usize];
    let ids = (0..count).map(|_| {
        let len = match world.random.below(8) {
            0 => 0,
            1 => 8_000 + world.random.below(16_000),
            _ => world.random.below(5_000),
        };
        let in_file = trouble != Trouble::None && world.random.below(10) == 0;
        let priority = 1 + world.random.below(3) as u8 * 4;
        let lanes = match world.random.below(4) {
            0 => world.lanes.clone(),
            lane => vec![world.lanes[(lane % 2) as usize]],
        };
        world.offer(len as usize, in_file, priority, &lanes)
    });
    let ids: Vec<_> = ids.collect();
    let claims = if world.chance(3) {
        let mut name = [0; 16];
        name[..8].copy_from_slice(&world.random.number().to_be_bytes());
        vec![ClaimId::from_bytes(name)]
    } else {
        Vec::new()
    };
    world.claims.extend(&claims);
    Act::Store(ids, claims)
}

fn store(trouble: Trouble, world: &mut World) -> Held {
    let act = new_documents(trouble, world);
    world.commit(&[act])
}

/// Whoever was refused without a word asks again under the same name; others do so without need.
fn store_again(world: &mut World) -> Held {
    let settled = |world: &World, id| {
        let doc = world.model.docs.get(id);
        doc.is_some_and(|doc| matches!(doc.at(), At::Sent | At::Discarded))
    };
    let ids: Vec<DocumentId> = world
        .offers
        .keys()
        .filter(|id| !settled(world, id))
        .copied()
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let id = ids[world.random.below(ids.len() as u64) as usize];
    world.commit(&[Act::Store(vec![id], Vec::new())])
}

fn verdict(world: &mut World) -> Verdict {
    match world.random.below(8) {
        0 => Verdict::Buried,
        1 => Verdict::Discarded,
        2 => Verdict::Revived,
        _ => Verdict::Acknowledged,
    }
}

/// What a worker does: takes the next, and says what became of it.
fn lease_and_settle(world: &mut World) -> Held {
    let lane = world.lanes[world.random.below(2) as usize];
    if let Some(id) = world.lease(lane)? {
        if !world.is_refused {
            world.read(id)?;
        }
        if world.chance(5) {
            return Ok(());
        }
    }
    let Some(id) = world.leased.iter().find(|held| held.1 == lane) else {
        return Ok(());
    };
    let act = settlement(world, id.0, lane);
    world.commit(&[act])
}

fn settlement(world: &mut World, id: DocumentId, lane: LaneId) -> Act {
    world.leased.retain(|held| *held != (id, lane));
    if world.chance(5) {
        return Act::Retry(id, lane);
    }
    match verdict(world) {
        // Nobody revives what he holds.
        Verdict::Revived => Act::Settle(id, lane, Verdict::Acknowledged),
        verdict => Act::Settle(id, lane, verdict),
    }
}

/// What a person does: names any document.
fn settle_any(world: &mut World) -> Held {
    let ids: Vec<DocumentId> = world.model.docs.keys().copied().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let id = ids[world.random.below(ids.len() as u64) as usize];
    let lane = world.lanes[world.random.below(2) as usize];
    if world.leased.contains(&(id, lane)) {
        return Ok(());
    }
    let verdict = verdict(world);
    world.commit(&[Act::Settle(id, lane, verdict)])
}

/// Several who ask at once share a group.
fn several(trouble: Trouble, world: &mut World) -> Held {
    let mut acts = vec![new_documents(trouble, world), new_documents(trouble, world)];
    if let Some((id, lane)) = world.leased.first().copied() {
        let act = settlement(world, id, lane);
        acts.insert(world.random.below(3) as usize, act);
    }
    world.commit(&acts)
}

fn pass(trouble: Trouble, world: &mut World) -> Held {
    if world.chance(3) && trouble != Trouble::None {
        let wall = world.clock.wall();
        let jump = world.random.below(1 << 33);
        let back = world.chance(2);
        world.clock.set_wall(if back {
            wall.saturating_sub(jump)
        } else {
            wall + jump
        });
        world.say(|| "the date jumps".to_owned());
    } else {
        let seconds = world.random.below(900);
        world.clock.advance(Duration::from_secs(seconds));
        world.say(|| format!("{seconds} s pass"));
    }
    world.commit(&[])
}

fn upkeep(world: &mut World) {
    let what = world.random.below(6);
    world.say(|| format!("upkeep {what}"));
    let store = world.store();
    match what {
        0 | 1 => drop(store.maintain()),
        2 | 3 => drop(store.clean_step()),
        4 => {
            while store.wants_cleaning() && store.clean_step() {}
            store.advance_cursor();
            store.maintain();
        }
        _ => {
            store.advance_cursor();
            store.maintain();
        }
    }
}

fn stop(world: &mut World) -> Held {
    world.say(|| "stop".to_owned());
    world.store().close();
    if world.disk.is_stopped() {
        return Ok(());
    }
    world.close();
    world.start()
}

fn give_back(world: &mut World) {
    if let Some((id, lane)) = world.leased.pop() {
        world.store().give_back(id, lane);
        if let Some(reference) = &world.reference {
            reference.give_back(id, lane);
        }
    }
}

/// The disk is sound again: everything that was acknowledged is offered, in its order, and the account comes to zero.
fn finish(world: &mut World) -> Held {
    world.say(|| "the end: everything is delivered".to_owned());
    world.disk.refuse(None);
    world.disk.cut_in(None);
    world.disk.set_capacity(None);
    world.kill()?;
    world.is_refused = false;
    // All waits are over.
    world.clock.advance(Duration::from_hours(24 * 365));
    for lane in world.lanes.clone() {
        let mut line = world.model.line(lane, |id| world.offers[&id].priority);
        if world.reference.is_some() {
            // There, waiting makes more urgent; the reference says in which order.
            line.clear();
        }
        let mut leased = Vec::new();
        while let Some(id) = world.lease(lane)? {
            leased.push(id);
        }
        if world.reference.is_none() && leased != line {
            return Err(format!("offered in the order {leased:?}, not {line:?}"));
        }
        for id in leased {
            world.read(id)?;
            world.commit(&[Act::Settle(id, lane, Verdict::Acknowledged)])?;
        }
    }
    for _ in 0..3 {
        world.store().advance_cursor();
        world.store().maintain();
    }
    if world.store().mode() != Mode::Writable {
        return Err(format!(
            "with room on the disk it is {:?}",
            world.store().mode()
        ));
    }
    world.compare()?;
    let queued = world.store().ledger().queued;
    if queued != 0 {
        return Err(format!("{queued} documents are queued and not offered"));
    }
    stop(world)?;
    world.compare()
}
