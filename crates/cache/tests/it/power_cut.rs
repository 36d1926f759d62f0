//! What a power cut leaves: of each file some version that it once had, or the beginning of one, with zeros behind it or
//! nothing, and of no two files the same moment.
//!
//! This is worse than what a disk leaves that keeps to its syncs, and so needs no such disk.

use crate::stage::{asked, files, said};
use http::Method;
use mainstay_cache::{Cache, CacheSettings};
use mainstay_clock::ManualClock;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

const ADDRESSES: usize = 4;

const STEPS: usize = 12;

/// Each file of the cache with what it held after each step, where it was there.
static MOMENTS: LazyLock<BTreeMap<PathBuf, Vec<Option<Vec<u8>>>>> = LazyLock::new(|| {
    let root = tempfile::tempdir().unwrap();
    let cache = open(root.path());
    let mut moments = BTreeMap::<PathBuf, Vec<Option<Vec<u8>>>>::new();
    for step in 0..STEPS {
        put(&cache, step);
        if step % 5 == 4 {
            cache.invalidate_url(&url(step).parse().unwrap()).unwrap();
        }
        if step == STEPS / 2 {
            // Empties the log into the index.
            cache.prune().unwrap();
        }
        for path in files(root.path()) {
            let name = path.strip_prefix(root.path()).unwrap().to_owned();
            let versions = moments.entry(name).or_default();
            versions.resize(step, None);
            versions.push(Some(fs::read(&path).unwrap()));
        }
    }
    for versions in moments.values_mut() {
        versions.resize(STEPS, None);
    }
    moments
});

fn open(folder: &Path) -> Cache {
    let clock = Arc::new(ManualClock::new());
    Cache::open(folder, CacheSettings::default(), clock).unwrap()
}

fn url(step: usize) -> String {
    format!("https://example.org/{}", step % ADDRESSES)
}

fn content(step: usize) -> Vec<u8> {
    format!("{} in step {step} ", url(step))
        .repeat(step * 100 + 1)
        .into_bytes()
}

fn put(cache: &Cache, step: usize) {
    let request = asked(Method::GET, &url(step), &[]);
    let mark = step.to_string();
    let response = said(200, &[("cache-control", "max-age=60"), ("x-mark", &mark)]);
    cache.store(&request, &response, &content(step)).unwrap();
}

/// Whatever is served is what was once stored for that address, all of it; answers for how many there is something.
fn judge(cache: &Cache) -> usize {
    let served = (0..ADDRESSES).filter(|address| {
        let Some(answer) = cache.offline(&asked(Method::GET, &url(*address), &[])) else {
            return false;
        };
        let step: usize = answer.headers["x-mark"].to_str().unwrap().parse().unwrap();
        assert_eq!(step % ADDRESSES, *address);
        assert!(answer.body[..] == content(step), "step {step}");
        true
    });
    served.count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn after_a_power_cut_the_cache_opens_and_serves_nothing_wrong(
        cut in prop::collection::vec((0..STEPS, prop::option::weighted(0.2, (0.0..1.0, any::<bool>()))), 32),
        is_one_moment in any::<bool>(),
    ) {
        let root = tempfile::tempdir().unwrap();
        let mut left = cut.iter().cycle();
        for (name, versions) in MOMENTS.iter() {
            let (moment, end) = left.next().unwrap();
            // Half of the times only bodies and the ends of files are of other moments.
            let is_index = name.to_str().unwrap().contains("index");
            let moment = if is_one_moment && is_index { cut[0].0 } else { *moment };
            let Some(bytes) = &versions[moment] else {
                continue;
            };
            let mut bytes = bytes.clone();
            if let Some((part, is_filled)) = end {
                let (len, all) = ((bytes.len() as f64 * part) as usize, bytes.len());
                bytes.truncate(len);
                bytes.resize(if *is_filled { all } else { len }, 0);
            }
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let cache = open(root.path());
        judge(&cache);
        for step in 0..ADDRESSES {
            put(&cache, step);
        }
        prop_assert_eq!(judge(&cache), ADDRESSES);
        prop_assert_eq!(cache.stats().unwrap().entries, ADDRESSES as u64);
    }
}
