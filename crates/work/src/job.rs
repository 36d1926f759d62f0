//! What a job is called, how urgent it is, and what it sees while it runs.

use crate::error::Error;
use crate::line::Priority;
use crate::progress::Progress;
use mainstay_clock::{SharedClock, block_on};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is to be known of a job before it begins.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | kind | none | limited by the number of workers alone |
/// | priority | normal | |
/// | cancelled by | its handle and the end of the pool | |
#[derive(Debug, Clone)]
#[must_use]
pub struct Work {
    pub(crate) name: Arc<str>,
    pub(crate) kind: &'static str,
    pub(crate) priority: Priority,
    pub(crate) token: CancellationToken,
}

/// What a job sees while it runs.
#[derive(Debug)]
pub struct Job {
    name: Arc<str>,
    token: CancellationToken,
    clock: SharedClock,
    progress: Progress,
}

// === impl Work ===

impl Work {
    /// A job by its name, under which it is reported.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            kind: "",
            priority: Priority::default(),
            token: CancellationToken::new(),
        }
    }

    /// Is one of those of which only so many are done at once; a kind that the settings of the pool do not name has no limit.
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Is more or less urgent.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Is cancelled with `token` too. Cancelling the job does not cancel the token.
    pub fn cancelled_by(mut self, token: &CancellationToken) -> Self {
        self.token = token.child_token();
        self
    }
}

// === impl Job ===

impl Job {
    pub(crate) fn new(work: &Work, clock: SharedClock, progress: Progress) -> Self {
        Self {
            name: Arc::clone(&work.name),
            token: work.token.clone(),
            clock,
            progress,
        }
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it should stop. A job that looks less often than every 100 ms feels stuck to who cancels it.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Goes on, or ends the job by `?`.
    ///
    /// # Errors
    ///
    /// [`Cancelled`](crate::ErrorKind::Cancelled) where it was.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_cancelled() {
            return Err(Error::cancelled(&self.name));
        }
        Ok(())
    }

    /// What is cancelled with this job, to be handed to others that know such a token.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Waits on this thread, for `duration` or until the job is cancelled.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn pause(&self, duration: Duration) -> Result<(), Error> {
        self.check()?;
        block_on(async {
            tokio::select! {
                () = self.token.cancelled() => {}
                // Made here: a sleep belongs to the runtime that it was made in, and this thread has none.
                () = self.clock.sleep(duration) => {}
            }
        });
        self.check()
    }

    /// How far it is; whoever has the handle can watch. It ends with the job.
    pub fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// Tells whoever watches what became of it.
    pub(crate) fn end<T>(self, result: &Result<T, Error>) {
        match result {
            Ok(_) => self.progress.finish(),
            Err(error) => self.progress.end_with(error),
        }
    }
}
