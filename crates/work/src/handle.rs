//! What is left in the hand of whoever handed a job in.

use crate::error::{Error, ErrorKind};
use crate::pool::Shared;
use crate::progress::{Updates, Watch};
use mainstay_clock::block_on;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A job that was handed in: a future of its result.
///
/// Dropping it lets the job go on; [`cancel`](Self::cancel) does not.
#[must_use = "dropping it lets the job go on, and nobody learns what came of it"]
pub struct Handle<T> {
    pub(crate) ticket: Ticket,
    pub(crate) receiver: oneshot::Receiver<Result<T, Error>>,
    pub(crate) cancelled: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    pub(crate) has_left: bool,
    pub(crate) is_taken: bool,
}

/// What a job is known by, without its result: enough to watch it and to cancel it. Clones know the same job.
#[derive(Clone)]
pub struct Ticket {
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) token: CancellationToken,
    pub(crate) watch: Watch,
    pub(crate) shared: Arc<Shared>,
}

// === impl Ticket ===

impl Ticket {
    /// The name of the job.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Cancels the job: it is not begun if it waits, and asked to stop if it runs. Does not wait for that.
    pub fn cancel(&self) {
        self.token.cancel();
        self.leave();
    }

    /// What its progress is, now and later.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Its progress as it changes, at most once in `interval`; the last state always.
    pub fn updates(&self, interval: Duration) -> Updates {
        self.watch.updates(interval)
    }

    /// Gives up its place if it waits for its turn.
    fn leave(&self) {
        if let Some(waiting) = self.shared.take_out(self.id) {
            waiting.cancel();
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

// === impl Handle ===

impl<T> Handle<T> {
    /// What the job is known by.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// As [`Ticket::cancel`].
    pub fn cancel(&self) {
        self.ticket.cancel();
    }

    /// Waits on this thread until the job is over.
    ///
    /// # Errors
    ///
    /// What became of the job, where it came to no result: it failed, panicked or was cancelled.
    pub fn wait(self) -> Result<T, Error>
    where
        T: Send,
    {
        block_on(self)
    }

    /// Cancels the job and waits for its end, for `limit` at most; afterwards the handle may still be waited for.
    ///
    /// # Errors
    ///
    /// [`StillRunning`](ErrorKind::StillRunning), which names the job, where it did not stop in time; otherwise as
    /// [`wait`](Self::wait).
    pub async fn stop(&mut self, limit: Duration) -> Result<T, Error> {
        self.cancel();
        let over = self.ticket.shared.clock.sleep(limit);
        tokio::select! {
            biased;
            result = &mut *self => result,
            () = over => Err(Error::new(
                ErrorKind::StillRunning,
                format!("`{}` was cancelled and did not stop within {limit:?}", self.ticket.name),
            )),
        }
    }

    fn take(
        &mut self,
        received: Result<Result<T, Error>, oneshot::error::RecvError>,
    ) -> Result<T, Error> {
        self.is_taken = true;
        received.unwrap_or_else(|_| Err(Error::cancelled(&self.ticket.name)))
    }
}

impl<T> Future for Handle<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.is_taken {
            let text = format!("the result of `{}` was taken before", this.ticket.name);
            return Poll::Ready(Err(Error::new(ErrorKind::Closed, text)));
        }
        if let Poll::Ready(received) = Pin::new(&mut this.receiver).poll(cx) {
            return Poll::Ready(this.take(received));
        }
        // All workers may be busy for ever: a job that waits is over as soon as it is cancelled, by whomever.
        if !this.has_left {
            let token = &this.ticket.token;
            let cancelled = this
                .cancelled
                .get_or_insert_with(|| Box::pin(token.clone().cancelled_owned()));
            if cancelled.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.has_left = true;
            this.ticket.leave();
        }
        Pin::new(&mut this.receiver)
            .poll(cx)
            .map(|received| this.take(received))
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}
