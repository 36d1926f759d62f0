//! What the agent says of itself: one form for people, one for programs, the same beside a running agent and without one.

mod errors;
mod job;
mod page;
mod stop;
mod stopped;
mod unwell;

pub(crate) use errors::Errors;
pub(crate) use job::Job;
pub(crate) use page::page;
pub(crate) use stop::Stop;
pub(crate) use stopped::read_stopped;
pub(crate) use unwell::Unwell;

use crate::panics::Panics;
use crate::scrubbing::LastScrub;
use crate::units::rounded;
use mainstay_supervise::{RecordedStop, TaskState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that `mainstay status` shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Status {
    /// What the agent is doing.
    pub(crate) state: State,
    /// The running agent's process.
    pub(crate) pid: Option<u32>,
    /// When it started, as a date in UTC.
    pub(crate) since: Option<String>,
    /// The version of the program that answers.
    pub(crate) version: String,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Who this machine is, where the configuration says it.
    #[serde(default, skip_serializing_if = "Station::is_unknown")]
    pub(crate) station: Station,
    /// The account of every document.
    pub(crate) ledger: Ledger,
    /// Where documents come from and go.
    pub(crate) routes: Vec<Route>,
    /// Whether there is a network; none where nothing is delivered over one, or no agent runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<Network>,
    /// The queue itself.
    pub(crate) queue: Queue,
    /// The bounds of what lookups keep; none where they keep nothing, and where no agent runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache: Option<Cache>,
    /// What the last scrub of the backups came to, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_scrub: Option<LastScrub>,
    /// What runs in it, and how that is; none where no agent runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<Service>,
    /// The jobs that run, and those that wait for their turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) jobs: Vec<Job>,
    /// The checks of the agent's health that are not well, as they were looked at last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unwell: Vec<Unwell>,
    /// How far its stop is; none while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stop: Option<Stop>,
    /// How the run before this one ended, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_stop: Option<String>,
    /// The stop of that run: how long each phase took, and what became of what was under way; none where it was not stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_stop_report: Option<RecordedStop>,
}

/// Attempts that a destination failed one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failing {
    /// When the first of them ended, as a date in UTC.
    pub(crate) since: String,
    pub(crate) attempts: u64,
}

/// Whether there is a network, by what all destinations and lookups met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// `online`, `offline`, or `unknown` where nothing was heard for 30 s, or nothing that says it.
    pub(crate) state: String,
    /// `reached`, `one_host_down`, `several_hosts_down`, `no_network`, `link_down`, `captive_portal` or `nothing_known`.
    pub(crate) why: String,
    /// Why, in words; empty where there is one.
    pub(crate) reason: String,
}

/// What runs in the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Service {
    /// `starting`, `running`, `degraded`, `error`, `stopping` or `stopped`.
    pub(crate) state: String,
    /// Since when, as a date in UTC.
    pub(crate) since: String,
    /// What is not as it should be, the worst first.
    pub(crate) troubles: Vec<String>,
    /// How often a task was started again since the agent started.
    pub(crate) restarts: u64,
    /// What panicked since the agent's process began, be it a task or what serves one connection.
    #[serde(default)]
    pub(crate) panics: Panics,
    /// What came to nothing since this life began: tasks, deliveries, lookups and alerts.
    #[serde(default)]
    pub(crate) errors: Errors,
    /// The tasks.
    pub(crate) tasks: Vec<Task>,
    /// The last 64 changes of the state, the newest first.
    #[serde(default)]
    pub(crate) history: Vec<Change>,
}

/// A change of how the agent's tasks are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) from: String,
    pub(crate) to: String,
    /// When, as a date in UTC.
    pub(crate) at: String,
    pub(crate) why: String,
}

/// A task of the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) name: String,
    /// Whether the agent is not what it is for without it.
    pub(crate) critical: bool,
    pub(crate) state: TaskState,
    /// Since when, as a date in UTC.
    pub(crate) since: String,
    /// How often it was started.
    pub(crate) attempts: u32,
    /// How often it failed.
    pub(crate) failures: u32,
    /// What it failed with last, and under which id that is in the log.
    pub(crate) last_failure: Option<String>,
    pub(crate) last_failure_id: Option<String>,
}

/// What the agent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It works.
    Running,
    /// It works, but something needs attention; the routes and the queue say what.
    Degraded,
    /// It was asked to stop and finishes what is in hand.
    Stopping,
    /// No agent runs; what is shown was read from the data folder.
    Stopped,
}

/// Who this machine is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Station {
    pub(crate) name: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) purpose: Option<String>,
}

/// `accepted = delivered + queued + dead + discarded`, and what damage has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) queued: u64,
    pub(crate) dead: u64,
    pub(crate) discarded: u64,
    pub(crate) unreadable: u64,
    /// Whether the numbers add up.
    pub(crate) balanced: bool,
}

/// One route.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Route {
    pub(crate) name: String,
    /// None where only `submit` feeds it, or no agent runs.
    pub(crate) from: Option<From>,
    /// What is asked elsewhere about its documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lookups: Vec<Lookup>,
    pub(crate) to: Vec<To>,
}

/// A lookup of a route; all numbers since the agent started.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Lookup {
    pub(crate) name: String,
    /// The address that it asks, with its placeholders.
    pub(crate) url: String,
    /// The state of the breaker in front of its server, once it was asked.
    pub(crate) server: Option<String>,
    /// As that of a destination.
    #[serde(default)]
    pub(crate) connectivity: String,
    /// The rate that its questions are held to, as the configuration says it.
    #[serde(default)]
    pub(crate) limit: Option<String>,
    /// Seconds until its rate, or a server that asked for quiet, lets the next question pass; none while one would.
    #[serde(default)]
    pub(crate) limited_seconds: Option<f64>,
    /// What is asked again now, after which wait; of several that which was tried most often.
    #[serde(default)]
    pub(crate) retrying: Option<Retrying>,
    /// Documents that went on, looked up.
    pub(crate) documents: u64,
    /// Fields that got something.
    pub(crate) fields: u64,
    /// Addresses of which the server knew nothing.
    pub(crate) unknown: u64,
    /// Documents that went on without, by choice.
    pub(crate) without: u64,
    /// How often a document had to wait.
    pub(crate) waits: u64,
    /// How often a document was refused.
    pub(crate) refused: u64,
    /// Whether nobody is asked: what is kept is the answer.
    #[serde(default)]
    pub(crate) offline: bool,
    /// Answers that were kept, and were given although their time was over.
    #[serde(default)]
    pub(crate) stale: u64,
    /// When the first certificate that was met there runs out, in seconds since 1970.
    #[serde(default)]
    pub(crate) certificate_ends: Option<u64>,
    /// Why it last came to nothing; empty once it works again.
    pub(crate) reason: String,
}

/// A question of a lookup that is asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Retrying {
    /// The attempt that comes next.
    pub(crate) attempt: u32,
    /// So many may be made.
    pub(crate) of: u32,
    /// Seconds until it begins.
    pub(crate) next_in_seconds: f64,
    /// Why the last one failed.
    pub(crate) error: String,
}

/// Where a route's documents come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct From {
    /// `starting`, `watching` (a folder), `listening` (an address), `missing`, `full`, `failed` or `stopped`.
    pub(crate) state: String,
    /// Why, and what to do about it; empty where all is well.
    pub(crate) reason: String,
    /// Since the agent started.
    pub(crate) taken: u64,
    pub(crate) last_error: Option<String>,
    #[serde(flatten)]
    pub(crate) kind: FromKind,
}

/// What it is: a folder or an address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum FromKind {
    Folder(FromFolder),
    Http(FromHttp),
}

/// An address that documents are sent to; all numbers since the agent started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FromHttp {
    /// Where to send them.
    pub(crate) http: String,
    /// Documents that were there before.
    pub(crate) repeats: u64,
    /// Requests that are served now.
    pub(crate) under_way: u64,
    /// Requests that were refused, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
}

/// A drop folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FromFolder {
    pub(crate) folder: PathBuf,
    pub(crate) quarantined: u64,
    /// Files that wait until they are complete.
    pub(crate) settling: u64,
    /// Files that were taken and not committed yet.
    pub(crate) pending: u64,
    /// Files that cannot be taken as they are, and why; the oldest hundred.
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) waiting_total: u64,
}

/// A file that cannot be taken as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
}

/// Where a route's documents go.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct To {
    pub(crate) lane: String,
    /// Where that is; empty where the configuration does not say it (any more).
    pub(crate) address: String,
    /// `idle`, `delivering`, `waiting` (it asked for quiet), `held`, `paused`, `stopped`, or `unassigned` for a lane that no route leads to.
    pub(crate) state: String,
    /// Why, and what to do about it; empty where all is well.
    pub(crate) reason: String,
    /// Whether that is about the credentials that it is shown.
    #[serde(default)]
    pub(crate) credentials_refused: bool,
    /// `online` where it answered within 30 s, `down` where it did not and that says nothing of the network, `offline` where there is
    /// no network, `unknown` where nothing was heard, and for a folder.
    #[serde(default)]
    pub(crate) connectivity: String,
    /// The breaker in front of it: `closed`, `open`, or `half_open` while one document tries whether it is back.
    #[serde(default)]
    pub(crate) breaker: String,
    /// The rate that attempts are held to, as the configuration says it.
    #[serde(default)]
    pub(crate) limit: Option<String>,
    /// Seconds until a destination that is held, or asked for quiet, is tried again.
    pub(crate) next_attempt_seconds: Option<f64>,
    /// Seconds until its limit lets the next attempt begin; none while it does.
    #[serde(default)]
    pub(crate) limited_seconds: Option<f64>,
    pub(crate) in_flight: u64,
    pub(crate) queued: u64,
    /// The age of the oldest that is queued.
    #[serde(default)]
    pub(crate) oldest_seconds: Option<u64>,
    pub(crate) dead: u64,
    /// When the first of its certificates that were met runs out, or ours for it; seconds since 1970.
    #[serde(default)]
    pub(crate) certificate_ends: Option<u64>,
    /// Since the agent started.
    pub(crate) delivered: u64,
    pub(crate) retried: u64,
    pub(crate) buried: u64,
    /// The attempts that failed since the last one that did not, where nothing is held for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failing: Option<Failing>,
    pub(crate) last_error: Option<String>,
    pub(crate) last_success: Option<String>,
}

/// From this age on the oldest document of a destination is worth a word.
const OLDEST_SHOWN: Duration = Duration::from_mins(1);

/// Why a server of this connectivity cannot be reached, in words: whether that is this machine's fault or its own. Nothing where it
/// can, as far as is known.
fn unreached(connectivity: &str, network: Option<&Network>) -> Option<&'static str> {
    let is_online = network.is_some_and(|network| network.state == "online");
    match connectivity {
        "offline" => Some("this machine is offline"),
        "down" if is_online => Some("only this host is down"),
        "down" => Some("cannot be reached"),
        _ => None,
    }
}

impl Lookup {
    /// As that of a destination.
    fn unreached(&self, network: Option<&Network>) -> Option<&'static str> {
        unreached(&self.connectivity, network)
    }
}

impl To {
    /// Why it cannot be reached, in words; nothing where it can, as far as is known.
    pub(crate) fn unreached(&self, network: Option<&Network>) -> Option<&'static str> {
        unreached(&self.connectivity, network)
    }

    /// For how long the oldest has been waiting, behind how many are queued; nothing where all goes as it comes.
    pub(crate) fn age(&self) -> String {
        let age = self.oldest_seconds.map(Duration::from_secs);
        let long = age.filter(|age| OLDEST_SHOWN <= *age);
        long.map_or_else(String::new, |age| {
            format!(" (the oldest for {})", rounded(age))
        })
    }
}

/// The queue itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Queue {
    /// `writable`, `full` or `read_only`.
    pub(crate) mode: String,
    /// Why it is not writable; empty where it is.
    pub(crate) reason: String,
    /// Documents that wait, dead ones included.
    pub(crate) documents: u64,
    /// Bytes that they take.
    pub(crate) bytes: u64,
    /// Places in its files that cannot be read.
    pub(crate) damage: Vec<String>,
}

/// The bounds of what lookups keep; `mainstay cache stats` says how much that is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Cache {
    pub(crate) limit_bytes: u64,
    /// Whether lookups ask nobody.
    pub(crate) offline: bool,
}

impl Station {
    fn is_unknown(&self) -> bool {
        self.name.is_none() && self.location.is_none() && self.purpose.is_none()
    }
}

impl From {
    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        match &self.kind {
            FromKind::Folder(folder) => folder.folder.display().to_string(),
            FromKind::Http(http) => http.http.clone(),
        }
    }
}

impl std::convert::From<mainstay_queue::Ledger> for Ledger {
    fn from(ledger: mainstay_queue::Ledger) -> Self {
        Self {
            accepted: ledger.accepted,
            delivered: ledger.delivered,
            queued: ledger.queued,
            dead: ledger.dead,
            discarded: ledger.discarded,
            unreadable: ledger.unreadable,
            balanced: ledger.is_balanced(),
        }
    }
}

/// The equation, left and right of the sign; what damage has cost stands in it only where there was damage.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            delivered,
            queued,
            dead,
            discarded,
            unreadable,
            ..
        } = self;
        write!(
            f,
            "{accepted} accepted = {delivered} delivered + {queued} queued + {dead} dead + {discarded} discarded"
        )?;
        if *unreadable > 0 {
            write!(f, " + {unreadable} unreadable")?;
        }
        Ok(())
    }
}

/// A moment of the wall clock as a date in UTC, to the millisecond; of two of them, the later one is the later one as text too.
pub(crate) fn date(unix_ms: u64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms as i64)
        .map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn a_later_moment_is_a_later_text() {
        assert_eq!(date(0), "1970-01-01T00:00:00.000Z");
        let dates: Vec<String> = (1_795_000_000_480..=1_795_000_001_000).map(date).collect();
        assert!(dates.is_sorted());
    }
}
