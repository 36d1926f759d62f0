//! The loop: it alone decides, one event after the other, so that no state is shared with what runs beside it.

mod judge;
mod limit;
mod record;

use super::attempt::{Attempted, Settled, attempt};
use super::config::DeliverConfig;
use super::lane::Lane;
use super::shared::Shared;
use super::status::{DestinationStatus, State};
use super::streak::Streak;
use super::suspects::Suspects;
use crate::gate::{Gate, Permission};
use crate::{Destination, Worker};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mainstay_clock::{Moment, SharedClock};
use mainstay_resilience::Random;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(super) use limit::Limit;

/// This many settlements may wait for the disk at once. One flush takes them all, so that a slow disk delays
/// acknowledgements, and only then sending; above this number sending waits, since what is not recorded could be sent again.
const SETTLING_MAX: usize = 256;

type Running<T> = FuturesUnordered<Pin<Box<dyn Future<Output = T> + Send>>>;

/// A worker at work.
pub(super) struct Run<L: Lane> {
    lane: L,
    destination: Arc<dyn Destination>,
    config: DeliverConfig,
    clock: SharedClock,
    random: Random,
    shared: Arc<Shared>,
    gate: Gate,
    limit: Limit,
    attempts: Running<Attempted<L::InHand>>,
    /// How many of them find out whether a held destination is back.
    probes: usize,
    settlements: Running<Settled>,
    /// Documents that met a held destination; the next probe is another one.
    aside: VecDeque<L::InHand>,
    suspects: Suspects,
    streak: Streak,
    /// How many were delivered.
    delivered: u64,
}

/// What the loop waits for besides what is under way.
enum Wish {
    /// A document, as a probe or not.
    Document { probe: bool },
    /// The end of a wait.
    Until(Moment),
    /// Nothing.
    Nothing,
}

/// Why the loop ended.
enum End {
    Stopped,
    QueueClosed,
}

impl<L: Lane> Run<L> {
    pub(super) fn new(
        lane: L,
        destination: Arc<dyn Destination>,
        config: DeliverConfig,
        limit: Limit,
        clock: SharedClock,
        shared: Arc<Shared>,
    ) -> Self {
        // Nobody shall take it for dead before its first turn.
        shared.turn(clock.now_coarse());
        Self {
            gate: Gate::open(config.probe),
            limit,
            random: config
                .seed
                .map_or_else(Random::from_system, Random::from_seed),
            lane,
            destination,
            config,
            clock,
            shared,
            attempts: FuturesUnordered::new(),
            probes: 0,
            settlements: FuturesUnordered::new(),
            aside: VecDeque::new(),
            suspects: Suspects::default(),
            streak: Streak::default(),
            delivered: 0,
        }
    }

    /// Delivers until it is stopped or the queue is closed. Returns how many attempts it had to give up.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> usize {
        match self.deliver(stop).await {
            End::Stopped => self.drain().await,
            End::QueueClosed => self.attempts.len(),
        }
    }

    async fn deliver(&mut self, stop: &CancellationToken) -> End {
        let mut stopped = std::pin::pin!(stop.cancelled());
        let mut turn = self.clock.sleep(Worker::TURN);
        loop {
            let wish = self.wish();
            self.publish();
            let (wants_document, probe, wait) = match wish {
                Wish::Document { probe } => (true, probe, None),
                Wish::Until(until) => (
                    false,
                    false,
                    Some(self.clock.sleep(until.since(self.clock.now()))),
                ),
                Wish::Nothing => (false, false, None),
            };
            tokio::select! {
                biased;
                () = &mut stopped => return End::Stopped,
                () = self.shared.changed() => {
                    if self.shared.take_wanted() {
                        self.gate.try_now(self.clock.now());
                    }
                }
                Some(attempted) = self.attempts.next() => self.judge(attempted),
                Some(settled) = self.settlements.next() => {
                    if self.take_note(settled).is_err() {
                        return End::QueueClosed;
                    }
                }
                document = self.lane.lease(), if wants_document => match document {
                    Some(document) => self.start(document, probe),
                    None => return End::QueueClosed,
                },
                () = wait_for(wait) => {}
                () = &mut turn => turn = self.clock.sleep(Worker::TURN),
            }
        }
    }

    /// Lets what is under way end, and records it; gives up what takes too long.
    async fn drain(&mut self) -> usize {
        self.aside.clear();
        let mut patience = self.clock.sleep(self.config.drain);
        let mut turn = self.clock.sleep(Worker::TURN);
        while !self.attempts.is_empty() || !self.settlements.is_empty() {
            self.publish();
            tokio::select! {
                biased;
                Some(attempted) = self.attempts.next() => self.judge(attempted),
                Some(settled) = self.settlements.next() => drop(self.take_note(settled)),
                () = &mut patience => break,
                () = &mut turn => turn = self.clock.sleep(Worker::TURN),
            }
        }
        self.aside.clear();
        self.attempts.len()
    }

    fn wish(&mut self) -> Wish {
        if self.shared.is_paused()
            || self.attempts.len() >= self.config.concurrency
            || self.settlements.len() >= SETTLING_MAX
        {
            return Wish::Nothing;
        }
        let now = self.clock.now();
        // While a probe is under way the wish stays: that one may have been sent before the change.
        if self.probes == 0 && self.shared.take_hurry() {
            self.gate.hurry(now);
        }
        let permission = self.gate.permission(now);
        if !matches!(permission, Permission::NotBefore(_))
            && let Some(until) = self.limit.not_before(now)
        {
            return Wish::Until(until);
        }
        match permission {
            Permission::Any => Wish::Document { probe: false },
            Permission::NotBefore(until) => Wish::Until(until),
            Permission::Probe => match self.next_probe() {
                Some(document) => {
                    self.start(document, true);
                    self.wish()
                }
                None => Wish::Document { probe: true },
            },
        }
    }

    /// The document for the next probe: one that has not met the held destination, or else the one that did so first.
    fn next_probe(&mut self) -> Option<L::InHand> {
        if self.aside.is_empty() {
            return None;
        }
        self.lane.try_lease().or_else(|| self.aside.pop_front())
    }

    fn start(&mut self, document: L::InHand, probe: bool) {
        self.limit.spend();
        if probe {
            self.gate.probe_started(self.clock.now());
            self.probes += 1;
        }
        self.attempts.push(Box::pin(attempt(
            document,
            probe,
            Arc::clone(&self.destination),
            self.clock.clone(),
        )));
    }

    fn count_failure(&self, reason: &str, count: impl FnOnce(&mut DestinationStatus)) {
        let wall = self.clock.wall();
        self.shared.with(|status| {
            status.failed(reason, wall);
            count(status);
        });
    }

    /// Each turn begins with it.
    fn publish(&self) {
        self.shared.turn(self.clock.now_coarse());
        let (in_flight, is_probing) = (self.attempts.len(), self.probes > 0);
        let state = self.state();
        let limited_until = self.limit.until(&self.clock);
        let wall = self.clock.wall();
        self.shared.with(|status| {
            status.in_flight = in_flight;
            status.is_probing = is_probing;
            status.limited_until = limited_until;
            status.enter(state, wall);
        });
    }

    fn state(&self) -> State {
        if self.shared.is_paused() {
            return State::Paused;
        }
        if let Some(held) = self.gate.held() {
            return State::held(held, &self.clock);
        }
        if let Some(quiet) = self.gate.quiet(self.clock.now()) {
            return State::waiting(quiet, &self.clock);
        }
        if self.attempts.is_empty() {
            State::Idle
        } else {
            State::Delivering
        }
    }
}

/// However a run ends, also by being dropped or by a panic, nobody is told that it goes on.
impl<L: Lane> Drop for Run<L> {
    fn drop(&mut self) {
        let wall = self.clock.wall();
        self.shared.with(|status| {
            status.in_flight = 0;
            status.limited_until = None;
            status.enter(State::Stopped, wall);
        });
    }
}

/// Waits for `wait`, or for ever where there is nothing to wait for.
async fn wait_for(wait: Option<mainstay_clock::Sleep>) {
    match wait {
        Some(wait) => wait.await,
        None => std::future::pending().await,
    }
}
