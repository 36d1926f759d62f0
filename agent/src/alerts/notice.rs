//! What is told of a change.

use super::desk::Due;
use crate::status::date;
use mainstay_supervise::HealthState;
use serde::Serialize;

/// One change of a check, as it is told: this JSON, and for commands also variables.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Notice {
    /// The same at every attempt, and of no other change.
    pub(super) id: String,
    pub(super) check: String,
    /// What it is now.
    pub(super) state: HealthState,
    /// What was told of it last, or what it was at first.
    pub(super) was: HealthState,
    /// Why, for people; empty where it is well.
    pub(super) reason: String,
    pub(super) runbook: Option<String>,
    /// Which machine says so.
    pub(super) station: String,
    /// Since when it is so.
    pub(super) at: String,
}

/// Which machine says so: its name in the configuration, else the system's.
#[derive(Debug, Clone)]
pub(super) struct Station(String);

impl Station {
    pub(super) fn of(name: Option<&str>) -> Self {
        Self(name.map_or_else(
            || {
                let system = rustix::system::uname();
                system.nodename().to_string_lossy().into_owned()
            },
            str::to_owned,
        ))
    }
}

impl Notice {
    pub(super) fn new(due: &Due, Station(station): &Station) -> Self {
        let change = due.change.clone();
        let check = change.check.unwrap_or_default();
        Self {
            id: crate::percent::encode(format!("{station}-{check}-{}", change.at_ms).as_bytes()),
            check,
            state: change.to,
            was: change.from,
            reason: change.why,
            runbook: change.runbook,
            station: station.clone(),
            at: date(change.at_ms),
        }
    }

    /// As one line of JSON.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("texts and words are JSON")
    }

    /// As variables of a command.
    pub(super) fn variables(&self) -> [(&'static str, String); 6] {
        // A variable cannot hold the one character that ends it.
        let text = |text: &str| text.replace('\0', " ");
        [
            ("MAINSTAY_CHECK", text(&self.check)),
            ("MAINSTAY_STATE", self.state.name().to_owned()),
            ("MAINSTAY_WAS", self.was.name().to_owned()),
            ("MAINSTAY_REASON", text(&self.reason)),
            (
                "MAINSTAY_RUNBOOK",
                text(self.runbook.as_deref().unwrap_or_default()),
            ),
            ("MAINSTAY_STATION", text(&self.station)),
        ]
    }
}
