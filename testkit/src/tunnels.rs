//! A proxy that opens tunnels for those who show the right credentials, and remembers what it was asked.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// `ann:s3cr3t` as basic authentication sends it: who may pass.
pub const CREDENTIALS: &str = "Basic YW5uOnMzY3IzdA==";

/// A proxy for `CONNECT`.
#[derive(Debug)]
pub struct Tunnels {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    /// Listens on a free port of the loopback interface, for as long as the runtime lives.
    ///
    /// # Errors
    /// The system has no port or no socket left.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, Arc::clone(&log)));
            }
        });
        Ok(Self { url, asked })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The heads of the requests for a tunnel, in their order.
    pub fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn tunnel(stream: TcpStream, log: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    log.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head.clone());
    if !head.contains(CREDENTIALS) {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
        return stream.write_all(refusal).await;
    }
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut onward = TcpStream::connect(target).await?;
    let opened = b"HTTP/1.1 200 Connection established\r\n\r\n";
    stream.write_all(opened).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut onward)
        .await
        .map(drop)
}
