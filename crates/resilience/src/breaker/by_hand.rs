//! What a person does to a breaker.

use super::{Breaker, BreakerSettings, BreakerState};
use crate::error::InvalidSettings;

impl Breaker {
    /// Rejects everything until [`reset`](Self::reset).
    pub fn force_open(&self) {
        self.set_by_hand(BreakerState::ForcedOpen);
    }

    /// Lets everything pass, and counts nothing, until [`reset`](Self::reset).
    pub fn disable(&self) {
        self.set_by_hand(BreakerState::Disabled);
    }

    /// Counts everything, and lets everything pass, until [`reset`](Self::reset).
    pub fn only_count(&self) {
        self.set_by_hand(BreakerState::MetricsOnly);
    }

    /// Closes it, and forgets what it saw.
    pub fn reset(&self) {
        self.set_by_hand(BreakerState::Closed);
    }

    fn set_by_hand(&self, to: BreakerState) {
        let now = self.clock.now();
        let mut inner = self.inner();
        self.close(&mut inner, to, now, "by hand".into());
    }

    /// Its settings as they are now.
    pub fn settings(&self) -> BreakerSettings {
        self.inner().settings.clone()
    }

    /// Follows other settings from now on; what it saw is forgotten, its state stays.
    ///
    /// # Errors
    ///
    /// Settings that cannot work; it follows the old ones.
    pub fn set(&self, settings: BreakerSettings) -> Result<(), InvalidSettings> {
        settings.check()?;
        let mut inner = self.inner();
        self.watch.set(&settings);
        inner.settings = settings;
        Ok(())
    }
}
