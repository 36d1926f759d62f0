//! What the tests have in common: a folder, a clock that is moved by hand, requests and answers.

use http::{Method, Request, Response, request, response};
use mainstay_cache::{Answer, Cache, CacheSettings, CacheStats, Lookup, Stale, Stored};
use mainstay_clock::ManualClock;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const PAGE: &str = "https://example.org/page";

pub(crate) struct Stage {
    root: TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) cache: Cache,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(CacheSettings::default())
    }

    pub(crate) fn with(settings: CacheSettings) -> Self {
        let root = TempDir::new().unwrap();
        let clock = ManualClock::new();
        let folder = root.path().join("http");
        let cache = Cache::open(&folder, settings, Arc::new(clock.clone())).unwrap();
        Self { root, clock, cache }
    }

    /// Closes the cache, lets `meanwhile` do something to its folder, and opens it again.
    pub(crate) fn reopened(self, settings: CacheSettings, meanwhile: impl FnOnce(&Path)) -> Self {
        let Self { root, clock, cache } = self;
        drop(cache);
        let folder = root.path().join("http");
        meanwhile(&folder);
        let cache = Cache::open(&folder, settings, Arc::new(clock.clone())).unwrap();
        Self { root, clock, cache }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.root.path().join("http")
    }

    /// The only body on the disk.
    pub(crate) fn body_file(&self) -> PathBuf {
        let bodies = files(&self.folder().join("bodies"));
        assert_eq!(bodies.len(), 1);
        bodies[0].clone()
    }

    pub(crate) fn put(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Stored {
        self.put_for(&get(url), headers, body)
    }

    pub(crate) fn put_for(
        &self,
        request: &request::Parts,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Stored {
        self.cache
            .store(request, &said(200, headers), body)
            .unwrap()
    }

    pub(crate) fn fresh(&self, url: &str) -> Option<Answer> {
        self.fresh_for(&get(url))
    }

    pub(crate) fn fresh_for(&self, request: &request::Parts) -> Option<Answer> {
        match self.cache.lookup(request) {
            Lookup::Fresh(answer) => Some(*answer),
            _ => None,
        }
    }

    pub(crate) fn stale(&self, url: &str) -> Option<Stale> {
        match self.cache.lookup(&get(url)) {
            Lookup::Stale(stale) => Some(*stale),
            _ => None,
        }
    }

    pub(crate) fn has(&self, url: &str) -> bool {
        !matches!(self.cache.lookup(&get(url)), Lookup::Miss)
    }

    pub(crate) fn stats(&self) -> CacheStats {
        self.cache.stats().unwrap()
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub(crate) fn get(url: &str) -> request::Parts {
    asked(Method::GET, url, &[])
}

pub(crate) fn asked(method: Method, url: &str, headers: &[(&str, &str)]) -> request::Parts {
    let mut builder = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

pub(crate) fn said(status: u16, headers: &[(&str, &str)]) -> response::Parts {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(crate) fn disk_bytes(folder: &Path) -> u64 {
    let sizes = files(folder)
        .into_iter()
        .map(|path| path.metadata().unwrap().len());
    sizes.sum()
}

/// A body of this length that is not like that of another number.
pub(crate) fn body(number: usize, len: usize) -> Vec<u8> {
    let mut body = format!("body {number} ").into_bytes();
    body.resize(len, b'.');
    body
}
