//! The cache: what is asked of it, and what it answers.

use crate::address::{Address, asks_for_part};
use crate::answer::{Answer, Lookup, Origin, Refusal, Stale};
use crate::bodies::{Bodies, Found};
use crate::counters::Counter;
use crate::entry::Hash;
use crate::error::Error;
use crate::freshness::{Freshness, Known};
use crate::index::{Index, Opened, rows};
use crate::recent::Recent;
use crate::settings::{CacheSettings, Rules};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use mainstay_clock::SharedClock;
use rusqlite::{Connection, Transaction};
use std::fmt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

mod hand;
mod memory;
mod storing;
mod upkeep;

pub use upkeep::{Listed, Pruned};

use memory::Memory;

/// A store of HTTP answers in a folder, which several threads and processes may share.
///
/// All calls block for as long as the disk takes. Whatever fails in it, the request that it was asked about can go on without it.
pub struct Cache {
    settings: CacheSettings,
    rules: Rules,
    clock: SharedClock,
    /// None where the cache is switched off and there never was one.
    store: Option<Store>,
    memory: Mutex<Memory>,
    recent: Recent,
}

#[derive(Debug)]
struct Store {
    index: Index,
    bodies: Bodies,
}

/// A stored answer, and what may be done with it.
struct Candidate {
    answer: Answer,
    freshness: Freshness,
}

/// What looking once came to, where there was anything.
enum Looked {
    Whole(Box<Candidate>),
    /// What was damaged was replaced before it could be dropped.
    Replaced,
}

impl Cache {
    /// Opens the cache in `folder`, which is made where it is missing; time is `clock`'s.
    ///
    /// A damaged index is set aside and begun anew, and that is no error. A cache that is switched off makes no folder.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): a rule's pattern, or too many rules.
    /// - [`ErrorKind::Busy`](crate::ErrorKind::Busy): another process opens the same folder for longer than 10 s.
    /// - [`ErrorKind::NoRoom`](crate::ErrorKind::NoRoom), [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the folder
    ///   cannot be made, read or written.
    pub fn open(folder: &Path, settings: CacheSettings, clock: SharedClock) -> Result<Self, Error> {
        let rules = Rules::new(&settings.rules)?;
        let mut cache = Self {
            settings,
            rules,
            clock,
            store: None,
            memory: Mutex::default(),
            recent: Recent::default(),
        };
        if !cache.settings.enabled && mainstay_files::facts(folder).is_err() {
            return Ok(cache);
        }
        let failed = |error| Error::of_files(folder, error);
        let bodies = Bodies::open(folder.join("bodies")).map_err(failed)?;
        mainstay_files::sweep(folder).map_err(failed)?;
        let (index, opened) = Index::open(folder)?;
        let store = cache.store.insert(Store { index, bodies });
        // With bodies and no index, somebody removed the index.
        let is_anew = match opened {
            Opened::Sound => false,
            Opened::Made => !store.bodies.all().is_empty(),
            Opened::Anew => true,
        };
        let removed = store.sweep_bodies(is_anew);
        if is_anew {
            cache.memory().tally.add(Counter::Rebuilt, 1);
        }
        tracing::debug!(removed = removed?, "the cache is open");
        cache.prune_to(cache.settings.limit_bytes)?;
        Ok(cache)
    }

    /// Looks for an answer to a request.
    ///
    /// What fails in the cache is a [`Lookup::Miss`].
    pub fn lookup(&self, request: &Parts) -> Lookup {
        let Some(address) = self.address_to_look_at(request) else {
            return Lookup::Miss;
        };
        let now = self.clock.wall();
        self.ask_the_index();
        let changes = self.recent.changes();
        let Some(candidate) = self.find(&address, request) else {
            self.count(Counter::Misses, None);
            return Lookup::Miss;
        };
        let Candidate { answer, freshness } = candidate;
        if freshness.is_fresh_for(&request.headers, now) {
            self.count(Counter::Hits, Some(&answer));
            self.hold(&address, request, &answer, freshness, changes);
            return Lookup::Fresh(Box::new(answer));
        }
        self.count(Counter::Expired, None);
        let may_serve_while_revalidating =
            freshness.may_serve_while_revalidating(&request.headers, now, &self.settings);
        if may_serve_while_revalidating {
            self.count(Counter::StaleServed, Some(&answer));
        }
        Lookup::Stale(Box::new(Stale {
            conditions: conditions(&answer.origin.headers),
            answer: Answer {
                is_stale: true,
                ..answer
            },
            may_serve_while_revalidating,
        }))
    }

    /// What may be served because the server cannot be reached, or answers 500, 502, 503 or 504; none where there is nothing, or
    /// nothing that may.
    pub fn stale_on_error(&self, request: &Parts) -> Option<Answer> {
        let now = self.clock.wall();
        self.serve(request, |freshness| {
            freshness.may_serve_on_error(&request.headers, now, &self.settings)
        })
    }

    /// What there is for a request where no network is wanted, however old; the answer says how old, and that nobody was asked.
    ///
    /// What the server wants to be asked about each time (`no-cache`, `must-revalidate`, `proxy-revalidate`, `s-maxage`) is not
    /// served once its time is over.
    pub fn offline(&self, request: &Parts) -> Option<Answer> {
        let answer = self.serve(request, Freshness::may_serve_offline)?;
        Some(Answer {
            is_offline: true,
            ..answer
        })
    }

    /// The address under which answers of this URL lie, whoever asks; none where that is no complete `http` or `https` one, or is
    /// too long.
    pub fn key_of(url: &Uri) -> Option<String> {
        Some(Address::of(url)?.url)
    }

    /// The address under which an answer to this request lies, for [`Flights`](crate::Flights); none where the cache keeps out.
    pub fn key(&self, request: &Parts) -> Option<String> {
        let address = self.address_to_look_at(request)?;
        Some(address.url)
    }

    fn serve(&self, request: &Parts, may: impl Fn(&Freshness) -> bool) -> Option<Answer> {
        let address = self.address_to_look_at(request)?;
        let Some(Candidate { answer, freshness }) = self.find(&address, request) else {
            self.count(Counter::Misses, None);
            return None;
        };
        // Whoever asks for news gets what is fresh all the same: there is no news to be had.
        let is_fresh = freshness.is_fresh_for(&HeaderMap::new(), self.clock.wall());
        if !is_fresh && !may(&freshness) {
            self.count(Counter::Misses, None);
            return None;
        }
        let counter = if is_fresh {
            Counter::Hits
        } else {
            Counter::StaleServed
        };
        self.count(counter, Some(&answer));
        Some(Answer {
            is_stale: !is_fresh,
            ..answer
        })
    }

    /// Where the answer to a request would be, if the cache may have it at all.
    fn address(&self, request: &Parts) -> Result<Address, Refusal> {
        if !self.settings.enabled || self.store.is_none() {
            return Err(Refusal::Disabled);
        }
        let address = Address::of_request(request, &self.settings)?;
        if self.rules.forbid(&address) {
            return Err(Refusal::Rule);
        }
        Ok(address)
    }

    /// As [`address`](Self::address), where the request wants a whole answer and has none of its own to compare.
    fn address_to_look_at(&self, request: &Parts) -> Option<Address> {
        if asks_for_part(request) {
            return None;
        }
        self.address(request).ok()
    }

    /// The newest answer that fits the request and is whole. What is found damaged on the way is dropped.
    fn find(&self, address: &Address, request: &Parts) -> Option<Candidate> {
        match self.look(address, request)? {
            Looked::Whole(candidate) => Some(*candidate),
            // By something newer, that may be whole.
            Looked::Replaced => match self.look(address, request)? {
                Looked::Whole(candidate) => Some(*candidate),
                Looked::Replaced => None,
            },
        }
    }

    fn look(&self, address: &Address, request: &Parts) -> Option<Looked> {
        let store = self.store.as_ref()?;
        let found = self.read(|connection| rows::find(connection, &address.url));
        let mut is_replaced = false;
        for found in self.told(found)? {
            let Some((entry, seal)) = &found.entry else {
                is_replaced |= !self.drop_damaged(&found, &address.host);
                continue;
            };
            // A damaged index can lead to a row that is whole, and another's.
            if entry.url != address.url || !entry.fits(&request.headers) {
                continue;
            }
            match (store.bodies.read(&entry.body, entry.body_len), entry.head()) {
                (Found::Whole(body), Some((status, headers))) => {
                    let origin = Origin {
                        id: found.id,
                        seal: *seal,
                        stored_at: entry.stored_at,
                        headers,
                        body,
                    };
                    let candidate = self.candidate(address, request, status, origin);
                    return Some(Looked::Whole(Box::new(candidate)));
                }
                (Found::Damaged, _) | (Found::Whole(_), None) => {
                    is_replaced |= !self.drop_damaged(&found, &address.host);
                }
                (Found::Unreadable, _) => {}
            }
        }
        is_replaced.then_some(Looked::Replaced)
    }

    fn candidate(
        &self,
        address: &Address,
        request: &Parts,
        status: StatusCode,
        origin: Origin,
    ) -> Candidate {
        let known = Known {
            status,
            headers: &origin.headers,
            stored_at: origin.stored_at,
        };
        let freshness = Freshness::of(known, self.rules.of(address), &self.settings);
        let age = freshness.age(self.clock.wall());
        Candidate {
            answer: answer(request, status, age, origin),
            freshness,
        }
    }

    /// Drops what was found damaged; `false` where the row is another by now, which may be sound.
    fn drop_damaged(&self, found: &rows::Found, host: &str) -> bool {
        let Some(store) = &self.store else {
            return true;
        };
        let dropped = self.change(false, |transaction| {
            let removed = rows::remove_same(transaction, found)?;
            // Looked at once more, where nobody else is writing it.
            if let Some((entry, _)) = &found.entry
                && matches!(
                    store.bodies.read(&entry.body, entry.body_len),
                    Found::Damaged
                )
            {
                store.bodies.remove(&entry.body);
            }
            Ok(removed)
        });
        self.recent.forget_all();
        let Some(removed) = self.told(dropped) else {
            return true;
        };
        if removed.entries == 0 {
            return false;
        }
        // Not its address: the query may be secret.
        tracing::warn!(host, "a damaged answer is dropped from the cache");
        self.memory().tally.add(Counter::Damaged, 1);
        let let_go = store.let_go(&removed.bodies.iter().collect::<Vec<_>>());
        self.told(let_go);
        true
    }

    // === The index, and what is said of its failures ===

    fn read<T>(
        &self,
        work: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let store = self.opened()?;
        let (done, opened) = store.index.read(work)?;
        self.notice(store, opened);
        Ok(done)
    }

    /// Changes the index; what is remembered is written down with it.
    fn change<T>(
        &self,
        is_removal: bool,
        mut work: impl FnMut(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let store = self.opened()?;
        let remembered = self.memory().take();
        let changed = store.index.change(is_removal, |transaction| {
            rows::touch(transaction, remembered.touched.iter())?;
            rows::count(transaction, &remembered.tally)?;
            work(transaction)
        });
        match changed {
            Ok((done, opened)) => {
                self.notice(store, opened);
                Ok(done)
            }
            Err(error) => {
                self.memory().put_back(remembered);
                Err(error)
            }
        }
    }

    fn opened(&self) -> Result<&Store, Error> {
        let store = self.store.as_ref();
        store.ok_or_else(|| Error::invalid("the cache is switched off", None))
    }

    /// The index was begun anew: no body has an entry any more.
    fn notice(&self, store: &Store, opened: Opened) {
        if opened == Opened::Anew {
            self.recent.forget_all();
            self.memory().tally.add(Counter::Rebuilt, 1);
            self.told(store.sweep_bodies(true));
        }
    }

    /// The outcome, and a word about a failure that no caller is told of.
    fn told<T>(&self, outcome: Result<T, Error>) -> Option<T> {
        let path = self
            .store
            .as_ref()
            .map(|store| store.index.path().display());
        match outcome {
            Ok(done) => Some(done),
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(path = path.map(tracing::field::display), %error, source, "the cache goes on without it");
                None
            }
        }
    }
}

impl Drop for Cache {
    /// Writes down what is remembered.
    fn drop(&mut self) {
        if self.store.is_some() {
            let flushed = self.flush();
            self.told(flushed);
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field(
                "folder",
                &self.store.as_ref().map(|store| store.index.folder()),
            )
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

// === impl Store ===

impl Store {
    /// Removes bodies that no entry has; those that were put here within the last hour only where `is_all`, since another
    /// process may be about to add their entry, and would have to write them once more.
    fn sweep_bodies(&self, is_all: bool) -> Result<usize, Error> {
        const JUST_NOW: Duration = Duration::from_hours(1);
        let mut orphans = self.bodies.all();
        let (needed, _) = self.index.with(|connection| rows::bodies(connection))?;
        orphans.retain(|body| {
            !needed.contains(body) && (is_all || self.bodies.is_older_than(body, JUST_NOW))
        });
        self.let_go(&orphans.iter().collect::<Vec<_>>())?;
        Ok(orphans.len())
    }

    /// Removes those bodies that no entry has any more, some at a time: other processes come in between.
    fn let_go(&self, bodies: &[&Hash]) -> Result<(), Error> {
        const AT_ONCE: usize = 256;
        let mut has_much_free = false;
        for some in bodies.chunks(AT_ONCE) {
            (has_much_free, _) = self.index.change(false, |transaction| {
                for body in some {
                    if !rows::needs(transaction, body)? {
                        self.bodies.remove(body);
                    }
                }
                crate::index::has_much_free(transaction)
            })?;
        }
        if has_much_free {
            self.index.give_back()?;
        }
        Ok(())
    }
}

/// An answer as it is served, with its age; to `HEAD` without its body.
fn answer(request: &Parts, status: StatusCode, age: Duration, origin: Origin) -> Answer {
    let mut headers = origin.headers.clone();
    headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
    let body = if request.method == Method::HEAD {
        Bytes::new()
    } else {
        origin.body.clone()
    };
    Answer {
        status,
        headers,
        body,
        age,
        is_stale: false,
        is_offline: false,
        origin,
    }
}

/// What to ask a server about an answer (RFC 9111, 4.3.1).
fn conditions(headers: &HeaderMap) -> HeaderMap {
    let pairs = [
        (header::ETAG, header::IF_NONE_MATCH),
        (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE),
    ];
    let said = pairs.into_iter().filter_map(|(said, asked)| {
        let value = headers.get(said)?;
        Some((asked, value.clone()))
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};
    use tempfile::TempDir;

    fn put(cache: &Cache, request: &Parts, body: &[u8]) {
        let (response, ()) = Response::new(()).into_parts();
        cache.store(request, &response, body).unwrap();
    }

    fn stage() -> (TempDir, Cache, Parts) {
        let folder = TempDir::new().unwrap();
        let clock = mainstay_clock::ManualClock::new();
        let cache = Cache::open(
            folder.path(),
            CacheSettings::default(),
            std::sync::Arc::new(clock),
        );
        let request = Request::get("https://example.org/page").body(()).unwrap();
        (folder, cache.unwrap(), request.into_parts().0)
    }

    /// What a lookup saw of the only row before it looked at the body.
    fn seen(cache: &Cache) -> rows::Found {
        let found = cache.read(|connection| rows::find(connection, "https://example.org/page"));
        found.unwrap().remove(0)
    }

    /// Numbers are given again: what a lookup found damaged and had not dropped yet, while somebody stored the answer anew, took
    /// the new one with it.
    #[test]
    fn what_was_stored_after_a_damage_was_seen_is_not_dropped_for_it() {
        let (_folder, cache, request) = stage();
        put(&cache, &request, b"old");
        let old = seen(&cache);
        put(&cache, &request, b"new");
        assert_eq!(seen(&cache).id, old.id, "or this test shows nothing");
        let host = "example.org";
        assert!(!cache.drop_damaged(&old, host));
        let rotted = rows::Found {
            entry: None,
            ..seen(&cache)
        };
        assert!(!cache.drop_damaged(&rotted, host), "it is sound by now");
        let Lookup::Fresh(answer) = cache.lookup(&request) else {
            panic!("it was stored");
        };
        assert_eq!(&answer.body[..], b"new");
        assert_eq!(cache.stats().unwrap().damaged, 0);
        assert!(cache.drop_damaged(&seen(&cache), host));
        assert!(matches!(cache.lookup(&request), Lookup::Miss));
        assert_eq!(cache.stats().unwrap().damaged, 1);
    }

    /// All went through one connection: whoever waited to store held up everybody who looked, and a lookup in a hundred waited to
    /// write down the others.
    #[test]
    fn who_looks_waits_for_nobody_who_changes_something() {
        let (_folder, cache, request) = stage();
        put(&cache, &request, b"kept");
        let (done, looked) = std::sync::mpsc::sync_channel(1);
        std::thread::scope(|scope| {
            let looking = || {
                for _ in 0..250 {
                    assert!(matches!(cache.lookup(&request), Lookup::Fresh(_)));
                }
                done.send(()).unwrap();
            };
            let changed = cache.change(false, |_| {
                scope.spawn(looking);
                let looked = looked.recv_timeout(Duration::from_secs(20));
                Ok(looked.is_ok())
            });
            assert!(changed.unwrap(), "it waited for us");
        });
        assert_eq!(cache.stats().unwrap().hits, 250);
    }
}
