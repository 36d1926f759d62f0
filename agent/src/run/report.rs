//! What a running agent says of itself.

use super::agent::{Agent, Folder, Route, Source, Target};
use super::network::Network;
use crate::hub;
use crate::status::{self, Status, date};
use crate::units::Span;
use mainstay_deliver::{Certificates, State as DeliverState};
use mainstay_pickup::State as PickupState;
use mainstay_queue::{LaneStatus, Mode};
use mainstay_resilience::{RateLimit, RateLimiter};
use std::time::Duration;

/// A folder that does not answer for so long is told of: half a minute is what a person may wait to hear of it.
const SILENT: Duration = Duration::from_secs(20);

impl Agent {
    /// The status as it is now.
    pub(crate) fn status(&self) -> Status {
        let queue = self.queue.status();
        let wall = mainstay_clock::system().wall();
        let held_up = self.held_up(&queue.mode);
        let mut routes: Vec<status::Route> = self
            .routes
            .iter()
            .map(|route| describe(self, route, &queue.lanes, held_up.as_deref(), wall))
            .collect();
        routes.extend(self.unassigned_routes(&queue.lanes));
        let mut status = Status {
            state: status::State::Running,
            pid: Some(std::process::id()),
            since: Some(date(self.since)),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data: self.data.path().to_owned(),
            station: status::Station {
                name: self.station.name.clone(),
                location: self.station.location.clone(),
                purpose: self.station.purpose.clone(),
            },
            ledger: queue.ledger.into(),
            routes,
            network: self.has_network().then(|| self.network.told()),
            queue: describe_queue(&queue, self.queue.has_room()),
            cache: self.cache.as_ref().map(|cache| status::Cache {
                limit_bytes: cache.kept.limit_bytes,
                offline: cache.offline,
            }),
            last_scrub: self.upkeep.last_scrub(),
            service: Some(self.tasks.told()),
            jobs: self.jobs.status(wall),
            unwell: Vec::new(),
            stop: self.stop_under_way(wall),
            last_stop: self.last_stops.last(),
            last_stop_report: self.last_stops.last_report(),
        };
        if self.is_stopping() {
            status.state = status::State::Stopping;
        } else if status.needs_attention() {
            status.state = status::State::Degraded;
        }
        status
    }

    /// Why nothing goes into the queue, where that is its disk.
    fn held_up(&self, mode: &Mode) -> Option<String> {
        if self.queue.why_dead().is_some() {
            // That is told by itself.
            return None;
        }
        let seconds = self.queue.busy_for().as_secs();
        if SILENT.as_secs() <= seconds {
            return Some(format!(
                "it waits for the disk of the queue, which has not answered for {seconds} s: see `mainstay runbook disk-hangs`"
            ));
        }
        match mode {
            Mode::ReadOnly(why) => Some(format!(
                "it waits for the disk of the queue, which refuses: {why}: see `mainstay runbook disk-fails`"
            )),
            Mode::Writable | Mode::Full(_) => None,
        }
    }

    /// How far its stop is, where it was asked for one.
    fn stop_under_way(&self, wall: u64) -> Option<status::Stop> {
        let signal = self.stop.get().filter(|_| self.is_stopping())?;
        status::Stop::of(signal.look(), wall)
    }

    /// Lanes with documents that no route leads to any more; they wait until one does, or a person moves them.
    fn unassigned_routes(&self, lanes: &[LaneStatus]) -> Vec<status::Route> {
        let lanes_of = |name: &str| lanes.iter().find(|lane| lane.name == name);
        let unassigned = self.unassigned().into_iter();
        unassigned
            .map(|(name, _)| status::Route {
                name: name.split('/').next().unwrap_or_default().to_owned(),
                from: None,
                lookups: Vec::new(),
                to: vec![status::To {
                    reason: "no route leads to this lane any more; add one of that name, or discard the documents".to_owned(),
                    ..status::To::of_lane(&name, "unassigned", lanes_of(&name))
                }],
            })
            .collect()
    }
}

impl Status {
    fn needs_attention(&self) -> bool {
        let from_is_well = |route: &status::Route| {
            route
                .from
                .as_ref()
                .is_none_or(|from| from.reason.is_empty())
        };
        let to_is_well = |route: &status::Route| {
            let lookups_are_well = route.lookups.iter().all(|lookup| lookup.reason.is_empty());
            lookups_are_well && route.to.iter().all(|to| to.reason.is_empty())
        };
        let routes_are_well = self
            .routes
            .iter()
            .all(|route| from_is_well(route) && to_is_well(route));
        !routes_are_well
            || !self.queue.reason.is_empty()
            || !self.queue.damage.is_empty()
            || !self.ledger.balanced
            || self
                .last_scrub
                .is_some_and(|last| last.damaged + last.failed > 0)
            || self
                .service
                .as_ref()
                .is_some_and(|service| !service.troubles.is_empty())
    }
}

impl status::To {
    /// A lane as the queue sees it.
    pub(crate) fn of_lane(name: &str, state: &str, lane: Option<&LaneStatus>) -> Self {
        Self {
            lane: name.to_owned(),
            address: String::new(),
            state: state.to_owned(),
            reason: String::new(),
            credentials_refused: false,
            connectivity: "unknown".to_owned(),
            breaker: "closed".to_owned(),
            limit: None,
            next_attempt_seconds: None,
            limited_seconds: None,
            in_flight: lane.map_or(0, |lane| lane.leased),
            queued: lane.map_or(0, |lane| lane.ready + lane.leased + lane.waiting),
            oldest_seconds: lane.and_then(|lane| lane.oldest_seconds),
            dead: lane.map_or(0, |lane| lane.dead),
            certificate_ends: None,
            delivered: 0,
            retried: 0,
            buried: 0,
            failing: None,
            last_error: None,
            last_success: None,
        }
    }
}

fn describe(
    agent: &Agent,
    route: &Route,
    lanes: &[LaneStatus],
    held_up: Option<&str>,
    wall: u64,
) -> status::Route {
    let source = route.from.as_ref();
    let lane_of = |to: &Target| lanes.iter().find(|lane| lane.name == to.lane);
    let to = route
        .to
        .iter()
        .map(|to| describe_target(to, lane_of(to), &agent.network, wall));
    status::Route {
        name: route.template.route.clone(),
        from: source.map(|source| describe_source(source, held_up)),
        lookups: route.lookups.status(),
        to: to.collect(),
    }
}

fn describe_source(source: &Source, held_up: Option<&str>) -> status::From {
    match source {
        Source::Folder(folder) => describe_folder(folder, held_up),
        Source::Http(source) => describe_address(source, held_up),
    }
}

fn describe_address(source: &hub::Source, held_up: Option<&str>) -> status::From {
    let told = source.told();
    let (state, reason) = if source.is_stopping() {
        ("stopped", "")
    } else if source.has_room() {
        ("listening", "")
    } else {
        let reason = "the queue has no room, so senders are told to come again; it goes on when documents are delivered";
        ("full", held_up.unwrap_or(reason))
    };
    status::From {
        state: state.to_owned(),
        reason: reason.to_owned(),
        taken: told.taken,
        last_error: told.last_error,
        kind: status::FromKind::Http(status::FromHttp {
            http: hub::shown(source.address),
            repeats: told.repeats,
            under_way: told.under_way,
            refused: told.refused,
        }),
    }
}

impl Folder {
    /// What is to be said of a folder that has not answered for a while.
    fn silence(&self) -> Option<String> {
        let silent = self.clock.now().since(self.handle.is_away()?);
        (SILENT <= silent).then(|| {
            let seconds = silent.as_secs();
            format!("its folder has not answered for {seconds} s, or a large file is copied from it: look whether its disk or share is there")
        })
    }
}

fn describe_folder(source: &Folder, held_up: Option<&str>) -> status::From {
    let told = source.handle.status();
    let state = match told.state {
        PickupState::Starting => "starting",
        PickupState::Watching => "watching",
        PickupState::Missing => "missing",
        PickupState::Full => "full",
        PickupState::Stopped => "stopped",
        _ => "failed",
    };
    // What holds the queue up holds up all that is to go into it, whatever else there is to say.
    let reason = match held_up {
        Some(held_up) if told.reason.is_empty() || told.state == PickupState::Full => {
            held_up.to_owned()
        }
        None if told.reason.is_empty() => source.silence().unwrap_or_default(),
        _ => told.reason,
    };
    let waiting = told.waiting.into_iter();
    status::From {
        state: state.to_owned(),
        reason,
        taken: told.taken,
        last_error: told.last_error,
        kind: status::FromKind::Folder(status::FromFolder {
            folder: source.settings.folder.clone(),
            quarantined: told.quarantined,
            settling: told.settling as u64,
            pending: (told.ready + told.pending) as u64,
            waiting: waiting
                .map(|file| status::Waiting {
                    path: file.path,
                    reason: file.reason,
                })
                .collect(),
            waiting_total: told.waiting_total as u64,
        }),
    }
}

fn describe_target(
    target: &Target,
    lane: Option<&LaneStatus>,
    network: &Network,
    wall: u64,
) -> status::To {
    let told = target.handle.status();
    let credentials_refused = matches!(
        told.state,
        DeliverState::Held {
            credentials: true,
            ..
        }
    );
    let (state, reason, until) = match told.state {
        DeliverState::Idle => ("idle", String::new(), None),
        DeliverState::Delivering => ("delivering", String::new(), None),
        DeliverState::Waiting { reason, until } => ("waiting", reason, Some(until)),
        DeliverState::Held {
            reason, next_probe, ..
        } => ("held", reason, Some(next_probe)),
        DeliverState::Paused => ("paused", String::new(), None),
        _ => ("stopped", String::new(), None),
    };
    let breaker = match (state, told.is_probing) {
        ("held", false) => "open",
        ("held", true) => "half_open",
        _ => "closed",
    };
    status::To {
        address: target.address.clone(),
        reason,
        credentials_refused,
        connectivity: network.connectivity_of(&target.destination).to_owned(),
        breaker: breaker.to_owned(),
        limit: limit(target),
        next_attempt_seconds: until.map(|until| until.saturating_sub(wall) as f64 / 1_000.0),
        limited_seconds: told
            .limited_until
            .map(|until| until.saturating_sub(wall) as f64 / 1_000.0),
        certificate_ends: first_end(&target.certificates),
        in_flight: told.in_flight as u64,
        delivered: told.delivered,
        retried: told.retried,
        buried: told.buried,
        failing: told.failing.map(|failing| status::Failing {
            since: date(failing.since),
            attempts: failing.attempts,
        }),
        last_error: told.last_error.map(|error| error.reason),
        last_success: told.last_success.map(date),
        ..status::To::of_lane(&target.lane, state, lane)
    }
}

/// The rate of a limiter, where it is not that of the configuration any more.
pub(super) fn changed_by_hand(configured: RateLimit, limiter: &RateLimiter) -> Option<String> {
    let interval = |limit: RateLimit| limit.per.as_nanos().div_ceil(u128::from(limit.permits));
    let now = limiter.limit();
    (interval(configured) != interval(now)).then(|| {
        let rate = if Duration::from_secs(1) <= now.per {
            format!("1/{}", Span(now.per))
        } else {
            format!("{:.0}/s", 1.0 / now.per.as_secs_f64())
        };
        format!("{rate}, set by hand")
    })
}

/// The rate that attempts are held to.
fn limit(target: &Target) -> Option<String> {
    let (rate, limiter) = (target.rate?, target.limiter.as_ref()?);
    let configured = RateLimit {
        permits: rate.number,
        per: rate.per,
        burst: 1,
    };
    let changed = changed_by_hand(configured, limiter);
    Some(changed.unwrap_or_else(|| rate.to_string()))
}

/// When the first of them runs out, in seconds since 1970; none while none was met.
pub(super) fn first_end(met: &Certificates) -> Option<u64> {
    let first = met
        .met()
        .into_values()
        .map(|validity| validity.until)
        .min()?;
    Some(first.max(0).unsigned_abs())
}

/// The queue's own words, and the limits that people set.
pub(crate) fn describe_queue(queue: &mainstay_queue::Status, has_room: bool) -> status::Queue {
    let (mode, reason) = match &queue.mode {
        Mode::Full(why) => ("full", why.clone()),
        Mode::ReadOnly(why) => ("read_only", why.clone()),
        Mode::Writable if has_room => ("writable", String::new()),
        Mode::Writable => {
            let reason = "the limit of [queue] max_documents or max_bytes is reached; intake goes on when documents are delivered";
            ("full", reason.to_owned())
        }
    };
    status::Queue {
        mode: mode.to_owned(),
        reason,
        documents: queue.waiting_documents,
        bytes: queue.waiting_bytes,
        damage: queue.damage.iter().map(describe_damage).collect(),
    }
}

/// A place in the queue's files that cannot be read, in a line.
pub(crate) fn describe_damage(damage: &mainstay_queue::Damage) -> String {
    let copy = damage
        .copied_to
        .as_ref()
        .map_or_else(String::new, |copy| format!(", copied to `damaged/{copy}`"));
    let place = match (damage.start, damage.end) {
        (0, 0) => String::new(),
        (start, 0) => format!(" at byte {start}"),
        (start, end) => format!(" bytes {start} to {end}"),
    };
    format!("`{}`{place}: {}{copy}", damage.file, damage.what)
}
