//! Trusts whom the machine's owner trusts, shows no secret, and hears what a server asks.
//!
//! What all who speak HTTP have in common, whatever they speak it with: [`Tls`] for rustls, a [`Secret`] that shows nowhere, texts
//! of others that cannot break a line, [`Told`], what a server says of its limits, and [`Connectivity`], what all of their requests say
//! of the network.
//!
//! ```
//! use mainstay_wire::{Secret, Told, Tls, client_config, excerpt};
//! use std::time::Duration;
//!
//! let tls = client_config(&Tls::default())?;
//! assert_eq!(tls.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
//!
//! let mut headers = http::HeaderMap::new();
//! headers.insert("retry-after", "120".parse()?);
//! assert_eq!(Told::read(&headers, || 0).retry_after, Some(Duration::from_secs(120)));
//!
//! assert_eq!(excerpt("a\u{1b}[2Jb", 80), "a\\u{1b}[2Jb");
//! assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(hidden)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - Certificates are always verified; there is no switch for that. A private key that everybody may read is refused.
//! - A [`Secret`] has neither `Display` nor `Serialize`, its `Debug` shows nothing, and its memory is overwritten.
//! - Until when each certificate that was met is valid can be asked: [`Certificates`].
//! - No server keeps anybody waiting for more than an hour by a header.
//! - Whether there is a network is told by what was met, and called unknown where it is; asking sends nothing, and waits for nothing.
//!
//! # Does not promise
//!
//! - That a copy which somebody made of an exposed secret is overwritten.
//! - That revoked certificates are noticed where the system does not notice them.
//!
//! # Limits
//!
//! | what | number | why |
//! |---|---|---|
//! | certificates that are remembered | 256 | a client asks fewer servers |
//! | how long what was met counts | 30 s | as long as a person waits before looking again |
//! | hosts that [`Connectivity`] remembers | 256 | the one heard of longest ago goes |
//! | a wait that a server asks for | 1 h | a wrong year in a header must not stop a station for a year |
//! | a secret that is struck out of texts | 4 bytes and more | shorter ones occur by chance |
//!
//! # When it fails
//!
//! Settings that cannot be used are refused by [`Unusable`], which says which and what to do. What a server says and cannot be
//! understood was not said.
//!
//! # Platforms
//!
//! Trust comes from the system's store on each. Measured on Linux; elsewhere than on Unix an open private key is not noticed.
//!
//! # Why not just rustls?
//!
//! It is underneath. What it leaves to the caller, whom to trust and how to say what went wrong, is here once.

mod certificates;

mod tls;

mod trouble;

mod proxy;

mod told;

mod secret;

mod shown;

mod connectivity;

mod error;

pub use certificates::{Certificates, Validity};
pub use connectivity::{Connectivity, Fact, Host, Network, State, Why, Witness};
pub use error::{Cause, Unusable};
pub use proxy::{Proxy, SystemProxies};
pub use secret::{Redactor, Secret};
pub use shown::{excerpt, path as shown_path};
pub use tls::{ClientCertificate, Tls, client_config};
pub use told::Told;
pub use trouble::{advice, causes, find, is_about_identity};
