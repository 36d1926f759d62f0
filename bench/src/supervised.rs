//! What it costs to be supervised, to be looked at, and to fail with all that is to be known of it.

use anyhow::Result;
use mainstay_clock::SharedClock;
use mainstay_resilience::{Category, Class, ErrorContext, Severity};
use mainstay_supervise::{
    CheckSpec, Health, Observed, Restart, Supervisor, SupervisorSettings, TaskSpec,
};
use std::error::Error;
use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// So many tasks are started and awaited one after the other, and so many errors written down.
const TASKS: u32 = 50_000;

/// A pass looks at so many things: as many as an agent with three routes has.
const CHECKS: u32 = 20;
const PASSES: u32 = 1_000;

pub(crate) const SPAWN: &str = "a supervised task, started and awaited, beyond one of tokio's";
/// What `supervise` adds to the checks: these do nothing. What those of an agent cost it measures itself while it runs, and shows as the
/// budget `health`.
pub(crate) const PASS: &str = "a look at the health without its checks: 20 that do nothing";
pub(crate) const CONTEXT: &str = "the context of an error with one cause";

/// Nanoseconds of each.
pub(crate) fn measure(clock: &SharedClock) -> Result<Vec<(String, f64)>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let mut figures = runtime.block_on(spawned(clock))?;
    figures.push((PASS.to_owned(), runtime.block_on(looked_at(clock))?));
    figures.push((CONTEXT.to_owned(), failed(clock)));
    Ok(figures)
}

async fn spawned(clock: &SharedClock) -> Result<Vec<(String, f64)>> {
    let begun = Instant::now();
    for _ in 0..TASKS {
        tokio::spawn(async { black_box(()) }).await?;
    }
    let plain = nanos(begun, TASKS);
    let supervisor = Supervisor::new(SupervisorSettings::default(), clock.clone())?;
    let begun = Instant::now();
    for _ in 0..TASKS {
        let spec = TaskSpec::new("bench").restart(Restart::Never).until_done();
        let task = supervisor.spawn_once(spec, async { black_box(()) })?;
        task.over().await;
    }
    let ours = nanos(begun, TASKS);
    supervisor.close().await;
    Ok(vec![
        (
            "control: a task of tokio's, started and awaited".to_owned(),
            plain,
        ),
        (SPAWN.to_owned(), ours - plain),
    ])
}

async fn looked_at(clock: &SharedClock) -> Result<f64> {
    let health = Health::new(clock.clone())?;
    for number in 0..CHECKS {
        // What is fresh would not be run.
        let spec = CheckSpec::new(format!("check {number}")).fresh_for(Duration::ZERO);
        health.register(spec, || async { Observed::healthy() })?;
    }
    let begun = Instant::now();
    for _ in 0..PASSES {
        black_box(health.check_all().await);
    }
    Ok(nanos(begun, PASSES))
}

fn failed(clock: &SharedClock) -> f64 {
    let class = Class::retryable(Category::Network, Severity::Medium);
    let error = Failed(Some(Box::new(Failed(None))));
    let begun = Instant::now();
    for _ in 0..TASKS {
        black_box(ErrorContext::classed("bench", &error, class, &**clock));
    }
    nanos(begun, TASKS)
}

fn nanos(begun: Instant, times: u32) -> f64 {
    begun.elapsed().as_nanos() as f64 / f64::from(times)
}

/// An error, with a cause or without.
#[derive(Debug)]
struct Failed(Option<Box<Failed>>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was refused by the other side")
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_deref().map(|cause| cause as _)
    }
}
