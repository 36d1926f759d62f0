//! What one run came to.

use crate::device::Device;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How long those who asked had to wait.
#[derive(Clone, Debug, Default)]
pub struct Waits(Vec<u32>);

impl Waits {
    /// Notes one wait, in whole microseconds.
    pub fn note(&mut self, wait: Duration) {
        self.0
            .push(u32::try_from(wait.as_micros()).unwrap_or(u32::MAX));
    }

    /// Takes in the waits of another.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The wait in microseconds that this part of all did not exceed, 0 to 1; 0 where nobody waited.
    pub fn quantile(&mut self, part: f64) -> u32 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let place = (last as f64 * part).round() as usize;
        self.0.get(place).copied().unwrap_or(0)
    }
}

/// What one run came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Documents stored or acknowledged.
    pub documents: usize,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// Cache flushes that the disks were given meanwhile, and writes that were forced to the medium.
    pub flushes: u64,
    /// Bytes that the disks were given meanwhile.
    pub written: u64,
    /// The median wait of those who asked, in microseconds.
    pub p50: u32,
    /// The wait that 99 of 100 did not exceed, in microseconds.
    pub p99: u32,
    /// The longest wait, in microseconds.
    pub worst: u32,
}

impl Measured {
    /// Does the work, and takes the time, the flushes and the bytes that it takes.
    ///
    /// # Errors
    /// What the work says.
    pub fn of(documents: usize, work: impl FnOnce(&mut Waits) -> Result<()>) -> Result<Self> {
        let mut waits = Waits::default();
        let before = Device::now();
        let begun = Instant::now();
        work(&mut waits)?;
        let seconds = begun.elapsed().as_secs_f64();
        let did = Device::now().since(before);
        Ok(Self {
            documents,
            seconds,
            flushes: did.flushes,
            written: did.written,
            p50: waits.quantile(0.5),
            p99: waits.quantile(0.99),
            worst: waits.quantile(1.0),
        })
    }

    /// Documents in a second.
    pub fn rate(&self) -> f64 {
        self.documents as f64 / self.seconds
    }

    /// Flushes for one document.
    pub fn flushes_per_document(&self) -> f64 {
        self.flushes as f64 / self.documents as f64
    }

    /// Bytes that the disk was given for one document.
    pub fn bytes_per_document(&self) -> f64 {
        self.written as f64 / self.documents as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_wait_that_so_many_did_not_exceed() {
        let mut waits = Waits::default();
        for wait in 1..=101 {
            waits.note(Duration::from_micros(wait));
        }
        assert_eq!(
            [0.0, 0.5, 0.99, 1.0].map(|part| waits.quantile(part)),
            [1, 51, 100, 101]
        );
        assert_eq!(Waits::default().quantile(0.99), 0);
    }
}
