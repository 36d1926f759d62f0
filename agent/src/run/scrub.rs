//! The files that are kept by backups are read once a week: what the disk lost is found while there is another copy.

use super::Agent;
use crate::config::Scrub;
use crate::scrubbing::{self, LastScrub, Pace};
use mainstay_clock::SharedClock;
use mainstay_files::Backups;
use mainstay_supervise::TaskContext;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// Nothing is read so early: a start has better things to do.
const AFTER_START: Duration = Duration::from_mins(10);

/// How often it is asked whether a scrub is due; the date may jump.
const LOOK: Duration = Duration::from_hours(1);

/// Scrubs whenever it is due, for as long as the agent runs, and keeps what the status says of it up to date. A stop ends a scrub
/// after the file that is just read; it begins anew when it is due.
///
/// # Errors
/// A scrub died.
pub(super) async fn keep_whole(
    agent: Arc<Agent>,
    scrub: Scrub,
    clock: SharedClock,
    context: TaskContext,
) -> Result<(), JoinError> {
    let folder = agent.data.path().join(scrubbing::FOLDER);
    let look = if scrub.every.is_zero() {
        LOOK
    } else {
        LOOK.min(scrub.every)
    };
    let mut wait = AFTER_START.min(look);
    while context.pause(wait).await {
        wait = look;
        let (folder, clock) = (folder.clone(), clock.clone());
        let stop = context.stop().clone();
        let work = tokio::task::spawn_blocking(move || {
            // Somebody may have scrubbed by hand.
            let last = LastScrub::read(&folder);
            if is_due(&folder, last, scrub.every, clock.wall()) {
                run(scrub, &folder, &clock, &stop);
            }
            LastScrub::read(&folder)
        });
        // Of another life of the agent nothing is left, this neither: two would read at twice the rate.
        agent.set_last_scrub(context.alive_while(work, || true).await?);
    }
    Ok(())
}

fn is_due(folder: &Path, last: Option<LastScrub>, every: Duration, now: u64) -> bool {
    if every.is_zero() || mainstay_files::facts(folder).is_err() {
        return false;
    }
    last.is_none_or(|last| last.at > now || u128::from(now - last.at) >= every.as_millis())
}

fn run(scrub: Scrub, folder: &Path, clock: &SharedClock, stop: &CancellationToken) {
    let backups = match Backups::open(folder) {
        Ok(backups) => backups.made_by(concat!("mainstay ", env!("CARGO_PKG_VERSION"))),
        Err(error) => return tracing::error!("the backups are not scrubbed: {error}"),
    };
    let mut pace = Pace::new(clock, scrub.rate);
    let runtime = Handle::current();
    let done = scrubbing::scrub(
        &backups,
        scrub.repair,
        &mut |bytes| pace.spend_until(bytes, stop.cancelled(), &runtime),
        &mut |scrubbed| {
            match scrubbing::complaint(scrubbed) {
                // Somebody may have removed it, and wants to hear no more of it.
                Some(complaint) if scrubbing::is_missing(scrubbed) => tracing::info!("{complaint}"),
                Some(complaint) => tracing::error!("{complaint}"),
                None => {}
            }
            if stop.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    match done {
        Ok(summary) if summary.was_ended => tracing::info!(
            files = summary.files,
            backups = summary.backups,
            "a look at what is kept by backups was ended by a stop; it begins anew"
        ),
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
