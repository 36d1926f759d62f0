//! What a person sees while the agent works: one line that changes on a terminal, a log line now and then elsewhere.

use super::agent::Agent;
use crate::status::{Status, To};
use crate::terminal::{self, Text, visible};
use indicatif::{ProgressBar, ProgressStyle};
use mainstay_supervise::TaskContext;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How often the line on the terminal changes.
const REDRAW: Duration = Duration::from_millis(250);

/// How often the log is told, if there is anything new.
const LOG: Duration = Duration::from_secs(10);

/// The line at the bottom of the terminal, which log lines must not tear.
#[derive(Debug, Clone)]
pub(crate) struct Display {
    bar: Option<ProgressBar>,
}

impl Display {
    /// A line, where a person watches standard error.
    pub(crate) fn new() -> Self {
        let bar = terminal::is_watched().then(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        Self { bar }
    }

    /// No line, for the commands that have none.
    pub(crate) fn none() -> Self {
        Self { bar: None }
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Whether there is one.
    pub(crate) fn is_shown(&self) -> bool {
        self.bar.is_some()
    }
}

/// Log lines go above the line.
impl io::Write for Display {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.bar {
            Some(bar) => bar.suspend(|| io::stderr().write_all(bytes))?,
            None => io::stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Shows what the agent does until it is to stop.
pub(super) async fn show(display: Display, agent: Arc<Agent>, context: TaskContext) {
    let mut last = String::new();
    loop {
        let line = line(&agent.status());
        let pause = if let Some(bar) = &display.bar {
            bar.set_message(line);
            bar.tick();
            REDRAW
        } else {
            if line != last {
                tracing::info!("{line}");
            }
            last = line;
            LOG
        };
        if !context.pause(pause).await {
            return;
        }
    }
}

/// The ledger in a few words, and whatever holds it up.
fn line(status: &Status) -> String {
    let ledger = &status.ledger;
    let mut line = Text::default();
    line.add(format_args!(
        "{} accepted, {} delivered, {} queued",
        ledger.accepted, ledger.delivered, ledger.queued
    ));
    if ledger.dead > 0 {
        line.add(format_args!(", {} dead", ledger.dead));
    }
    for route in &status.routes {
        let from = route.from.iter().filter(|from| !from.reason.is_empty());
        let from = from.map(|from| (from.place(), from.state.as_str(), from.reason.as_str()));
        let to = route.to.iter().filter(|to| !to.reason.is_empty());
        let place = |to: &To| {
            if to.address.is_empty() {
                to.lane.clone()
            } else {
                to.address.clone()
            }
        };
        let to = to.map(|to| (place(to), to.state.as_str(), to.reason.as_str()));
        for (place, state, reason) in from.chain(to) {
            line.add(format_args!(
                " · {} {state}: {}",
                visible(&place),
                visible(reason)
            ));
        }
    }
    if !status.queue.reason.is_empty() {
        line.add(format_args!(
            " · queue {}: {}",
            status.queue.mode,
            visible(&status.queue.reason)
        ));
    }
    line.finish()
}
