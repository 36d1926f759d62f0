//! One lane of the queue into one destination.

mod attempt;
mod config;
mod lane;
mod rejections;
mod run;
mod shared;
mod status;
mod streak;
mod suspects;

pub use config::DeliverConfig;
pub use shared::WorkerHandle;
pub use status::{DestinationStatus, Failing, LastError, Latency, State};

use crate::{Destination, Error};
use lane::QueueLane;
use mainstay_clock::SharedClock;
use mainstay_queue::{LaneId, Queue};
use mainstay_resilience::RateLimiter;
use run::{Limit, Run};
use shared::Shared;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Takes documents from one lane of the queue and hands them to one destination, until each is confirmed or buried.
///
/// Up to `concurrency` documents are under way at once, each by itself: one that is slow or poisonous takes one of these
/// places, and holds up no other. Recording what was delivered happens beside sending, so that a slow disk and a slow server
/// do not add up.
///
/// A run that ended, was dropped or panicked may be followed by another one. Clones are one and the same worker.
#[derive(Debug, Clone)]
pub struct Worker {
    lane: QueueLane,
    destination: Arc<dyn Destination>,
    config: DeliverConfig,
    /// Kept over all runs, so that one that follows another gets no burst of its own.
    limit: Limit,
    clock: SharedClock,
    shared: Arc<Shared>,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Attempts that had not ended in time and were given up. Whether they arrived is unknown; the documents are in the queue,
    /// and are sent again under the same ids.
    pub abandoned: usize,
}

impl Worker {
    /// While it runs, its loop turns at least this often, also where nothing happens: see [`WorkerHandle::turned`].
    pub const TURN: Duration = Duration::from_secs(5);

    /// A worker that has not begun. One for each lane: two on one lane would work, and each would see half.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Setting`](crate::ErrorKind::Setting) for a number that cannot work.
    pub fn new(
        queue: Queue,
        lane: LaneId,
        destination: Arc<dyn Destination>,
        config: DeliverConfig,
        clock: SharedClock,
    ) -> Result<Self, Error> {
        config.check()?;
        let status = DestinationStatus::new(destination.address(), clock.wall());
        let shared = Arc::new(Shared::new(status, clock.now()));
        Ok(Self {
            lane: QueueLane { queue, lane },
            destination,
            limit: Limit::of(&config, &clock)?,
            config,
            clock,
            shared,
        })
    }

    /// To watch it and to pause it.
    pub fn handle(&self) -> WorkerHandle {
        WorkerHandle {
            shared: Arc::clone(&self.shared),
        }
    }

    /// The limit of attempts, if there is one: to look at, and to let go of what holds it.
    pub fn limiter(&self) -> Option<Arc<RateLimiter>> {
        self.limit.limiter()
    }

    /// Delivers until `stop` is cancelled or the queue is closed.
    ///
    /// Stopped, it takes no more documents, gives what is under way the time that `drain` says, and gives up the rest. Dropped,
    /// it gives up everything at once, and so it does where a destination panics. Nothing is lost in any case: what was not
    /// acknowledged is in the queue.
    ///
    /// However it ended, it can be run again: what the status counted and the limit of attempts go on; whether the destination is
    /// held or wants quiet is found out anew. One run at a time: two at once would deliver as two workers of one lane do, and the
    /// status would be that of whichever spoke last.
    pub fn run(
        &self,
        stop: CancellationToken,
    ) -> impl Future<Output = Stopped> + Send + 'static + use<> {
        let run = Run::new(
            self.lane.clone(),
            Arc::clone(&self.destination),
            self.config.clone(),
            self.limit.clone(),
            self.clock.clone(),
            Arc::clone(&self.shared),
        );
        async move {
            Stopped {
                abandoned: run.run(&stop).await,
            }
        }
    }
}

#[cfg(test)]
mod tests;
