//! The status of an agent that does not run, read from its data folder.

use super::{Route, State, Status, To, Unwell};
use crate::data::DataDir;
use crate::opened::Opened;
use crate::run::{LastStops, describe_queue};
use crate::scrubbing::{self, LastScrub};
use std::collections::BTreeMap;

/// What the open queue of a stopped agent tells; of routes and destinations only their lanes are known.
pub(crate) fn read_stopped(opened: &Opened) -> Status {
    let queue = opened.queue.status();
    let mut routes: BTreeMap<String, Vec<To>> = BTreeMap::new();
    for lane in &queue.lanes {
        let route = lane.name.split('/').next().unwrap_or_default().to_owned();
        routes
            .entry(route)
            .or_default()
            .push(To::of_lane(&lane.name, "stopped", Some(lane)));
    }
    let data: &DataDir = &opened.data;
    let last = LastStops::begin(data, &mainstay_clock::system());
    Status {
        state: State::Stopped,
        pid: None,
        since: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        data: data.path().to_owned(),
        station: super::Station::default(),
        ledger: queue.ledger.into(),
        routes: routes
            .into_iter()
            .map(|(name, to)| Route {
                name,
                from: None,
                lookups: Vec::new(),
                to,
            })
            .collect(),
        network: None,
        queue: describe_queue(&queue, opened.queue.has_room()),
        cache: None,
        last_scrub: LastScrub::read(&data.path().join(scrubbing::FOLDER)),
        service: None,
        jobs: Vec::new(),
        unwell: last.crashed().map(Unwell::crashed).into_iter().collect(),
        stop: None,
        last_stop: last.last(),
        last_stop_report: last.last_report(),
    }
}
