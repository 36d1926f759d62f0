//! What the system says of its links, addresses and routes: that something changed, and no more.

#[cfg(target_os = "linux")]
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink};
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;

/// `RTMGRP_LINK`, and those of the addresses and routes of IPv4 and IPv6 (`linux/rtnetlink.h`).
#[cfg(target_os = "linux")]
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// Hears from the system that a link, an address or a route of this machine changed.
///
/// A hint, and never more: it says neither which one nor whether there is a network now. Who waits to ask something again may ask now,
/// and look whether [a way leads out](Self::has_way_out). It costs one socket, which needs no privilege, and sends nothing.
///
/// **Platforms**: Linux (rtnetlink). Elsewhere it cannot be had, and who waits waits as long as before.
#[derive(Debug)]
pub struct LinkChanges {
    #[cfg(target_os = "linux")]
    socket: AsyncFd<OwnedFd>,
}

#[cfg(target_os = "linux")]
impl LinkChanges {
    /// Listens from now on; within a runtime of tokio.
    ///
    /// # Errors
    ///
    /// Where the system gives no such socket: a sandbox may forbid it (`RestrictAddressFamilies=` without `AF_NETLINK`).
    pub fn listen() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self {
            socket: watched(socket)?,
        })
    }

    /// Whether a way leads out of this machine, over any link but the loopback; none where the system does not say.
    ///
    /// That one does is no promise that anybody is there: a bridge of containers is a way, too. Reads two small files of `/proc`.
    pub fn has_way_out() -> Option<bool> {
        let v4 = std::fs::read_to_string("/proc/self/net/route").ok()?;
        // Without IPv6 there is none.
        let v6 = std::fs::read_to_string("/proc/self/net/ipv6_route").unwrap_or_default();
        Some(leads_out(&v4, &v6))
    }

    /// Waits until something changed; many changes that came together are one. Dropping the future loses none.
    ///
    /// # Errors
    ///
    /// Where the system tells nothing more.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.socket.readable().await?;
            let heard = ready.try_io(|socket| drained(socket.get_ref()));
            if let Ok(heard) = heard {
                return heard;
            }
        }
    }
}

/// Whether one of these routes is up, refuses nothing, and leads to others over another link than the loopback.
///
/// Of IPv6 those do not count that a link has by itself: to its own addresses, to its neighbours (`fe80::/10`) and to groups (`ff00::/8`).
#[cfg(target_os = "linux")]
fn leads_out(v4: &str, v6: &str) -> bool {
    // `RTF_UP`, `RTF_REJECT` (`linux/route.h`); `RTF_ANYCAST`, `RTF_LOCAL` (`linux/ipv6_route.h`).
    const UP: u32 = 0x1;
    const NO_WAY: u32 = 0x200 | 0x0010_0000 | 0x8000_0000;
    let is_way = |link: &str, flags: &str| {
        let flags = u32::from_str_radix(flags, 16).unwrap_or_default();
        link != "lo" && flags & UP == UP && flags & NO_WAY == 0
    };
    let over_v4 = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        matches!(fields[..], [link, _, _, flags, ..] if is_way(link, flags))
    };
    let over_v6 = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [to, .., flags, link] = fields[..] else {
            return false;
        };
        let is_by_itself = ["fe8", "fe9", "fea", "feb", "ff"];
        let is_by_itself = is_by_itself.iter().any(|start| to.starts_with(start));
        !is_by_itself && is_way(link, flags)
    };
    v4.lines().skip(1).any(over_v4) || v6.lines().any(over_v6)
}

/// As tokio watches it.
#[cfg(target_os = "linux")]
#[expect(
    deprecated,
    reason = "it is unsound for types whose descriptor changes or ends under it, which an `OwnedFd` does not; the other way is unsafe"
)]
fn watched(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(socket)
}

/// Takes all that is there; `WouldBlock` where nothing is.
#[cfg(target_os = "linux")]
fn drained(socket: &OwnedFd) -> io::Result<()> {
    // What it says is not looked at, so that it may be cut.
    let mut message = [0_u8; 64];
    let mut has_heard = false;
    // A flood ends the turn, and begins the next one.
    for _ in 0..1_024 {
        match rustix::net::recv(socket, &mut message[..], RecvFlags::empty()) {
            // More happened than the socket holds: that is a change, too.
            Ok(_) | Err(rustix::io::Errno::NOBUFS) => has_heard = true,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) if has_heard => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
impl LinkChanges {
    /// Not here.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn listen() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Nobody says.
    pub fn has_way_out() -> Option<bool> {
        None
    }

    /// Never.
    ///
    /// # Errors
    ///
    /// Always.
    pub async fn changed(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::leads_out;

    const HEAD: &str =
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

    #[test]
    fn a_way_out_is_a_route_that_is_up_and_not_over_the_loopback() {
        let zero = "0".repeat(32);
        let to = |start: &str| format!("{start}{}", "0".repeat(32 - start.len()));
        let v6 = |start: &str, flags: &str, link: &str| {
            let to = to(start);
            format!("{to} 40 {zero} 00 {zero} 00000100 00000001 00000000 {flags}     {link}\n")
        };
        let v4 = |flags: &str, link: &str| {
            format!("{HEAD}{link}\t00000000\t0101A8C0\t{flags}\t0\t0\t100\t00000000\t0\t0\t0\n")
        };
        assert!(!leads_out("", "") && !leads_out(HEAD, ""));
        assert!(leads_out(&v4("0003", "eth0"), ""));
        assert!(leads_out(&v4("0001", "eth0"), ""), "to a neighbour");
        assert!(!leads_out(&v4("0001", "lo"), ""));
        assert!(!leads_out(&v4("0002", "eth0"), ""), "it is not up");
        assert!(!leads_out(&v4("0201", "*"), ""), "it refuses");
        assert!(leads_out(HEAD, &v6("", "00000003", "eth0")));
        assert!(leads_out(HEAD, &v6("fd", "00000001", "eth0")));
        // What every link has by itself, and what the system has where there is no way.
        for (start, flags, link) in [
            ("fe80", "00000001", "eth0"),
            ("ff", "00000001", "eth0"),
            ("fd", "80200001", "eth0"),
            ("", "00200200", "lo"),
        ] {
            assert!(!leads_out(HEAD, &v6(start, flags, link)), "{start} {flags}");
        }
    }
}
