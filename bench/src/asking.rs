//! What the client costs a request, beside the bare one underneath; and what an answer from its cache costs.

use crate::options::Options;
use crate::report::{median, range};
use crate::sink::Sink;
use anyhow::{Context, Result, ensure};
use mainstay_http::{Cache, CacheSettings, Client, ClientSettings, Proxy, Source, Tls};
use mainstay_resilience::RateLimit;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Requests of one run.
const REQUESTS: usize = 20_000;

/// So many are under way at once.
const AT_ONCE: usize = 16;

/// Addresses that are asked for one after the other, twice as many as a cache has at hand in memory: each comes from its folder.
const ADDRESSES: usize = 2_048;

/// A small answer, as a lookup gets it: 1 KiB that may be kept for an hour.
const BODY: usize = 1024;

const RIVAL: &str = "http-cache (cacache)";
const RIVAL_ALONE: &str = "http-cache (cacache), one at a time";

/// What one request does, as often as is wanted.
type Asking = Arc<dyn Fn() -> Asked + Send + Sync>;
type Asked = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>>;

pub(crate) fn measure(options: &Options) -> Result<String> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncache-control: max-age=3600\r\ncontent-length: {BODY}\r\n\r\n");
    let sink = Sink::answering([head.as_bytes(), &[b'x'; BODY]].concat())?;
    let url = format!("http://{}/one", sink.address);
    let folder = tempfile::Builder::new()
        .prefix("mainstay-bench-")
        .tempdir_in(&options.folder)?;
    let runs = runs(&sink, &url, folder.path())?;
    let mut rates: Vec<Vec<f64>> = runs.iter().map(|_| Vec::new()).collect();
    let mut others: [Vec<f64>; 2] = Default::default();
    for round in 1..=options.rounds {
        for ((_, at_once, asking), rates) in runs.iter().zip(&mut rates) {
            rates.push(run(&sink, asking, *at_once)?);
        }
        if let Some(rivals) = &options.rivals {
            for (at_once, rates) in [AT_ONCE, 1].into_iter().zip(&mut others) {
                let folder = tempfile::tempdir_in(folder.path())?;
                rates.push(rival(rivals, &url, at_once, folder.path())?);
            }
        }
        println!("asking: round {round} of {}", options.rounds);
    }
    let lines = runs
        .iter()
        .zip(&rates)
        .map(|((name, at_once, _), rates)| (*name, *at_once, rates));
    let others = [(RIVAL, AT_ONCE), (RIVAL_ALONE, 1)]
        .into_iter()
        .zip(&others)
        .map(|((name, at_once), rates)| (name, at_once, rates))
        .filter(|(.., rates)| !rates.is_empty());
    page(&lines.chain(others).collect::<Vec<_>>())
}

/// What is measured: its name, how many are under way at once, and what each does. The first is what the others are read against.
fn runs(sink: &Sink, url: &str, folder: &Path) -> Result<[(&'static str, usize, Asking); 5]> {
    let settings = ClientSettings {
        // It is there, and never in the way.
        limit: RateLimit {
            permits: 1_000_000,
            per: Duration::from_secs(1),
            burst: 1_000_000,
        },
        idle_connections: AT_ONCE,
        proxy: Proxy::None,
        ..ClientSettings::default()
    };
    let clock = mainstay_clock::system();
    let cache = Cache::open(folder, CacheSettings::default(), clock.clone())?;
    let cached = ClientSettings {
        cache: Some(Arc::new(cache)),
        ..settings.clone()
    };
    let from_folder = of_many(cached.clone(), &format!("http://{}", sink.address), &clock)?;
    sink.runtime.block_on(fill(&from_folder))?;
    Ok([
        ("bare reqwest", AT_ONCE, bare(url)?),
        (
            "mainstay-http",
            AT_ONCE,
            ours(settings, url, &clock, false)?,
        ),
        (
            "mainstay-http, from the cache",
            AT_ONCE,
            ours(cached.clone(), url, &clock, true)?,
        ),
        (
            "mainstay-http, from the cache, one at a time",
            1,
            ours(cached, url, &clock, true)?,
        ),
        (
            "mainstay-http, from the folder of the cache, one at a time",
            1,
            from_folder,
        ),
    ])
}

/// What another cache does in a process of its own: answers in a second.
fn rival(program: &Path, url: &str, at_once: usize, folder: &Path) -> Result<f64> {
    let output = Command::new(program)
        .args(["asking", url, &at_once.to_string(), &REQUESTS.to_string()])
        .arg(folder)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the other cache: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// What was measured: name, requests at once, and the rate of each round; the first is what the others are read against.
fn page(runs: &[(&str, usize, &Vec<f64>)]) -> Result<String> {
    let (.., control) = runs.first().context("the bare one is measured")?;
    let mut text = format!("\n## Answers of 1 KiB over loopback, {REQUESTS} requests\n\n");
    writeln!(
        text,
        "| | at once | requests/s | range | of bare | µs each |\n|---|---:|---:|---:|---:|---:|"
    )?;
    for (name, at_once, rates) in runs {
        let (least, most) = range(rates);
        let ratios = rates.iter().zip(*control).map(|(rate, bare)| rate / bare);
        let middle = median((*rates).clone());
        writeln!(
            text,
            "| {name} | {at_once} | {middle:.0} | {least:.0}–{most:.0} | {:.2} | {:.1} |",
            median(ratios.collect()),
            *at_once as f64 * 1e6 / middle
        )?;
    }
    writeln!(
        text,
        "\nAll share two processors; the server has a process with our clients and the bare one."
    )?;
    Ok(text)
}

fn bare(url: &str) -> Result<Asking> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(mainstay_wire::client_config(&Tls::default())?)
        .no_proxy()
        .pool_max_idle_per_host(AT_ONCE)
        .build()?;
    let url = url.to_owned();
    Ok(Arc::new(move || {
        let (client, url) = (client.clone(), url.clone());
        Box::pin(async move {
            let body = client.get(url).send().await?.bytes().await?;
            ensure!(body.len() == BODY, "{} bytes came", body.len());
            Ok(())
        })
    }))
}

fn ours(
    settings: ClientSettings,
    url: &str,
    clock: &mainstay_clock::SharedClock,
    kept: bool,
) -> Result<Asking> {
    let client = Client::new(settings, clock.clone())?;
    let url = url.to_owned();
    Ok(Arc::new(move || {
        let (client, url) = (client.clone(), url.clone());
        Box::pin(async move {
            let answer = client.get(&url).send().await?;
            ensure!(
                answer.body.len() == BODY,
                "{} bytes came",
                answer.body.len()
            );
            let is_kept = matches!(answer.source, Source::Cache { .. });
            ensure!(is_kept == kept, "it came from {:?}", answer.source);
            Ok(())
        })
    }))
}

/// Asks for one address after the other, and begins anew after the last.
fn of_many(
    settings: ClientSettings,
    host: &str,
    clock: &mainstay_clock::SharedClock,
) -> Result<Asking> {
    let client = Client::new(settings, clock.clone())?;
    let (host, next) = (host.to_owned(), Arc::new(AtomicUsize::new(0)));
    Ok(Arc::new(move || {
        let number = next.fetch_add(1, Ordering::Relaxed) % ADDRESSES;
        let (client, url) = (client.clone(), format!("{host}/many/{number}"));
        Box::pin(async move {
            let answer = client.get(&url).send().await?;
            let is_kept = matches!(answer.source, Source::Cache { .. });
            ensure!(is_kept, "it came from {:?}", answer.source);
            Ok(())
        })
    }))
}

/// Asks until one whole round came out of the cache: an answer that comes while others are on their way into it is not kept.
async fn fill(asking: &Asking) -> Result<()> {
    for _ in 0..20 {
        let mut fresh = 0;
        for _ in 0..ADDRESSES {
            fresh += usize::from(asking().await.is_err());
        }
        if fresh == 0 {
            return Ok(());
        }
    }
    anyhow::bail!("the cache does not keep {ADDRESSES} answers")
}

/// Requests in a second, after as many as warm everything up.
fn run(sink: &Sink, asking: &Asking, at_once: usize) -> Result<f64> {
    sink.runtime.block_on(async {
        // The first answer is nobody's from a cache.
        drop(asking().await);
        asking().await?;
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let tasks: Vec<_> = (0..at_once)
            .map(|_| {
                let (asking, next) = (Arc::clone(asking), Arc::clone(&next));
                tokio::spawn(async move {
                    while next.fetch_add(1, Ordering::Relaxed) < REQUESTS {
                        asking().await?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(REQUESTS as f64 / begun.elapsed().as_secs_f64())
    })
}
