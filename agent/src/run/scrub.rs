//! The files that are kept by backups are read once a week: what the disk lost is found while there is another copy.

use crate::config::Scrub;
use crate::scrubbing::{self, LastScrub};
use mainstay_clock::SharedClock;
use mainstay_files::Backups;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;

/// Nothing is read so early: a start has better things to do.
const AFTER_START: Duration = Duration::from_mins(10);

/// How often it is asked whether a scrub is due; the date may jump.
const LOOK: Duration = Duration::from_hours(1);

/// Scrubs whenever it is due, for as long as the agent runs; a scrub that is cut off by the end begins anew when it is due.
pub(super) async fn keep_whole(scrub: Scrub, data: PathBuf, clock: SharedClock) {
    let folder = data.join(scrubbing::FOLDER);
    if scrub.every.is_zero() {
        std::future::pending::<()>().await;
    }
    clock.sleep(AFTER_START.min(scrub.every)).await;
    loop {
        if is_due(&folder, scrub.every, clock.wall()) {
            let (folder, clock) = (folder.clone(), clock.clone());
            let work = tokio::task::spawn_blocking(move || run(scrub, &folder, &clock));
            if work.await.is_err() {
                tracing::error!("a scrub of the backups died; the next one is tried in an hour");
            }
        }
        clock.sleep(LOOK.min(scrub.every)).await;
    }
}

fn is_due(folder: &Path, every: Duration, now: u64) -> bool {
    if mainstay_files::facts(folder).is_err() {
        return false;
    }
    LastScrub::read(folder)
        .is_none_or(|last| last.at > now || u128::from(now - last.at) >= every.as_millis())
}

fn run(scrub: Scrub, folder: &Path, clock: &SharedClock) {
    let backups = match Backups::open(folder) {
        Ok(backups) => backups.made_by(concat!("mainstay ", env!("CARGO_PKG_VERSION"))),
        Err(error) => return tracing::error!("the backups are not scrubbed: {error}"),
    };
    let (begun, mut bytes) = (clock.now(), 0_u64);
    let mut pace = |read: u64| {
        bytes += read;
        let due = Duration::from_secs_f64(bytes as f64 / scrub.rate.max(1) as f64);
        if let Some(wait) = due.checked_sub(clock.now().since(begun)) {
            Handle::current().block_on(clock.sleep(wait));
        }
    };
    let done = scrubbing::scrub(&backups, scrub.repair, &mut pace, &mut |scrubbed| {
        match scrubbing::complaint(scrubbed) {
            // Somebody may have removed it, and wants to hear no more of it.
            Some(complaint) if scrubbing::is_missing(scrubbed) => tracing::info!("{complaint}"),
            Some(complaint) => tracing::error!("{complaint}"),
            None => {}
        }
    });
    match done {
        Ok(summary) => tracing::info!(
            files = summary.files,
            backups = summary.backups,
            damaged = summary.damaged,
            repaired = summary.repaired,
            missing = summary.missing,
            failed = summary.failed,
            "what is kept by backups was read"
        ),
        Err(error) => tracing::error!("the backups cannot be scrubbed: {error}"),
    }
}
