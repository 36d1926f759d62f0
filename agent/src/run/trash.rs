//! What lies in the trash for longer than the configuration says goes for good.

use crate::data::DataDir;
use mainstay_clock::SharedClock;
use mainstay_files::{Backup, Backups, Error, Trash};
use mainstay_supervise::TaskContext;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

/// How often the trash is looked at.
const LOOK: Duration = Duration::from_hours(1);

/// Files that are removed before it is said that it gets on.
const AT_ONCE: usize = 64;

/// What was too old at the last look. Who looks has it for itself, also where nobody waits any more for what it finds.
pub(super) type Due = Arc<tokio::sync::Mutex<Vec<Backup>>>;

/// Empties the trash of what is older than `after`, for as long as the agent runs; zero: never.
///
/// A file goes when two looks in a row found it too old: a date that jumps for a moment removes nothing.
///
/// # Errors
/// A look at it died.
pub(super) async fn empty_old(
    data: DataDir,
    after: Duration,
    clock: SharedClock,
    due: Due,
    context: TaskContext,
) -> Result<(), JoinError> {
    if after.is_zero() {
        context.pause(Duration::MAX).await;
        return Ok(());
    }
    let folder = data.path().join(crate::commands::TRASH);
    while context.pause(LOOK.min(after)).await {
        let (folder, clock, beats) = (folder.clone(), clock.clone(), context.clone());
        let looked = async {
            // One that hangs is not doubled: this task is silent until it moves, and who comes after it waits here.
            let mut due = Arc::clone(&due).lock_owned().await;
            let work = tokio::task::spawn_blocking(move || {
                let trash = Trash::of(Backups::open(&folder)?.clocked_by(clock));
                let before = std::mem::take(&mut *due);
                *due = look(&trash, after, &before, &|| beats.beat())?;
                Ok::<(), Error>(())
            });
            work.await
        };
        let looked = tokio::select! {
            looked = looked => looked?,
            () = context.stopping() => return Ok(()),
        };
        if let Err(error) = looked {
            tracing::warn!("the trash is not emptied: {error}");
        }
    }
    Ok(())
}

/// Removes what is too old now and was so before; answers what is too old now. `moves` is called whenever it has got on.
fn look(
    trash: &Trash,
    after: Duration,
    before: &[Backup],
    moves: &dyn Fn(),
) -> Result<Vec<Backup>, Error> {
    let (gone, due): (Vec<Backup>, Vec<Backup>) = trash
        .older_than(after)?
        .into_iter()
        .partition(|file| before.contains(file));
    for some in gone.chunks(AT_ONCE) {
        moves();
        trash.empty(some)?;
    }
    for file in &gone {
        let path = crate::terminal::visible(&file.path.display().to_string());
        tracing::info!("{path}, deleted as {}, is gone for good now", file.id);
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
        let due = look(&trash, 30 * day, &[], &|| {}).unwrap();
        assert_eq!(due, std::slice::from_ref(&old));
        clock.set_wall(wall);
        assert_eq!(look(&trash, 30 * day, &due, &|| {}).unwrap(), []);
        assert_eq!(trash.list().unwrap(), std::slice::from_ref(&old));

        clock.advance(20 * day);
        let young = put("young");
        clock.advance(10 * day);
        let due = look(&trash, 30 * day, &[], &|| {}).unwrap();
        assert_eq!(trash.list().unwrap(), [young.clone(), old.clone()]);
        assert_eq!(look(&trash, 30 * day, &due, &|| {}).unwrap(), []);
        assert_eq!(trash.list().unwrap(), [young]);
    }
}
