//! Whether somebody has a file open for writing.
//!
//! A read lease is given by the kernel only where no descriptor of the file can write to it: asking for one, and giving it back
//! at once, answers the question. The answer holds for this machine alone, so only local file systems are asked.

use rustix::fs::fstatfs;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Who may be writing to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writers {
    /// Nobody has it open for writing.
    None,
    /// Somebody has.
    Some,
    /// The system does not say: a network share, or a file of another user and we are not privileged (`CAP_LEASE`).
    Unknown,
}

/// The numbers of the file systems whose answer was checked: ext2 to ext4, XFS, btrfs, tmpfs and overlay.
const ASKED: [u64; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630];

/// Which signal tells of a broken lease; the number is the same on all that Rust and Linux run on but Alpha and PA-RISC.
const F_SETSIG: libc::c_int = 10;

/// Asks who may be writing to a file that is open for reading.
pub(crate) fn writers(file: &File) -> Writers {
    let is_asked = fstatfs(file).is_ok_and(|system| ASKED.contains(&(system.f_type as u64)));
    if !is_asked {
        return Writers::Unknown;
    }
    match lease(file) {
        Ok(()) => Writers::None,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Writers::Some,
        Err(_) => Writers::Unknown,
    }
}

/// Takes a read lease and gives it back.
fn lease(file: &File) -> io::Result<()> {
    // Who opens the file for writing in between breaks the lease, and the kernel tells us so by a signal. The usual one, SIGIO,
    // would end the process; SIGURG is ignored by whoever has not asked for it.
    control(file, F_SETSIG, libc::SIGURG)?;
    control(file, libc::F_SETLEASE, libc::F_RDLCK)?;
    // Closing the file gives it back too, so a failure here is no harm.
    control(file, libc::F_SETLEASE, libc::F_UNLCK).or(Ok(()))
}

fn control(file: &File, command: libc::c_int, argument: libc::c_int) -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "neither the standard library nor rustix knows leases"
    )]
    // SAFETY: the descriptor is open while `file` is borrowed, and both commands take one int and no pointer.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests play the producer")]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_writer_is_seen_until_it_closes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        assert_eq!(writers(&reader), Writers::Some);
        drop(writer);
        assert_eq!(writers(&reader), Writers::None);
    }

    #[test]
    fn a_device_is_not_asked() {
        assert_eq!(
            writers(&File::open("/proc/self/stat").unwrap()),
            Writers::Unknown
        );
    }

    /// Without another signal than SIGIO the first writer that opens the file at the wrong moment ends the whole process.
    #[test]
    fn a_writer_that_breaks_the_lease_does_not_kill_us() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        let is_done = AtomicBool::new(false);
        let mut answers = [0; 3];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    drop(OpenOptions::new().append(true).open(&path).unwrap());
                }
                is_done.store(true, Ordering::Release);
            });
            while !is_done.load(Ordering::Acquire) {
                answers[writers(&reader) as usize] += 1;
            }
        });
        assert!(answers[Writers::None as usize] > 0, "{answers:?}");
        assert_eq!(answers[Writers::Unknown as usize], 0, "{answers:?}");
    }
}
