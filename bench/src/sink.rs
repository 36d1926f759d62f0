//! The simplest HTTP server that takes documents: it counts them, and answers 200. And the simplest client.

use anyhow::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// A server on loopback; gone when it is dropped.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    taken: Arc<AtomicU64>,
    pub(crate) runtime: Runtime,
}

impl Sink {
    /// One that says nothing but that it has the document.
    pub(crate) fn start() -> Result<Self> {
        Self::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec())
    }

    /// One that gives this answer to everything.
    pub(crate) fn answering(answer: Vec<u8>) -> Result<Self> {
        let answer: Arc<[u8]> = answer.into();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let taken = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&taken);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counter, answer) = (Arc::clone(&counter), Arc::clone(&answer));
                // A connection that ends is how a client says that it is done.
                tokio::spawn(async move { serve(stream, &counter, &answer).await.ok() });
            }
        });
        Ok(Self {
            address,
            taken,
            runtime,
        })
    }

    /// How many documents came since this was last asked to be 0.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    pub(crate) fn begin(&self) {
        self.taken.store(0, Ordering::Release);
    }
}

async fn serve(mut stream: TcpStream, taken: &AtomicU64, answer: &[u8]) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut held = Vec::with_capacity(64 * 1024);
    loop {
        let head = loop {
            if let Some(end) = held.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut held).await? == 0 {
                return Ok(());
            }
        };
        let len = content_length(&held[..head])?;
        while held.len() < head + len {
            if stream.read_buf(&mut held).await? == 0 {
                return Ok(());
            }
        }
        held.drain(..head + len);
        // Counted before the answer, so that whoever has the answer is counted.
        taken.fetch_add(1, Ordering::AcqRel);
        stream.write_all(answer).await?;
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let text = std::str::from_utf8(head)?;
    let line = text.lines().find_map(|line| {
        line.split_once(':')
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
    });
    // A question has no body.
    line.map_or(Ok(0), |(_, value)| Ok(value.trim().parse()?))
}

/// One kept-alive connection that posts bodies.
pub(crate) struct Poster {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Poster {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            bytes: Vec::new(),
        })
    }

    pub(crate) async fn post(&mut self, body: &[u8]) -> Result<()> {
        self.bytes.clear();
        let head = format!(
            "POST /ingest HTTP/1.1\r\nhost: sink\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(body);
        self.stream.write_all(&self.bytes).await?;
        self.bytes.clear();
        while !self.bytes.ends_with(b"\r\n\r\n") {
            anyhow::ensure!(
                self.stream.read_buf(&mut self.bytes).await? > 0,
                "the sink went away"
            );
        }
        Ok(())
    }
}
