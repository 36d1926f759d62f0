//! A bit of what was confirmed is another: what it costs is reported and counted, and nobody is handed other bytes.

use super::model::{At, Observed};
use super::world::{Held, World};
use crate::sim_disk::Outcome as Power;
use mainstay_queue::disk::Folder;
use mainstay_queue::store::{Body, Store};
use mainstay_queue::{ErrorKind, Recovery};

/// The queue is stopped or killed, a bit rots, and it starts again.
pub(super) fn run(world: &mut World) -> Held {
    if world.chance(3) {
        world.store().close();
    }
    world.close();
    let is_cut = world.chance(4);
    if is_cut {
        // Then nothing but the log itself says how far it was confirmed.
        world.disk.restart(Power::AllLost);
    }
    let flips = 1 + world.random.below(3);
    for _ in 0..flips {
        let (folder, prefix, below) = match world.random.below(8) {
            0 => (Folder::Root, "snapshot", u64::MAX),
            1 => (Folder::Root, "watermark", 64),
            2 => (Folder::Root, "FORMAT", u64::MAX),
            3 => (Folder::Bodies, "", u64::MAX),
            4 => (Folder::Root, "seg-", 200),
            _ => (Folder::Root, "seg-", u64::MAX),
        };
        let rotten = world.disk.rot(folder, prefix, below);
        world.say(|| format!("rot: {rotten:?}"));
    }
    let recovery = match world.open() {
        Ok(recovery) => recovery,
        // FORMAT and the head of the one segment that could make it again.
        Err(error) if error.kind() == ErrorKind::Damaged && 1 < flips => return Ok(()),
        Err(error) => return Err(format!("no start: {error:?}")),
    };
    let lost = count(world, &recovery, is_cut)?;
    let seen = Observed::of(world.store()).without_sent();
    // A second start finds the same; what was lost stays counted.
    world.close();
    let again = world
        .open()
        .map_err(|error| format!("no second start: {error:?}"))?;
    let now = Observed::of(world.store()).without_sent();
    if lost == 0 {
        let same = now.same_as(&seen);
        same.map_err(|what| format!("a second start and the first: {what}"))?;
    }
    if !now.ledger.is_balanced() || again.unbalanced != 0 {
        return Err(format!("after a second start: {:?} {again:?}", now.ledger));
    }
    Ok(())
}

/// Holds what is there against what was acknowledged; returns how many documents are lost or cannot
/// be read.
fn count(world: &World, recovery: &Recovery, is_cut: bool) -> Result<u64, String> {
    let store = world.store();
    let observed = Observed::of(store);
    let mut unreadable = 0;
    for id in observed.docs.keys() {
        let Some(offer) = world.offers.get(id) else {
            return Err(format!("{id} was never offered"));
        };
        let body = store
            .load(*id)
            .and_then(|document| document.map(|document| store.body(&document)).transpose());
        match body {
            Ok(Some(Body::Bytes(bytes))) if bytes == offer.body => {}
            Err(error) if error.kind() == ErrorKind::Damaged => unreadable += 1,
            Ok(Some(_)) => return Err(format!("{id} is handed out with other bytes")),
            other => return Err(format!("{id} reads as {other:?}")),
        }
    }
    if !store.ledger().is_balanced() || recovery.unbalanced != 0 {
        return Err(format!("{:?}, {recovery:?}", store.ledger()));
    }
    let (mut lost, mut again) = (0, 0);
    let kept = Observed::of(store);
    for (id, doc) in &world.model.docs {
        match (kept.docs.get(id), doc.at()) {
            (None, At::Pending | At::Dead) => lost += 1,
            (Some(stands), At::Sent | At::Discarded) if *stands != doc.lanes => again += 1,
            _ => {}
        }
    }
    // What was written last and is unreadable after a cut passes for torn: nothing says that it was confirmed.
    let is_torn = is_cut && recovery.torn_groups != 0;
    let is_reported = !store.damage().is_empty() || is_torn;
    if lost + again != 0 && !is_reported {
        return Err(format!("{lost} documents are lost without a word"));
    }
    let counted = store.ledger().unreadable;
    if lost > counted + again && !is_torn {
        return Err(format!(
            "{lost} documents are lost, {again} are offered again, {counted} are counted"
        ));
    }
    // One that was settled and is offered again for a lost record may have lost its body too.
    Ok(lost + unreadable)
}
