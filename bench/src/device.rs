//! What the disks of this machine were given to do.

use std::fs;
use std::path::Path;

/// What all disks together have done since the machine was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Device {
    /// Cache flushes.
    pub flushes: u64,
    /// Bytes written.
    pub written: u64,
}

impl Device {
    /// What they have done until now; zeros where the system does not tell.
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/diskstats").unwrap_or_default();
        let mut all = Self::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let name = fields.get(2).copied().unwrap_or_default();
            // Partitions are left out, because the disk counts for them; loop devices, because the disk below them counts.
            if Path::new("/sys/block").join(name).exists() && !name.starts_with("loop") {
                let one = Self::of(&fields);
                all.flushes += one.flushes;
                all.written += one.written;
            }
        }
        all
    }

    /// A line of /proc/diskstats: sectors written (of 512 bytes) is field 10, flushes field 19.
    fn of(fields: &[&str]) -> Self {
        let number = |place: usize| {
            fields
                .get(place)
                .and_then(|field| field.parse::<u64>().ok())
                .unwrap_or(0)
        };
        Self {
            flushes: number(18),
            written: number(9) * 512,
        }
    }

    /// What they have done since then.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            flushes: self.flushes.saturating_sub(before.flushes),
            written: self.written.saturating_sub(before.written),
        }
    }
}
