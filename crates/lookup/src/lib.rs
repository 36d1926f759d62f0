//! A document gets what is known of it elsewhere, waits for that, or goes without, as was chosen.
//!
//! ```
//! use mainstay_http::{Client, ClientSettings};
//! use mainstay_lookup::{Lookup, LookupSettings, UrlTemplate, Verdict};
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! # use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
//! # let server = FaultyServer::start(|_, _| Reaction::answer(200).body(r#"{"genre":"House"}"#)).await?;
//! # let address = server.url("/tracks?artist={Artist}&title={Name}");
//! let mut settings = LookupSettings::new(
//!     UrlTemplate::parse(&address)?, // "https://metadata.lab/tracks?artist={Artist}&title={Name}"
//!     vec![("Genre".parse()?, "genre".parse()?)],
//! );
//! settings.each = "DJ_PLAYLISTS/COLLECTION/TRACK".parse()?;
//! let clock = mainstay_clock::system();
//! let client = Client::new(ClientSettings::default(), clock.clone())?;
//! let lookup = Lookup::new(settings, client, clock)?;
//!
//! let document = r#"<DJ_PLAYLISTS><COLLECTION><TRACK Artist="A" Name="B"/></COLLECTION></DJ_PLAYLISTS>"#;
//! let Verdict::Go(completed, report) = lookup.apply(document.into()).await else {
//!     panic!("the server is there");
//! };
//! assert_eq!(completed, document.replace("/>", r#" Genre="House"/>"#));
//! assert_eq!((report.items, report.fields), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - **E1** What a document gets is put into it; every other byte of it stays as it is.
//! - **E2** What the producer wrote is kept, unless it is empty or is to be replaced.
//! - **E3** A document that waits has not changed, and one that cannot be read is never waited for. A limit of our own is nobody's
//!   failure: for it a document waits, and neither goes on without nor is set aside.
//! - **E4** No document chooses which server is asked, nor leads out of the path that was configured.
//!
//! # Does not promise
//!
//! - That two tries of one document find the same: the server may have learned something. What is the same for a while is kept by
//!   the client's cache.
//! - To read anything but JSON and XML in UTF-8, nor answers in anything but JSON. Namespaces of XML are part of the name.
//! - To make elements: in XML a field is an attribute, or the text of a direct child; one that is not there becomes an attribute.
//! - To keep what was asked with credentials, nor to remember what the server did not know: both are asked again.
//!
//! # Limits
//!
//! | what | number | why |
//! |---|---|---|
//! | a document, before and after | 64 MiB | it is in memory several times meanwhile: itself, its parts, what was answered, the whole |
//! | things in it that are looked up | 200,000 | twice a life's collection of music |
//! | elements inside of each other | 128 | deeper is no document but an attack |
//! | attributes of an element | 1,000 | each is compared with all before it |
//! | fields in XML, of all things together, that the address or `take` name | 2,000,000 | ten for each of as many things as may be |
//! | an address | 8 KiB | what a cache keeps, and more than all servers take |
//! | the addresses of one document together | 64 MiB | 335 bytes for each of as many things as may be |
//! | one value that is taken | 64 KiB | a page of text; it may go to each of 200,000 things |
//! | all that is taken for one document | 64 MiB | as long as the document may be itself |
//! | requests at a time for one document | 1 to 64 | |
//! | all of one document | 1 h | 36,000 questions at ten in a second; the next try goes on from what is kept |
//! | a pause where our own limits have no place | what they say, or 1 s | costs nothing |
//!
//! What a person may change stands in the `# Defaults` table of [`LookupSettings`]; the client has its own.
//!
//! # When it fails
//!
//! [`Lookup::apply`] answers what becomes of the document, with the [`Failure`] that says why: whether it is about the document, or
//! about the server, which may work later. A limit of our own is nobody's failure: the document waits, whatever was chosen. A
//! value that is too long, or that the document has no way to write, is the server's; nothing of such an answer is kept, and where one
//! was kept before, the server is asked again. A server that does not know something (404, 410) is no failure: the document goes
//! on without, and the [`Report`] counts it. So are answers counted whose time was over: the cache gives them where the server fails, and
//! where nobody is to be asked ([`offline`](LookupSettings::offline)).
//!
//! # Platforms
//!
//! All that the client runs on.
//!
//! # Why not just a script in front?
//!
//! It would ask again what was asked a minute ago, wait for nobody, write the document anew in its own way, and lose it when it
//! is killed. Here the document stays in the queue until the server answered.

mod document;

mod edits;

mod error;

mod json;

mod lookup;

mod place;

mod portal;

mod settings;

mod template;

mod xml;

pub use document::DOCUMENT_MAX;
pub use error::{Failure, FailureKind, InvalidSettings};
pub use lookup::{Lookup, Report, Verdict, check_len};
pub use mainstay_http::Secret;
pub use place::Place;
pub use settings::{LookupSettings, OnFailure, holds_a_secret, is_harmless};
pub use template::UrlTemplate;
