//! Where a route listens.

use std::net::SocketAddr;

/// Whether only this machine can reach it.
pub(crate) fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// For people, and to be written as a `url` elsewhere; where it is every address of this machine, its owner has to choose one.
pub(crate) fn shown(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!(
            "http://ANY-ADDRESS-OF-THIS-MACHINE:{}/ingest",
            address.port()
        )
    } else {
        format!("http://{address}/ingest")
    }
}

/// Whether two routes would be in each other's way.
pub(crate) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_kind = one.is_ipv4() == other.is_ipv4();
    // The system lets `[::]` listen for both kinds, as a rule.
    let covers = |all: SocketAddr| all.ip().is_unspecified() && (same_kind || all.is_ipv6());
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || covers(one) || covers(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_can_reach_is_not_local() {
        for local in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_local(local.parse().unwrap()), "{local}");
        }
        for reached in ["0.0.0.0:1", "[::]:1", "192.168.1.4:1", "[fe80::1]:1"] {
            assert!(!is_local(reached.parse().unwrap()), "{reached}");
        }
    }

    #[test]
    fn an_address_of_all_is_in_the_way_of_each() {
        let meet = |one: &str, other: &str| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            overlap(one, other) && overlap(other, one)
        };
        assert!(meet("127.0.0.1:1", "127.0.0.1:1") && meet("0.0.0.0:1", "127.0.0.1:1"));
        assert!(meet("[::]:1", "127.0.0.1:1") && meet("[::]:1", "[::1]:1"));
        assert!(!meet("0.0.0.0:1", "0.0.0.0:2") && !meet("127.0.0.1:1", "127.0.0.2:1"));
        assert!(!meet("0.0.0.0:0", "127.0.0.1:0") && !meet("0.0.0.0:1", "[::1]:1"));
    }
}
