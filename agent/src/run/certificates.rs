//! The certificates that deliveries, lookups and alerts met, over all lives of the agent: after a new configuration a server still has the one
//! that it showed before.

use crate::config::{Alert, AlertTo, Connection, Destination, Kind, Lookup, Proxy, Settings};
use mainstay_deliver::Certificates;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A lane, a lookup or an alert, where it leads, and what is shown there and passed on the way: with another one, what was met is of another.
type Way = (String, String, String);

/// The certificates of each destination, lookup and alert; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Met(Arc<Mutex<BTreeMap<Way, Certificates>>>);

impl Met {
    /// Those of a destination, as they were met and will be.
    pub(super) fn of(&self, destination: &Destination) -> Certificates {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(way(destination)).or_default().clone()
    }

    /// Those of a lookup of this route, likewise.
    pub(super) fn of_lookup(&self, route: &str, lookup: &Lookup) -> Certificates {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let way = way_of_lookup(route, lookup);
        all.entry(way).or_default().clone()
    }

    /// Those of each alert, with whom it tells; one that is a command meets none.
    pub(super) fn of_alerts(&self, alerts: &[Alert]) -> Vec<(String, Certificates)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |alert: &Alert| {
            let met = all.entry(way_of_alert(&alert.to)).or_default();
            (alert.to.to_string(), met.clone())
        };
        alerts.iter().map(of).collect()
    }

    /// Forgets those of others than these.
    pub(super) fn forget_others(&self, settings: &Settings) {
        let ways = settings.routes.iter().flat_map(|route| {
            let lookups = route.lookups.iter();
            let lookups = lookups.map(|lookup| way_of_lookup(&route.name, lookup));
            route.to.iter().map(way).chain(lookups)
        });
        let alerts = settings.alerts.iter();
        let alerts = alerts.map(|alert| way_of_alert(&alert.to));
        let ways: Vec<Way> = ways.chain(alerts).collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|way, _| ways.contains(way));
    }
}

fn way(destination: &Destination) -> Way {
    let (address, ours) = match &destination.kind {
        Kind::Http(http) => (http.url.clone(), shown(&http.connection)),
        Kind::Folder { path, .. } => (path.display().to_string(), String::new()),
    };
    (destination.lane.clone(), address, ours)
}

/// No lane is called so: a name has no space.
fn way_of_lookup(route: &str, lookup: &Lookup) -> Way {
    let url = lookup.settings.url.to_string();
    let name = format!("{} of {route}", lookup.name);
    (name, url, shown(&lookup.connection))
}

/// As it is shown, which is without what may be a secret.
fn way_of_alert(to: &AlertTo) -> Way {
    let ours = match to {
        AlertTo::Url { connection, .. } => shown(connection),
        AlertTo::Command(_) => String::new(),
    };
    ("an alert".to_owned(), to.to_string(), ours)
}

fn shown(connection: &Connection) -> String {
    let proxy = connection.proxy.as_ref().map(Proxy::address);
    let client = connection.client.as_ref();
    let certificate = client.map(|(certificate, _)| certificate);
    format!("{certificate:?} {proxy:?}")
}
