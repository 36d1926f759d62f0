//! Where a route listens.

use std::net::SocketAddr;

/// Whether only this machine can reach it.
pub(crate) fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// For people, and to be written as a `url` elsewhere.
pub(crate) fn shown(address: SocketAddr) -> String {
    format!("http://{address}/ingest")
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
}
