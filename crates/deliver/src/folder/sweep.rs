//! What earlier processes left in `.mainstay`, and nobody needs any more.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Longer than any outage after which the same document is still expected to be recognised.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Removes marks and staged files that have not changed for a week, and the leftovers of writes that never ended.
///
/// Marks go first, and durably: a mark without its staged file means "delivered", and must not be made by removing a staged
/// file.
pub(super) fn sweep(own: &Path, wall: u64) {
    if let Err(error) = mainstay_files::sweep(own) {
        tracing::debug!(folder = %own.display(), %error, "unfinished files were not removed");
    }
    let (marks, staged): (Vec<_>, Vec<_>) = old_files(own, wall)
        .into_iter()
        .partition(|path| path.extension().is_some());
    if remove_all(&marks) && mainstay_files::sync_dir(own).is_ok() {
        remove_all(&staged);
    }
}

fn old_files(own: &Path, wall: u64) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(own) else {
        return Vec::new();
    };
    let now = UNIX_EPOCH + Duration::from_millis(wall);
    let is_old = |path: &PathBuf| {
        let modified = mainstay_files::facts(path).map(|facts| facts.modified);
        modified.is_ok_and(|modified| now.duration_since(modified).is_ok_and(|age| KEPT < age))
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_old)
        .collect()
}

fn remove_all(paths: &[PathBuf]) -> bool {
    paths
        .iter()
        .all(|path| mainstay_files::remove(path).is_ok())
}
