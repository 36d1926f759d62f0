//! How long is waited after something happened to a file, before it is looked at.

use super::WatchOptions;
use mainstay_clock::Moment;

/// Whether something happened to a file since it was looked at: when first, and when last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pending(Option<(Moment, Moment)>);

impl Pending {
    /// Something happened.
    pub(super) fn hint(&mut self, now: Moment) {
        let first = self.0.map_or(now, |(first, _)| first);
        self.0 = Some((first, now));
    }

    /// It is being looked at.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }

    /// When it is to be looked at: once it was quiet for a while, but not later than patience allows.
    pub(super) fn due(&self, options: &WatchOptions) -> Option<Moment> {
        let (first, last) = self.0?;
        Some((last + options.quiet).min(first + options.patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(ms: u64) -> Moment {
        Moment::ORIGIN + Duration::from_millis(ms)
    }

    #[test]
    fn a_file_is_looked_at_when_it_is_quiet_and_at_last_also_when_it_is_not() {
        let options = WatchOptions::default();
        let mut pending = Pending::default();
        assert_eq!(pending.due(&options), None);
        pending.hint(at(1_000));
        assert_eq!(pending.due(&options), Some(at(1_200)));
        pending.hint(at(1_150));
        assert_eq!(pending.due(&options), Some(at(1_350)));
        for ms in (1_200..=60_000).step_by(100) {
            pending.hint(at(ms));
        }
        assert_eq!(pending.due(&options), Some(at(3_000)));
        pending.clear();
        pending.hint(at(60_100));
        assert_eq!(pending.due(&options), Some(at(60_300)));
    }
}
