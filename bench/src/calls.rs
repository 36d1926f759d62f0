//! What a protection costs a call that goes well, and one that is turned away; and what it costs to be watched, measured and supervised.

use crate::contended;
use crate::options::Options;
use crate::report::{median, range};
use crate::supervised;
use anyhow::{Context, Result, ensure};
use mainstay_clock::SharedClock;
use mainstay_resilience::{
    Breaker, BreakerSettings, Bulkhead, BulkheadSettings, Category, Class, Classify, Rate,
    RateLimit, RateLimiter, Retry, RetrySettings, Severity, Stack,
};
use mainstay_work::{Budget, Budgets, Progress};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// So many calls are timed together.
const CALLS: u32 = 1_000_000;

/// What everything else is read against.
const CONTROL: &str = "control: reading the clock";

/// What is measured, and the most that is aimed at, in nanoseconds.
const GOALS: [(&str, f64); 15] = [
    ("breaker, closed", 5.0),
    ("breaker, closed, with a window of 30 s", 40.0),
    ("breaker, open", 20.0),
    ("limiter, allowed", 35.0),
    ("limiter, refused", 20.0),
    ("retry, nothing to do", 5.0),
    (
        "stack of five: retry, breaker, limiter, bulkhead, limit of time",
        150.0,
    ),
    (LOG_OFF, 1.0),
    (LOG_ON, 200.0),
    ("progress, an update that is throttled", 50.0),
    ("budget, a guard", 100.0),
    (supervised::SPAWN, 1_000.0),
    (supervised::PASS, 5_000_000.0),
    (supervised::CONTEXT, 1_000.0),
    (CONTROL, f64::NAN),
];

/// Telemetry is aimed to cost nothing while it is off, and 50 ns a call while it is on.
const LOG_OFF: &str = "a line of the log that nobody wants";
const LOG_ON: &str = "stack of five, while a log takes every level";

#[derive(Debug)]
pub(crate) struct Fault;

impl Classify for Fault {
    fn class(&self) -> Class {
        Class::retryable(Category::Network, Severity::Medium)
    }
}

pub(crate) fn measure(options: &Options) -> Result<String> {
    let mut figures: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..options.rounds {
        for (name, nanos) in ours()?.into_iter().chain(rivals(options)?) {
            figures.entry(name).or_default().push(nanos);
        }
    }
    let mut text = String::new();
    writeln!(
        text,
        "\n## What a protection, an update of a progress and a budget cost, in nanoseconds\n"
    )?;
    writeln!(text, "| | median | range | aim |\n|---|---:|---:|---:|")?;
    let goal = |name: &str| GOALS.iter().find(|(known, _)| *known == name);
    let mut line = |name: &str, figures: &[f64]| {
        let (least, most) = range(figures);
        let aim = goal(name)
            .filter(|(_, aim)| aim.is_finite())
            .map_or(String::new(), |(_, aim)| format!("{aim:.0}"));
        let middle = median(figures.to_vec());
        writeln!(
            text,
            "| {name} | {middle:.1} | {least:.1}–{most:.1} | {aim} |"
        )
    };
    for (name, _) in GOALS {
        if let Some(figures) = figures.remove(name) {
            line(name, &figures)?;
        }
    }
    for (name, figures) in &figures {
        line(name, figures)?;
    }
    Ok(text)
}

/// A call that goes well.
pub(crate) fn works() -> std::result::Result<u32, Fault> {
    if black_box(true) { Ok(1) } else { Err(Fault) }
}

/// Nanoseconds of each.
fn ours() -> Result<Vec<(String, f64)>> {
    let clock = mainstay_clock::system();
    let mut timed = Timed::default();
    timed.time(CONTROL, || {
        black_box(clock.now());
    });
    let lock = Mutex::new(0);
    timed.time("control: an uncontended mutex", || {
        drop(black_box(lock.lock()));
    });

    let breaker = |settings| Breaker::new("bench", settings, clock.clone());
    let closed = breaker(BreakerSettings::default())?;
    timed.time("breaker, closed", || {
        drop(black_box(closed.run_blocking(works)));
    });
    let windowed = breaker(BreakerSettings {
        rate: Some(Rate::default()),
        ..BreakerSettings::default()
    })?;
    timed.time("breaker, closed, with a window of 30 s", || {
        drop(black_box(windowed.run_blocking(works)));
    });
    for _ in 0..5 {
        drop(closed.run_blocking(|| Err::<(), _>(Fault)));
    }
    timed.time("breaker, open", || {
        drop(black_box(closed.run_blocking(works)));
    });

    let wide = limiters(&mut timed, &clock)?;
    stacks(&mut timed, &clock, wide)?;
    watched(&mut timed, &clock)?;
    timed.figures.extend(supervised::measure(&clock)?);
    timed.figures.extend(contended::measure(&clock)?);
    Ok(timed.figures)
}

/// Answers one that lets everything pass.
fn limiters(timed: &mut Timed, clock: &SharedClock) -> Result<Arc<RateLimiter>> {
    let limiter = |permits, burst| {
        let limit = RateLimit {
            permits,
            per: Duration::from_secs(1),
            burst,
        };
        RateLimiter::new("bench", limit, clock.clone())
    };
    // More than anybody can ask for.
    let wide = Arc::new(limiter(1_000_000_000, 1_000_000_000)?);
    timed.time("limiter, allowed", || {
        drop(black_box(wide.try_acquire(1)));
    });
    let narrow = limiter(1, 1)?;
    timed.time("limiter, refused", || {
        drop(black_box(narrow.try_acquire(1)));
    });

    Ok(wide)
}

fn stacks(timed: &mut Timed, clock: &SharedClock, limiter: Arc<RateLimiter>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let retry = Retry::new("bench", RetrySettings::generic(), clock.clone())?;
    timed.time("retry, nothing to do", || {
        drop(black_box(ready(retry.run(|_| async { works() }))));
    });
    let breaker = Breaker::new("bench", BreakerSettings::default(), clock.clone())?;
    let bulkhead = Bulkhead::new("bench", BulkheadSettings::default(), clock.clone())?;
    let stack = Stack::builder("bench", clock.clone())
        .retry(RetrySettings::generic())
        .breaker(Arc::new(breaker))
        .limiter(limiter, Duration::ZERO)
        .bulkhead(Arc::new(bulkhead))
        .attempt_limit(Duration::from_secs(10))
        .build()?;
    let _inside = runtime.enter();
    timed.time(
        "stack of five: retry, breaker, limiter, bulkhead, limit of time",
        || drop(black_box(ready(stack.run(|_| async { works() })))),
    );
    timed.time(LOG_OFF, || {
        tracing::debug!(answer = black_box(42), "nobody wants this");
    });
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(std::io::sink)
        .finish();
    tracing::subscriber::with_default(log, || {
        timed.time(LOG_ON, || {
            drop(black_box(ready(stack.run(|_| async { works() }))));
        });
    });
    Ok(())
}

fn watched(timed: &mut Timed, clock: &SharedClock) -> Result<()> {
    let progress = Progress::new("bench", clock.clone());
    // One who watches was told a moment ago, and wants to hear no more for a while.
    let mut updates = progress.updates(Duration::from_hours(1));
    drop(ready(updates.next()));
    timed.time("progress, an update that is throttled", || progress.add(1));
    progress.finish();
    let item = Budgets::new(clock.clone()).define("bench", Budget::ITEM)?;
    timed.time("budget, a guard", || black_box(&item).start().finish());
    Ok(())
}

/// What a future comes to that waits for nothing.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// Names, and nanoseconds of a call.
#[derive(Default)]
struct Timed {
    figures: Vec<(String, f64)>,
}

impl Timed {
    fn time(&mut self, name: &str, mut call: impl FnMut()) {
        let begun = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        let nanos = begun.elapsed().as_nanos() as f64 / f64::from(CALLS);
        self.figures.push((name.to_owned(), nanos));
    }
}

/// What others take, by their own program.
fn rivals(options: &Options) -> Result<Vec<(String, f64)>> {
    let Some(program) = &options.rivals else {
        return Ok(Vec::new());
    };
    let output = Command::new(program)
        .args(["calls", &CALLS.to_string()])
        .output()
        .context("the others cannot be started")?;
    ensure!(
        output.status.success(),
        "the others: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}
