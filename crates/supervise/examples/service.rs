//! A service of three parts: one that fails now and then, one that is checked, and an orderly stop.
//!
//! ```sh
//! cargo run -p mainstay-supervise --example service
//! ```

#![expect(clippy::print_stdout, reason = "it shows what happens")]

use mainstay_resilience::Backoff;
use mainstay_supervise::{
    CheckSpec, Health, Observed, StopSettings, Stopping, Supervisor, SupervisorSettings,
    TaskContext, TaskError, TaskSpec,
};
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), TaskError> {
    let clock = mainstay_clock::system();
    let supervisor = Supervisor::new(SupervisorSettings::default(), clock.clone())?;
    let mut events = supervisor.subscribe();

    let quick = Backoff::doubling(Duration::from_millis(10), Duration::from_millis(50));
    let spec = TaskSpec::new("the pickup").critical().backoff(quick);
    supervisor.spawn(spec, |context: TaskContext| async move {
        if context.attempt() < 3 {
            return Err("the folder is away");
        }
        context.stopping().await;
        Ok(())
    })?;

    let health = Health::new(clock)?;
    let spec = CheckSpec::new("room on the disk").ready();
    health.register(spec, || async {
        Observed::healthy().with("free_bytes", 12_000_000_000_u64)
    })?;
    let checks = health.clone();
    supervisor.spawn(
        TaskSpec::new("the health checks"),
        move |context: TaskContext| {
            let checks = checks.clone();
            async move { checks.run(&context).await }
        },
    )?;
    supervisor.started();

    // Two restarts, and each change of the service's state with them.
    for _ in 0..5 {
        println!("{:?}", events.recv().await?);
    }
    println!("ready: {}", health.readiness().await.is_ready);

    let mut stopping = Stopping::new(&supervisor, StopSettings::default())?;
    let queue = "the queue is closed";
    stopping.hook(queue, Duration::from_secs(10), || async {})?;
    stopping.signal().ask("the end of the example");
    let report = stopping.run().await;
    println!("{:?} in {} ms", report.outcome, report.took_ms());
    Ok(())
}
