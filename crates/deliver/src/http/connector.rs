//! How a connection comes about: name, TCP, proxy, TLS, all within one time limit.

use super::proxy::Way;
use super::resolver::Resolver;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use mainstay_clock::SharedClock;
use rustls::ClientConfig;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

type BoxError = Box<dyn StdError + Send + Sync>;
type Socket = TokioIo<TcpStream>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// A dead peer behind a silent router is noticed after about this long.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// Makes connections to one destination.
#[derive(Clone)]
pub(super) struct Connector {
    carrier: Carrier,
    secure: Option<HttpsConnector<Carrier>>,
    timeout: Duration,
    clock: SharedClock,
}

/// The connection took longer than it may.
#[derive(Debug)]
pub(super) struct TooSlow(pub(super) Duration);

/// The proxy opens no tunnel for these credentials, or for none: it answered 407.
#[derive(Debug)]
pub(super) struct RefusedByProxy;

impl Connector {
    /// `tls` is given for an `https` destination, and for no other.
    pub(super) fn new(
        way: &Way,
        resolver: Resolver,
        tls: Option<ClientConfig>,
        timeout: Duration,
        clock: SharedClock,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        let carrier = Carrier::new(way, tcp);
        let secure = tls.map(|config| HttpsConnector::from((carrier.clone(), Arc::new(config))));
        Self {
            carrier,
            secure,
            timeout,
            clock,
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = BoxError;
    type Future = Connecting<Link>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let forwarded = matches!(self.carrier, Carrier::Forward(..));
        let connecting: Connecting<MaybeHttpsStream<Socket>> =
            if let Some(secure) = &mut self.secure {
                Box::pin(secure.call(destination))
            } else {
                let plain = self.carrier.call(destination);
                Box::pin(async { plain.await.map(MaybeHttpsStream::Http) })
            };
        let (timeout, clock) = (self.timeout, self.clock.clone());
        Box::pin(async move {
            tokio::select! {
                connected = connecting => Ok(Link { stream: connected?, forwarded }),
                () = clock.sleep(timeout) => Err(TooSlow(timeout).into()),
            }
        })
    }
}

/// What carries the bytes: a connection to the destination, or to the proxy that leads there.
#[derive(Clone)]
enum Carrier {
    Straight(HttpConnector<Resolver>),
    Tunnel(Tunnel<HttpConnector<Resolver>>),
    Forward(HttpConnector<Resolver>, Uri),
    Socks(SocksV5<HttpConnector<Resolver>>),
}

impl Carrier {
    fn new(way: &Way, tcp: HttpConnector<Resolver>) -> Self {
        match way {
            Way::Straight => Self::Straight(tcp),
            Way::Forward { proxy, .. } => Self::Forward(tcp, proxy.clone()),
            Way::Tunnel { proxy, credentials } => {
                let tunnel = Tunnel::new(proxy.clone(), tcp);
                Self::Tunnel(match credentials {
                    Some(value) => tunnel.with_auth(value.clone()),
                    None => tunnel,
                })
            }
            Way::Socks { proxy, credentials } => {
                let socks = SocksV5::new(proxy.clone(), tcp);
                Self::Socks(match credentials.clone() {
                    Some((user, password)) => socks.with_auth(user, password),
                    None => socks,
                })
            }
        }
    }
}

impl Service<Uri> for Carrier {
    type Response = Socket;
    type Error = BoxError;
    type Future = Connecting<Socket>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        match self {
            Self::Straight(tcp) => boxed(tcp.call(destination)),
            Self::Forward(tcp, proxy) => boxed(tcp.call(proxy.clone())),
            Self::Tunnel(tunnel) => {
                let connecting = tunnel.call(destination);
                boxed(async move { connecting.await.map_err(told_apart) })
            }
            Self::Socks(socks) => boxed(socks.call(destination)),
        }
    }
}

/// The type of the error is not to be had outside of its crate: only its words tell what the proxy answered.
fn told_apart(error: impl StdError + Send + Sync + 'static) -> BoxError {
    if error.to_string().ends_with("proxy authorization required") {
        return RefusedByProxy.into();
    }
    error.into()
}

fn boxed<E: Into<BoxError>>(
    connecting: impl Future<Output = Result<Socket, E>> + Send + 'static,
) -> Connecting<Socket> {
    Box::pin(async move { connecting.await.map_err(Into::into) })
}

/// A connection that stands.
#[derive(Debug)]
pub(super) struct Link {
    stream: MaybeHttpsStream<Socket>,
    /// The other end is a proxy that wants to see the whole address in each request.
    forwarded: bool,
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.forwarded)
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
}

impl fmt::Debug for Connector {
    /// Without the carrier, which may hold a proxy's password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("secure", &self.secure.is_some())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RefusedByProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proxy refuses the credentials (407)")
    }
}

impl StdError for RefusedByProxy {}

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection within {:?}", self.0)
    }
}

impl StdError for TooSlow {}
