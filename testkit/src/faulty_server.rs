//! An HTTP server that misbehaves as it is told.
//!
//! It reads one request after the other, keeps what it read, and asks its script what to do: answer, hang, reset, cut the answer
//! short, speak nonsense. It speaks HTTP/1.1 by hand, since a real server would not do most of that.
//!
//! ```
//! use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let server = FaultyServer::start(|request, number| match number {
//!     0 => Reaction::Reset,
//!     1 => Reaction::answer(503).header("Retry-After", "2"),
//!     _ => Reaction::answer(if request.header("idempotency-key").is_some() { 201 } else { 400 }),
//! })
//! .await?;
//! println!("listening on {}", server.url("/in"));
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// What a client sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// POST, PUT, CONNECT …
    pub method: String,
    /// What stands behind the method.
    pub target: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, without the framing it came in.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What the server does after it has read a request.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// Answers, and keeps the connection.
    Answer {
        /// Such as 200.
        status: u16,
        /// Besides `Content-Length`.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Answers as above once it is released.
    After(Arc<Notify>, Box<Reaction>),
    /// Says nothing, and keeps the connection until the client goes.
    Hang,
    /// Closes the connection in good order, without an answer.
    Close,
    /// Resets the connection.
    Reset,
    /// Sends these bytes, whatever they are, and closes the connection.
    Raw(Vec<u8>),
    /// Sends these bytes, and then says nothing more.
    RawThenHang(Vec<u8>),
}

impl Reaction {
    /// An answer without a body.
    pub fn answer(status: u16) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The same answer with one more header. Other reactions have none.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The same answer with this body. Other reactions have none.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        if let Self::Answer { body, .. } = &mut self {
            *body = bytes.into();
        }
        self
    }
}

/// What to do with a request; the number counts all requests from 0.
pub type Script = dyn Fn(&Request, usize) -> Reaction + Send + Sync;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// In good order.
    Closed,
    /// It is to be reset.
    Reset,
}

/// A server that misbehaves; it stops when it is dropped.
#[derive(Debug)]
pub struct FaultyServer {
    address: SocketAddr,
    conversation: Conversation,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl FaultyServer {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Errors
    /// The system has no port or no socket left.
    pub async fn start(
        script: impl Fn(&Request, usize) -> Reaction + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::on(TcpListener::bind(("127.0.0.1", 0)).await?, script)
    }

    /// Listens where the caller wants it.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn on(
        listener: TcpListener,
        script: impl Fn(&Request, usize) -> Reaction + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let conversation = Conversation::new(script);
        let connections = Arc::new(AtomicUsize::new(0));
        let accepting = tokio::spawn(accept(
            listener,
            conversation.clone(),
            Arc::clone(&connections),
        ));
        Ok(Self {
            address,
            conversation,
            connections,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of `path` on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections were made to it so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What was said so far.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, conversation: Conversation, count: Arc<AtomicUsize>) {
    // Dropped with this task, and with it every connection.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        count.fetch_add(1, Ordering::Relaxed);
        connections.spawn(serve_tcp(stream, conversation.clone()));
    }
}

async fn serve_tcp(mut stream: TcpStream, conversation: Conversation) {
    if let Ok(Ending::Reset) = conversation.serve(&mut stream).await {
        // With nothing left to linger for, closing sends a reset.
        drop(stream.set_zero_linger());
    }
}

/// A script, and what was said under it; clones share both.
#[derive(Clone)]
pub struct Conversation {
    script: Arc<Script>,
    heard: Arc<Mutex<Vec<Request>>>,
    count: Arc<watch::Sender<usize>>,
}

impl Conversation {
    /// A conversation in which nothing was said yet.
    pub fn new(script: impl Fn(&Request, usize) -> Reaction + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            heard: Arc::default(),
            count: Arc::new(watch::Sender::new(0)),
        }
    }

    /// All requests that were read to their end, in the order in which they ended.
    pub fn requests(&self) -> Vec<Request> {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until `count` requests were read.
    pub async fn wait_for(&self, count: usize) {
        // The sender lives as long as `self`, so there is nothing that could go wrong.
        drop(
            self.count
                .subscribe()
                .wait_for(|heard| count <= *heard)
                .await,
        );
    }

    /// Serves one connection, of whatever kind, as the script says.
    ///
    /// # Errors
    /// What the connection says when the client goes in the middle of a request or an answer.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
    ) -> io::Result<Ending> {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read_request(&mut stream).await? {
            let number = {
                let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push(request.clone());
                heard.len() - 1
            };
            let mut reaction = (self.script)(&request, number);
            self.count.send_replace(number + 1);
            while let Reaction::After(released, then) = reaction {
                released.notified().await;
                reaction = *then;
            }
            match reaction {
                Reaction::Answer {
                    status,
                    headers,
                    body,
                } => {
                    let bytes = answer(&request, status, &headers, &body);
                    stream.write_all(&bytes).await?;
                }
                Reaction::Raw(bytes) => {
                    stream.write_all(&bytes).await?;
                    stream.shutdown().await?;
                    return Ok(Ending::Closed);
                }
                Reaction::RawThenHang(bytes) => {
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                    hang(&mut stream).await?;
                }
                Reaction::Hang => hang(&mut stream).await?,
                Reaction::Close | Reaction::After(..) => return Ok(Ending::Closed),
                Reaction::Reset => return Ok(Ending::Reset),
            }
            stream.flush().await?;
        }
        Ok(Ending::Closed)
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation")
            .field("requests", &self.requests().len())
            .finish_non_exhaustive()
    }
}

fn answer(request: &Request, status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    // To a HEAD the length is told and the body kept.
    if request.method != "HEAD" {
        bytes.extend_from_slice(body);
    }
    bytes
}

/// Waits until the client goes; what it still says is not listened to.
async fn hang<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    tokio::io::copy(stream, &mut tokio::io::sink())
        .await
        .map(drop)
}

/// The next request; `None` if the client is gone.
async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut BufReader<S>,
) -> io::Result<Option<Request>> {
    if stream.fill_buf().await?.is_empty() {
        return Ok(None);
    }
    let start = read_line(stream).await?;
    let mut words = start.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let line = read_line(stream).await?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        request
            .headers
            .push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if request.header("transfer-encoding") == Some("chunked") {
        request.body = read_chunks(stream).await?;
    } else {
        let len = request
            .header("content-length")
            .and_then(|len| len.parse().ok())
            .unwrap_or(0);
        request.body = vec![0; len];
        stream.read_exact(&mut request.body).await?;
    }
    Ok(Some(request))
}

async fn read_chunks<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream).await?;
        let len = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; len];
        stream.read_exact(&mut chunk).await?;
        body.append(&mut chunk);
        read_line(stream).await?;
        if len == 0 {
            return Ok(body);
        }
    }
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if !line.ends_with('\n') {
        // Half a head is no request.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}
