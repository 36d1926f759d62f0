//! What all lookups share: what they keep of other servers' answers, and their memory.

use super::lookups::{CACHE, Room};
use super::upkeep::{Chore, Upkeep};
use crate::config::Settings;
use crate::data::DataDir;
use mainstay_cache::Cache;
use mainstay_clock::SharedClock;
use std::sync::Arc;

/// The cache, within the bounds of the configuration, and the memory. Blocks.
pub(super) fn shared(
    data: &DataDir,
    settings: &Settings,
    upkeep: &Upkeep,
    clock: &SharedClock,
) -> (Option<Arc<Cache>>, Room) {
    (open(data, settings, upkeep, clock), Room::new(data.path()))
}

/// None where no lookup keeps anything, and where it cannot be opened: without it lookups ask more often, and nothing else.
fn open(
    data: &DataDir,
    settings: &Settings,
    upkeep: &Upkeep,
    clock: &SharedClock,
) -> Option<Arc<Cache>> {
    let mut lookups = settings.routes.iter().flat_map(|route| &route.lookups);
    if !lookups.any(|lookup| lookup.cache) {
        return None;
    }
    let folder = data.path().join(CACHE);
    let opened = Cache::open(&folder, settings.cache.kept.clone(), clock.clone());
    opened
        .map(Arc::new)
        .inspect_err(|error| upkeep.failed(Chore::Cache, error))
        .ok()
}
