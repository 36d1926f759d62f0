//! What lies in the trash for longer than the configuration says goes for good.

use super::Agent;
use super::jobs::{Course, Kind, failed_by_itself, is_over};
use super::upkeep::Chore;
use crate::exit::{Exit, Failure};
use mainstay_clock::SharedClock;
use mainstay_files::{Backup, Backups, Error, Trash};
use mainstay_supervise::{TaskContext, TaskError};
use mainstay_work::Job;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the trash is looked at.
const LOOK: Duration = Duration::from_hours(1);

/// Files that are removed before it is said that it gets on.
const AT_ONCE: usize = 64;

/// What was too old at the last look; it outlives the task that looked.
pub(super) type Due = Arc<Mutex<Vec<Backup>>>;

/// Empties the trash of what is older than `after`, for as long as the agent runs; zero: never.
///
/// A file goes when two looks in a row found it too old: a date that jumps for a moment removes nothing.
///
/// # Errors
/// A look at it died.
pub(super) async fn empty_old(
    agent: Arc<Agent>,
    after: Duration,
    clock: SharedClock,
    due: Due,
    context: TaskContext,
) -> Result<(), TaskError> {
    if after.is_zero() {
        context.pause(Duration::MAX).await;
        return Ok(());
    }
    let folder = agent.data.path().join(crate::commands::TRASH);
    while context.pause(LOOK.min(after)).await {
        let (folder, clock, beats) = (folder.clone(), clock.clone(), context.clone());
        let due = Arc::clone(&due);
        // One that hangs is not doubled: this task is silent until it moves, and who comes after it waits in the line.
        let work = move |job: &mut Job| {
            let mut due = due.lock().unwrap_or_else(PoisonError::into_inner);
            let looked = Backups::open(&folder).and_then(|backups| {
                let trash = Trash::of(backups.clocked_by(clock));
                let before = std::mem::take(&mut *due);
                look(&trash, after, &before, &mut |some| {
                    beats.beat();
                    job.done(some).is_ok()
                })
            });
            *due = looked.map_err(|error| Failure::new(Exit::NoInput, error.to_string()))?;
            Ok(())
        };
        let looked = tokio::select! {
            looked = agent.jobs.keep(Kind::Trash, "emptying of the trash", work) => looked,
            () = context.stopping() => return Ok(()),
        };
        match looked {
            Ok(()) => agent.upkeep.well(Chore::Trash),
            // The stop that ended it comes to this task, too.
            Err(error) if is_over(&error) => {
                context.pause(Duration::MAX).await;
            }
            Err(error) => {
                let failure = failed_by_itself(error)?;
                agent.upkeep.failed(Chore::Trash, failure.account());
            }
        }
    }
    Ok(())
}

/// Removes what is too old now and was so before; answers what is too old now. `moves` is called before so many go, and says whether
/// they are to go.
fn look(
    trash: &Trash,
    after: Duration,
    before: &[Backup],
    moves: &mut dyn FnMut(u64) -> bool,
) -> Result<Vec<Backup>, Error> {
    let (gone, due): (Vec<Backup>, Vec<Backup>) = trash
        .older_than(after)?
        .into_iter()
        .partition(|file| before.contains(file));
    for some in gone.chunks(AT_ONCE) {
        if !moves(some.len() as u64) {
            break;
        }
        trash.empty(some)?;
        for file in some {
            let path = crate::terminal::visible(&file.path.display().to_string());
            tracing::info!("{path}, deleted as {}, is gone for good now", file.id);
        }
    }
    Ok(due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;

    #[test]
    fn a_deleted_file_goes_for_good_when_it_was_too_old_twice() {
        let folder = tempfile::TempDir::new().unwrap();
        let clock = ManualClock::new();
        let store = Backups::open(&folder.path().join("trash")).unwrap();
        let trash = Trash::of(store.clocked_by(Arc::new(clock.clone())));
        let file = folder.path().join("report.csv");
        let day = Duration::from_hours(24);
        let put = |content: &str| {
            mainstay_files::replace(&file, content.as_bytes()).unwrap();
            trash.put(&file).unwrap()
        };
        let old = put("old");
        let wall = old.id.wall();

        // The date jumps, and comes back.
        clock.set_wall(wall + 100 * day.as_millis() as u64);
        let due = look(&trash, 30 * day, &[], &mut |_| true).unwrap();
        assert_eq!(due, std::slice::from_ref(&old));
        clock.set_wall(wall);
        assert_eq!(look(&trash, 30 * day, &due, &mut |_| true).unwrap(), []);
        assert_eq!(trash.list().unwrap(), std::slice::from_ref(&old));

        clock.advance(20 * day);
        let young = put("young");
        clock.advance(10 * day);
        let due = look(&trash, 30 * day, &[], &mut |_| true).unwrap();
        assert_eq!(trash.list().unwrap(), [young.clone(), old.clone()]);
        assert_eq!(look(&trash, 30 * day, &due, &mut |_| true).unwrap(), []);
        assert_eq!(trash.list().unwrap(), [young]);
    }
}
