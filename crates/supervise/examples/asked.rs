//! A program that works until it is asked to stop: at a console, by signals, or as a service of Windows.
//!
//! ```sh
//! cargo run -p mainstay-supervise --example asked -- asked.log
//! ```
//!
//! On Windows it is a service, too, where the service manager starts it:
//!
//! ```bat
//! sc create asked binPath= "C:\path\to\asked.exe C:\path\to\asked.log"
//! sc start asked
//! sc control asked paramchange
//! sc stop asked
//! ```

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it shows what happens, in a log that may be lost"
)]

use mainstay_supervise::{
    Request, Requests, StopOutcome, StopSettings, StopSignal, Stopping, Supervisor,
    SupervisorSettings, TaskContext, TaskError, TaskSpec,
};
use std::io::Write;
use std::time::Duration;

fn main() -> Result<(), TaskError> {
    #[cfg(windows)]
    match mainstay_supervise::run_as_service("asked", serve) {
        // At a console it is a program like any other.
        Err(error) if error.kind() == mainstay_supervise::ErrorKind::Refused => {}
        done => return Ok(done?),
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        let requests = Requests::to_stop_or_reload()?;
        work(requests, || {}, |_| {}).await
    })?;
    println!("{outcome:?}");
    Ok(())
}

#[cfg(windows)]
fn serve(requests: Requests, report: mainstay_supervise::ServiceReport) -> u32 {
    let Ok(runtime) = tokio::runtime::Runtime::new() else {
        return 1;
    };
    let work = work(
        requests,
        || report.running(),
        |longest| report.stopping(longest),
    );
    u32::from(runtime.block_on(work).ok() != Some(StopOutcome::Clean))
}

/// Works until it is asked to stop, and stops within its time.
async fn work(
    mut requests: Requests,
    running: impl FnOnce(),
    stopping_within: impl Fn(Duration),
) -> Result<StopOutcome, TaskError> {
    let supervisor = Supervisor::new(SupervisorSettings::default(), mainstay_clock::system())?;
    supervisor.spawn(
        TaskSpec::new("the work"),
        |context: TaskContext| async move {
            context.stopping().await;
            Ok::<(), TaskError>(())
        },
    )?;
    let stopping = Stopping::new(&supervisor, StopSettings::default())?;
    let (signal, longest) = (stopping.signal(), stopping.longest());
    supervisor.started();
    running();
    note("running")?;
    let stop = async {
        signal.asked().cancelled().await;
        stopping.run().await
    };
    let report = tokio::select! {
        Err(failed) = listen(&mut requests, &signal, || stopping_within(longest)) => return Err(failed.into()),
        report = stop => report,
    };
    note(&format!("{:?}", report.outcome))?;
    Ok(report.outcome)
}

/// Passes on what is asked, until that cannot be noted.
async fn listen(
    requests: &mut Requests,
    signal: &StopSignal,
    asked: impl Fn(),
) -> std::io::Result<()> {
    loop {
        match requests.next().await {
            Request::Stop(by) => {
                note(&format!("asked to stop by {by}: {:?}", signal.ask(by)))?;
                asked();
            }
            Request::Reload(by) => note(&format!("a new configuration by {by}"))?,
        }
    }
}

/// A service has no console: what happens stands in the file that is the first argument.
fn note(line: &str) -> std::io::Result<()> {
    println!("{line}");
    let Some(file) = std::env::args_os().nth(1) else {
        return Ok(());
    };
    let mut options = std::fs::OpenOptions::new();
    writeln!(options.create(true).append(true).open(file)?, "{line}")
}
