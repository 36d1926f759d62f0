//! Names to addresses, without those that no document may go to.

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;
use tower_service::Service;

/// The system's resolver; an answer with a link-local address in it is refused as a whole.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    system: GaiResolver,
    allow_link_local: bool,
}

/// Why a name has no address that may be used.
#[derive(Debug)]
pub(super) enum Unresolved {
    /// The resolver said no.
    Failed(io::Error),
    /// It names a place that documents may not go to.
    Forbidden(IpAddr),
}

impl Resolver {
    pub(super) fn new(allow_link_local: bool) -> Self {
        Self {
            system: GaiResolver::new(),
            allow_link_local,
        }
    }
}

/// Whether this is an address of the machine's own link, where cloud machines find their credentials (169.254.169.254).
///
/// The address of the same service in IPv6, `fd00:ec2::254`, is no link-local one and stands here by itself.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6 == METADATA_V6
                || v6.to_ipv4().is_some_and(|v4: Ipv4Addr| v4.is_link_local())
        }
    }
}

fn allowed(
    addresses: Vec<SocketAddr>,
    allow_link_local: bool,
) -> Result<vec::IntoIter<SocketAddr>, Unresolved> {
    let forbidden = addresses
        .iter()
        .map(SocketAddr::ip)
        .find(|address| is_link_local(*address));
    match forbidden {
        Some(address) if !allow_link_local => Err(Unresolved::Forbidden(address)),
        _ => Ok(addresses.into_iter()),
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unresolved>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        self.system.poll_ready(cx).map_err(Unresolved::Failed)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let looking_up = self.system.call(name);
        let allow_link_local = self.allow_link_local;
        Box::pin(async move {
            let addresses = looking_up.await.map_err(Unresolved::Failed)?;
            allowed(addresses.collect(), allow_link_local)
        })
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) => f.write_str("the name was not resolved"),
            Self::Forbidden(address) => {
                write!(f, "the name stands for the link-local address {address}")
            }
        }
    }
}

impl std::error::Error for Unresolved {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Forbidden(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 0)
    }

    #[test]
    fn the_metadata_address_is_recognised_in_every_spelling() {
        for metadata in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
        ] {
            assert!(is_link_local(metadata.parse().unwrap()), "{metadata}");
        }
        for other in [
            "127.0.0.1",
            "10.0.0.1",
            "::1",
            "2001:db8::1",
            "fd00::1",
            "169.253.255.255",
        ] {
            assert!(!is_link_local(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn a_name_that_leads_to_the_metadata_address_is_refused_whatever_else_it_leads_to() {
        let addresses = vec![address("192.0.2.1"), address("169.254.169.254")];
        assert!(matches!(
            allowed(addresses.clone(), false),
            Err(Unresolved::Forbidden(_))
        ));
        assert_eq!(
            allowed(addresses.clone(), true)
                .unwrap()
                .collect::<Vec<_>>(),
            addresses
        );
        assert_eq!(allowed(addresses[..1].to_vec(), false).unwrap().count(), 1);
    }
}
