//! One turn at a time, for the campaign that simulates crashes: not part of the API, and only there with the feature
//! `simulated`.

use super::{Pickup, Round};
use crate::collector::Collector;
use crate::intake::Intake;
use mainstay_clock::Moment;
use tokio_util::sync::CancellationToken;

impl<I: Intake> Pickup<I> {
    /// One turn of the loop; before which moment nothing can be done after it, unless something happens.
    #[doc(hidden)]
    pub async fn turn_by_hand(&mut self, stop: &CancellationToken) -> Option<Moment> {
        self.turn();
        let look = self.blocking(Collector::look).await;
        match self.round(&look, stop).await {
            Round::Again => None,
            Round::Wait(until) | Round::Pause(until) => Some(until),
        }
    }
}
