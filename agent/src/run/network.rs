//! What the agent knows of the network: one truth, told by all that it asks, and asked for where nothing was heard.
//!
//! A destination that nothing was heard of for 30 s is asked
//!
//! - when a person or a program wants to see the status: the answer is in the next one, nobody waits for it;
//! - while another one cannot be reached, to find out whose fault that is.
//!
//! At other times nothing is sent but documents.

use super::agent::{Agent, Target};
use super::destination::AnyDestination;
use crate::status;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mainstay_clock::SharedClock;
use mainstay_http::{Connectivity, Host, State};
use mainstay_supervise::TaskContext;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// While something cannot be reached, it is looked so often whether others are silent.
const LOOK: Duration = Duration::from_secs(5);

/// Clones know the same; it outlives the lives of the agent.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    connectivity: Arc<Connectivity>,
    wanted: Arc<Notify>,
}

impl Network {
    pub(super) fn new(clock: &SharedClock) -> Self {
        Self {
            connectivity: Arc::new(Connectivity::new(clock.clone())),
            wanted: Arc::default(),
        }
    }

    /// For whatever asks another machine.
    pub(crate) fn connectivity(&self) -> &Arc<Connectivity> {
        &self.connectivity
    }

    /// Somebody wants to know of the destinations that nothing was heard of lately.
    pub(crate) fn find_out(&self) {
        self.wanted.notify_one();
    }

    /// As the status shows it.
    pub(super) fn told(&self) -> status::Network {
        let network = self.connectivity.network();
        let is_well = network.state == State::Online;
        status::Network {
            state: network.state.name().to_owned(),
            why: network.why.name().to_owned(),
            reason: if is_well {
                String::new()
            } else {
                network.why.told().to_owned()
            },
        }
    }

    /// How a destination stands: while there is no network, nothing can be said of one alone.
    pub(super) fn connectivity_of(&self, destination: &AnyDestination) -> &'static str {
        let host = destination.host().map(|host| self.connectivity.host(host));
        match (host, self.connectivity.state()) {
            (None, _) => "unknown",
            (_, State::Offline) => "offline",
            (Some(Host::Reachable), _) => "online",
            (Some(Host::Down), _) => "down",
            (Some(Host::Unknown), _) => "unknown",
        }
    }
}

impl Agent {
    /// Whether one of them could not be reached lately.
    fn is_one_down(&self) -> bool {
        let network = &self.network.connectivity;
        let mut hosts = self.targets().filter_map(|to| to.destination.host());
        hosts.any(|host| network.host(host) == Host::Down)
    }

    /// Whether anything is delivered over a network.
    pub(super) fn has_network(&self) -> bool {
        self.targets().any(|to| to.destination.host().is_some())
    }

    fn targets(&self) -> impl Iterator<Item = &Target> {
        self.routes.iter().flat_map(|route| &route.to)
    }

    /// Those of which nothing is known, each host once; nothing is sent where a person paused it.
    fn silent(&self) -> impl Iterator<Item = &Target> {
        self.targets().filter(|to| {
            let wants = |host| self.network.connectivity.wants_probe_of(host);
            !to.handle.is_paused() && to.destination.host().is_some_and(wants)
        })
    }
}

/// Asks silent destinations whenever that is wanted, for as long as the agent runs.
pub(super) async fn ask(agent: Arc<Agent>, context: TaskContext) {
    loop {
        tokio::select! {
            () = context.stopping() => return,
            () = context.alive_while(agent.network.wanted.notified(), || true) => {}
            is_on = context.pause(LOOK) => {
                if !is_on {
                    return;
                }
                if !agent.is_one_down() {
                    continue;
                }
            }
        }
        let asked: FuturesUnordered<_> = agent.silent().map(|to| to.destination.probe()).collect();
        tokio::select! {
            () = context.stopping() => return,
            // Each ends within its ten seconds.
            () = context.alive_while(asked.collect(), || true) => {}
        }
    }
}
