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
/// A hint, and never more: it says neither which one nor whether there is a network now, and nothing of what
/// [`Connectivity`](crate::Connectivity) says follows from it. Who waits to ask something again may ask now. It costs one socket,
/// which needs no privilege, and sends nothing.
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

    /// Never.
    ///
    /// # Errors
    ///
    /// Always.
    pub async fn changed(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
