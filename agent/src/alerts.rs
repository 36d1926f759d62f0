//! Whoever the configuration names is told when a check changes: by a request, or by a command.
//!
//! ```text
//! health ──change──► desk (what is worth telling, and when) ──notice──► webhook · command      one of each for each [[alert]]
//! ```
//!
//! Each `[[alert]]` stands alone: one that hangs delays no other, and none delays or fails the agent. What was told counts as told,
//! whatever became of the telling: it is logged and counted, and not begun anew. That is remembered over all lives of the agent; what
//! was still being told as one ended is told by the next.
//!
//! # Limits
//!
//! | what | number | why |
//! |---|---|---|
//! | alerts in the configuration | 16 | people write them |
//! | tellings of one check by one alert | 1 in a minute | a check that flaps wakes nobody sixty times an hour |
//! | tellings of one alert under way | 8 | more checks than that seldom change at once; further ones wait for one that ends, and behind somebody who hangs for 50 s |
//! | what was told is remembered | of 4,096 checks, over all alerts | 256 of each; what was told longest ago is forgotten |
//! | what waits | the latest change of each check | older ones are no longer so |
//! | a request, with 3 retries | 50 s in all, 10 s of silence | it is over before the next one about the same check |
//! | a wait that a server asks for | 40 s within a request; 1 hour at a time, a day in all | beyond 40 s the change goes back to the desk |
//! | a command | 30 s, then its process group is killed | it should write, send or ring, not wait |

mod command;
mod desk;
mod memory;
mod notice;
mod pattern;
mod webhook;

pub(crate) use memory::Memory;
pub(crate) use pattern::matches;
pub(crate) use webhook::{is_address, shown};

use crate::config::{self, AlertTo};
use crate::exit::{Exit, Failure};
use crate::run::Agent;
use crate::run::destination::reached;
use desk::{Desk, Due};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use mainstay_clock::SharedClock;
use mainstay_http::{Certificates, Connectivity};
use mainstay_resilience::{Category, Class, ErrorContext, Severity};
use mainstay_supervise::{Health, HealthChange, Holdings, TaskContext};
use notice::{Notice, Station};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use webhook::Webhook;

/// The alerts in a configuration, at most.
pub(crate) const ALERTS_MAX: usize = 16;

/// Who tells goes round so often even if there is nothing to tell, so that it is seen when it does not.
const ROUND: Duration = Duration::from_secs(3);

/// Tellings of one alert that are under way at a time.
const AT_ONCE: usize = 8;

/// What became of the tellings, since the agent started.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Told.
    pub(crate) sent: AtomicU64,
    /// Not told, after all retries.
    pub(crate) failed: AtomicU64,
}

/// One `[[alert]]` at work.
struct Teller {
    whom: AlertTo,
    /// Whom it tells, for people.
    name: String,
    by: By,
    desk: Desk,
    changes: Receiver<HealthChange>,
    /// How often it went round.
    rounds: Arc<AtomicU64>,
}

/// Those who tell of changes, each on its own.
pub(crate) struct Tellers {
    each: Vec<Teller>,
    station: Station,
    agent: Arc<Agent>,
    health: Health,
    clock: SharedClock,
}

/// Why something was not told.
#[derive(Debug, PartialEq, Eq)]
struct Untold {
    why: String,
    /// What kind of failure it is.
    class: Class,
    /// How long to wait before it is tried anew; none where that is over.
    wait: Option<Duration>,
}

/// How it tells.
#[derive(Debug, Clone)]
enum By {
    Webhook(Webhook),
    Command(Arc<[String]>, Holdings),
}

/// Makes who tells of every change from now on.
///
/// # Errors
/// A request that cannot be made: nobody is trusted, or a secret cannot be read.
pub(crate) fn tell(
    agent: &Arc<Agent>,
    health: &Health,
    alerts: &[config::Alert],
    clock: &SharedClock,
) -> Result<Tellers, Failure> {
    let mut tellers = Vec::new();
    for (alert, (name, met)) in alerts.iter().zip(&agent.alert_certificates) {
        let network = Some(agent.network.connectivity());
        let holdings = agent.tasks.holdings();
        let by = By::build(&alert.to, met, network, holdings, clock).map_err(|why| {
            let message = format!("the alert to {name} cannot work: {why}");
            Failure::new(Exit::StartFailed, message)
        })?;
        // First, so that no change is missed; what was seen before stands in the snapshot.
        let changes = health.subscribe();
        let (now, mut desk) = (clock.now(), Desk::new(alert.from, alert.checks.clone()));
        for (check, state, at) in agent.told.of(&alert.to) {
            desk.recall(check, state, at, now);
        }
        desk.see_all(&health.snapshot(), now);
        tellers.push(Teller {
            whom: alert.to.clone(),
            name: name.clone(),
            by,
            desk,
            changes,
            rounds: Arc::default(),
        });
    }
    Ok(Tellers {
        each: tellers,
        station: Station::of(agent.station.name.as_deref()),
        agent: Arc::clone(agent),
        health: health.clone(),
        clock: clock.clone(),
    })
}

/// Whether such an alert can work; asks nobody.
///
/// # Errors
/// Why it cannot.
pub(crate) fn try_out(to: &AlertTo) -> Result<(), String> {
    let clock = mainstay_clock::system();
    let holdings = Holdings::new(clock.clone());
    By::build(to, &Certificates::default(), None, &holdings, &clock).map(drop)
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Untold {}

impl Untold {
    fn for_good(why: impl Into<String>, category: Category) -> Self {
        Self {
            why: why.into(),
            class: Class::permanent(category, Severity::Medium),
            wait: None,
        }
    }
}

impl By {
    fn build(
        to: &AlertTo,
        met: &Certificates,
        network: Option<&Arc<Connectivity>>,
        holdings: &Holdings,
        clock: &SharedClock,
    ) -> Result<Self, String> {
        Ok(match to {
            AlertTo::Url {
                url,
                token,
                connection,
            } => {
                let mut reached = reached(connection).map_err(|error| error.to_string())?;
                reached.0.certificates = met.clone();
                Self::Webhook(Webhook::new(url, token.as_ref(), reached, network, clock)?)
            }
            AlertTo::Command(words) => Self::Command(words.as_slice().into(), holdings.clone()),
        })
    }

    async fn tell(&self, notice: &Notice, clock: &SharedClock) -> Result<(), Untold> {
        match self {
            Self::Webhook(webhook) => webhook.tell(notice, clock).await,
            Self::Command(words, holdings) => command::tell(words, notice, holdings, clock)
                .await
                .map_err(|why| Untold::for_good(why, Category::Unknown)),
        }
    }
}

impl Tellers {
    /// Tells, as a task that beats while each of them goes round, until that is to stop.
    pub(crate) async fn run(self, context: &TaskContext) {
        let Self {
            each,
            station,
            agent,
            health,
            clock,
        } = self;
        let mut seen: Vec<(Arc<AtomicU64>, u64)> = each
            .iter()
            .map(|teller| (Arc::clone(&teller.rounds), 0))
            .collect();
        let go_round = || {
            let moved = seen.iter_mut().map(|(rounds, before)| {
                let rounds = rounds.load(Ordering::Relaxed);
                std::mem::replace(before, rounds) != rounds
            });
            // Each is asked, also where one stands still.
            moved.fold(true, |all, moved| all & moved)
        };
        let running = each
            .into_iter()
            .map(|teller| teller.run(&agent, &health, &station, &clock));
        let all = async {
            join_all(running).await;
            // Where there are none.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = context.alive_while(all, go_round) => {}
            () = context.stopping() => {}
        }
    }
}

impl Teller {
    async fn run(mut self, agent: &Agent, health: &Health, station: &Station, clock: &SharedClock) {
        let (by, name) = (&self.by, self.name.as_str());
        let mut under_way = FuturesUnordered::new();
        loop {
            self.rounds.fetch_add(1, Ordering::Relaxed);
            let now = clock.now();
            while under_way.len() < AT_ONCE
                && let Some(due) = self.desk.take_due(now)
            {
                under_way.push(told(by, name, due, agent, station, clock));
            }
            let next = match self.desk.next(now) {
                Some(next) if under_way.len() < AT_ONCE => next.min(ROUND),
                // A change, or a telling that ends, comes first.
                _ => ROUND,
            };
            tokio::select! {
                biased;
                change = self.changes.recv() => match change {
                    // A stop is no fault: whoever asked for it knows.
                    Ok(_) if agent.is_stopping() => {}
                    Ok(change) => self.desk.see(&change, clock.now()),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, alert = name, "changes of checks were missed; it goes on with how they stand");
                        self.desk.see_all(&health.snapshot(), clock.now());
                    }
                    Err(RecvError::Closed) => return,
                },
                Some((due, put_off)) = under_way.next() => if let Some(wait) = put_off {
                    self.desk.put_back(&due, wait, clock.now());
                } else {
                    let Due { change, taken, .. } = due;
                    let check = change.check.as_deref().unwrap_or_default();
                    agent.told.note(&self.whom, check, change.to, taken);
                },
                () = clock.sleep(next) => {}
            }
        }
    }
}

/// Tells it once, and gives it back, with the wait where that has to be done later; what becomes of it is counted and logged.
async fn told(
    by: &By,
    name: &str,
    due: Due,
    agent: &Agent,
    station: &Station,
    clock: &SharedClock,
) -> (Due, Option<Duration>) {
    let notice = Notice::new(&due, station);
    let (check, state) = (&notice.check, notice.state.name());
    match by.tell(&notice, clock).await {
        Ok(()) => {
            agent.alerts.sent.fetch_add(1, Ordering::Relaxed);
            tracing::info!(check, state, alert = name, "an alert was told");
        }
        Err(Untold {
            why,
            wait: Some(wait),
            ..
        }) if due.may_wait(wait, clock.now()) => {
            let seconds = wait.as_secs();
            tracing::warn!(
                check,
                state,
                alert = name,
                why,
                seconds,
                "an alert is put off"
            );
            return (due, Some(wait));
        }
        Err(untold) => {
            agent.alerts.failed.fetch_add(1, Ordering::Relaxed);
            let error = ErrorContext::classed("alert", &untold, untold.class, &**clock);
            let errors = agent.tasks.supervisor().errors();
            errors.record(error.with("alert", name).with("check", check));
            let why = untold.why;
            tracing::warn!(check, state, alert = name, why, "an alert was not told");
        }
    }
    (due, None)
}
