//! What the cache is asked for on the way of a request, each time no longer than a moment: it may be on a disk that says nothing,
//! or wait for another process, and a request goes on as well without it.

use super::addresses::{Addresses, Stand, Voiding};
use super::wording::parts;
use super::{Kept, PATIENCE, Seen, Through, Wanted, told};
use crate::answer::Answer;
use http::{Method, Uri, request};
use mainstay_cache::{Answer as Older, Cache, Lookup, Stored};
use mainstay_clock::Clock;
use mainstay_resilience::within;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// So many looks at once are under way on threads; whoever comes then waits for its turn, or goes on without a look. A look takes
/// less than a millisecond: more of them wait for a disk that says nothing.
pub(super) const LOOKS_AT_ONCE: usize = 64;

/// So many threads at once let go of what is void; more of them would wait for the same file.
pub(super) const VOIDS_AT_ONCE: usize = 2;

/// So many changes at once wait for that, each with up to three addresses of 8 KiB. Of those that come then it is remembered where
/// they lead: nothing there is served, until the cache works again and has let go of it.
pub(super) const VOIDS_MAX: usize = 256;

/// What the cache did not let go of is tried again by whoever asks for something of it, and no more often than this: it takes a
/// thread for 2 s where another process does not let the cache be written.
const AGAIN: Duration = Duration::from_secs(10);

/// So many answers at once are on their way into the cache, each with its body; what comes then is not kept.
pub(super) const WRITES_AT_ONCE: usize = 16;

impl Kept {
    /// Looks at the cache where that may block; nothing where that thread failed, or where what is kept of the address is void.
    async fn looking<T: Send + 'static>(
        &self,
        key: &str,
        look: impl FnOnce(&Cache) -> T + Send + 'static,
    ) -> Option<T> {
        // It may be seen, and let go of before the look is over.
        if self.addresses.is_void(key) {
            self.let_go_of_left();
            return None;
        }
        // It is never closed.
        let place = Arc::clone(&self.looks).acquire_owned().await.ok()?;
        let looking = self.on_a_thread(move |cache| {
            let _place = place;
            look(cache)
        });
        let found = looking.await;
        found.filter(|_| !self.addresses.is_void(key))
    }

    /// What was served lately and still holds, without a thread for it.
    fn at_hand(&self, wanted: &Wanted) -> Option<Older> {
        if self.addresses.is_void(&wanted.key) {
            return None;
        }
        let answer = self.cache.at_hand(&wanted.request);
        // It may have been made void meanwhile.
        answer.filter(|_| !self.addresses.is_void(&wanted.key))
    }

    /// What is kept, where no network is wanted.
    pub(super) async fn offline(&self, request: request::Parts) -> Option<Older> {
        let key = self.cache.key(&request)?;
        let looking = self.looking(&key, move |cache| cache.offline(&request));
        looking.await.flatten()
    }

    /// Makes void what is kept of these addresses, and waits a moment until the cache has let go of it.
    pub(crate) async fn void_soon(self: &Arc<Self>, clock: &dyn Clock, urls: Vec<Uri>) {
        within(clock, PATIENCE, self.void(urls)).await;
    }

    /// Makes void what is kept of these addresses, at once; what it returns ends when the cache has let go of it.
    fn void(self: &Arc<Self>, urls: Vec<Uri>) -> impl Future<Output = Option<()>> + Send + 'static {
        let keys: Vec<String> = urls.iter().filter_map(Cache::key_of).collect();
        let voiding = self.addresses.void(&keys);
        let letting_go = if let Ok(place) = Arc::clone(&self.voids).try_acquire_owned() {
            Some(tokio::spawn(Arc::clone(self).let_go(urls, voiding, place)))
        } else {
            tracing::debug!(
                "what is void stays so for now: too much waits for the cache to let go of it"
            );
            drop(voiding);
            None
        };
        async { letting_go?.await.ok().flatten() }
    }

    /// Lets go of what is void, when its turn has come. Where the cache refuses, it stays void, and is left.
    async fn let_go(
        self: Arc<Self>,
        urls: Vec<Uri>,
        voiding: Voiding,
        place: OwnedSemaphorePermit,
    ) -> Option<()> {
        // It is never closed.
        let turn = Arc::clone(&self.void_turns).acquire_owned().await.ok()?;
        let addresses = Arc::clone(&self.addresses);
        let letting_go = self.on_a_thread(move |cache| {
            let _held = (place, turn);
            let mut went = urls.iter().map(|url| told(cache.invalidate_url(url)));
            if went.all(|went| went.is_some()) {
                voiding.end();
                // It works: what was left goes, too.
                let_go_of_left(cache, &addresses);
            }
        });
        letting_go.await
    }

    /// Tries again to let go of what was left, unless that was tried a moment ago; nobody waits for it.
    fn let_go_of_left(&self) {
        if !self.addresses.has_left() {
            return;
        }
        let now = self.clock.now();
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.is_some_and(|tried| now.since(tried) < AGAIN) {
            return;
        }
        // Those who have the turns do it when they are done.
        let Ok(turn) = Arc::clone(&self.void_turns).try_acquire_owned() else {
            return;
        };
        *tried = Some(now);
        let addresses = Arc::clone(&self.addresses);
        drop(self.on_a_thread(move |cache| {
            let _turn = turn;
            let_go_of_left(cache, &addresses);
        }));
    }
}

/// Lets go of all that is void, what was left with it.
fn let_go_of_left(cache: &Cache, addresses: &Arc<Addresses>) {
    if let Some(left) = addresses.take_left()
        && told(cache.invalidate_where(|url| addresses.is_void(url))).is_some()
    {
        left.end();
    }
}

impl Through<'_> {
    /// What comes within a moment, and within what is left of the request's time.
    async fn soon<T>(&self, future: impl Future<Output = Option<T>>) -> Option<T> {
        let left = self.way.left().min(PATIENCE);
        if left.is_zero() {
            return None;
        }
        within(&*self.client.clock, left, future).await.flatten()
    }

    /// What is kept; a miss where that takes too long.
    pub(super) async fn look(&self, wanted: &Wanted) -> Lookup {
        if let Some(answer) = self.kept.at_hand(wanted) {
            return Lookup::Fresh(Box::new(answer));
        }
        let request = Arc::clone(&wanted.request);
        let look = move |cache: &Cache| cache.lookup(&request);
        let looking = self.kept.looking(&wanted.key, look);
        self.soon(looking).await.unwrap_or(Lookup::Miss)
    }

    /// What may be served because the server fails: what is kept by now, or what was seen before where that takes too long.
    pub(super) async fn older(&self, wanted: &Wanted, seen: &Seen) -> Option<Older> {
        let request = Arc::clone(&wanted.request);
        let look = move |cache: &Cache| cache.stale_on_error(&request);
        let looking = self.kept.looking(&wanted.key, look);
        match self.soon(looking).await {
            Some(found) => found,
            // It was not void when it was seen.
            None if self.kept.addresses.is_outdated(seen.stand) => None,
            None => {
                let stale = &seen.stale.answer;
                self.kept.cache.at_hand_on_error(&wanted.request, stale)
            }
        }
    }

    /// What the server confirmed, and whether the cache has it that way; none where it confirmed something else.
    pub(super) async fn confirm(
        &self,
        wanted: &Wanted,
        stale: &Older,
        answer: &Answer,
    ) -> Option<(Older, bool)> {
        let response = parts(answer);
        let confirmed = self
            .kept
            .cache
            .confirmed(&wanted.request, stale, &response)?;
        let Ok(place) = Arc::clone(&self.kept.writes).try_acquire_owned() else {
            return Some((confirmed, false));
        };
        let (request, stale) = (Arc::clone(&wanted.request), stale.clone());
        let (addresses, key) = (Arc::clone(&self.kept.addresses), wanted.key.clone());
        let confirming = self.kept.on_a_thread(move |cache| {
            let _place = place;
            let confirmed = cache.revalidated(&request, &stale, &response);
            if confirmed.is_some() {
                addresses.land(&key);
            }
            confirmed
        });
        let noted = self.soon(async { confirming.await.flatten() }).await;
        Some(match noted {
            Some(noted) => (noted, true),
            None => (confirmed, false),
        })
    }

    /// Gives the cache an answer, unless what it was asked of was changed since; whether it is kept by now.
    ///
    /// What fails in the cache does not fail the request, and where it takes too long, it is kept a little later.
    pub(super) async fn store(&self, wanted: &Wanted, asked: Stand, answer: &Answer) -> bool {
        if wanted.request.method != Method::GET {
            return false;
        }
        let Ok(place) = Arc::clone(&self.kept.writes).try_acquire_owned() else {
            tracing::debug!("an answer is not kept: too many are on their way into the cache");
            return false;
        };
        let (request, response) = (Arc::clone(&wanted.request), parts(answer));
        let (addresses, key) = (Arc::clone(&self.kept.addresses), wanted.key.clone());
        let body = answer.body.clone();
        let storing = self.kept.on_a_thread(move |cache| {
            let _place = place;
            let is_outdated = || addresses.is_outdated(asked);
            let stored = told(cache.store_unless(&request, &response, &body, is_outdated));
            let is_kept = matches!(stored, Some(Stored::Kept { .. }));
            if is_kept {
                addresses.land(&key);
            }
            is_kept
        });
        self.soon(storing).await.unwrap_or(false)
    }

    /// Makes void what is kept of these addresses. Nothing of it is served from here on, whenever the cache lets go of it.
    pub(super) async fn void(&self, urls: Vec<Uri>) {
        self.soon(self.kept.void(urls)).await;
    }
}

#[cfg(test)]
mod tests;
