//! What is put into the cache, confirmed, and made void by what callers send.

use super::{Cache, answer};
use crate::address::Address;
use crate::answer::{Answer, Origin, Refusal, Stored};
use crate::counters::Counter;
use crate::directives::Directives;
use crate::entry::{self, Entry, Hash};
use crate::error::Error;
use crate::freshness::{Freshness, Known};
use crate::head;
use crate::index::eviction::{Bounds, make_room};
use crate::index::rows::{self, Removed, VARIANTS_MAX};
use crate::settings::Rule;
use http::header::{self, HeaderMap};
use http::{Method, StatusCode, Uri, request, response};
use rusqlite::{Transaction, params};

/// Statuses that are stored. 404 and 410 only with a lifetime of their own, or a rule's: what is missing now may be there tomorrow, not in a
/// week.
const STATUSES: &[StatusCode] = &[
    StatusCode::OK,
    StatusCode::NON_AUTHORITATIVE_INFORMATION,
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::PERMANENT_REDIRECT,
    StatusCode::NOT_FOUND,
    StatusCode::GONE,
];

/// Statuses that say nothing about what is stored: the server could not, or would not just now.
const SAY_NOTHING: &[StatusCode] = &[
    StatusCode::PARTIAL_CONTENT,
    StatusCode::NOT_MODIFIED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PRECONDITION_FAILED,
    StatusCode::RANGE_NOT_SATISFIABLE,
    StatusCode::TOO_EARLY,
    StatusCode::TOO_MANY_REQUESTS,
];

impl Cache {
    /// Takes an answer that came over the network, whatever it is: stores what may be stored, and drops what it makes void.
    ///
    /// Give it the request as it was sent, the answer with the headers that came, and the whole body. After a request that may
    /// have changed something (`POST`, `PUT`, `DELETE`, `PATCH` and others) it does what
    /// [`invalidate_after`](Self::invalidate_after) does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy), [`ErrorKind::NoRoom`](crate::ErrorKind::NoRoom) and
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): nothing was stored, and what was stored before may still be
    /// there. The answer itself is as good as ever.
    pub fn store(
        &self,
        request: &request::Parts,
        response: &response::Parts,
        body: &[u8],
    ) -> Result<Stored, Error> {
        self.store_unless(request, response, body, || false)
    }

    /// As [`store`](Self::store), unless `is_outdated` says that what the answer is of was made void while it was on its way.
    ///
    /// It is asked where no removal can come between: one that says so before it begins, and removes then, leaves nothing behind of
    /// what was on its way.
    ///
    /// # Errors
    ///
    /// As [`store`](Self::store).
    pub fn store_unless(
        &self,
        request: &request::Parts,
        response: &response::Parts,
        body: &[u8],
        is_outdated: impl Fn() -> bool,
    ) -> Result<Stored, Error> {
        if self.store.is_some() && !request.method.is_safe() {
            self.invalidate_after(request, response)?;
        }
        let address = match self.address(request) {
            Ok(address) if request.method == Method::GET => address,
            Ok(_) => return Ok(Stored::Refused(Refusal::Method)),
            Err(refusal) => return Ok(Stored::Refused(refusal)),
        };
        match self.admit(&address, request, response, body) {
            Ok(entry) => {
                let evicted = self.keep(&entry, body, is_outdated)?;
                Ok(
                    evicted.map_or(Stored::Refused(Refusal::Outdated), |evicted| Stored::Kept {
                        evicted,
                    }),
                )
            }
            Err(refusal) => {
                if makes_void(refusal, response.status) {
                    self.invalidate(|transaction| {
                        rows::remove(transaction, "url = ?1", [&address.url])
                    })?;
                }
                Ok(Stored::Refused(refusal))
            }
        }
    }

    /// Takes the answer 304 to a request with the conditions of [`Stale`](crate::Stale): the stored answer holds again, with what
    /// the new headers say.
    ///
    /// None where the answer is no 304, or confirms something else than `stale`: send the request again without conditions. What
    /// fails in the cache does not show; the answer is right all the same.
    pub fn revalidated(
        &self,
        request: &request::Parts,
        stale: &Answer,
        response: &response::Parts,
    ) -> Option<Answer> {
        let address = self.address(request).ok()?;
        if response.status != StatusCode::NOT_MODIFIED {
            return None;
        }
        let (id, seal) = (stale.origin.id, stale.origin.seal);
        let is_same = |transaction: &Transaction<'_>| {
            rows::remove(transaction, "id = ?1 AND seal = ?2", params![id, seal])
        };
        let Some(mut confirmed) = self.confirmed(request, stale, response) else {
            let dropped = self.invalidate(is_same);
            self.told(dropped);
            return None;
        };
        let origin = &mut confirmed.origin;
        let known = Known {
            status: stale.status,
            headers: &origin.headers,
            stored_at: origin.stored_at,
        };
        if let Ok(entry) = self.describe(&address, request, known, &origin.body) {
            let renewed = self.renew(&entry, is_same);
            if let Some(Some(id)) = self.told(renewed) {
                origin.id = id;
                origin.seal = entry.seal();
            }
        } else {
            let dropped = self.invalidate(is_same);
            self.told(dropped);
        }
        self.count(Counter::Revalidated, Some(&confirmed));
        Some(confirmed)
    }

    /// What [`revalidated`](Self::revalidated) answers, for whoever cannot wait until it is written down: it does not block, and
    /// changes nothing.
    pub fn confirmed(
        &self,
        request: &request::Parts,
        stale: &Answer,
        response: &response::Parts,
    ) -> Option<Answer> {
        let address = self.address(request).ok()?;
        let old = &stale.origin;
        let is_about_it = response.status == StatusCode::NOT_MODIFIED
            && confirms(&old.headers, &response.headers);
        if !is_about_it {
            return None;
        }
        let now = self.clock.wall();
        let origin = Origin {
            headers: head::confirmed(&old.headers, &response.headers),
            stored_at: now,
            ..old.clone()
        };
        let known = Known {
            status: stale.status,
            headers: &origin.headers,
            stored_at: now,
        };
        let age = Freshness::of(known, self.rules.of(&address), &self.settings).age(now);
        Some(answer(request, stale.status, age, origin))
    }

    /// Drops what a request made void that may have changed something, as far as it succeeded (RFC 9111, 4.4): what is stored
    /// under its address, and under those on the same server that the answer names in `Location` and `Content-Location`.
    ///
    /// Answers how many answers went. Safe requests and failed ones make nothing void.
    ///
    /// # Errors
    ///
    /// As [`invalidate_url`](Self::invalidate_url).
    pub fn invalidate_after(
        &self,
        request: &request::Parts,
        response: &response::Parts,
    ) -> Result<usize, Error> {
        let mut went = 0;
        for url in Self::voided_by(request, response) {
            went += self.invalidate_url(&url)?;
        }
        Ok(went)
    }

    /// The addresses of which [`invalidate_after`](Self::invalidate_after) drops what is stored: three at most.
    pub fn voided_by(request: &request::Parts, response: &response::Parts) -> Vec<Uri> {
        let is_success = response.status.is_success() || response.status.is_redirection();
        if request.method.is_safe() || !is_success {
            return Vec::new();
        }
        let named = [header::LOCATION, header::CONTENT_LOCATION]
            .into_iter()
            .filter_map(|name| response.headers.get(name))
            .filter_map(|named| on_same_server(&request.uri, named.as_bytes()));
        std::iter::once(request.uri.clone()).chain(named).collect()
    }

    /// The entry that an answer becomes, or why it becomes none.
    fn admit(
        &self,
        address: &Address,
        request: &request::Parts,
        response: &response::Parts,
        body: &[u8],
    ) -> Result<Entry, Refusal> {
        let headers = head::kept(&response.headers);
        if is_incomplete(&headers, body) {
            return Err(Refusal::Incomplete);
        }
        let known = Known {
            status: response.status,
            headers: &headers,
            stored_at: self.clock.wall(),
        };
        self.describe(address, request, known, body)
    }

    fn describe(
        &self,
        address: &Address,
        request: &request::Parts,
        known: Known<'_>,
        body: &[u8],
    ) -> Result<Entry, Refusal> {
        let rule = self.rules.of(address);
        is_allowed(known, rule)?;
        let vary = entry::vary(known.headers).ok_or(Refusal::Varies)?;
        let freshness = Freshness::of(known, rule, &self.settings);
        if freshness.is_never_served_alone() && !has_validator(known.headers) {
            return Err(Refusal::Useless);
        }
        let entry = Entry {
            url: address.url.clone(),
            host: address.host.clone(),
            variant: entry::variant(&vary, &request.headers),
            vary,
            status: known.status.as_u16(),
            headers: head::encode(known.headers),
            body: entry::hash(body),
            body_len: body.len() as u64,
            stored_at: known.stored_at,
            ends_at: freshness.ends_at(),
        };
        let max = self.settings.entry_max.min(self.settings.limit_bytes);
        if entry.bytes() > max || self.settings.entries_max == 0 {
            return Err(Refusal::TooLarge);
        }
        Ok(entry)
    }

    /// Body first, entry second: a process that is killed in between leaves a file that no entry needs. Answers how many others
    /// went; none where it is outdated.
    fn keep(
        &self,
        entry: &Entry,
        body: &[u8],
        is_outdated: impl Fn() -> bool,
    ) -> Result<Option<usize>, Error> {
        let store = self.opened()?;
        let failed = |error| Error::of_files(store.bodies.folder(), error);
        store.bodies.keep(&entry.body, body).map_err(failed)?;
        let removed = self.change(false, |transaction| {
            if is_outdated() {
                return Ok(Ok(None));
            }
            // Another process may have taken the body for an orphan; none can from here on.
            if let Err(error) = store.bodies.keep_still(&entry.body, body) {
                return Ok(Err(error));
            }
            Ok(Ok(Some(self.put(transaction, entry)?)))
        });
        self.forget_replaced(
            &entry.url,
            matches!(&removed, Ok(Ok(Some((_, evicted, _)))) if evicted.entries == 0),
        );
        let Some((replaced, evicted, _)) = removed?.map_err(failed)? else {
            self.told(store.let_go(&[&entry.body]));
            return Ok(None);
        };
        self.memory().tally.add(Counter::Stored, 1);
        self.gone(&replaced, &evicted);
        Ok(Some(evicted.entries))
    }

    /// Puts the confirmed entry in the place of the old one, where it is still there; answers its number.
    fn renew(
        &self,
        entry: &Entry,
        remove_old: impl Fn(&Transaction<'_>) -> rusqlite::Result<Removed>,
    ) -> Result<Option<i64>, Error> {
        let renewed = self.change(false, |transaction| {
            let old = remove_old(transaction)?;
            if old.entries == 0 {
                return Ok(None);
            }
            self.put(transaction, entry).map(Some)
        });
        self.forget_replaced(
            &entry.url,
            matches!(&renewed, Ok(Some((_, evicted, _))) if evicted.entries == 0),
        );
        let Some((replaced, evicted, id)) = renewed? else {
            return Ok(None);
        };
        self.gone(&replaced, &evicted);
        Ok(Some(id))
    }

    /// Adds an entry in the place of what it replaces, and makes room for it.
    fn put(
        &self,
        transaction: &Transaction<'_>,
        entry: &Entry,
    ) -> rusqlite::Result<(Removed, Removed, i64)> {
        // What varies with other headers than the newest answer does is from before the server changed its mind.
        let is_replaced = "url = ?1 AND (variant = ?2 OR vary <> ?3)";
        let values = params![entry.url, entry.variant, entry.vary];
        let mut replaced = rows::remove(transaction, is_replaced, values)?;
        let is_too_many = "id IN (SELECT id FROM entries WHERE url = ?1 ORDER BY stored_at DESC LIMIT -1 OFFSET ?2)";
        let values = params![entry.url, VARIANTS_MAX as i64 - 1];
        let surplus = rows::remove(transaction, is_too_many, values)?;
        replaced.bodies.extend(surplus.bodies);
        let now = self.clock.wall();
        let last_used = self.memory().stamp(now);
        let id = rows::add(transaction, entry, last_used)?;
        let mut evicted = make_room(transaction, self.bounds(), id, now)?;
        evicted.entries += surplus.entries;
        Ok((replaced, evicted, id))
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            bytes: self.settings.limit_bytes,
            entries: self.settings.entries_max,
        }
    }

    /// Counts what was evicted, and gives the room of bodies back.
    fn gone(&self, replaced: &Removed, evicted: &Removed) {
        let count = evicted.entries as u64;
        self.memory().tally.add(Counter::Evictions, count);
        let bodies: Vec<&Hash> = replaced.bodies.iter().chain(&evicted.bodies).collect();
        if !bodies.is_empty() {
            let let_go = self.opened().and_then(|store| store.let_go(&bodies));
            self.told(let_go);
        }
    }
}

/// Whether the answer may be stored at all: by the standard for caches that several callers share, and by what we add to it.
fn is_allowed(known: Known<'_>, rule: Option<&Rule>) -> Result<(), Refusal> {
    let said = Directives::of(known.headers);
    let sets_cookie = known.headers.contains_key(header::SET_COOKIE);
    if said.has("no-store") || said.has("private") || sets_cookie {
        return Err(Refusal::Forbidden);
    }
    let is_missing = matches!(known.status, StatusCode::NOT_FOUND | StatusCode::GONE);
    let is_partial = known.headers.contains_key(header::CONTENT_RANGE);
    let is_known = STATUSES.contains(&known.status) && !is_partial;
    let has_lifetime =
        rule.is_some_and(|rule| rule.ttl.is_some()) || Freshness::says_lifetime(known.headers);
    if !is_known || (is_missing && !has_lifetime) {
        return Err(Refusal::Status);
    }
    if Freshness::is_storable(known) {
        Ok(())
    } else {
        Err(Refusal::Forbidden)
    }
}

/// Whether an answer that is not stored says that what is stored is outdated.
fn makes_void(refusal: Refusal, status: StatusCode) -> bool {
    let says_nothing =
        status.is_server_error() || status.is_informational() || SAY_NOTHING.contains(&status);
    refusal != Refusal::Incomplete && !says_nothing
}

fn is_incomplete(headers: &HeaderMap, body: &[u8]) -> bool {
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let told = |length: &header::HeaderValue| length.to_str().ok()?.trim().parse().ok();
    lengths.map(told).any(|told| told != Some(body.len()))
}

fn has_validator(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED)
}

/// Whether an answer 304 is about the stored answer (RFC 9111, 4.3.4).
fn confirms(stored: &HeaderMap, said: &HeaderMap) -> bool {
    let weak = |tag: &[u8]| tag.strip_prefix(b"W/").map(<[u8]>::to_vec);
    let of = |headers: &HeaderMap, name| headers.get(name).map(|value| value.as_bytes().to_vec());
    if let Some(said) = of(said, header::ETAG) {
        let stored = of(stored, header::ETAG).unwrap_or_default();
        return match weak(&said) {
            Some(said) => weak(&stored).unwrap_or(stored) == said,
            None => stored == said,
        };
    }
    let dates = (
        of(stored, header::LAST_MODIFIED),
        of(said, header::LAST_MODIFIED),
    );
    match dates {
        (Some(stored), Some(said)) => stored == said,
        _ => has_validator(stored),
    }
}

/// The address in a header of an answer, where it is one on the server of the request.
fn on_same_server(request: &Uri, named: &[u8]) -> Option<Uri> {
    let named = Uri::try_from(named).ok()?;
    let mut parts = request.clone().into_parts();
    if named.authority().is_some() {
        let server = |uri: &Uri| {
            let mut parts = uri.clone().into_parts();
            parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
            Address::of(&Uri::from_parts(parts).ok()?)
        };
        return (server(request)? == server(&named)?).then_some(named);
    }
    // A path that is relative to the request's names a place below it, which we leave to its lifetime.
    let path = named.into_parts().path_and_query?;
    let is_absolute = path.as_str().starts_with('/');
    parts.path_and_query = Some(path);
    is_absolute.then(|| Uri::from_parts(parts).ok()).flatten()
}
