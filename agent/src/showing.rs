//! What a person sees of a command that takes a while: a line that changes on a terminal; elsewhere a line every ten seconds, and none
//! of what is done sooner. Both on standard error.

use crate::terminal;
use indicatif::{ProgressBar, ProgressStyle};
use mainstay_work::{Counter, Progress, Snapshot, Unit, Updates};
use std::thread::JoinHandle;

/// Shows how far something is, until it is dropped.
#[derive(Debug)]
pub(crate) struct Showing {
    progress: Option<Progress>,
    bar: Option<ProgressBar>,
    thread: Option<JoinHandle<()>>,
}

impl Showing {
    /// Begins to show `what` is done by the command `name`; where there is no total, nobody knows how much there is to do.
    pub(crate) fn begin(
        name: &'static str,
        what: &'static str,
        unit: Unit,
        total: Option<u64>,
    ) -> Self {
        let mut progress = Progress::new(name, mainstay_clock::system());
        progress.phase(what, unit, total);
        let bar = terminal::is_watched().then(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        let thread = if let Some(bar) = bar.clone() {
            let updates = progress.updates(Updates::SCREEN);
            std::thread::spawn(move || draw(updates, &bar))
        } else {
            let updates = progress.updates(Updates::LOG);
            std::thread::spawn(move || tell(updates, terminal::say))
        };
        Self {
            progress: Some(progress),
            bar,
            thread: Some(thread),
        }
    }

    /// Counts what is done; as many as want to.
    pub(crate) fn counter(&self) -> Option<Counter> {
        self.progress.as_ref().map(Progress::counter)
    }

    /// So much more is done.
    pub(crate) fn add(&self, more: u64) {
        if let Some(progress) = &self.progress {
            progress.add(more);
        }
    }

    /// So much of `total` is done, and this is under way.
    pub(crate) fn reach(&self, done: u64, total: u64, note: String) {
        if let Some(progress) = &self.progress {
            progress.set_total(total);
            progress.note(note);
            progress.reach(done);
        }
    }

    /// Says something beside it.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| terminal::say(text)),
            None => terminal::say(text),
        }
    }

    /// It is done.
    pub(crate) fn finish(mut self) {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        // Its last state ends the thread.
        drop(self.progress.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("what showed the progress died");
        }
    }
}

fn draw(mut updates: Updates, bar: &ProgressBar) {
    while let Some(snapshot) = updates.next_blocking() {
        bar.set_message(snapshot.to_string());
        bar.tick();
    }
    bar.finish_and_clear();
}

/// A log that nobody watches wants to hear of what takes long alone.
fn tell(mut updates: Updates, mut say: impl FnMut(&str)) {
    while let Some(snapshot) = updates.next_blocking() {
        if is_long(&snapshot) {
            say(&snapshot.to_string());
        }
    }
}

/// Whether it has taken as long as the log waits between two lines.
pub(crate) fn is_long(snapshot: &Snapshot) -> bool {
    Updates::LOG <= snapshot.elapsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    #[test]
    fn where_nobody_watches_only_what_takes_long_is_told() {
        let clock = ManualClock::new();
        let lines = |seconds: u64| {
            let mut progress = Progress::new("scrub", Arc::new(clock.clone()));
            progress.phase("reading", Unit::Items, Some(4));
            let updates = progress.updates(Updates::LOG);
            let (sender, said) = sync_channel(8);
            let telling = std::thread::spawn(move || {
                tell(updates, |line| sender.send(line.to_owned()).unwrap());
            });
            progress.reach(3);
            clock.advance(Duration::from_secs(seconds));
            progress.reach(4);
            progress.finish();
            telling.join().unwrap();
            said.into_iter().collect::<Vec<String>>()
        };
        assert_eq!(lines(9), [""; 0]);
        let long = lines(11);
        let last = long.last().unwrap();
        assert!(last.starts_with("scrub, reading: 4 of 4 (100 %)"), "{last}");
    }
}
