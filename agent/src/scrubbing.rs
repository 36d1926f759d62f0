//! What the last scrub of the backups came to: written by whoever scrubs, shown by whoever asks.

use crate::terminal::visible;
use mainstay_clock::{Moment, SharedClock};
use mainstay_files::{Backups, FileState, Integrity, ScrubSummary, Scrubbed, replace};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;

/// The name of the folder of backups in the data folder.
pub(crate) const FOLDER: &str = "backups";

/// The longest that is read of it, in bytes; it has a few numbers.
const LEN_MAX: u64 = 4_096;

/// What the last scrub came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastScrub {
    /// When it ended, in milliseconds since 1970.
    pub(crate) at: u64,
    /// Files that were looked at.
    pub(crate) files: u64,
    /// Backups that were read.
    pub(crate) backups: u64,
    /// Files and backups that were damaged, and were not repaired.
    pub(crate) damaged: u64,
    /// Damaged files that were repaired.
    pub(crate) repaired: u64,
    /// Files that are not there, and were not deleted by Mainstay.
    #[serde(default)]
    pub(crate) missing: u64,
    /// What could not be looked at.
    pub(crate) failed: u64,
}

impl LastScrub {
    pub(crate) fn of(summary: &ScrubSummary, at: u64) -> Self {
        Self {
            at,
            files: summary.files,
            backups: summary.backups,
            damaged: summary.damaged.saturating_sub(summary.repaired),
            repaired: summary.repaired,
            missing: summary.missing,
            failed: summary.failed,
        }
    }

    /// The last one in this folder of backups; none where there was none, or what it came to cannot be understood.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let (file, facts) = mainstay_files::open_regular(&path(folder)).ok()?;
        let file = (facts.len <= LEN_MAX).then_some(file)?;
        serde_json::from_reader(file).ok()
    }

    /// Remembers it in this folder of backups.
    ///
    /// # Errors
    /// As [`replace`].
    pub(crate) fn write(&self, folder: &Path) -> Result<(), mainstay_files::Error> {
        let text = serde_json::json!(self).to_string();
        replace(&path(folder), format!("{text}\n").as_bytes())
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("last-scrub.json")
}

/// Scrubs all, tells `found` of each until it wants to hear no more, and remembers what all of it came to; answers beside the sums
/// whether that could be written down.
///
/// # Errors
/// The folder of the backups cannot be read.
pub(crate) fn scrub(
    backups: &Backups,
    repairs: bool,
    pace: &mut dyn FnMut(u64),
    found: &mut dyn FnMut(&Scrubbed) -> ControlFlow<()>,
) -> Result<(ScrubSummary, Result<(), mainstay_files::Error>), mainstay_files::Error> {
    // Whoever repairs takes what is whole; what it should hold only its owner knows.
    let whole = |_: &mut dyn std::io::Read| Ok(());
    let check: Option<&dyn mainstay_files::Check> = if repairs { Some(&whole) } else { None };
    let summary = backups.scrub(check, pace, found)?;
    let mut remembered = Ok(());
    if summary.files + summary.backups > 0 && !summary.was_ended {
        let last = LastScrub::of(&summary, mainstay_clock::system().wall());
        remembered = last.write(backups.folder());
    }
    Ok((summary, remembered))
}

/// Lets so many bytes pass in a second, all in all.
#[derive(Debug)]
pub(crate) struct Pace {
    clock: SharedClock,
    begun: Moment,
    bytes: u64,
    rate: u64,
}

impl Pace {
    /// One that begins now; a rate of 0 lets everything pass.
    pub(crate) fn new(clock: &SharedClock, rate: u64) -> Self {
        Self {
            clock: clock.clone(),
            begun: clock.now(),
            bytes: 0,
            rate,
        }
    }

    /// Takes so many more bytes, and blocks until they are due, or until `enough` is; not to be called on a thread that drives tasks.
    pub(crate) fn spend_until(
        &mut self,
        bytes: u64,
        enough: impl Future<Output = ()>,
        runtime: &Handle,
    ) {
        self.bytes += bytes;
        if self.rate == 0 {
            return;
        }
        let due = Duration::from_secs_f64(self.bytes as f64 / self.rate as f64);
        if let Some(wait) = due.checked_sub(self.clock.now().since(self.begun)) {
            runtime.block_on(async {
                tokio::select! {
                    // Made here: a sleep belongs to the runtime that it was made in.
                    () = self.clock.sleep(wait) => {}
                    () = enough => {}
                }
            });
        }
    }

    /// The same, however long it takes.
    pub(crate) fn spend(&mut self, bytes: u64, runtime: &Handle) {
        self.spend_until(bytes, std::future::pending(), runtime);
    }
}

/// Whether it is a file that is not there.
pub(crate) fn is_missing(scrubbed: &Scrubbed) -> bool {
    matches!(scrubbed, Scrubbed::File { state, .. } if *state == FileState::Missing)
}

/// What has to be said of one thing; nothing of what is well.
pub(crate) fn complaint(scrubbed: &Scrubbed) -> Option<String> {
    let shown = |path: &Path| visible(&path.display().to_string());
    match scrubbed {
        Scrubbed::File {
            path,
            state,
            repaired,
        } => {
            let what = match state {
                FileState::Damaged(reason) => format!("damaged: {reason}"),
                FileState::Missing => "missing: somebody removed it, or the disk lost it; \
                     `mainstay backup restore` brings it back"
                    .to_owned(),
                _ => return None,
            };
            let then = repaired.as_ref().map_or_else(String::new, |backup| {
                format!("; repaired from {}", backup.id)
            });
            Some(format!("{}: {what}{then}", shown(path)))
        }
        Scrubbed::Backup { backup, integrity } => match integrity {
            Integrity::Verified(_) => None,
            Integrity::Mismatch { .. } => Some(format!(
                "{}: backup {} is damaged: its content is another",
                shown(&backup.path),
                backup.id
            )),
            Integrity::Unknown(why) => Some(format!(
                "{}: backup {} is of no use: {}",
                shown(&backup.path),
                backup.id,
                visible(why)
            )),
        },
        Scrubbed::Unreadable(path) => Some(format!(
            "{}: what it says of a backup cannot be understood",
            shown(path)
        )),
        Scrubbed::Failed(error) => Some(visible(&error.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use std::sync::Arc;

    #[test]
    fn a_rate_holds_all_in_all_and_no_rate_holds_nothing_up() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let manual = ManualClock::new();
        let clock: SharedClock = Arc::new(manual.clone());
        Pace::new(&clock, 0).spend(u64::MAX, runtime.handle());

        let mut pace = Pace::new(&clock, 1_000);
        pace.spend(0, runtime.handle());
        let handle = runtime.handle().clone();
        let waiting = std::thread::spawn(move || {
            pace.spend(2_000, &handle);
            pace.clock.now().since(pace.begun)
        });
        while !waiting.is_finished() {
            manual.advance(Duration::from_millis(100));
            std::thread::yield_now();
        }
        assert!(waiting.join().unwrap() >= Duration::from_secs(2));
    }
}
