//! An HTTP cache: bounded to the byte, and never serves one caller's answer to another.
//!
//! ```
//! use mainstay_cache::{Cache, CacheSettings, Lookup, Stored};
//!
//! # let folder = tempfile::TempDir::new()?;
//! let clock = mainstay_clock::system();
//! let cache = Cache::open(&folder.path().join("http"), CacheSettings::default(), clock)?;
//!
//! let (request, ()) = http::Request::get("https://example.org/list").body(())?.into_parts();
//! assert!(matches!(cache.lookup(&request), Lookup::Miss));
//!
//! // The server was asked, and this is what it said.
//! let response = http::Response::builder().header("cache-control", "max-age=60");
//! let (response, body) = response.body("one, two")?.into_parts();
//! assert_eq!(cache.store(&request, &response, body.as_bytes())?, Stored::Kept { evicted: 0 });
//!
//! let Lookup::Fresh(answer) = cache.lookup(&request) else { panic!("stored just now") };
//! assert_eq!(&answer.body[..], b"one, two");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It stores and answers; it asks nobody. Whoever speaks to servers looks into a [`Cache`] first, asks with the conditions that a
//! [`Stale`] answer has, and gives the cache what came. [`Flights`] let one of many callers ask while the others wait.
//!
//! # Promises
//!
//! - **A1** What is served is, byte for byte, what a server sent for the same address and the same values of all headers that it
//!   said its answer varies with. Whatever rotted, was torn or was written over is found out by its hash, dropped, and missed.
//! - **A2** An answer to a request that carries credentials (`Authorization`, `Cookie`, what the settings name, and any header whose
//!   value is [marked as sensitive](http::HeaderValue::is_sensitive)) is neither stored
//!   nor served, nor is such a request answered from what others got. No answer is stored that says `no-store` or `private`, or that
//!   sets a cookie. Credentials never reach the disk.
//! - **A3** After every call that stores, all that is stored counts no more than the limit: bodies, headers and addresses, to the
//!   byte. What is over goes first, then what was used longest ago; no more goes than has to. Room is given back to the file system.
//! - **A4** What is fresh, for how long, and what may be served beyond that follows RFC 9111 and 5861. A lifetime of zero is zero.
//!   Stale answers are served only within the bounds of the settings and of the server, and say that they are stale.
//! - **A5** What was invalidated by address, host, pattern or age, or by a request that changed it, is not served again;
//!   [`Cache::at_hand`] may serve for a tenth of a second more what another process invalidated.
//! - **A6** Several processes may use one folder at once, and each may be killed, or the power cut, at any instant: the cache opens
//!   again, and serves nothing wrong.
//! - **A7** A damaged index is set aside and begun anew without anybody being told of an error.
//!
//! # Does not promise
//!
//! - That what was stored is there the next time: it may be evicted, and a power cut may take the last of it.
//! - That a server's own word is honoured where that would store more: `must-understand`, ranges, answers to `POST`, and `Set-Cookie`
//!   beside `public` are not stored; `max-stale` and `only-if-cached` in a request are not heard.
//! - That the time for which an answer was on its way to this machine counts as its age, unless its date or a cache on the way
//!   tells (RFC 9111, 4.2.3, without the delay of the answer): the caller is not asked when it asked.
//! - That an answer that was under way while its address was invalidated is not stored afterwards, unless the caller says so:
//!   [`Cache::store_unless`].
//! - The exact order of use across processes: each writes its last hundred lookups down together. Single flight ends with the
//!   process, too.
//! - Anything against another program of the same user, or root, that means harm; bodies lie on the disk as they came.
//!
//! # Limits
//!
//! | what | number | why |
//! |---|---|---|
//! | bytes, bytes of an answer, answers | 100 MiB, 16 MiB, 50,000 | see [`CacheSettings`], as for lifetimes |
//! | on the disk beside what is counted | about 0.5 KiB for each answer, what its file does not fill of a block, and 2 MiB | the index and its log |
//! | an address | 8 KiB | what servers take |
//! | variants of one address | 16 | each is looked at |
//! | headers that an answer varies with | 16 | none that is meant for machines names more than a few |
//! | rules, and bytes of a pattern | 256, 1,024 | each is looked at for every request |
//! | lookups that are remembered before they are written down | 100 | a hit costs no write; no lookup waits for one, but the next hundred try again |
//! | wait of a change for another process's transaction | 2 s | lookups wait for none; the longest, which removes 50,000 answers, takes about one |
//! | answers at hand in memory, bytes of them, and of one | 1,024, 4 MiB, 64 KiB | what is asked for again and again is less |
//! | time for which they are believed, without asking what other processes did | 0.1 s | less than anybody notices |
//! | bodies that are removed in one transaction | 256 | others come in between |
//! | wait for another process that opens or checks the index | 10 s | it is read as a whole |
//! | age at which a body without an entry goes | 1 h, at once where the index is begun anew | its entry may be on the way |
//! | damaged indexes that are kept | 1 | for whoever wants to know why |
//! | seconds that an answer or a request may say | 2,147,483,648 | RFC 9111, 1.2.2 |
//!
//! # When it fails
//!
//! A cache that fails must not fail the request: what goes wrong while it looks is logged, and a miss. [`Cache::store`] and the
//! calls that remove something answer an [`Error`] that says what to do; after a removal that failed, the outdated may still be
//! served. [`ErrorKind::Busy`] passes by itself.
//!
//! # Platforms
//!
//! Linux is tested and measured. macOS and Windows stand behind the same interfaces and are not measured; where a file that is open
//! cannot be renamed, a damaged index is begun anew by the last process that has it open. Folders on network file systems are no
//! place for it: SQLite's log needs memory that processes share.
//!
//! # Why not just http-cache and cacache?
//!
//! cacache counts nothing and evicts nothing: it grows until somebody clears it. http-cache keeps what it stores under hashes that
//! cannot be searched, so that nothing can be removed by host or pattern. We take what is hard from the same source, the rules of
//! freshness ([`http-cache-semantics`](https://docs.rs/http-cache-semantics)), but give it only headers in the one spelling that it
//! reads: by itself it misses `Private` in capitals, compares one of several values of a header, and overflows at a great `Age`.
//!
//! All calls of [`Cache`] block, but for [`Cache::at_hand`], [`Cache::at_hand_on_error`] and [`Cache::confirmed`]; in asynchronous code
//! they belong on a blocking thread.

mod cache;

mod settings;

mod answer;

mod flights;

mod address;

mod directives;

mod freshness;

mod head;

mod entry;

mod index;

mod bodies;

mod counters;

mod recent;

mod error;

pub use answer::{Answer, Lookup, Refusal, Stale, Stored};
pub use cache::{Cache, Listed, Pruned};
pub use counters::CacheStats;
pub use error::{Error, ErrorKind};
pub use flights::{Flights, Lead, Turn};
pub use settings::{CacheSettings, RULES_MAX, Rule};
