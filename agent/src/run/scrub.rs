//! The files that are kept by backups are read once a week: what the disk lost is found while there is another copy.

use super::Agent;
use super::jobs::{Course, Kind, failed_by_itself, is_over};
use super::upkeep::Chore;
use crate::config::Scrub;
use crate::exit::{Exit, Failure};
use crate::scrubbing::{self, LastScrub, Pace};
use mainstay_clock::SharedClock;
use mainstay_files::{Backups, ErrorKind};
use mainstay_supervise::{TaskContext, TaskError};
use mainstay_work::{CancellationToken, Job, Unit};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

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
) -> Result<(), TaskError> {
    let folder = agent.data.path().join(scrubbing::FOLDER);
    let look = if scrub.every.is_zero() {
        LOOK
    } else {
        LOOK.min(scrub.every)
    };
    let mut wait = AFTER_START.min(look);
    while context.pause(wait).await {
        wait = look;
        // One that hangs is not doubled: this task is silent until it moves, and who comes after it waits in the line.
        let (folder, clock, context) = (folder.clone(), clock.clone(), context.clone());
        let (runtime, task) = (Handle::current(), context.clone());
        let work = move |job: &mut Job| {
            // Somebody may have scrubbed by hand.
            let last = LastScrub::read(&folder);
            if is_due(&folder, last, scrub.every, clock.wall()) {
                job.phase("reading", Unit::Bytes, None);
                run(scrub, &folder, &clock, &task, job, &runtime)
                    .map_err(|error| Failure::new(Exit::NoInput, error.to_string()))?;
            }
            Ok(LastScrub::read(&folder))
        };
        match agent.jobs.keep(Kind::Scrub, "scrub", work).await {
            Ok(last) => {
                agent.upkeep.set_last_scrub(last);
                agent.upkeep.well(Chore::Scrub);
            }
            Err(error) if is_over(&error) => {
                // The stop that ended it comes to this task, too.
                context.pause(Duration::MAX).await;
            }
            Err(error) => {
                let failure = failed_by_itself(error)?;
                agent.upkeep.failed(Chore::Scrub, failure.account());
            }
        }
    }
    Ok(())
}

fn is_due(folder: &Path, last: Option<LastScrub>, every: Duration, now: u64) -> bool {
    // A folder of which nothing can be said is none that is not there: the scrub says what is wrong with it.
    let is_there = mainstay_files::facts(folder)
        .map_or_else(|error| error.kind() != ErrorKind::NotFound, |_| true);
    if every.is_zero() || !is_there {
        return false;
    }
    last.is_none_or(|last| last.at > now || u128::from(now - last.at) >= every.as_millis())
}

/// Ready when the task or its job is to stop; who waits with it for its turn beats, since it does not hang.
async fn waits_no_more(context: &TaskContext, stopped: &CancellationToken) {
    loop {
        tokio::select! {
            () = context.stopping() => return,
            () = stopped.cancelled() => return,
            () = context.beat_due() => context.beat(),
        }
    }
}

/// # Errors
/// The backups cannot be read, or what became of that cannot be written down, so that it is done again within the hour.
fn run(
    scrub: Scrub,
    folder: &Path,
    clock: &SharedClock,
    context: &TaskContext,
    job: &mut Job,
    runtime: &Handle,
) -> Result<(), mainstay_files::Error> {
    let backups = Backups::open(folder)?.made_by(concat!("mainstay ", env!("CARGO_PKG_VERSION")));
    let mut pace = Pace::new(clock, scrub.rate);
    let (read, stopped) = (job.progress().counter(), job.token().clone());
    let (summary, remembered) = scrubbing::scrub(
        &backups,
        scrub.repair,
        &mut |bytes| {
            context.beat();
            read.add(bytes);
            pace.spend_until(bytes, waits_no_more(context, &stopped), runtime);
        },
        &mut |scrubbed| {
            context.beat();
            match scrubbing::complaint(scrubbed) {
                // Somebody may have removed it, and wants to hear no more of it.
                Some(complaint) if scrubbing::is_missing(scrubbed) => tracing::info!("{complaint}"),
                Some(complaint) => tracing::error!("{complaint}"),
                None => {}
            }
            if context.is_stopping() || stopped.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    )?;
    if summary.was_ended {
        tracing::info!(
            files = summary.files,
            backups = summary.backups,
            "a look at what is kept by backups was ended by a stop; it begins anew"
        );
    } else {
        tracing::info!(
            files = summary.files,
            backups = summary.backups,
            damaged = summary.damaged,
            repaired = summary.repaired,
            missing = summary.missing,
            failed = summary.failed,
            "what is kept by backups was read"
        );
    }
    remembered
}
