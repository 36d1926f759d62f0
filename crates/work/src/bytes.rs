//! Amounts of memory, which are no times and no numbers of things.

use serde::Serialize;
use std::fmt;

/// An amount of memory or of data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// So many times 1,048,576 bytes.
    pub const fn mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }
}

/// In the largest unit of which there is at least one: `1.5 MiB`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let unit = UNITS.iter().find(|(_, shift)| 0 < self.0 >> shift);
        match unit {
            Some((unit, shift)) => {
                let size = (1_u64 << shift) as f64;
                write!(f, "{:.1} {unit}", self.0 as f64 / size)
            }
            None => write!(f, "{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_what_they_are() {
        assert_eq!(Bytes(0).to_string(), "0 B");
        assert_eq!(Bytes(1_023).to_string(), "1023 B");
        assert_eq!(Bytes(1_536).to_string(), "1.5 KiB");
        assert_eq!(Bytes::mib(600).to_string(), "600.0 MiB");
        assert_eq!(Bytes::mib(u64::MAX), Bytes(u64::MAX));
    }
}
