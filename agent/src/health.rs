//! Whether the agent is well, by what was seen: for people, for service managers and for whoever watches many machines.
//!
//! Every ten seconds each check looks at one thing, and whoever asks has it looked at again. The worst of them is how the agent is.
//! What is not well names its runbook ([`runbook`](crate::runbook)).
//!
//! | check | degraded | unhealthy | runbook |
//! |---|---|---|---|
//! | `intake` (readiness) | | no document could be taken now: the queue takes none; it has died, its disk hangs or refuses, or none of its folders and addresses takes any | disk-full; crash-loop, disk-hangs, disk-fails, queue-growing |
//! | `process` (liveness) | | for three looks its parts do not answer each other within 5 s | stuck-shutdown |
//! | `queue` | half a minute with `queue_warning` documents (100), or one that has waited for `age_warning` (an hour) | with `queue_critical` (500) or `age_critical` (a day) | queue-growing |
//! | `disk` (of the data and of the queue) | less than 256 MiB or 4,096 inodes are free | less than 32 MiB or 64; that of the queue has not answered for 15 s | disk-full; disk-hangs |
//! | `to LANE` | held; for the credentials | | destination-held; credentials-refused |
//! | `to LANE` | three attempts in a row failed; by a rate that was exceeded | | persistent-errors; rate-limited |
//! | `from ROUTE` | its folder is away, or files cannot be taken | | queue-growing |
//! | `account` | something cannot be read | the ledger does not add up | damaged-segment |
//! | `lanes` | documents wait where nobody leads to any more | | queue-growing |
//! | `lookups` | one fails | | persistent-errors |
//! | `backups` | the last look at them found damage; it comes to nothing | | damaged-segment; upkeep |
//! | `upkeep` | the trash is not emptied, the answers of lookups are not kept, changes of the network are not heard of any more | | upkeep |
//! | `tasks` | one failed and is started again, or one that documents do not depend on failed for good | the queue, a pickup, an address or a delivery failed for good, or hangs | crash-loop |
//! | `last stop` | ten minutes after a run that was not stopped cleanly; an hour after three bad ends in a row, of which it was the last | | stuck-shutdown |
//! | `last crash` | the same of a run that was not stopped: killed, crashed, or without power; ten minutes after one whose queue died | | crash-loop |
//! | `memory` | four fifths of what the system allows | 95 % | high-memory |
//! | `processor` | for three looks four fifths of the time of all processors | 95 % | slow-responses |
//! | `open files` | four fifths of what the system allows | 95 % | open-files |
//! | `certificates` (of destinations, lookups and alerts, and our own) | one runs out within 14 days, or has a sixth of its time left | within 2 days, or a twelfth; or has run out | certificate-expires |
//! | `clock` | the date jumped within the last five minutes | | clock-jumped |
//!
//! # Why these numbers
//!
//! 100 and 500 documents are what the programs before this one warned of. Within an hour a server has been started again; what
//! waits for longer waits for a person, and nobody should hear of it only after a working day. The disk needs 4 MiB in reserve and a segment of 16 MiB to
//! go on; 32 MiB are the end of that, 256 MiB an hour of most stations. 80 and 95 % are usual.

mod address;
mod certificates;
mod checks;
mod metrics;
mod over_time;
mod recent;
mod system;

pub(crate) use address::{Door, LISTEN};

use crate::config;
use crate::run::Agent;
use mainstay_clock::SharedClock;
use mainstay_supervise::{Error, Health};
use std::sync::Arc;
use std::time::Duration;

/// When the queue is degraded, and when unhealthy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From how many queued documents on.
    pub(crate) queued: (u64, u64),
    /// From which age of the oldest on; [`Duration::MAX`] where no age is too old, which is written 0.
    pub(crate) age: (Duration, Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queued: (100, 500),
            age: (Duration::from_hours(1), Duration::from_hours(24)),
        }
    }
}

/// The names of all checks that an agent with these routes has.
pub(crate) fn check_names(routes: &[config::Route]) -> Vec<String> {
    let own = checks::NAMES.map(str::to_owned).into_iter();
    let from = routes.iter().filter(|route| route.from.is_some());
    let from = from.map(|route| checks::from_name(&route.name));
    let to = routes.iter().flat_map(|route| &route.to);
    let to = to.map(|to| checks::to_name(&to.lane));
    own.chain(from).chain(to).collect()
}

/// Makes the checks of this agent; nothing was observed yet.
///
/// # Errors
/// Two of them are called the same, which two lanes or routes never are.
pub(crate) fn watch(
    agent: &Arc<Agent>,
    limits: Limits,
    clock: &SharedClock,
) -> Result<Health, Error> {
    let health = Health::new(clock.clone())?;
    checks::register(&health, agent, limits, clock)?;
    Ok(health)
}
