//! What is looked at, and what counts as well.

use super::system::{self, Share};
use crate::run::{Agent, Told};
use crate::status::{Route, Status, To};
use crate::units::Size;
use mainstay_clock::{Moment, SharedClock};
use mainstay_supervise::{CheckSpec, Error, Health, Observed, ServiceState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Three looks fit into the half minute in which a person hears of what is wrong.
const EVERY: Duration = Duration::from_secs(10);

/// A look at a folder of a share that is away may take so long.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A burst is over after so many looks; a queue that is still long then grows.
const LOOKS_FOR_LONG: u32 = 3;

const MIB: u64 = 1024 * 1024;

/// So long the processors are watched at least before something is said of them.
const LOOK_MIN: Duration = Duration::from_secs(1);

/// When the disk is degraded, and when unhealthy: bytes and inodes that are free.
const DISK_LOW: (u64, u64) = (256 * MIB, 4096);
const DISK_OUT: (u64, u64) = (32 * MIB, 64);

/// When a share is degraded, and when unhealthy, in hundredths.
const SHARE_LARGE: u64 = 80;
const SHARE_ALL: u64 = 95;

/// A date that differs by more has jumped: a machine that is busy comes late by less.
const JUMP_MS: u64 = 2_000;

/// So long a jump is told.
const JUMP_TOLD: Duration = Duration::from_mins(5);

/// What the configuration says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) warning: u64,
    pub(super) critical: u64,
}

/// The checks that every agent has.
pub(super) const NAMES: [&str; 9] = [
    "intake",
    "process",
    "queue",
    "account",
    "memory",
    "processor",
    "open files",
    "disk",
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
    let on = |check: fn(&Agent, Limits) -> Observed| {
        let agent = Arc::clone(agent);
        move || {
            let observed = check(&agent, limits);
            async move { observed }
        }
    };
    // No reason to start anew: who starts again finds the same disk and the same queue.
    health.register(spec("intake", "disk-full").ready(), on(intake))?;
    let asked = Arc::clone(agent);
    // A disk that hesitates holds it up too, and that is no reason to start anew: only what lasts is.
    let stuck = spec("process", "stuck-shutdown").live();
    health.register(stuck.hysteresis(LOOKS_FOR_LONG, 1), move || {
        let asked = Arc::clone(&asked);
        // What never comes back is told as that, once its time is over.
        tokio::task::spawn_blocking(move || process(&asked))
    })?;
    let depth = spec("queue", "queue-growing").hysteresis(LOOKS_FOR_LONG, 1);
    health.register(depth, on(queue))?;
    health.register(spec("account", "damaged-segment"), on(account))?;
    health.register(spec("tasks", "crash-loop"), on(tasks))?;
    let (stops, now) = (Arc::clone(agent), clock.clone());
    health.register(spec("last stop", "stuck-shutdown"), move || {
        let observed = last_stop(stops.last_stops.told(now.now()));
        async move { observed }
    })?;
    register_shares(health, clock)?;
    let place = agent.data.path().to_owned();
    health.register(spec("disk", "disk-full"), move || {
        let place = place.clone();
        // A disk that hangs keeps a thread, and nobody else.
        tokio::task::spawn_blocking(move || disk(&place))
    })?;
    let jumps = Arc::new(Mutex::new(Jumps::new(clock)));
    let clock = clock.clone();
    health.register(spec("clock", "clock-jumped"), move || {
        let mut jumps = jumps.lock().unwrap_or_else(PoisonError::into_inner);
        let observed = jumps.look(clock.now(), clock.wall());
        async move { observed }
    })?;
    register_routes(health, agent)
}

/// What the process takes of the machine.
fn register_shares(health: &Health, clock: &SharedClock) -> Result<(), Error> {
    health.register(spec("memory", "high-memory"), || async {
        share(system::memory(), |Share { used, limit }| {
            format!("{} of {} of memory are used", Size(used), Size(limit))
        })
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

fn register_routes(health: &Health, agent: &Arc<Agent>) -> Result<(), Error> {
    for (number, route) in agent.routes.iter().enumerate() {
        let name = &route.template.route;
        if route.from.is_some() {
            let agent = Arc::clone(agent);
            health.register(spec(from_name(name), "queue-growing"), move || {
                let observed = source(&agent.status(), number);
                async move { observed }
            })?;
        }
        for target in &route.to {
            let (agent, lane) = (Arc::clone(agent), target.lane.clone());
            health.register(spec(to_name(&lane), "destination-held"), move || {
                let observed = destination(&agent.status(), &lane);
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

fn intake(agent: &Agent, _: Limits) -> Observed {
    let status = agent.status();
    if agent.is_stopping() {
        return Observed::unhealthy("it is stopping, and takes nothing new");
    }
    if status.queue.mode == "writable" {
        Observed::healthy()
    } else {
        Observed::unhealthy(format!(
            "the queue is {}: {}",
            status.queue.mode, status.queue.reason
        ))
    }
}

fn queue(agent: &Agent, limits: Limits) -> Observed {
    let queued = agent.queue.ledger().queued;
    let words = format!("{queued} documents wait");
    let observed = if queued >= limits.critical {
        Observed::unhealthy(words)
    } else if queued >= limits.warning {
        Observed::degraded(words)
    } else {
        Observed::healthy()
    };
    observed.with("queued", queued)
}

fn account(agent: &Agent, _: Limits) -> Observed {
    let status = agent.status();
    if !status.ledger.balanced {
        return Observed::unhealthy(format!("the ledger does not add up: {}", status.ledger));
    }
    match status.queue.damage.first() {
        Some(damage) => Observed::degraded(format!("something cannot be read: {damage}")),
        None => Observed::healthy(),
    }
}

fn tasks(agent: &Agent, _: Limits) -> Observed {
    let (state, why) = agent.tasks.state();
    match state {
        ServiceState::Error => Observed::unhealthy(why),
        ServiceState::Degraded => Observed::degraded(why),
        _ => Observed::healthy(),
    }
}

fn last_stop(told: Option<Told>) -> Observed {
    told.map_or_else(Observed::healthy, |told| Observed::degraded(told.words))
}

fn disk(place: &std::path::Path) -> Observed {
    let space = match mainstay_files::free_space(place) {
        Ok(space) => space,
        Err(error) => return Observed::unhealthy(error),
    };
    let words = format!("{} and {} inodes are free", Size(space.bytes), space.inodes);
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

fn share(share: Option<Share>, words: fn(Share) -> String) -> Observed {
    let Some(share) = share else {
        return Observed::unknown("the system does not say");
    };
    let observed = match share.percent() {
        SHARE_ALL.. => Observed::unhealthy(words(share)),
        SHARE_LARGE.. => Observed::degraded(words(share)),
        _ => Observed::healthy(),
    };
    observed.with("used", share.used).with("limit", share.limit)
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
        "held" | "stopped" => Observed::degraded(&to.reason).with("queued", to.queued),
        _ => Observed::healthy().with("queued", to.queued),
    }
}

/// The date, as it was at the last look.
#[derive(Debug)]
struct Jumps {
    at: Moment,
    wall: u64,
    /// What the last jump was, and when.
    last: Option<(Moment, String)>,
}

impl Jumps {
    fn new(clock: &SharedClock) -> Self {
        Self {
            at: clock.now(),
            wall: clock.wall(),
            last: None,
        }
    }

    fn look(&mut self, now: Moment, wall: u64) -> Observed {
        let passed = now.since(self.at).as_millis() as u64;
        let expected = self.wall.saturating_add(passed);
        let (ahead, behind) = (wall.saturating_sub(expected), expected.saturating_sub(wall));
        let seconds = ahead.max(behind) / 1_000;
        if JUMP_MS < ahead {
            self.last = Some((now, format!("the date leapt ahead by {seconds} s")));
        } else if JUMP_MS < behind {
            self.last = Some((now, format!("the date went back by {seconds} s")));
        }
        (self.at, self.wall) = (now, wall);
        match &self.last {
            Some((at, words)) if now.since(*at) < JUMP_TOLD => Observed::degraded(words),
            _ => Observed::healthy(),
        }
    }
}

/// What the processors did for this process, as it was at the last look.
#[derive(Debug)]
struct Work {
    at: Moment,
    used: Duration,
    last: Observed,
}

impl Work {
    fn new(clock: &SharedClock) -> Self {
        Self {
            at: clock.now(),
            used: system::processor_time(),
            last: Observed::healthy(),
        }
    }

    /// Its share of all of them since the last look.
    fn look(&mut self, now: Moment, used: Duration, processors: u32) -> Observed {
        let passed = now.since(self.at);
        // Over less it says more of the look than of the process.
        if LOOK_MIN <= passed {
            let part = Share {
                used: used.saturating_sub(self.used).as_millis() as u64,
                limit: passed.as_millis() as u64 * u64::from(processors),
            };
            self.last = share(Some(part), |part| {
                format!("{} % of the processors' time are used", part.percent())
            });
            (self.at, self.used) = (now, used);
        }
        self.last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use mainstay_supervise::HealthState;

    #[test]
    fn a_date_that_jumps_either_way_is_told_for_five_minutes() {
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        let mut jumps = Jumps::new(&clock);
        let look = |jumps: &mut Jumps| jumps.look(clock.now(), clock.wall());
        manual.advance(EVERY);
        assert_eq!(look(&mut jumps).state(), HealthState::Healthy);
        for jump in [3_600_000_i64, -7_200_000] {
            manual.set_wall(clock.wall().saturating_add_signed(jump));
            manual.advance(EVERY);
            let observed = look(&mut jumps);
            assert_eq!(observed.state(), HealthState::Degraded);
            let words = if jump > 0 {
                "ahead by 3600 s"
            } else {
                "back by 7200 s"
            };
            assert!(observed.message().contains(words), "{observed:?}");
            manual.advance(JUMP_TOLD);
            assert_eq!(look(&mut jumps).state(), HealthState::Healthy);
        }
    }

    #[test]
    fn the_processors_are_busy_by_what_was_used_since_the_last_look() {
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        let mut work = Work::new(&clock);
        let mut used = work.used;
        let mut look = |percent: u64, seconds: u64| {
            manual.advance(Duration::from_secs(seconds));
            // Of two processors.
            used += Duration::from_millis(percent * seconds * 20);
            work.look(clock.now(), used, 2).state()
        };
        assert_eq!(look(79, 10), HealthState::Healthy);
        assert_eq!(look(80, 10), HealthState::Degraded);
        assert_eq!(look(100, 10), HealthState::Unhealthy);
        // Two looks at one time are one.
        assert_eq!(look(0, 0), HealthState::Unhealthy);
        assert_eq!(look(1, 10), HealthState::Healthy);
    }

    #[test]
    fn a_share_is_well_below_four_fifths() {
        let state = |used| share(Some(Share { used, limit: 100 }), |_| String::new()).state();
        assert_eq!(state(79), HealthState::Healthy);
        assert_eq!(state(80), HealthState::Degraded);
        assert_eq!(state(95), HealthState::Unhealthy);
        assert_eq!(share(None, |_| String::new()).state(), HealthState::Unknown);
    }
}
