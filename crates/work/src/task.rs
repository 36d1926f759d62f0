//! One job with its closure and whom its result is for, whatever their types.

use crate::error::{Error, ErrorKind, Failure};
use crate::job::{Job, Work};
use crate::progress::Progress;
use mainstay_clock::SharedClock;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::oneshot;

/// A result that came through a channel, and whose it is.
#[derive(Debug)]
pub struct Done<T> {
    /// The name of the job.
    pub name: Arc<str>,
    /// What it came to.
    pub result: Result<T, Error>,
}

/// A job, to be run or turned away once.
pub(crate) trait Task: Send {
    /// Runs it on this thread, and hands its result on. `over` is called once it is over: before anybody hears of it, but after
    /// a callback, which is part of the job.
    fn run(self: Box<Self>, work: &Work, clock: SharedClock, over: &mut dyn FnMut(End));

    /// Hands on why it was not begun; `over` as above.
    fn refuse(self: Box<Self>, error: Error, over: &mut dyn FnMut(End));
}

/// How a job ended, for the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Finished,
    Failed,
    Panicked,
    Cancelled,
}

/// Whom a result is for. None of them makes a worker wait.
pub(crate) enum Answer<T> {
    Handle(oneshot::Sender<Result<T, Error>>),
    Callback(Box<dyn FnOnce(Result<T, Error>) + Send>),
    /// The place in the channel was taken before the job was.
    Channel(OwnedPermit<Done<T>>, Arc<str>),
}

pub(crate) struct Typed<F, T> {
    pub(crate) run: F,
    pub(crate) progress: Progress,
    pub(crate) answer: Answer<T>,
}

impl<F, T> Task for Typed<F, T>
where
    F: FnOnce(&mut Job) -> Result<T, Failure> + Send,
    T: Send,
{
    fn run(self: Box<Self>, work: &Work, clock: SharedClock, over: &mut dyn FnMut(End)) {
        let Self {
            run,
            progress,
            answer,
        } = *self;
        let mut job = Job::new(work, clock, progress);
        let result = match caught(|| run(&mut job)) {
            Ok(result) => result.map_err(|failure| failed(work, failure)),
            Err(message) => {
                tracing::error!(job = %work.name, panic = message, "a job panicked");
                let text = format!("`{}` panicked: {message}", work.name);
                Err(Error::new(ErrorKind::Panicked, text))
            }
        };
        job.end(&result);
        answer.send(&work.name, result, over);
    }

    fn refuse(self: Box<Self>, error: Error, over: &mut dyn FnMut(End)) {
        let Self {
            run,
            progress,
            answer,
        } = *self;
        progress.end_with(&error);
        drop(caught(|| drop(run)));
        answer.send("", Err(error), over);
    }
}

impl End {
    fn of<T>(result: &Result<T, Error>) -> Self {
        match result.as_ref().map_err(Error::kind) {
            Ok(_) => Self::Finished,
            Err(ErrorKind::Panicked) => Self::Panicked,
            Err(ErrorKind::Cancelled) => Self::Cancelled,
            Err(_) => Self::Failed,
        }
    }
}

impl<T> Answer<T> {
    fn send(self, name: &str, result: Result<T, Error>, over: &mut dyn FnMut(End)) {
        let end = End::of(&result);
        let is_part_of_it = matches!(self, Self::Callback(_));
        if !is_part_of_it {
            over(end);
        }
        // What nobody takes is dropped here, and may panic in that.
        let sent = caught(|| match self {
            Self::Handle(sender) => drop(sender.send(result)),
            Self::Callback(callback) => callback(result),
            Self::Channel(place, name) => drop(place.send(Done { name, result })),
        });
        if let Err(message) = sent {
            tracing::error!(
                job = name,
                panic = message,
                "the callback of a job panicked"
            );
        }
        if is_part_of_it {
            over(end);
        }
    }
}

impl<F, T> fmt::Debug for Typed<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed").finish_non_exhaustive()
    }
}

/// A job's own failure as an error of ours; where it was cancelled and says so, as that.
fn failed(work: &Work, failure: Failure) -> Error {
    let says_so = failure
        .downcast_ref::<Error>()
        .is_some_and(|error| error.kind() == ErrorKind::Cancelled);
    if says_so && work.token.is_cancelled() {
        return Error::cancelled(&work.name);
    }
    let text = format!("`{}` failed", work.name);
    Error::with_source(ErrorKind::Failed, text, failure)
}

/// Runs something of others; the text of its panic, where it panics.
///
/// What it leaves half-changed is only what it owns, or what its owner shared with it and has to judge.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let message = text(&*payload);
        // A payload may panic when it is dropped; the second one is let be.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        message
    })
}

fn text(payload: &(dyn Any + Send)) -> String {
    let said = payload.downcast_ref::<&str>().copied();
    let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    said.unwrap_or("it said nothing that is text").to_owned()
}
