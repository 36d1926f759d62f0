//! Whether there is a network, told by what the requests themselves met.
//!
//! Nothing is sent to find out, unless somebody asks for it, and then to the user's own destination and no other place. Nobody
//! waits: what is known is answered, and what is not known is called unknown.
//!
//! | what is fresh, and newer than the last answer | state | why |
//! |---|---|---|
//! | a portal answered in the place of the host | offline | captive portal |
//! | the link was reported down | offline | link down |
//! | the system says that it has no network | offline | no network |
//! | two hosts or more cannot be reached, and none that answered within a minute was left unasked since | offline | several hosts down |
//!
//! | otherwise | state | why |
//! |---|---|---|
//! | a fresh answer, and no failure after it | online | reached |
//! | a fresh answer, and one host failed after it | online | one host down |
//! | two hosts or more cannot be reached | online with a fresh answer, else unknown | several hosts down |
//! | no fresh answer, and one host failed, or several refused | unknown | one host down |
//! | nothing fresh | unknown | nothing known |
//!
//! The log has a line for each change between online and offline, and between reasons to be offline. That nothing is known for a
//! while is no change.

mod witness;

pub use witness::Witness;

use mainstay_clock::{Moment, SharedClock};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A fact counts for so long.
const FRESH: Duration = Duration::from_secs(30);

/// For so long a host that answered speaks for the network, until it is asked again: whoever asks the silent ones each time that
/// nothing fresh is known of them has its answer by then.
const SPEAKS: Duration = Duration::from_mins(1);

/// So many hosts are remembered; the one heard of longest ago goes.
const HOSTS_MAX: usize = 256;

/// So many hosts that cannot be reached are the network.
const SEVERAL: usize = 2;

/// Whether there is a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// Something was reached lately.
    Online,
    /// Nothing is reached, and it is not the fault of one host.
    Offline,
    /// Nothing was asked lately, or what was says nothing.
    #[default]
    Unknown,
}

/// Why it is thought so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// Nothing fresh.
    #[default]
    NothingKnown,
    /// A host answered.
    Reached,
    /// A host does not answer; of the network that says nothing.
    OneHostDown,
    /// Several hosts cannot be reached; unless another one answers, that is the network.
    SeveralHostsDown,
    /// The system says that it has no network.
    NoNetwork,
    /// The link was reported down.
    LinkDown,
    /// Something answers in the place of others: a person has to log in.
    CaptivePortal,
}

/// Whether there is a network, and why it is thought so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Network {
    /// Whether there is one.
    pub state: State,
    /// Why it is thought so.
    pub why: Why,
}

/// How one host stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Host {
    /// It was not asked lately.
    #[default]
    Unknown,
    /// It answered, whatever it said.
    Reachable,
    /// It did not.
    Down,
}

/// What a request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fact {
    /// The host answered, whatever it said.
    Reached,
    /// The host did not, and that may be the network: no address, no way, no connection, silence.
    Lost,
    /// The machine is there and its service is not: it refuses, or speaks no TLS that we trust.
    Refused,
    /// The system says that there is no network.
    NoNetwork,
    /// Something else answered in its place.
    Portal,
}

/// What requests say of the network; never blocks anybody.
///
/// ```
/// use mainstay_clock::ManualClock;
/// use mainstay_wire::{Connectivity, Fact, State};
/// use std::sync::Arc;
///
/// let connectivity = Connectivity::new(Arc::new(ManualClock::new()));
/// assert_eq!(connectivity.state(), State::Unknown);
/// connectivity.note("https://h:443", Fact::Reached);
/// assert_eq!(connectivity.state(), State::Online);
/// ```
#[derive(Debug)]
pub struct Connectivity {
    clock: SharedClock,
    known: Mutex<Known>,
    told: watch::Sender<Network>,
    /// How often something was taken in that was no answer: what a witness knows still holds while nothing was.
    troubles: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    /// The last fact of each host, and its number: several may have the same time.
    hosts: HashMap<String, Heard>,
    facts: u64,
    /// The link was reported down, and nothing came through since.
    is_link_down: bool,
    /// The last answer of any host.
    reached: Option<(u64, Moment)>,
    /// When somebody was last told to probe.
    probed: Option<Moment>,
    /// When somebody was last told to probe one host; none that is not fresh.
    probes: HashMap<String, Moment>,
    /// What the log has of it.
    logged: Option<Network>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    fact: Fact,
    number: u64,
    at: Moment,
}

impl State {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}

impl Why {
    /// In a word, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::NothingKnown => "nothing_known",
            Self::Reached => "reached",
            Self::OneHostDown => "one_host_down",
            Self::SeveralHostsDown => "several_hosts_down",
            Self::NoNetwork => "no_network",
            Self::LinkDown => "link_down",
            Self::CaptivePortal => "captive_portal",
        }
    }

    /// In words, for people.
    pub fn told(self) -> &'static str {
        match self {
            Self::NothingKnown => "nothing was heard lately",
            Self::Reached => "a host answered",
            Self::OneHostDown => "a host does not answer, which says nothing of the network",
            Self::SeveralHostsDown => "several hosts cannot be reached",
            Self::NoNetwork => "the system says that it has no network",
            Self::LinkDown => "the link is down",
            Self::CaptivePortal => {
                "something answers in the place of others: perhaps a person has to log in"
            }
        }
    }
}

impl Network {
    /// Whether it is to be told after what was told last. One host that is down has its own line, by who asked it.
    fn is_news_after(self, last: Option<Self>) -> bool {
        match self.state {
            State::Unknown => false,
            State::Online => last.is_none_or(|last| last.state != State::Online),
            State::Offline => last != Some(self),
        }
    }
}

impl Connectivity {
    /// One that knows nothing.
    pub fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            known: Mutex::default(),
            told: watch::Sender::new(Network::default()),
            troubles: AtomicU64::new(0),
        }
    }

    /// Takes in what a request to `host` met, which is called by its origin, such as `https://h:443`.
    pub fn note(&self, host: &str, fact: Fact) {
        let mut known = self.known();
        let at = self.clock.now();
        let number = known.next();
        let heard = Heard { fact, number, at };
        if let Some(before) = known.hosts.get_mut(host) {
            *before = heard;
        } else {
            if known.hosts.len() >= HOSTS_MAX {
                known.forget_oldest();
            }
            known.hosts.insert(host.to_owned(), heard);
        }
        if fact == Fact::Reached {
            known.reached = Some((number, at));
            // Whatever the hint was: something came through.
            known.is_link_down = false;
        } else {
            self.troubles.fetch_add(1, Ordering::Release);
        }
        let network = known.network(at);
        self.tell(&mut known, network);
    }

    /// Takes in the hint that the link went up or down, as systems tell it: down is believed until something comes through,
    /// up makes what failed before count for nothing, and after a down all that was known.
    pub fn link_changed(&self, is_up: bool) {
        let mut known = self.known();
        if is_up && known.is_link_down {
            // Perhaps it is another network.
            *known = Known {
                logged: known.logged,
                ..Known::default()
            };
        } else if is_up {
            known.hosts.retain(|_, heard| heard.fact == Fact::Reached);
        } else {
            known.is_link_down = true;
        }
        self.troubles.fetch_add(1, Ordering::Release);
        let network = known.network(self.clock.now());
        self.tell(&mut known, network);
    }

    /// Whether there is a network.
    pub fn state(&self) -> State {
        self.network().state
    }

    /// Whether there is a network, and why it is thought so.
    pub fn network(&self) -> Network {
        let mut known = self.known();
        let network = known.network(self.clock.now());
        self.tell(&mut known, network);
        network
    }

    /// How a host stands, by its origin, such as `https://h:443`.
    pub fn host(&self, host: &str) -> Host {
        let known = self.known();
        let now = self.clock.now();
        match known.hosts.get(host) {
            Some(heard) if heard.is_fresh(now) => match heard.fact {
                Fact::Reached => Host::Reachable,
                _ => Host::Down,
            },
            _ => Host::Unknown,
        }
    }

    /// Whether whoever asks should send a probe: what is known is older than 30 s, and nobody was told so for as long.
    ///
    /// The caller sends it, in a task of its own; nobody waits for it.
    pub fn wants_probe(&self) -> bool {
        let mut known = self.known();
        let now = self.clock.now();
        let is_known = known.hosts.values().any(|heard| heard.is_fresh(now));
        let is_probed = known.probed.is_some_and(|at| now.since(at) <= FRESH);
        let wants = !is_known && !is_probed;
        if wants {
            known.probed = Some(now);
        }
        wants
    }

    /// The same for one host, whatever is known of others: for whoever wants to know of each how it stands.
    pub fn wants_probe_of(&self, host: &str) -> bool {
        let mut known = self.known();
        let now = self.clock.now();
        if known
            .hosts
            .get(host)
            .is_some_and(|heard| heard.is_fresh(now))
        {
            return false;
        }
        known.probes.retain(|_, at| now.since(*at) <= FRESH);
        if known.probes.contains_key(host) || known.probes.len() >= HOSTS_MAX {
            return false;
        }
        known.probes.insert(host.to_owned(), now);
        true
    }

    /// Tells of each change from now on; that time has passed shows when somebody asks.
    pub fn subscribe(&self) -> watch::Receiver<Network> {
        self.told.subscribe()
    }

    /// Only while all that is known is held, so that nobody is told of an older state after a newer one.
    fn tell(&self, known: &mut MutexGuard<'_, Known>, network: Network) {
        self.told.send_if_modified(|told| {
            let is_new = *told != network;
            *told = network;
            is_new
        });
        if network.is_news_after(known.logged) {
            known.logged = Some(network);
            let (state, why) = (network.state.name(), network.why.told());
            if network.state == State::Offline {
                tracing::warn!(state, why, "network");
            } else {
                tracing::info!(state, why, "network");
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn next(&mut self) -> u64 {
        self.facts += 1;
        self.facts
    }

    fn forget_oldest(&mut self) {
        let oldest = self
            .hosts
            .iter()
            .min_by_key(|(_, heard)| heard.number)
            .map(|(host, _)| host.clone());
        if let Some(host) = oldest {
            self.hosts.remove(&host);
        }
    }

    /// The table at the top, row by row.
    fn network(&self, now: Moment) -> Network {
        let last_answer = self.reached.map_or(0, |(number, _)| number);
        let is_online = self.reached.is_some_and(|(_, at)| now.since(at) <= FRESH);
        let failed = |fact: Fact| {
            self.hosts
                .values()
                .filter(|heard| heard.is_fresh(now) && heard.number > last_answer)
                .filter(|heard| heard.fact == fact)
                .count()
        };
        let offline = |why| Network {
            state: State::Offline,
            why,
        };
        if failed(Fact::Portal) > 0 {
            return offline(Why::CaptivePortal);
        }
        // What the system says to requests then follows from it.
        if self.is_link_down {
            return offline(Why::LinkDown);
        }
        if failed(Fact::NoNetwork) > 0 {
            return offline(Why::NoNetwork);
        }
        let lost = failed(Fact::Lost);
        let are_several_down = lost >= SEVERAL;
        let speaks = |heard: &Heard| heard.fact == Fact::Reached && now.since(heard.at) <= SPEAKS;
        if are_several_down && !self.hosts.values().any(speaks) {
            return offline(Why::SeveralHostsDown);
        }
        let is_one_down = lost + failed(Fact::Refused) > 0;
        Network {
            state: if is_online {
                State::Online
            } else {
                State::Unknown
            },
            why: match (is_one_down, is_online) {
                _ if are_several_down => Why::SeveralHostsDown,
                (true, _) => Why::OneHostDown,
                (false, true) => Why::Reached,
                (false, false) => Why::NothingKnown,
            },
        }
    }
}

impl Heard {
    fn is_fresh(&self, now: Moment) -> bool {
        now.since(self.at) <= FRESH
    }
}
