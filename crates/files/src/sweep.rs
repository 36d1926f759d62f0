//! After a crash: our own leftovers go, and nobody else's.

use crate::boot;
use crate::error::{Attempt, Error};
use crate::facts::Facts;
use crate::space::file_system;
use crate::system::{self, Dir};
use crate::temp_name::TempName;
use std::ffi::OsStr;
use std::fs::TryLockError;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The age at which a temporary file of ours is a leftover even where we cannot tell whether its process lives.
const LEFTOVER_AGE: Duration = Duration::from_hours(1);

/// Removes from `dir` the temporary files that a process of ours left when it died; answers how many.
///
/// A file goes only if all of this holds: its name is `.NAME.mainstay-tmp-` and 16 hexadecimal digits; it is a regular file;
/// it belongs to our user; nobody holds it locked, as every writer does; and its process is dead (its number is in the name)
/// or it is older than an hour. Folders below are not entered. Nothing is synced: what comes back is swept at the next start.
///
/// # Errors
///
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) and others, where the folder cannot be opened or read. A file that
/// cannot be removed is left, and not counted.
pub fn sweep(dir: &Path) -> Result<usize, Error> {
    let wall = Duration::from_millis(mainstay_clock::system().wall());
    sweep_at(dir, SystemTime::UNIX_EPOCH + wall)
}

fn sweep_at(path: &Path, now: SystemTime) -> Result<usize, Error> {
    let attempt = Attempt::new("sweep", path, "");
    let dir = Dir::open(path).map_err(|error| attempt.failed(error))?;
    let names = dir.names().map_err(|error| attempt.failed(error))?;
    // On a share another machine may be at work, whose boot and processes we do not know; a file system that does not say
    // what it is may be one.
    let is_shared = file_system(path).map_or(true, |file_system| file_system.network);
    let mut removed = 0;
    for name in names {
        let Some(owner) = TempName::parse(&name) else {
            continue;
        };
        let Ok(facts) = dir.facts(&name) else {
            continue;
        };
        let is_ours = facts.is_regular() && facts.uid == system::own_uid();
        if is_ours
            && is_leftover(&dir, &name, owner, &facts, now, is_shared)
            && dir.unlink(&name).is_ok()
        {
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_leftover(
    dir: &Dir,
    name: &OsStr,
    owner: TempName,
    facts: &Facts,
    now: SystemTime,
    is_shared: bool,
) -> bool {
    let is_old = now
        .duration_since(facts.modified)
        .is_ok_and(|age| age > LEFTOVER_AGE);
    let is_owner_dead =
        !is_shared && (owner.boot != boot::tag() || !system::is_process_alive(owner.pid));
    if !is_old && !is_owner_dead {
        return false;
    }
    match dir.open_regular(name).map(|(file, _)| file.try_lock()) {
        Ok(Ok(())) => true,
        Ok(Err(TryLockError::WouldBlock)) => false,
        // No locks on this file system, or no right to open the file: age alone decides.
        Ok(Err(TryLockError::Error(_))) | Err(_) => is_old,
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "the tests look at the disk past the crate"
    )]

    use super::*;
    use crate::Writer;
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;
    use tempfile::TempDir;

    /// The number of a process that has died and was waited for.
    fn dead_process() -> u32 {
        let mut child = std::process::Command::new("true")
            .spawn()
            .expect("`true` runs everywhere");
        child.wait().expect("it ends");
        child.id()
    }

    fn leave(folder: &TempDir, name: TempName) -> PathBuf {
        let path = folder.path().join(name.beside(OsStr::new("state.json")));
        fs::write(&path, "half").unwrap();
        path
    }

    fn made_by(pid: u32) -> TempName {
        let mut name = TempName::new();
        name.pid = pid;
        name
    }

    fn make_old(path: &Path) {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }

    #[test]
    fn what_a_dead_process_left_goes() {
        let folder = TempDir::new().unwrap();
        let leftover = leave(&folder, made_by(dead_process()));
        assert_eq!(sweep(folder.path()).unwrap(), 1);
        assert!(!leftover.exists());
    }

    #[test]
    fn what_an_earlier_boot_left_goes_though_its_process_number_is_alive_again() {
        let folder = TempDir::new().unwrap();
        let mut name = TempName::new();
        name.boot = !name.boot;
        let leftover = leave(&folder, name);
        assert_eq!(sweep(folder.path()).unwrap(), 1);
        assert!(!leftover.exists());
    }

    #[test]
    fn what_a_living_process_writes_stays_until_it_is_an_hour_old() {
        let folder = TempDir::new().unwrap();
        let fresh = leave(&folder, TempName::new());
        let (now, minute) = (
            fs::metadata(&fresh).unwrap().modified().unwrap(),
            Duration::from_mins(1),
        );
        assert_eq!(
            sweep_at(folder.path(), now + LEFTOVER_AGE - minute).unwrap(),
            0
        );
        assert!(fresh.exists());
        assert_eq!(
            sweep_at(folder.path(), now + LEFTOVER_AGE + minute).unwrap(),
            1
        );
        assert!(!fresh.exists());
    }

    #[test]
    fn a_file_that_is_being_written_stays_however_old_it_looks() {
        let folder = TempDir::new().unwrap();
        let target = folder.path().join("slow");
        let mut writer = Writer::create(&target).unwrap();
        writer.write_all(b"much").unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            make_old(&entry.unwrap().path());
        }
        assert_eq!(sweep(folder.path()).unwrap(), 0);
        writer.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"much");
    }

    #[test]
    fn nobody_elses_file_is_touched_however_old_and_however_alike() {
        let folder = TempDir::new().unwrap();
        let digits = "0123456789abcdef";
        let names = [
            "state.json.tmp".to_owned(),
            ".state.json.tmp-0123456789abcdef".to_owned(),
            format!("state.json.mainstay-tmp-{digits}"),
            format!(".mainstay-tmp-{digits}"),
            format!("..mainstay-tmp-{digits}"),
            format!(".state.json.mainstay-tmp-{digits}0"),
            format!(".state.json.mainstay-tmp-{}", digits.to_uppercase()),
            ".state.json.mainstay-tmp-0123456789abcde".to_owned(),
            format!(".state.json.mainstay-tmp-{digits}.bak"),
        ];
        for name in &names {
            let path = folder.path().join(name);
            fs::write(&path, "not ours").unwrap();
            make_old(&path);
        }
        fs::create_dir(folder.path().join(format!(".folder.mainstay-tmp-{digits}"))).unwrap();
        assert_eq!(sweep(folder.path()).unwrap(), 0);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            names.len() + 1
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_of_our_pattern_stays_and_so_does_what_it_leads_to() {
        let folder = TempDir::new().unwrap();
        let kept = folder.path().join("kept");
        fs::write(&kept, "kept").unwrap();
        let link = folder
            .path()
            .join(made_by(dead_process()).beside(OsStr::new("state.json")));
        std::os::unix::fs::symlink(&kept, &link).unwrap();
        let (at, no) = (rustix::fs::CWD, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        let epoch = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let times = rustix::fs::Timestamps {
            last_access: epoch,
            last_modification: epoch,
        };
        rustix::fs::utimensat(at, &link, &times, no).unwrap();
        assert_eq!(sweep(folder.path()).unwrap(), 0);
        assert!(link.is_symlink() && kept.exists());
    }
}
