//! What supervision costs: a task beside one of tokio's, and a pass of twenty cheap checks.
//!
//! ```sh
//! cargo run --release -p mainstay-supervise --example overhead
//! ```

#![expect(clippy::print_stdout, reason = "it says what it measured")]

use mainstay_clock::SharedClock;
use mainstay_supervise::{
    CheckSpec, Error, Health, Observed, Restart, Supervisor, SupervisorSettings, TaskSpec,
};
use std::time::Duration;

/// Tasks that are started at once in a round.
const TASKS: u32 = 10_000;

/// Of so many rounds the quickest counts: the others measure what else the machine does.
const ROUNDS: u32 = 20;

const CHECKS: u32 = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let clock = mainstay_clock::system();
    let supervisor = Supervisor::new(SupervisorSettings::default(), clock.clone())?;
    let (mut plain, mut supervised) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        plain = plain.min(spawn_plain(&clock).await);
        supervised = supervised.min(spawn_supervised(&supervisor, &clock).await?);
    }
    let each = |time: Duration| time.as_nanos() / u128::from(TASKS);
    println!("a task of tokio, started and ended: {} ns", each(plain));
    println!("a supervised one: {} ns", each(supervised));

    let health = Health::new(clock.clone())?;
    for number in 0..CHECKS {
        let spec = CheckSpec::new(format!("check {number}")).fresh_for(Duration::ZERO);
        health.register(spec, || async { Observed::healthy() })?;
    }
    let mut pass = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = clock.now();
        health.check_all().await;
        pass = pass.min(clock.now().since(began));
    }
    println!("a pass of {CHECKS} cheap checks: {} us", pass.as_micros());
    supervisor.close().await;
    Ok(())
}

async fn spawn_plain(clock: &SharedClock) -> Duration {
    let mut handles = Vec::with_capacity(TASKS as usize);
    let began = clock.now();
    for _ in 0..TASKS {
        handles.push(tokio::spawn(async {}));
    }
    for handle in handles {
        handle.await.ok();
    }
    clock.now().since(began)
}

async fn spawn_supervised(supervisor: &Supervisor, clock: &SharedClock) -> Result<Duration, Error> {
    let began = clock.now();
    for _ in 0..TASKS {
        let spec = TaskSpec::new("a job").until_done().restart(Restart::Never);
        supervisor.spawn_once(spec, async {})?;
    }
    supervisor.all_over().await;
    Ok(clock.now().since(began))
}
