//! What the agent knows of the network: one truth, told by all that it asks, and asked for where nothing was heard.
//!
//! A destination that nothing was heard of for 30 s is asked
//!
//! - when a person or a program wants to see the status: the answer is in the next one, nobody waits for it;
//! - while another one cannot be reached, to find out whose fault that is.
//!
//! Where the system tells that a link, an address or a route changed while one cannot be reached, that one is asked at once and probed
//! with a document, instead of after its wait. Where no way leads out of this machine any more, and there is a destination elsewhere, the
//! link is told to be down. Both are hints: what follows is told by what the answer says, and the first one takes that back.
//!
//! At other times nothing is sent but documents.

use super::agent::{Agent, Target};
use super::destination::AnyDestination;
use super::upkeep::{Chore, Upkeep};
use crate::status;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mainstay_clock::SharedClock;
use mainstay_deliver::State as Worked;
use mainstay_http::{Connectivity, Host, LinkChanges, State};
use mainstay_supervise::TaskContext;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// What the link was told to be last.
    is_link_down: Arc<AtomicBool>,
}

impl Network {
    pub(super) fn new(clock: &SharedClock) -> Self {
        Self {
            connectivity: Arc::new(Connectivity::new(clock.clone())),
            wanted: Arc::default(),
            is_link_down: Arc::default(),
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

    /// Takes in whether a way leads out of this machine, where that changed.
    fn link_changed(&self, has_way_out: bool) {
        let was_down = self.is_link_down.swap(!has_way_out, Ordering::Relaxed);
        if was_down == has_way_out {
            self.connectivity.link_changed(has_way_out);
        }
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

    /// Tells that no way leads out of this machine, or that one does again; nothing where nobody elsewhere is delivered to.
    fn look_at_link(&self) {
        let mut hosts = self.targets().filter_map(|to| to.destination.host());
        if hosts.any(|host| !is_here(host))
            && let Some(has_way_out) = LinkChanges::has_way_out()
        {
            self.network.link_changed(has_way_out);
        }
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

/// Whether an origin, such as `http://127.0.0.1:80`, is on this machine by its address.
fn is_here(origin: &str) -> bool {
    let place = origin.split_once("://").map_or(origin, |(_, place)| place);
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let parsed = address.parse::<IpAddr>();
    parsed.map_or(address == "localhost", |address| address.is_loopback())
}

/// Somebody who tells of changes.
trait Tells: Sized {
    /// # Errors
    /// It cannot be listened to.
    fn listen() -> io::Result<Self>;

    /// Waits for the next one.
    ///
    /// # Errors
    /// It tells nothing more.
    fn changed(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

impl Tells for LinkChanges {
    fn listen() -> io::Result<Self> {
        Self::listen()
    }

    fn changed(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.changed()
    }
}

/// What the system tells of changes, where it does.
enum Hearing<T> {
    /// Nobody has listened yet.
    NotYet,
    /// This system, or whoever set up its sandbox, tells nothing: that is no fault, and stays so for this life.
    Never,
    Now(T),
    /// It told, and does not any more.
    Lost,
}

impl<T: Tells> Hearing<T> {
    /// Listens, unless somebody does; what was lost is asked for again at each look.
    fn listen(&mut self, upkeep: &Upkeep) {
        let was_lost = match self {
            Self::Never | Self::Now(_) => return,
            Self::NotYet => false,
            Self::Lost => true,
        };
        match T::listen() {
            Ok(heard) => {
                *self = Self::Now(heard);
                upkeep.well(Chore::Changes);
            }
            Err(error) if was_lost => upkeep.failed(Chore::Changes, error),
            Err(error) => {
                tracing::info!(%error, "changes of the network are not heard of: what cannot be reached is asked after its wait");
                *self = Self::Never;
            }
        }
    }

    /// Waits until the system tells of a change; for ever, where it does not.
    async fn changed(&mut self, upkeep: &Upkeep) {
        let Self::Now(heard) = self else {
            return std::future::pending().await;
        };
        if let Err(error) = heard.changed().await {
            upkeep.failed(Chore::Changes, error);
            *self = Self::Lost;
            std::future::pending::<()>().await;
        }
    }
}

/// Asks silent destinations whenever that is wanted, for as long as the agent runs.
pub(super) async fn ask(agent: Arc<Agent>, context: TaskContext) {
    let mut hearing = Hearing::<LinkChanges>::NotYet;
    loop {
        hearing.listen(&agent.upkeep);
        let mut hurried = Vec::new();
        tokio::select! {
            () = context.stopping() => return,
            () = hearing.changed(&agent.upkeep) => {
                if !context.pause(SETTLES).await {
                    return;
                }
                // First: what is down may be another network's by then.
                hurried = agent.hurried();
                agent.look_at_link();
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// How often somebody began to listen.
    static BEGUN: AtomicU32 = AtomicU32::new(0);

    /// One that goes deaf, cannot be had for a while, and then tells.
    struct Deaf(u32);

    impl Tells for Deaf {
        fn listen() -> io::Result<Self> {
            match BEGUN.fetch_add(1, Ordering::Relaxed) {
                1 => Err(io::ErrorKind::PermissionDenied.into()),
                before => Ok(Self(before)),
            }
        }

        async fn changed(&mut self) -> io::Result<()> {
            match self.0 {
                0 => Err(io::ErrorKind::ConnectionReset.into()),
                _ => Ok(()),
            }
        }
    }

    /// It was logged, and nobody listened again before the next start.
    #[tokio::test]
    async fn changes_that_are_not_heard_of_any_more_are_told_and_listened_for_again() {
        let (mut hearing, upkeep) = (Hearing::<Deaf>::NotYet, Upkeep::default());
        hearing.listen(&upkeep);
        assert_eq!(upkeep.others(), [""; 0]);
        assert!(hearing.changed(&upkeep).now_or_never().is_none());
        let told = upkeep.others();
        assert!(
            told[0].ends_with("after its wait: connection reset"),
            "{told:?}"
        );
        hearing.listen(&upkeep);
        let told = upkeep.others();
        assert!(told[0].ends_with("permission denied"), "{told:?}");
        hearing.listen(&upkeep);
        assert_eq!(upkeep.others(), [""; 0]);
        hearing.changed(&upkeep).await;
    }

    /// A system that tells nothing, as a sandbox may want it.
    struct Mute;

    impl Tells for Mute {
        fn listen() -> io::Result<Self> {
            Err(io::ErrorKind::PermissionDenied.into())
        }

        async fn changed(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_system_that_never_told_of_changes_is_no_fault() {
        let (mut hearing, upkeep) = (Hearing::<Mute>::NotYet, Upkeep::default());
        hearing.listen(&upkeep);
        hearing.listen(&upkeep);
        assert_eq!(upkeep.others(), [""; 0]);
    }

    #[test]
    fn an_origin_on_this_machine_is_known_by_its_address() {
        for here in [
            "http://127.0.0.1:80",
            "https://[::1]:443",
            "http://localhost:1",
        ] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "http://198.51.100.1:80",
            "https://h.example:443",
            "http://[fe80::1]:80",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
