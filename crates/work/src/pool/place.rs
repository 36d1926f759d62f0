//! A place in the line, taken before there is anything to put there.

use super::{Places, Pool, Shared, Waiting};
use crate::error::{Error, ErrorKind, Failure};
use crate::handle::{Handle, Ticket};
use crate::job::{Job, Work};
use crate::progress::Progress;
use crate::task::{Answer, Done, Typed};
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

/// A place in the line of a [`Pool`], given back when it is dropped: whoever has one hands in a job without waiting, and without
/// the chance to be turned away for want of room.
#[must_use = "dropping it gives the place back"]
pub struct Place {
    shared: Arc<Shared>,
    work: Work,
    places: Places,
}

impl Pool {
    /// Takes a place if there is one; never waits.
    ///
    /// # Errors
    ///
    /// [`Full`](ErrorKind::Full) and [`Closed`](ErrorKind::Closed).
    pub fn try_place(&self, work: Work) -> Result<Place, Error> {
        let shared = self.shared();
        let taken = shared
            .kind_of(&work)
            .map(Semaphore::try_acquire_owned)
            .transpose()
            .and_then(|kind| Ok((Arc::clone(&shared.places).try_acquire_owned()?, kind)));
        match taken {
            Ok(places) => Ok(self.taken(work, places)),
            Err(TryAcquireError::Closed) => Err(shared.closed()),
            Err(TryAcquireError::NoPermits) => {
                shared.state().counts.refused += 1;
                let text = format!(
                    "`{}` has no place for `{}`, try again later",
                    shared.name, work.name
                );
                Err(Error::new(ErrorKind::Full, text))
            }
        }
    }

    /// Takes a place once there is one, in the order of asking. Dropping the future takes none.
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed), and [`Cancelled`](ErrorKind::Cancelled) where it was while it waited.
    pub async fn place(&self, work: Work) -> Result<Place, Error> {
        let shared = self.shared();
        let places = async {
            // Among its kind first: who waits there holds none of the places that others need.
            let kind = acquired(shared.kind_of(&work)).await?;
            let place = Arc::clone(&shared.places).acquire_owned().await?;
            Ok::<_, AcquireError>((place, kind))
        };
        let places = tokio::select! {
            biased;
            () = work.token.cancelled() => return Err(Error::cancelled(&work.name)),
            places = places => places.map_err(|_| shared.closed())?,
        };
        Ok(self.taken(work, places))
    }

    fn taken(&self, work: Work, places: Places) -> Place {
        Place {
            shared: Arc::clone(self.shared()),
            work,
            places,
        }
    }
}

async fn acquired(
    kind: Option<Arc<Semaphore>>,
) -> Result<Option<OwnedSemaphorePermit>, AcquireError> {
    match kind {
        Some(kind) => kind.acquire_owned().await.map(Some),
        None => Ok(None),
    }
}

impl Place {
    /// Hands a job in; its result is in the handle.
    pub fn submit<F, T>(self, run: F) -> Handle<T>
    where
        F: FnOnce(&mut Job) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        Handle {
            ticket: self.hand_in(run, Answer::Handle(sender)),
            receiver,
            cancelled: None,
            has_left: false,
            is_taken: false,
        }
    }

    /// Hands a job in; `then` is called once with its result: on the thread that did it, or where it is never begun, of whoever
    /// cancelled it. Let it be short: it is part of the job.
    pub fn submit_then<F, T>(
        self,
        run: F,
        then: impl FnOnce(Result<T, Error>) + Send + 'static,
    ) -> Ticket
    where
        F: FnOnce(&mut Job) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        self.hand_in(run, Answer::Callback(Box::new(then)))
    }

    /// Hands a job in; its result goes into a channel. That its place there is taken before means that no worker waits for who
    /// reads.
    pub fn submit_to<F, T>(self, run: F, place: OwnedPermit<Done<T>>) -> Ticket
    where
        F: FnOnce(&mut Job) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let name = Arc::clone(&self.work.name);
        self.hand_in(run, Answer::Channel(place, name))
    }

    fn hand_in<F, T>(self, run: F, answer: Answer<T>) -> Ticket
    where
        F: FnOnce(&mut Job) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let Self {
            shared,
            work,
            places,
        } = self;
        let progress = Progress::new(Arc::clone(&work.name), Arc::clone(&shared.clock));
        let watch = progress.watch();
        let task = Box::new(Typed {
            run,
            progress,
            answer,
        });
        let ticket = Ticket {
            id: 0,
            name: Arc::clone(&work.name),
            token: work.token.clone(),
            watch,
            shared: Arc::clone(&shared),
        };
        let since = shared.clock.now();
        let mut state = shared.state();
        let id = state.next_id;
        state.next_id += 1;
        let (priority, kind) = (work.priority, work.kind);
        let waiting = Waiting {
            id,
            work,
            since,
            task,
            _places: places,
        };
        if state.is_closed {
            drop(state);
            waiting.task.refuse(shared.closed(), &mut |_| {});
        } else {
            state.line.push(priority, kind, id, waiting);
            drop(state);
            shared.work.notify_one();
        }
        Ticket { id, ..ticket }
    }
}

impl Shared {
    fn kind_of(&self, work: &Work) -> Option<Arc<Semaphore>> {
        self.kinds.get(work.kind).map(Arc::clone)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("work", &self.work)
            .finish_non_exhaustive()
    }
}
