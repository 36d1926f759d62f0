//! What a person may choose about an HTTP destination.

use mainstay_wire::{Connectivity, Proxy, Secret, Tls};
use std::sync::Arc;
use std::time::Duration;

/// How documents are sent to an HTTP server.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `method` | POST | what ingest endpoints take; PUT is for WebDAV and object stores |
/// | `headers`, `auth` | none | |
/// | `compression` | none | not every server takes compressed requests |
/// | `if_none_match` | off | only servers that keep what was put under its address know it |
/// | `tls` | the system's authorities, no client certificate | |
/// | `proxy` | none | |
/// | `connect_timeout` | 5 s | name, connection, proxy and TLS together take under 1 s on any line that works |
/// | `timeout` | 60 s | longer than servers take to store one document; after it the answer is unknown and the same key is sent again |
/// | `idle_connections` | 5 | one for each document that is under way by default |
/// | `allow_metadata_address` | off | the address that hands out a cloud machine's credentials is no place for documents |
/// | `connectivity` | none | whoever wants to know of the network shares one among all destinations |
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where to: `http` or `https`, with `{id}`, `{name}` and `{route}` where the document's own are to stand.
    ///
    /// What is filled in is percent-encoded byte by byte, so that a name is one path segment whatever it holds. A name that is
    /// empty, `.` or `..` is replaced by the id.
    pub url: String,
    /// POST or PUT.
    pub method: Method,
    /// Sent with every document; they count as secret.
    pub headers: Vec<(String, Secret)>,
    /// How the server knows who sends.
    pub auth: Auth,
    /// Whether bodies are compressed on the way.
    pub compression: Compression,
    /// With PUT: send `If-None-Match: *`, and take 412 for "already there" if what is there has the document's length (HEAD).
    ///
    /// It needs `{id}` in the address, because under any other name it could be another document that is there, and excludes
    /// compression, which changes lengths.
    pub if_none_match: bool,
    /// Whom to trust, and who we are.
    pub tls: Tls,
    /// Whether to go through a proxy.
    pub proxy: Proxy,
    /// How long name resolution, connection, proxy and TLS may take together.
    pub connect_timeout: Duration,
    /// How long an attempt may take: from its beginning to the end of the answer, and for a body in a file from the last piece
    /// that the server took.
    pub timeout: Duration,
    /// How many idle connections are kept.
    pub idle_connections: usize,
    /// Whether link-local addresses (169.254.169.254 and its kin) may be sent to.
    pub allow_metadata_address: bool,
    /// Where it is told what each attempt met of the network.
    pub connectivity: Option<Arc<Connectivity>>,
}

impl HttpConfig {
    /// The defaults, for this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: Method::Post,
            headers: Vec::new(),
            auth: Auth::None,
            compression: Compression::None,
            if_none_match: false,
            tls: Tls::default(),
            proxy: Proxy::None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_mins(1),
            idle_connections: 5,
            allow_metadata_address: false,
            connectivity: None,
        }
    }
}

/// How a document is handed to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The server decides where it goes.
    Post,
    /// It is stored under the address it is sent to.
    Put,
}

/// How the server knows who sends.
#[derive(Debug, Clone)]
pub enum Auth {
    /// It does not.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// `Authorization: Basic …`.
    Basic {
        /// The name; a colon in it is impossible.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A key in a header of its own.
    ApiKey {
        /// The header's name, such as `X-API-Key`.
        header: String,
        /// The key.
        key: Secret,
    },
}

/// How bodies are compressed on the way; one that would not become smaller is sent as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// `Content-Encoding: gzip`: almost every server knows it.
    Gzip,
    /// `Content-Encoding: zstd`: smaller and faster.
    Zstd,
}
