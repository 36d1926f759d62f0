//! A supervisor whose time is moved by hand.

use mainstay_clock::ManualClock;
use mainstay_supervise::{Event, Supervisor, SupervisorSettings};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// How far time goes on at once.
pub(crate) const STEP: Duration = Duration::from_millis(10);

/// One that does not look at the runtime: time that is moved by hand outruns it.
pub(crate) fn supervised() -> (Supervisor, ManualClock) {
    let clock = ManualClock::new();
    let settings = SupervisorSettings {
        stall_after: None,
        ..SupervisorSettings::default()
    };
    let supervisor = Supervisor::new(settings, Arc::new(clock.clone())).unwrap();
    (supervisor, clock)
}

/// Lets time go on until this comes to something.
pub(crate) async fn passes<T>(clock: &ManualClock, future: impl Future<Output = T>) -> T {
    tokio::pin!(future);
    loop {
        tokio::select! {
            biased;
            output = &mut future => return output,
            () = tokio::task::yield_now() => clock.advance(STEP),
        }
        // Others of the process, the monitor among them, have a turn too.
        std::thread::yield_now();
    }
}

/// The next event that is looked for, while time goes on.
pub(crate) async fn next(
    events: &mut Receiver<Event>,
    clock: &ManualClock,
    is_it: impl Fn(&Event) -> bool,
) -> Event {
    passes(clock, async {
        loop {
            let event = events.recv().await.unwrap();
            if is_it(&event) {
                return event;
            }
        }
    })
    .await
}

/// An error with a cause.
#[derive(Debug)]
pub(crate) struct Chained;

impl fmt::Display for Chained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot read the folder")
    }
}

impl std::error::Error for Chained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&Cause)
    }
}

#[derive(Debug)]
struct Cause;

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the disk is gone")
    }
}

impl std::error::Error for Cause {}
