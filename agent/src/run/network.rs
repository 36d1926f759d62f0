//! What the agent knows of the network: one truth, told by all that it asks, and asked for where nothing was heard.
//!
//! A destination that nothing was heard of for 30 s is asked
//!
//! - when a person or a program wants to see the status: the answer is in the next one, nobody waits for it;
//! - while another one cannot be reached, to find out whose fault that is.
//!
//! Where the system tells that a link, an address or a route changed while one cannot be reached, that one is asked at once and probed
//! with a document, instead of after its wait. That is a hint: what follows is told by what the answer says.
//!
//! At other times nothing is sent but documents.

use super::agent::{Agent, Target};
use super::destination::AnyDestination;
use crate::status;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mainstay_clock::SharedClock;
use mainstay_deliver::State as Worked;
use mainstay_http::{Connectivity, Host, LinkChanges, State};
use mainstay_supervise::TaskContext;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// While something cannot be reached, it is looked so often whether others are silent.
const LOOK: Duration = Duration::from_secs(5);

/// Changes come in bursts: an address follows its link, a route its address. No more often than so it is asked because of them.
const SETTLES: Duration = Duration::from_secs(1);

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

    /// Those that need not wait any more, because the network of this machine changed; one that was held longer ago than facts count
    /// among them.
    fn hurried(&self) -> Vec<&Target> {
        let network = &self.network.connectivity;
        let hurried: Vec<&Target> = self
            .targets()
            .filter(|to| !to.handle.is_paused())
            .filter(
                |to| match to.destination.host().map(|host| network.host(host)) {
                    None | Some(Host::Reachable) => false,
                    Some(Host::Down) => true,
                    Some(Host::Unknown) => matches!(to.handle.status().state, Worked::Held { .. }),
                },
            )
            .collect();
        if !hurried.is_empty() {
            let destinations = hurried.len();
            tracing::info!(
                destinations,
                "the network of this machine changed: asks what cannot be reached"
            );
        }
        for to in &hurried {
            to.handle.probe_now();
        }
        hurried
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

/// What the system tells of changes, as long as it does.
fn listen() -> Option<LinkChanges> {
    LinkChanges::listen()
        .inspect_err(|error| {
            tracing::info!(%error, "changes of the network are not heard of: what cannot be reached is asked after its wait");
        })
        .ok()
}

/// Waits until the system tells of a change; for ever, where it does not.
async fn changed(changes: &mut Option<LinkChanges>) {
    let Some(heard) = changes else {
        return std::future::pending().await;
    };
    if let Err(error) = heard.changed().await {
        tracing::warn!(%error, "changes of the network are not heard of any more");
        *changes = None;
        std::future::pending::<()>().await;
    }
}

/// Asks silent destinations whenever that is wanted, for as long as the agent runs.
pub(super) async fn ask(agent: Arc<Agent>, context: TaskContext) {
    let mut changes = listen();
    loop {
        let mut hurried = Vec::new();
        tokio::select! {
            () = context.stopping() => return,
            () = changed(&mut changes) => {
                if !context.pause(SETTLES).await {
                    return;
                }
                hurried = agent.hurried();
            }
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
        let asked: FuturesUnordered<_> = agent
            .silent()
            .chain(hurried)
            .map(|to| to.destination.probe())
            .collect();
        tokio::select! {
            () = context.stopping() => return,
            // Each ends within its ten seconds.
            () = context.alive_while(asked.collect(), || true) => {}
        }
    }
}
