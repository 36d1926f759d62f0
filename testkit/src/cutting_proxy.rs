//! A connection that breaks after so many bytes: a TCP proxy that passes everything on, up to the byte that was named.
//!
//! ```
//! use mainstay_testkit::cutting_proxy::{Cut, CuttingProxy, Manner, Side};
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! # let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let proxy = CuttingProxy::start(server.local_addr()?).await?;
//! proxy.cut_next(Cut { side: Side::Request, at: 17, manner: Manner::Reset });
//! let client = tokio::net::TcpStream::connect(proxy.address()).await?;
//! # drop(client);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Which way the bytes go that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// To the server.
    Request,
    /// To the client.
    Answer,
}

/// What happens at the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Both sides see an end in good order.
    Close,
    /// Both sides see a reset.
    Reset,
    /// Whoever gets the bytes sees their end; the other way stays open.
    HalfClose,
    /// What follows comes in a packet of its own; nothing breaks.
    Split,
    /// What follows is kept back until [`release`](CuttingProxy::release), or until whoever waits for it hangs up: then both sides see
    /// an end.
    Hold,
}

impl Manner {
    /// All but [`Hold`](Self::Hold), which somebody has to end.
    pub const ALL: [Self; 4] = [Self::Close, Self::Reset, Self::HalfClose, Self::Split];
}

/// Where a connection breaks, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Which bytes are counted.
    pub side: Side,
    /// So many of them pass.
    pub at: u64,
    /// What then happens.
    pub manner: Manner,
}

/// A proxy between clients and one server; it stops when it is dropped.
#[derive(Debug)]
pub struct CuttingProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    next: Mutex<Option<Cut>>,
    /// How many bytes the last connection that ended passed on each way.
    passed: Mutex<[u64; 2]>,
    /// Whether a connection keeps something back.
    holding: watch::Sender<bool>,
    /// Whoever keeps something back passes it on.
    release: Notify,
    /// How often all connections were ended.
    breaking: watch::Sender<u64>,
}

impl CuttingProxy {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Errors
    /// The system has no port or no socket left.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection that is made breaks so; those after it do not.
    pub fn cut_next(&self, cut: Cut) {
        *self
            .shared
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(cut);
    }

    /// Whether the last cut was met by a connection.
    pub fn has_cut(&self) -> bool {
        self.shared
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }

    /// Waits until a connection keeps back what it was told to.
    pub async fn until_it_holds(&self) {
        let mut holding = self.shared.holding.subscribe();
        // It is held by what is asked here.
        drop(holding.wait_for(|is_so| *is_so).await);
    }

    /// Whether a connection keeps something back now.
    pub fn is_holding(&self) -> bool {
        *self.shared.holding.borrow()
    }

    /// Passes on what is kept back, if anything is.
    pub fn release(&self) {
        if self.is_holding() {
            self.shared.release.notify_one();
        }
    }

    /// Ends every connection there is, in good order; what comes next begins a new one.
    pub fn break_all(&self) {
        self.shared.breaking.send_modify(|count| *count += 1);
    }

    /// How many bytes the connection that ended last passed on, to the server and to the client.
    pub fn passed(&self) -> [u64; 2] {
        *self
            .shared
            .passed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let cut = shared
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        connections.spawn(pass(client, server, cut, Arc::clone(&shared)));
    }
}

async fn pass(client: TcpStream, server: SocketAddr, cut: Option<Cut>, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut breaking = shared.breaking.subscribe();
    let (broken, ended) = (Notify::new(), Notify::new());
    let on = |side| cut.filter(|cut| cut.side == side);
    let mut request = Way::new(from_client, to_server, on(Side::Request));
    let mut answer = Way::new(from_server, to_client, on(Side::Answer));
    let ways = async {
        tokio::join!(
            request.run(&broken, &ended, &shared),
            answer.run(&broken, &ended, &shared)
        )
    };
    tokio::select! {
        _ = ways => {}
        () = broken.notified() => {}
        _ = breaking.changed() => {}
    }
    shared.holding.send_replace(false);
    *shared.passed.lock().unwrap_or_else(PoisonError::into_inner) = [request.passed, answer.passed];
    let is_reset = cut.is_some_and(|cut| cut.manner == Manner::Reset);
    for way in [request, answer] {
        if is_reset {
            // With nothing left to linger for, closing sends a reset.
            drop(way.to.as_ref().set_zero_linger());
            way.to.forget();
        }
    }
}

/// So much is kept back at most; the rest waits in the sockets.
const KEPT_MAX: usize = 1 << 20;

/// One way of a connection.
struct Way {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    cut: Option<Cut>,
    passed: u64,
}

impl Way {
    fn new(from: OwnedReadHalf, to: OwnedWriteHalf, cut: Option<Cut>) -> Self {
        Self {
            from,
            to,
            cut,
            passed: 0,
        }
    }

    /// Passes on until an end, or until both ways are broken, which is told; `ended` hears of the end of one way.
    async fn run(&mut self, broken: &Notify, ended: &Notify, shared: &Shared) {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            if let Some(cut) = self.cut.filter(|cut| cut.at == self.passed) {
                self.cut = None;
                match cut.manner {
                    Manner::Close | Manner::Reset => {
                        broken.notify_one();
                        return std::future::pending().await;
                    }
                    Manner::HalfClose => break,
                    Manner::Split => tokio::task::yield_now().await,
                    Manner::Hold => {
                        let Some(kept) = self.hold(cut.side, ended, shared).await else {
                            broken.notify_one();
                            return std::future::pending().await;
                        };
                        if self.to.write_all(&kept).await.is_err() {
                            break;
                        }
                        self.passed += kept.len() as u64;
                    }
                }
            }
            let room = self
                .cut
                .map_or(buffer.len() as u64, |cut| cut.at - self.passed);
            let room = usize::try_from(room)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let Ok(read @ 1..) = self.from.read(&mut buffer[..room]).await else {
                break;
            };
            if self.to.write_all(&buffer[..read]).await.is_err() {
                break;
            }
            self.passed += read as u64;
        }
        drop(self.to.shutdown().await);
        ended.notify_one();
    }

    /// Keeps back what comes, until it is to be passed on; none where somebody gave up before: the client, by its end, or whoever
    /// should have had it, by the end of the other way. A server may end behind its answer, and still waits for nobody.
    async fn hold(&mut self, side: Side, ended: &Notify, shared: &Shared) -> Option<Vec<u8>> {
        shared.holding.send_replace(true);
        let mut kept = Vec::new();
        let mut is_over = false;
        let released = loop {
            let mut room = [0; 4 << 10];
            tokio::select! {
                biased;
                () = ended.notified() => break false,
                () = shared.release.notified() => break true,
                read = self.from.read(&mut room), if !is_over && kept.len() < KEPT_MAX => match read {
                    Ok(read @ 1..) => kept.extend(room.iter().take(read)),
                    _ if side == Side::Request => break false,
                    _ => is_over = true,
                },
            }
        };
        shared.holding.send_replace(false);
        released.then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faulty_server::{FaultyServer, Reaction};

    const REQUEST: &[u8] =
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

    /// What a client gets that says its request through a proxy.
    async fn said(proxy: &CuttingProxy) -> io::Result<Vec<u8>> {
        let mut client = TcpStream::connect(proxy.address()).await?;
        client.write_all(REQUEST).await?;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.map(|_| answer)
    }

    #[tokio::test]
    async fn exactly_as_many_bytes_pass_as_were_named() {
        // Closes behind its answer, like one that was asked to.
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        let answer = whole.clone();
        let server = FaultyServer::start(move |_, _| Reaction::Raw(answer.clone()))
            .await
            .unwrap();
        let proxy = CuttingProxy::start(server.address()).await.unwrap();
        assert_eq!(said(&proxy).await.unwrap(), whole);
        let mut heard = 1;
        for at in [0, 1, 20, whole.len() as u64 - 1] {
            for manner in [Manner::Close, Manner::HalfClose] {
                proxy.cut_next(Cut {
                    side: Side::Answer,
                    at,
                    manner,
                });
                assert_eq!(
                    said(&proxy).await.unwrap(),
                    whole[..at as usize],
                    "{manner:?} at {at}"
                );
                assert!(proxy.has_cut());
                heard += 1;
            }
            proxy.cut_next(Cut {
                side: Side::Answer,
                at,
                manner: Manner::Split,
            });
            assert_eq!(said(&proxy).await.unwrap(), whole, "{at}");
            heard += 1;
        }
        proxy.cut_next(Cut {
            side: Side::Answer,
            at: 3,
            manner: Manner::Reset,
        });
        let reset = said(&proxy).await.unwrap_err();
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(server.conversation().requests().len(), heard + 1);
    }

    #[tokio::test]
    async fn what_is_kept_back_comes_when_it_is_released_and_never_once_somebody_hung_up() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        let server = FaultyServer::start(move |_, _| Reaction::Raw(answer.clone()))
            .await
            .unwrap();
        let proxy = CuttingProxy::start(server.address()).await.unwrap();
        let whole = said(&proxy).await.unwrap();
        for (heard, side) in [(2, Side::Request), (3, Side::Answer)] {
            let cut = Cut {
                side,
                at: 9,
                manner: Manner::Hold,
            };
            proxy.cut_next(cut);
            let (got, ()) = tokio::join!(said(&proxy), async {
                proxy.until_it_holds().await;
                proxy.release();
            });
            assert_eq!(got.unwrap(), whole, "{side:?}");
            assert_eq!(server.conversation().requests().len(), heard);
            // Whoever has no patience is gone, and what was kept back for them too.
            proxy.cut_next(cut);
            let mut client = TcpStream::connect(proxy.address()).await.unwrap();
            client.write_all(REQUEST).await.unwrap();
            proxy.until_it_holds().await;
            drop(client);
            let mut holding = proxy.shared.holding.subscribe();
            holding.wait_for(|is_so| !*is_so).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_request_that_was_cut_is_not_heard() {
        let server = FaultyServer::start(|_, _| Reaction::answer(200))
            .await
            .unwrap();
        let proxy = CuttingProxy::start(server.address()).await.unwrap();
        for at in 0..REQUEST.len() as u64 {
            for manner in [Manner::Close, Manner::Reset, Manner::HalfClose] {
                proxy.cut_next(Cut {
                    side: Side::Request,
                    at,
                    manner,
                });
                assert!(
                    said(&proxy).await.unwrap_or_default().is_empty(),
                    "{manner:?} at {at}"
                );
            }
        }
        assert_eq!(server.conversation().requests().len(), 0);
    }
}
