//! What a spectator sees: a bar that moves on a terminal, plain lines elsewhere.

use crate::terminal;
use indicatif::{ProgressBar, ProgressStyle};
use mainstay_clock::{Moment, SharedClock};

/// Shows how far the demonstration is.
#[derive(Debug)]
pub(super) struct Watcher {
    clock: SharedClock,
    start: Moment,
    bar: Option<ProgressBar>,
    total: usize,
    told: usize,
}

impl Watcher {
    /// A watcher for `total` files; a bar where somebody watches.
    pub(super) fn new(clock: SharedClock, total: usize) -> Self {
        let bar = terminal::is_watched().then(|| {
            let style =
                ProgressStyle::with_template("{bar:32.green} {pos:>5}/{len} delivered  {wide_msg}");
            ProgressBar::new(total as u64)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            start: clock.now(),
            clock,
            bar,
            total,
            told: 0,
        }
    }

    /// Something happened that a spectator should know.
    pub(super) fn tell(&self, what: &str) {
        let line = format!("{:>6.1} s  {what}", self.seconds());
        match &self.bar {
            Some(bar) => bar.suspend(|| terminal::say(&line)),
            None => terminal::say(&line),
        }
    }

    /// Where things stand; without a terminal, one line for each tenth of the way.
    pub(super) fn show(&mut self, dropped: usize, stored: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(stored as u64);
            bar.set_message(format!(
                "{dropped} dropped, {} on their way",
                dropped.saturating_sub(stored)
            ));
            return;
        }
        let tenth = stored * 10 / self.total;
        if tenth > self.told {
            self.told = tenth;
            self.tell(&format!("{dropped} dropped, {stored} delivered"));
        }
    }

    /// Seconds since the start.
    pub(super) fn seconds(&self) -> f64 {
        self.clock.now().since(self.start).as_secs_f64()
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
