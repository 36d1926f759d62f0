//! Documents to an HTTP server: one request each, one answer, one meaning.

mod address;
mod answer;
mod body;
mod check;
mod config;
mod connector;
mod exchange;
mod existing;
mod failure;
mod headers;
mod network;
mod proxy;
mod resolver;
mod sort;

pub use config::{Auth, Compression, HttpConfig, Method};

use crate::destination::{Checking, Probing, Sending};
use crate::template::Place;
use crate::{Content, Destination, Error, Outcome, Outgoing};
use address::Address;
use answer::Answer;
use body::{Fault, Outbound, Trace, coding, encoded};
use bytes::Bytes;
use connector::Connector;
use exchange::{Broken, Limits, exchange};
use headers::{CONTENT_DIGEST, Fixed, digest};
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, IF_NONE_MATCH, PROXY_AUTHORIZATION,
};
use http::{Method as Verb, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use mainstay_clock::SharedClock;
use mainstay_resilience::Category;
use mainstay_wire::{Redactor, Witness, client_config};
use proxy::Way;
use resolver::Resolver;
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;

/// An idle connection is kept this long. Many servers close theirs after 60 s or more; one that closes earlier costs nothing,
/// because a request that meets a closed connection before it was sent is sent on another.
const IDLE: Duration = Duration::from_secs(20);

/// A shared HTTP/2 connection on which nothing comes back is asked after this time whether it is alive, and closed after as
/// much again: requests that are given up do not close it, and without this the next ones would hang on it too.
const PING: Duration = Duration::from_secs(10);

/// From this many bytes on, hashing and compressing get a thread of their own: below, they take less than the hand-over and
/// the disturbance of others are worth (about 0.8 µs per KiB for the hash).
const INLINE_WORK_MAX: usize = 64 * 1024;

/// An HTTP server that documents are delivered to.
///
/// Each attempt is one POST or PUT with `Idempotency-Key: <id>`, the same on every attempt of a document; `Content-Type`;
/// `Mainstay-Source` (the producer's name for it, percent-encoded byte by byte); `Mainstay-Route`; `Mainstay-Station`, where
/// the document names one; and, where the hash is known, `Content-Digest` (RFC 9530). With a coded body the digest is that of
/// the coded bytes, as the RFC wants it, and it is
/// left out where a file is compressed while it is sent. Headers of the document follow if they say nothing about the
/// connection, the body or the sender, up to 4 KiB of them.
///
/// What the answers mean stands in the crate's documentation. Redirects are never followed.
pub struct Http {
    address: Address,
    fixed: Fixed,
    method: Method,
    compression: Compression,
    if_none_match: bool,
    way: Way,
    client: Client<Connector, Outbound>,
    timeout: Duration,
    redactor: Redactor,
    witness: Option<Witness>,
    clock: SharedClock,
}

impl Http {
    /// Checks every setting; nothing is sent or resolved yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Setting`](crate::ErrorKind::Setting) for an address, header, proxy or time that cannot work, and
    /// [`ErrorKind::Certificate`](crate::ErrorKind::Certificate) for a PEM file that cannot be read. No message repeats a secret.
    pub fn new(config: &HttpConfig, clock: SharedClock) -> Result<Self, Error> {
        let address = Address::parse(&config.url)?;
        refuse_impossible(config, &address)?;
        let mut redactor = Redactor::default();
        for pair in Address::query(&config.url)
            .into_iter()
            .flat_map(|query| query.split('&'))
        {
            redactor.add(pair.split_once('=').map_or(pair, |(_, value)| value));
        }
        let fixed = Fixed::check(config, &mut redactor)?;
        let way = Way::find(&config.proxy, &address.root(), &mut redactor)?;
        let tls = if address.is_https() {
            Some(client_config(&config.tls).map_err(Error::unusable)?)
        } else {
            None
        };
        let resolver = Resolver::new(config.allow_metadata_address);
        let connector = Connector::new(&way, resolver, tls, config.connect_timeout, clock.clone());
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(config.idle_connections)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PING)
            .build(connector);
        let connectivity = config.connectivity.as_ref();
        Ok(Self {
            witness: connectivity.map(|told| network::witness(told, &address)),
            address,
            fixed,
            method: config.method,
            compression: config.compression,
            if_none_match: config.if_none_match,
            way,
            client,
            timeout: config.timeout,
            redactor,
            clock,
        })
    }

    async fn attempt(&self, document: Outgoing) -> Outcome {
        let id = document.id.to_string();
        let len = document.body.len();
        let (request, trace) = match self.request(document).await {
            Ok(ready) => ready,
            Err(outcome) => return outcome,
        };
        let uri = request.uri().clone();
        let limits = Limits {
            timeout: self.timeout,
            len,
            clock: &self.clock,
        };
        let answered = exchange(&self.client, request, &trace, &limits).await;
        if let Some(fault) = trace.fault() {
            return faulty(fault);
        }
        self.tell(&answered);
        let answer = match answered {
            Ok(answer) => answer,
            Err(broken) => return failure::sort(&broken, self.address.shown(), &self.way.shown()),
        };
        if answer.status.is_success() && !trace.is_whole() {
            let reason = format!(
                "`{}` said that it has the document before it was sent to its end",
                self.address.shown()
            );
            return Outcome::retry(Category::Internal, reason);
        }
        let question = self.question(&id);
        match sort::sort(&answer, &question) {
            Outcome::AlreadyThere if self.if_none_match => self.compare(uri, len, &question).await,
            outcome => outcome,
        }
    }

    fn question<'a>(&'a self, id: &'a str) -> sort::Question<'a> {
        sort::Question {
            address: self.address.shown(),
            id,
            if_none_match: self.if_none_match,
            body_may_name_key: self.method == Method::Post && !self.address.has(Place::Id),
            wall: self.clock.wall(),
            redactor: &self.redactor,
        }
    }

    /// Asks what is under `uri`, for as long as `timeout`, with everything that a document's request has but the document.
    async fn head(&self, uri: Uri, timeout: Duration) -> Result<Answer, Broken> {
        let (body, trace) = Outbound::memory(Bytes::new(), &self.clock);
        let mut request = Request::new(body);
        *request.method_mut() = Verb::HEAD;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.fixed.alone();
        if let Some(credentials) = self.way.credentials_in_request() {
            let headers = request.headers_mut();
            headers.insert(PROXY_AUTHORIZATION, credentials.clone());
        }
        let limits = Limits {
            timeout,
            len: 0,
            clock: &self.clock,
        };
        exchange(&self.client, request, &trace, &limits).await
    }

    /// The request for one attempt; or what the document itself stands in the way of.
    async fn request(&self, document: Outgoing) -> Result<(Request<Outbound>, Trace), Outcome> {
        let uri = self.address.of(&document).map_err(|error| {
            Outcome::unsendable(format!(
                "the document's name does not fit into the address `{}`: {error}",
                self.address.shown()
            ))
        })?;
        let mut headers = self.fixed.of(&document);
        if self.if_none_match {
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        if let Some(credentials) = self.way.credentials_in_request() {
            headers.insert(PROXY_AUTHORIZATION, credentials.clone());
        }
        let (body, trace) = self
            .body(document.body, document.hash, &mut headers)
            .await
            .map_err(faulty)?;
        let mut request = Request::new(body);
        *request.method_mut() = match self.method {
            Method::Post => Verb::POST,
            Method::Put => Verb::PUT,
        };
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok((request, trace))
    }

    async fn body(
        &self,
        content: Content,
        hash: Option<[u8; 32]>,
        headers: &mut HeaderMap,
    ) -> Result<(Outbound, Trace), Fault> {
        let compression = self.compression;
        let bytes = match content {
            Content::Bytes(bytes) => bytes,
            // Nothing is left to be streamed, and an empty stream would have no moment to notice a wrong hash.
            Content::File(_, 0) => Bytes::new(),
            Content::File(file, len) => {
                if let Some(name) = coding(compression) {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
                } else if let Some(hash) = hash {
                    headers.insert(CONTENT_DIGEST, digest(&hash));
                }
                return Ok(Outbound::file(file, len, hash, compression, &self.clock));
            }
        };
        let (wire, name) = if bytes.len() <= INLINE_WORK_MAX {
            encoded(bytes, hash, compression)?
        } else {
            let working = tokio::task::spawn_blocking(move || encoded(bytes, hash, compression));
            working.await.unwrap_or_else(|error| {
                Err(Fault::Unreadable(format!(
                    "cannot prepare the body: {error}"
                )))
            })?
        };
        let on_the_wire = match name {
            Some(name) => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
                hash.map(|_| Sha256::digest(&wire).into())
            }
            None => hash,
        };
        if let Some(hash) = on_the_wire {
            headers.insert(CONTENT_DIGEST, digest(&hash));
        }
        if wire.is_empty() {
            // Said in words, since some servers take a request without it for one whose body is still to come.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(Outbound::memory(wire, &self.clock))
    }
}

impl Destination for Http {
    fn address(&self) -> &str {
        self.address.shown()
    }

    fn send(&self, document: Outgoing) -> Sending<'_> {
        Box::pin(self.attempt(document))
    }

    fn check<'a>(&'a self, route: &'a str) -> Checking<'a> {
        Box::pin(self.look(route))
    }

    fn host(&self) -> Option<&str> {
        self.witness.as_ref().map(Witness::host)
    }

    fn probe(&self) -> Probing<'_> {
        Box::pin(self.find_out())
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("address", &self.address.shown())
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

fn refuse_impossible(config: &HttpConfig, address: &Address) -> Result<(), Error> {
    let shown = address.shown();
    if address.literal().is_some_and(resolver::is_link_local) && !config.allow_metadata_address {
        return Err(Error::setting(format!(
            "`{shown}` is a link-local address, where no document may go; allow it by `allow_metadata_address` if it is meant"
        )));
    }
    if config.timeout.is_zero() || config.connect_timeout.is_zero() {
        return Err(Error::setting(
            "a timeout of zero leaves no time for an answer; set at least 1 s",
        ));
    }
    if config.if_none_match && (config.method != Method::Put || !address.has(Place::Id)) {
        return Err(Error::setting(format!(
            "`if_none_match` for `{shown}` needs the method PUT and {{id}} in the address: under another name it could be another document that is there already"
        )));
    }
    if config.if_none_match && config.compression != Compression::None {
        return Err(Error::setting(format!(
            "`if_none_match` for `{shown}` compares lengths, which compression changes; use one of them"
        )));
    }
    if config.method == Method::Put && !address.has(Place::Id) {
        tracing::warn!(
            address = shown,
            "PUT without {{id}} in the address: documents of the same name replace each other there"
        );
    }
    Ok(())
}

fn faulty(fault: Fault) -> Outcome {
    match fault {
        Fault::Damaged(reason) => Outcome::unsendable(reason),
        Fault::Unreadable(reason) => Outcome::retry(Category::Resource, reason),
    }
}
