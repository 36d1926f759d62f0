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
    turns: Arc<tokio::sync::Mutex<()>>,
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
        // One that hangs is not doubled: this task is silent until it moves, and who comes after it waits here.
        let turn = Arc::clone(&turns).lock_owned().await;
        let (folder, clock, context) = (folder.clone(), clock.clone(), context.clone());
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            // Somebody may have scrubbed by hand.
            let last = LastScrub::read(&folder);
            if is_due(&folder, last, scrub.every, clock.wall()) {
                run(scrub, &folder, &clock, &context);
            }
            LastScrub::read(&folder)
        });
        // Of another life of the agent nothing is left, this neither: two would read at twice the rate.
        agent.set_last_scrub(work.await?);
    }
    Ok(())
}

fn is_due(folder: &Path, last: Option<LastScrub>, every: Duration, now: u64) -> bool {
    if every.is_zero() || mainstay_files::facts(folder).is_err() {
        return false;
    }
    last.is_none_or(|last| last.at > now || u128::from(now - last.at) >= every.as_millis())
}

/// Ready when the task is to stop; who waits with it for its turn beats, since it does not hang.
async fn waits_no_more(context: &TaskContext) {
    loop {
        tokio::select! {
            () = context.stopping() => return,
            () = context.beat_due() => context.beat(),
        }
    }
}

fn run(scrub: Scrub, folder: &Path, clock: &SharedClock, context: &TaskContext) {
    let backups = match Backups::open(folder) {
        Ok(backups) => backups.made_by(concat!("mainstay ", env!("CARGO_PKG_VERSION"))),
        Err(error) => return tracing::error!("the backups are not scrubbed: {error}"),
    };
    let mut pace = Pace::new(clock, scrub.rate);
    let runtime = Handle::current();
    let done = scrubbing::scrub(
        &backups,
        scrub.repair,
        &mut |bytes| {
            context.beat();
            pace.spend_until(bytes, waits_no_more(context), &runtime);
        },
        &mut |scrubbed| {
            context.beat();
            match scrubbing::complaint(scrubbed) {
                // Somebody may have removed it, and wants to hear no more of it.
                Some(complaint) if scrubbing::is_missing(scrubbed) => tracing::info!("{complaint}"),
                Some(complaint) => tracing::error!("{complaint}"),
                None => {}
            }
            if context.is_stopping() {
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
