//! What is looked at, and what counts as well.

use super::over_time::{Backlog, Jumps, Waiting, Work};
use super::recent::Recent;
use super::system::{self, Share};
use super::{Limits, certificates};
use crate::run::{Agent, Told};
use crate::status::{Route, Status, To};
use crate::terminal::Count;
use crate::units::Size;
use mainstay_clock::SharedClock;
use mainstay_supervise::{CheckSpec, Error, Health, Observed, ServiceState};
use mainstay_work::{Bytes, Outcome};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Three looks fit into the half minute in which a person hears of what is wrong.
const EVERY: Duration = Duration::from_secs(10);

/// A look at a folder of a share that is away may take so long.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What lasts for so many looks is no burst.
const LOOKS_FOR_LONG: u32 = 3;

/// So many attempts in a row, of whatever documents, are no accident of one of them.
const FAILURES: u64 = 3;

const MIB: u64 = 1024 * 1024;

/// When the disk is degraded, and when unhealthy: bytes and inodes that are free.
const DISK_LOW: (u64, u64) = (256 * MIB, 4096);
const DISK_OUT: (u64, u64) = (32 * MIB, 64);

/// A disk that has not confirmed for so long hangs, as a task does that is silent for so long.
const DISK_HANGS: Duration = Duration::from_secs(15);

/// When a share is degraded, and when unhealthy, in hundredths.
const SHARE_LARGE: u64 = 80;
const SHARE_ALL: u64 = 95;

/// The checks that every agent has.
pub(super) const NAMES: [&str; 18] = [
    "intake",
    "process",
    "queue",
    "account",
    "dead letters",
    "lookups",
    "backups",
    "upkeep",
    "lanes",
    "tasks",
    "last stop",
    "last crash",
    "memory",
    "processor",
    "open files",
    "disk",
    "certificates",
    "clock",
];

/// The check of a route's source.
pub(super) fn from_name(route: &str) -> String {
    format!("from {route}")
}

/// The check of a lane.
pub(super) fn to_name(lane: &str) -> String {
    format!("to {lane}")
}

fn spec(name: impl Into<String>, runbook: &'static str) -> CheckSpec {
    CheckSpec::new(name.into())
        .every(EVERY, TIMEOUT)
        .runbook(runbook)
}

/// Registers every check of this agent.
///
/// # Errors
/// As [`super::watch`].
pub(super) fn register(
    health: &Health,
    agent: &Arc<Agent>,
    limits: Limits,
    clock: &SharedClock,
) -> Result<(), Error> {
    let on = |check: fn(&Agent) -> Observed| {
        let agent = Arc::clone(agent);
        move || {
            let observed = check(&agent);
            async move { observed }
        }
    };
    // No reason to start anew: who starts again finds the same disk and the same queue.
    health.register(spec("intake", "disk-full").ready(), on(intake))?;
    let asked = Arc::clone(agent);
    // A disk that hesitates holds it up too, and that is no reason to start anew: only what lasts is.
    let stuck = spec("process", "stuck-shutdown").live();
    // What never comes back is told as that, once its time is over.
    health.register_blocking(stuck.hysteresis(LOOKS_FOR_LONG, 1), move || process(&asked))?;
    register_backlog(health, agent, limits, clock)?;
    health.register(spec("account", "damaged-segment"), on(account))?;
    let refused = spec("dead letters", "persistent-errors");
    health.register(refused, on(dead_letters))?;
    health.register(spec("lookups", "persistent-errors"), on(lookups))?;
    health.register(spec("backups", "damaged-segment"), on(backups))?;
    health.register(spec("upkeep", "upkeep"), on(upkeep))?;
    health.register(spec("lanes", "queue-growing"), on(lanes))?;
    health.register(spec("tasks", "crash-loop"), on(tasks))?;
    register_ends(health, agent, clock)?;
    register_shares(health, agent, clock)?;
    let places = [agent.data.path(), &agent.queue_dir].map(Path::to_owned);
    // A disk that hangs keeps a thread, and nobody else.
    let asked = Arc::clone(agent);
    let look = move || hangs(&asked).unwrap_or_else(|| disks(&places));
    health.register_blocking(spec("disk", "disk-full"), look)?;
    let (met, now) = (Arc::clone(agent), clock.clone());
    health.register(spec("certificates", "certificate-expires"), move || {
        let observed = certificates::look(&met, now.wall());
        async move { observed }
    })?;
    let jumps = Arc::new(Mutex::new(Jumps::new(clock)));
    let time = clock.clone();
    health.register(spec("clock", "clock-jumped"), move || {
        let mut jumps = jumps.lock().unwrap_or_else(PoisonError::into_inner);
        let observed = jumps.look(time.now(), time.wall());
        async move { observed }
    })?;
    register_routes(health, agent, clock)
}

/// How the run before ended: by a stop that was not clean, or by none.
fn register_ends(health: &Health, agent: &Arc<Agent>, clock: &SharedClock) -> Result<(), Error> {
    for (name, runbook, crash) in [
        ("last stop", "stuck-shutdown", false),
        ("last crash", "crash-loop", true),
    ] {
        let (agent, clock) = (Arc::clone(agent), clock.clone());
        health.register(spec(name, runbook), move || {
            let told = agent.last_stops.told(clock.now());
            let observed = last_end(told.filter(|told| told.has_crashed == crash));
            async move { observed }
        })?;
    }
    Ok(())
}

fn register_backlog(
    health: &Health,
    agent: &Arc<Agent>,
    limits: Limits,
    clock: &SharedClock,
) -> Result<(), Error> {
    let (agent, clock) = (Arc::clone(agent), clock.clone());
    let backlog = Mutex::new(Backlog::new(limits));
    health.register(spec("queue", "queue-growing"), move || {
        let mut backlog = backlog.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = agent.queue.status();
        let observed = backlog.look(clock.now(), &Waiting::of(&queue));
        async move { observed }
    })
}

/// What the process takes of the machine.
fn register_shares(health: &Health, agent: &Arc<Agent>, clock: &SharedClock) -> Result<(), Error> {
    let resident = agent.measured.memory.clone();
    health.register(spec("memory", "high-memory"), move || {
        let memory = system::memory();
        if let Some(Share { used, .. }) = memory {
            resident.record(Bytes(used), Outcome::Finished);
        }
        let observed = share(memory, |Share { used, limit }| {
            format!("{} of {} of memory are used", Size(used), Size(limit))
        });
        async move { observed }
    })?;
    health.register(spec("open files", "open-files"), || async {
        share(system::open_files(), |Share { used, limit }| {
            format!("{used} of {limit} files are open")
        })
    })?;
    let work = Mutex::new(Work::new(clock));
    let time = clock.clone();
    let long = spec("processor", "slow-responses").hysteresis(LOOKS_FOR_LONG, 1);
    health.register(long, move || {
        let mut work = work.lock().unwrap_or_else(PoisonError::into_inner);
        let observed = work.look(time.now(), system::processor_time(), system::processors());
        async move { observed }
    })
}

fn register_routes(health: &Health, agent: &Arc<Agent>, clock: &SharedClock) -> Result<(), Error> {
    let recent = Arc::new(Recent::new(agent, clock));
    for (number, route) in agent.routes.iter().enumerate() {
        let name = &route.template.route;
        if route.from.is_some() {
            let recent = Arc::clone(&recent);
            health.register(spec(from_name(name), "queue-growing"), move || {
                let observed = source(&recent.status(), number);
                async move { observed }
            })?;
        }
        for target in &route.to {
            let (recent, lane) = (Arc::clone(&recent), target.lane.clone());
            health.register(spec(to_name(&lane), "destination-held"), move || {
                let observed = destination(&recent.status(), &lane);
                async move { observed }
            })?;
        }
    }
    Ok(())
}

/// Whether the parts of the process answer each other.
fn process(agent: &Agent) -> Observed {
    drop(agent.status());
    Observed::healthy()
}

fn intake(agent: &Agent) -> Observed {
    let status = agent.status();
    if agent.is_stopping() {
        return Observed::unhealthy("it is stopping, and takes nothing new");
    }
    if let Some(why) = agent.queue.why_dead() {
        return Observed::unhealthy(why).runbook("crash-loop");
    }
    if status.queue.mode != "writable" {
        let words = format!(
            "the queue is {}: {}",
            status.queue.mode, status.queue.reason
        );
        let runbook = match status.queue.mode.as_str() {
            "full" => "disk-full",
            _ => "disk-fails",
        };
        return Observed::unhealthy(words).runbook(runbook);
    }
    if let Some(hangs) = hangs(agent) {
        return hangs;
    }
    match agent.takes(&status) {
        Ok(()) => Observed::healthy(),
        Err(untaken) => Observed::unhealthy(format!("nobody takes documents: {}", untaken.why))
            .runbook(untaken.runbook),
    }
}

fn account(agent: &Agent) -> Observed {
    let status = agent.status();
    if !status.ledger.balanced {
        return Observed::unhealthy(format!("the ledger does not add up: {}", status.ledger));
    }
    match status.queue.damage.first() {
        Some(damage) => Observed::degraded(format!("something cannot be read: {damage}")),
        None => Observed::healthy(),
    }
}

/// What a person has to decide on.
fn dead_letters(agent: &Agent) -> Observed {
    let status = agent.status();
    let number = status.ledger.dead;
    if number == 0 {
        return Observed::healthy();
    }
    let all = status.routes.iter().flat_map(|route| &route.to);
    let lanes: Vec<&str> = { all }
        .filter(|to| to.dead > 0)
        .map(|to| to.lane.as_str())
        .collect();
    let letters = Count(number, "dead letter");
    Observed::degraded(format!(
        "{letters} on `{}`: see `mainstay dead list`",
        lanes.join("`, `")
    ))
    .with("dead", number)
}

fn lookups(agent: &Agent) -> Observed {
    let status = agent.status();
    let mut all = status.routes.iter().flat_map(|route| &route.lookups);
    let failing = all.find(|lookup| !lookup.reason.is_empty());
    failing.map_or_else(Observed::healthy, |lookup| {
        Observed::degraded(format!("`{}` fails: {}", lookup.name, lookup.reason))
    })
}

fn backups(agent: &Agent) -> Observed {
    let unscrubbed = agent.upkeep.unscrubbed();
    match agent.upkeep.last_scrub() {
        Some(last) if 0 < last.damaged + last.failed => {
            let since = unscrubbed.map_or_else(String::new, |why| format!("; since then {why}"));
            Observed::degraded(format!(
                "the last look at the backups found {} damaged, and could not look at {}{since}",
                last.damaged, last.failed
            ))
        }
        _ => unscrubbed.map_or_else(Observed::healthy, |why| {
            Observed::degraded(why).runbook("upkeep")
        }),
    }
}

/// What else is looked after beside the documents.
fn upkeep(agent: &Agent) -> Observed {
    match agent.upkeep.others() {
        none if none.is_empty() => Observed::healthy(),
        failed => Observed::degraded(failed.join("; ")),
    }
}

/// Documents on lanes that nobody leads to any more.
fn lanes(agent: &Agent) -> Observed {
    match agent.unassigned().first() {
        Some((lane, number)) => Observed::degraded(format!(
            "{} on `{lane}`, and no route leads there any more",
            Count(*number, "document")
        )),
        None => Observed::healthy(),
    }
}

fn tasks(agent: &Agent) -> Observed {
    let (state, why) = agent.tasks.state();
    match state {
        ServiceState::Error => Observed::unhealthy(why),
        ServiceState::Degraded => Observed::degraded(why),
        _ => Observed::healthy(),
    }
}

fn last_end(told: Option<Told>) -> Observed {
    told.map_or_else(Observed::healthy, |told| Observed::degraded(told.words))
}

/// Whether the disk of the queue hangs: what it is asked for has not come back.
fn hangs(agent: &Agent) -> Option<Observed> {
    let busy = agent.queue.busy_for();
    (DISK_HANGS <= busy).then(|| {
        let (seconds, place) = (busy.as_secs(), agent.queue_dir.display());
        let words = format!(
            "the disk of `{place}` has not answered for {seconds} s: nothing is taken in or settled until it does"
        );
        Observed::unhealthy(words).runbook("disk-hangs")
    })
}

/// The worst of them is how the disk is.
fn disks(places: &[PathBuf]) -> Observed {
    let looked = places.iter().map(|place| disk(place));
    looked
        .max_by_key(Observed::state)
        .unwrap_or_else(|| Observed::unknown("nobody said where"))
}

fn disk(place: &Path) -> Observed {
    let space = match mainstay_files::free_space(place) {
        Ok(space) => space,
        Err(error) => return Observed::unhealthy(error),
    };
    let words = format!("{} free at `{}`", Free(space), place.display());
    let below = |(bytes, inodes)| space.bytes < bytes || space.inodes < inodes;
    let observed = if below(DISK_OUT) {
        Observed::unhealthy(words)
    } else if below(DISK_LOW) {
        Observed::degraded(words)
    } else {
        Observed::healthy()
    };
    observed.with("free_bytes", space.bytes)
}

/// What is free, in words.
struct Free(mainstay_files::Space);

impl fmt::Display for Free {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(space) = self;
        // Where there is no such number nothing can run out.
        if space.inodes == u64::MAX {
            write!(f, "{} are", Size(space.bytes))
        } else {
            write!(f, "{} and {} inodes are", Size(space.bytes), space.inodes)
        }
    }
}

fn share(share: Option<Share>, words: fn(Share) -> String) -> Observed {
    share.map_or_else(
        || Observed::unknown("the system does not say"),
        |share| share.observed(words),
    )
}

impl Share {
    /// What is to be said of it.
    pub(super) fn observed(self, words: fn(Self) -> String) -> Observed {
        let observed = match self.percent() {
            SHARE_ALL.. => Observed::unhealthy(words(self)),
            SHARE_LARGE.. => Observed::degraded(words(self)),
            _ => Observed::healthy(),
        };
        observed.with("used", self.used).with("limit", self.limit)
    }
}

fn source(status: &Status, number: usize) -> Observed {
    let from = status
        .routes
        .get(number)
        .and_then(|route: &Route| route.from.as_ref());
    let Some(from) = from else {
        return Observed::unknown("it does not say anything");
    };
    if !from.reason.is_empty() {
        return Observed::degraded(&from.reason);
    }
    match &from.kind {
        crate::status::FromKind::Folder(folder) if folder.waiting_total > 0 => {
            let first = folder.waiting.first();
            let why = first.map_or("", |file| &file.reason);
            let files = folder.waiting_total;
            Observed::degraded(format!("{files} files cannot be taken as they are: {why}"))
        }
        _ => Observed::healthy(),
    }
}

fn destination(status: &Status, lane: &str) -> Observed {
    let to = status.routes.iter().flat_map(|route| &route.to);
    let Some(to) = to.into_iter().find(|to: &&To| to.lane == lane) else {
        return Observed::unknown("nobody leads there");
    };
    match to.state.as_str() {
        "stopped" => Observed::degraded("its delivery does not run: see the check `tasks`")
            .with("queued", to.queued),
        "held" => held(to).with("queued", to.queued),
        _ => failing(to).with("queued", to.queued),
    }
}

/// A destination that nothing is sent to until something is put right, with where it is written how.
fn held(to: &To) -> Observed {
    let held = Observed::degraded(&to.reason);
    if to.credentials_refused {
        held.runbook("credentials-refused")
    } else {
        held
    }
}

/// A destination that is there, and takes nothing.
fn failing(to: &To) -> Observed {
    let failing = to.failing.as_ref();
    let Some(failing) = failing.filter(|failing| FAILURES <= failing.attempts) else {
        return Observed::healthy();
    };
    let runbook = match to.state.as_str() {
        "waiting" => "rate-limited",
        _ => "persistent-errors",
    };
    let last = to.last_error.as_deref().unwrap_or("unknown");
    Observed::degraded(format!(
        "{} in a row failed since {}, the last one: {last}",
        Count(failing.attempts, "attempt"),
        failing.since
    ))
    .runbook(runbook)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_supervise::HealthState;

    #[test]
    fn a_share_is_well_below_four_fifths() {
        let state = |used| {
            Share { used, limit: 100 }
                .observed(|_| String::new())
                .state()
        };
        assert_eq!(state(79), HealthState::Healthy);
        assert_eq!(state(80), HealthState::Degraded);
        assert_eq!(state(95), HealthState::Unhealthy);
        assert_eq!(share(None, |_| String::new()).state(), HealthState::Unknown);
    }
}
