//! Every request has a deadline, a retry rule, a breaker and a limit, and says which one stopped it.
//!
//! ```
//! use mainstay_http::{Class, Client, ClientSettings, ErrorKind};
//! use std::time::Duration;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! # use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
//! # let server = FaultyServer::start(|_, number| Reaction::answer(if number == 0 { 503 } else { 200 })).await?;
//! # let address = server.url("/parts?name=bolt");
//! let client = Client::new(ClientSettings::default(), mainstay_clock::system())?;
//! let asked = client.get(&address).class(Class::Search).timeout(Duration::from_secs(30));
//! match asked.send().await {
//!     Ok(answer) => println!("{} after {} attempts", answer.status, answer.attempts),
//!     Err(error) if error.kind() == ErrorKind::LimitedUntil => println!("later: {:?}", error.retry_after()),
//!     Err(error) => println!("{error}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - **H1** No request takes longer than its total limit, which covers waiting for a turn, attempts, pauses, redirects and the body;
//!   a shorter limit of the caller's wins.
//! - **H2** What may not happen twice is sent once, unless it has a key; the same key goes with every attempt. What trying again
//!   does not help is not tried again, and what a server asks to be waited is waited.
//! - **H3** An origin that does not work is left alone, and no other with it. What the caller did wrong, or took back, counts
//!   neither for nor against it. Where it is [wished for](ClientSettings::adaptive), a server gets no more at once than it bears, and a
//!   slow answer is [overtaken](ClientSettings::hedge) by that to a copy, within the budget of retries.
//! - **H4** No credential goes to another origin, none over a connection without TLS that was asked for with it, and none into a
//!   message or a log.
//! - **H5** No answer takes more memory than its limit, however small it was on the way.
//! - **H6** A download appears whole, durable and with the hash that was expected, or not at all, over however many broken connections;
//!   parts of two versions of a file are never put together.
//! - **H7** Whether there is a network is told by what requests met ([`Connectivity`]): it blocks nobody, says unknown where that is so,
//!   and sends nothing that nobody asked for.
//! - **H8** With a [cache](ClientSettings::cache), what is fresh is answered without asking, what is over is asked for with its conditions,
//!   and of many who want the same, one asks. What changes something makes void what is kept. Each answer says [where it came
//!   from](Answer::source).
//! - **H9** A cache costs nobody more than to go without it: it does not block the runtime, none of its failures fails a request, older
//!   answers are served only within its bounds, and whoever shows who it is gets an answer of its own.
//!
//! # Does not promise
//!
//! - That a request with a key happens once: that the server has to know the key for.
//! - That it is quick: who wants an answer in 100 ms says so with `timeout`.
//! - That a download goes on after its process ended, unless it [keeps its parts](Download::keeps_parts): it begins anew, and what is left
//!   is removed by [`mainstay_files::sweep()`].
//! - To keep cookies or passwords; answers are kept only in a cache that was handed in, and neither redirects nor downloads.
//! - That what is kept is void after a request that was taken back, and may have changed something all the same; or for other
//!   processes that share the cache, and after this one has ended, where the cache had not let go of it by then.
//! - That of many who want what has to be confirmed each time (`no-cache`), one asks: each does in turn, and after three turns by
//!   itself, with its conditions.
//! - That the disk is quick about giving a download its name: that comes last, and is neither limited nor taken back.
//!
//! # Limits
//!
//! | what | number | why |
//! |---|---|---|
//! | the body of an answer that is an error: 408, 425, 429, 5xx, and 4xx to a download | 64 KiB, 5 s | enough to say what was wrong; other 4xx are answers |
//! | a wait that a server asks for | 1 hour | a wrong year in a header stops nobody for a year |
//! | addresses of a name that are tried | 16 | |
//! | a download goes on after its connection broke | 1,000 times | its total limit ends it before |
//! | bytes of a download in memory | 256 KiB, and what a socket holds; 1 MiB more where its parts are kept | |
//! | a part of a download that is kept | 1 MiB | what a kill costs at most; few files for a large one |
//! | kept answers that are asked for again in the background | 16 at once | others wait for the next request |
//! | looks into the cache after somebody else brought something | 3 | then a request goes by itself |
//! | wait for the cache, at each step of a request and within its total limit | 1 s | it mostly takes less than a millisecond; a server is as quick as a disk that takes longer |
//! | looks into the cache on threads | 64 at once | others wait for their turn, or go on without; more only come together where a disk says nothing |
//! | answers on their way into the cache | 16 at once | each has its body; others are not kept |
//! | changes that wait until the cache lets go of what they made void | 256, 2 of them on threads | of what comes then nothing is served until the cache works again, nor of addresses that share its place; then all of it goes |
//! | what the cache did not let go of is tried again | after 10 s at the soonest, when somebody asks for something of it | nothing of it is served meanwhile |
//! | places in which it is counted what was kept and made void | 1,024, 24 KiB in all | two addresses that share one cost each other a look, or an answer that is not kept; while one is void, the other is not served |
//! | hosts that [`Connectivity`] remembers | 256 | the one heard of longest ago goes |
//! | the age of what it knows | 30 s | |
//! | the head of an answer | 100 headers, 16 KiB with HTTP/2 | what hyper takes |
//!
//! Every number that a person may change stands in the `# Defaults` table of [`ClientSettings`] and [`TimeLimits`].
//!
//! # When it fails
//!
//! An [`Error`] says by its [`ErrorKind`] what stopped the request, in a message that names the address without its secrets and says what to
//! do, and carries the last answer where there was one. It is never retryable by its class: what helps was tried.
//!
//! # Platforms
//!
//! All that tokio and rustls run on; measured on Linux. Trust comes from the system's store on each of them.
//!
//! # Why not just reqwest?
//!
//! It is underneath. By itself it has no retry that knows keys and waits, no breaker, no limit, one timeout, and follows redirects before
//! anybody could ask whether that origin works. `deliver` stands on hyper instead, because it has one destination, and figures to meet.

mod client;

mod request;

mod answer;

mod settings;

mod limits;

mod error;

mod download;

mod connectivity;

mod course;

mod hop;

mod kept;

mod origin;

mod exchange;

mod status;

mod failure;

mod foreign;

mod proxy;

mod resolver;

mod shown;

pub use answer::{Answer, Because, Source};
pub use client::Client;
pub use connectivity::{Connectivity, Expect, Fact, Host, LinkChanges, Network, Probe, State, Why};
pub use download::{Download, Downloaded, Progress};
pub use error::{Error, ErrorKind};
pub use foreign::ReqwestError;
pub use http::{HeaderMap, Method, StatusCode};
pub use limits::{Class, Limits, TimeLimits};
pub use mainstay_cache::{Cache, CacheSettings, CacheStats};
pub use mainstay_files::{Algorithm, Checksum};
pub use mainstay_resilience::Retrying;
pub use mainstay_wire::{
    Certificates, ClientCertificate, Proxy, Secret, SystemProxies, Tls, Validity,
};
pub use request::RequestBuilder;
pub use reqwest::Url;
pub use settings::ClientSettings;
