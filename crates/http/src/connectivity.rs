//! What the errors of a client say of the network, and how somebody who wants to know now asks.

mod link;

mod probe;

pub use link::LinkChanges;
pub use mainstay_wire::{Connectivity, Fact, Host, Network, State, Why};
pub use probe::{Expect, Probe};

use crate::error::ErrorKind;

/// What an error says of the network; nothing, where nothing was sent.
pub(crate) fn fact_of(kind: ErrorKind, is_without_network: bool) -> Option<Fact> {
    match kind {
        _ if is_without_network => Some(Fact::NoNetwork),
        ErrorKind::Dns
        | ErrorKind::Unreachable
        | ErrorKind::ConnectTimeout
        | ErrorKind::ReadTimeout => Some(Fact::Lost),
        ErrorKind::Refused | ErrorKind::Tls | ErrorKind::BrokenAnswer => Some(Fact::Refused),
        _ => None,
    }
}
