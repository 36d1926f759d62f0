//! What the system says of a file, and what it is told, between its words and ours.

use crate::facts::Facts;
use rustix::fs::{Timespec, Timestamps};
use std::time::{Duration, SystemTime};

#[allow(
    clippy::unnecessary_cast,
    reason = "the widths differ between systems and processors"
)]
pub(super) fn facts_from(stat: &rustix::fs::Stat) -> Facts {
    Facts {
        len: stat.st_size as u64,
        modified: time_from(stat.st_mtime as i64, stat.st_mtime_nsec as u32),
        changed: time_from(stat.st_ctime as i64, stat.st_ctime_nsec as u32),
        nlink: stat.st_nlink as u64,
        uid: stat.st_uid,
        gid: stat.st_gid,
        dev: stat.st_dev as u64,
        ino: stat.st_ino as u64,
        mode: stat.st_mode as u32,
    }
}

fn time_from(seconds: i64, nanoseconds: u32) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    // A time stamp that the system's own clock type cannot hold is as good as none.
    second
        .and_then(|time| time.checked_add(Duration::from_nanos(nanoseconds.into())))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn timespec_from(time: SystemTime) -> Timespec {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => Timespec {
            tv_sec: after.as_secs() as i64,
            tv_nsec: i64::from(after.subsec_nanos()),
        },
        Err(before) => {
            let before = before.duration();
            let (seconds, nanoseconds) =
                (before.as_secs() as i64, i64::from(before.subsec_nanos()));
            if nanoseconds == 0 {
                Timespec {
                    tv_sec: -seconds,
                    tv_nsec: 0,
                }
            } else {
                Timespec {
                    tv_sec: -seconds - 1,
                    tv_nsec: 1_000_000_000 - nanoseconds,
                }
            }
        }
    }
}

pub(super) fn times(to: SystemTime) -> Timestamps {
    let time = timespec_from(to);
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
