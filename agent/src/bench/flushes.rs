//! How often the disk was told to bring what it holds to its medium, as the system counts it.

use std::path::Path;

/// The counter of one disk.
#[derive(Debug)]
pub(super) struct Meter {
    /// Major and minor number; none where the folder lies on no disk of its own (tmpfs, overlay, a share).
    device: Option<(u32, u32)>,
}

impl Meter {
    /// The counter of the disk that this folder lies on.
    pub(super) fn of(folder: &Path) -> Self {
        Self {
            device: device_of(folder),
        }
    }

    /// Flushes so far, of everybody on this disk.
    pub(super) fn now(&self) -> Option<u64> {
        let (major, minor) = self.device?;
        let table = std::fs::read_to_string("/proc/diskstats").ok()?;
        flushes_in(&table, major, minor)
    }

    /// Flushes since then.
    pub(super) fn since(&self, before: Option<u64>) -> Option<u64> {
        Some(self.now()?.saturating_sub(before?))
    }
}

/// The disk counts flushes, a partition does not: so of a partition the disk that it is on.
fn device_of(folder: &Path) -> Option<(u32, u32)> {
    let facts = rustix::fs::stat(folder).ok()?;
    let (major, minor) = (
        rustix::fs::major(facts.st_dev),
        rustix::fs::minor(facts.st_dev),
    );
    let place = std::fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    if !place.join("partition").exists() {
        return Some((major, minor));
    }
    let disk = std::fs::read_to_string(place.parent()?.join("dev")).ok()?;
    let (major, minor) = disk.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The sixteenth number behind the name, which kernels since 5.5 have.
fn flushes_in(table: &str, major: u32, minor: u32) -> Option<u64> {
    let (major, minor) = (major.to_string(), minor.to_string());
    let fields = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.first() == Some(&&*major) && fields.get(1) == Some(&&*minor);
        is_it.then_some(fields)
    })?;
    fields.get(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flushes_of_one_disk_are_found_among_all() {
        let table = "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 99 17\n 254       0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n";
        assert_eq!(flushes_in(table, 8, 0), Some(99));
        assert_eq!(flushes_in(table, 254, 0), Some(16));
        assert_eq!(flushes_in(table, 8, 1), None);
        assert_eq!(flushes_in("8 0 sda 1 2 3 4 5 6 7 8 9 10 11", 8, 0), None);
    }
}
