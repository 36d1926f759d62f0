//! The certificates that deliveries met, over all lives of the agent: after a new configuration a destination still has the one that
//! it showed before.

use crate::config::{Destination, Kind, Proxy, Settings};
use mainstay_deliver::Certificates;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A lane, where it leads, and what is shown there and passed on the way: with another one, what was met is of another.
type Way = (String, String, String);

/// The certificates of each destination; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Met(Arc<Mutex<BTreeMap<Way, Certificates>>>);

impl Met {
    /// Those of a destination, as they were met and will be.
    pub(super) fn of(&self, destination: &Destination) -> Certificates {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(way(destination)).or_default().clone()
    }

    /// Forgets those of other destinations than these.
    pub(super) fn forget_others(&self, settings: &Settings) {
        let destinations = settings.routes.iter().flat_map(|route| &route.to);
        let ways: Vec<Way> = destinations.map(way).collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|way, _| ways.contains(way));
    }
}

fn way(destination: &Destination) -> Way {
    let (address, ours) = match &destination.kind {
        Kind::Http(http) => {
            let proxy = http.proxy.as_ref().map(Proxy::address);
            let client = http.client.as_ref().map(|(certificate, _)| certificate);
            (http.url.clone(), format!("{client:?} {proxy:?}"))
        }
        Kind::Folder { path, .. } => (path.display().to_string(), String::new()),
    };
    (destination.lane.clone(), address, ours)
}
