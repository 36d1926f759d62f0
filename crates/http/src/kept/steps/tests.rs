use super::*;
use http::{Request, Response};
use mainstay_cache::CacheSettings;
use std::future::ready;
use std::pin::pin;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What comes to its one thread is done in the order in which it came.
fn with_one_thread() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.max_blocking_threads(1).build().unwrap()
}

/// Something that keeps one answer, and the request for it.
fn keeping() -> (TempDir, Arc<Kept>, request::Parts) {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(mainstay_clock::ManualClock::new());
    let cache = Cache::open(folder.path(), CacheSettings::default(), clock.clone()).unwrap();
    let request = Request::get("http://h/a").body(()).unwrap().into_parts().0;
    let (response, ()) = Response::new(()).into_parts();
    cache.store(&request, &response, b"old").unwrap();
    (folder, Arc::new(Kept::new(Arc::new(cache), clock)), request)
}

/// Keeps the one thread busy until it is dropped.
fn silence(kept: &Kept) -> std::sync::mpsc::SyncSender<()> {
    let (silent, ends) = std::sync::mpsc::sync_channel(1);
    drop(kept.on_a_thread(move |_| ends.recv()));
    silent
}

/// What is found by a look that is over before something else happens, and is told of its end only afterwards.
async fn found_after<T>(kept: &Kept, look: impl Future<Output = T>, meanwhile: impl FnOnce()) -> T {
    let mut look = pin!(look);
    let silent = silence(kept);
    tokio::select! {
        biased;
        found = &mut look => return found,
        () = ready(()) => {}
    }
    drop(silent);
    kept.on_a_thread(|_| ()).await.unwrap();
    meanwhile();
    look.await
}

/// What had not been let go of yet was seen, and served when it was gone a moment later.
#[test]
fn what_was_void_when_it_was_looked_at_is_not_served_when_the_cache_has_let_it_go() {
    with_one_thread().block_on(async {
        let (_folder, kept, request) = keeping();
        let mut voiding = Some(kept.addresses.void(&[kept.cache.key(&request).unwrap()]));
        let look = kept.offline(request.clone());
        let let_go = || voiding.take().into_iter().for_each(Voiding::end);
        let found = found_after(&kept, look, let_go).await;
        assert!(found.is_none());
        voiding.into_iter().for_each(Voiding::end);
        assert!(kept.offline(request).await.is_some(), "it was there");
    });
}

#[test]
fn what_becomes_void_while_it_is_looked_at_is_not_served() {
    with_one_thread().block_on(async {
        let (_folder, kept, request) = keeping();
        let keys = [kept.cache.key(&request).unwrap()];
        let mut voiding = None;
        let change = || voiding = Some(kept.addresses.void(&keys));
        let found = found_after(&kept, kept.offline(request), change).await;
        assert!(found.is_none() && voiding.is_some());
    });
}

fn of_number(number: usize) -> Uri {
    format!("http://h/{number}").parse().unwrap()
}

/// Each change took a thread: behind a disk that said nothing they came together, up to all that there may be.
#[test]
fn what_is_made_void_waits_in_a_bounded_line_and_stays_void_beyond_it() {
    with_one_thread().block_on(async {
        let (_folder, kept, request) = keeping();
        let silent = silence(&kept);
        let waiting: Vec<_> = (0..VOIDS_MAX)
            .map(|number| kept.void(vec![of_number(number)]))
            .collect();
        let beyond = kept.void(vec![request.uri.clone()]);
        assert!(beyond.await.is_none(), "nobody waits for it");
        assert_eq!(kept.voids.available_permits(), 0);
        let is_void = |key: &str| kept.addresses.is_void(key);
        assert!(is_void(&kept.cache.key(&request).unwrap()));
        drop(silent);
        for gone in waiting {
            gone.await.unwrap();
        }
        assert_eq!(kept.voids.available_permits(), VOIDS_MAX);
        let mut keys = (0..VOIDS_MAX).map(|number| Cache::key_of(&of_number(number)).unwrap());
        assert!(keys.all(|key| !is_void(&key)));
    });
}

/// Beyond the line it stayed void for as long as the client lived, and so did each address that shares a place with one of them:
/// after a disk had said nothing for a while, that was most of what is kept.
#[test]
fn what_found_no_place_in_the_line_is_let_go_of_once_the_cache_works_again() {
    with_one_thread().block_on(async {
        let (_folder, kept, request) = keeping();
        let silent = silence(&kept);
        let waiting: Vec<_> = (0..VOIDS_MAX)
            .map(|number| kept.void(vec![of_number(number)]))
            .collect();
        for _ in 0..2 {
            let beyond = kept.void(vec![request.uri.clone()]);
            assert!(beyond.await.is_none(), "nobody waits for it");
        }
        drop(silent);
        for gone in waiting {
            gone.await.unwrap();
        }
        assert!(kept.offline(request.clone()).await.is_none(), "it is gone");
        let (response, ()) = Response::new(()).into_parts();
        kept.cache.store(&request, &response, b"new").unwrap();
        let served = kept.offline(request).await.expect("nothing is void");
        assert_eq!(&served.body[..], b"new");
    });
}
