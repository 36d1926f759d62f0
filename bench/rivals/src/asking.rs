//! `asking URL AT_ONCE REQUESTS FOLDER`: answers from another cache in a second.

use anyhow::{Context, Result, ensure};
use http_cache_reqwest::{CACacheManager, Cache, CacheMode, HttpCache, HttpCacheOptions};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

pub fn run(words: &[&str]) -> Result<()> {
    let [url, at_once, requests, folder] = *words else {
        anyhow::bail!("asking URL AT_ONCE REQUESTS FOLDER");
    };
    let at_once: usize = at_once.parse().context("AT_ONCE")?;
    let requests: usize = requests.parse().context("REQUESTS")?;
    let manager = CACacheManager::new(folder.into(), false);
    let cache = Cache(HttpCache {
        mode: CacheMode::Default,
        manager,
        options: HttpCacheOptions::default(),
    });
    let client = reqwest::Client::builder().no_proxy().build()?;
    let client = ClientBuilder::new(client).with(cache).build();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let rate = runtime.block_on(async {
        // The first answer comes from the server.
        ask(&client, url).await?;
        ensure!(ask(&client, url).await? == "HIT", "it is not kept");
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let tasks: Vec<_> = (0..at_once)
            .map(|_| {
                let (client, url, next) = (client.clone(), url.to_owned(), Arc::clone(&next));
                tokio::spawn(async move {
                    while next.fetch_add(1, Ordering::Relaxed) < requests {
                        ask(&client, &url).await?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        anyhow::Ok(requests as f64 / begun.elapsed().as_secs_f64())
    });
    println!("{}", rate?);
    Ok(())
}

/// Whether it came from the cache.
async fn ask(client: &ClientWithMiddleware, url: &str) -> Result<String> {
    let answer = client.get(url).send().await?;
    let from = answer.headers().get("x-cache");
    let from = from.and_then(|from| from.to_str().ok());
    let from = from.unwrap_or_default().to_owned();
    let body = answer.bytes().await?;
    ensure!(!body.is_empty(), "an empty body");
    Ok(from)
}
