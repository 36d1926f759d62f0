//! The way to the one thread that may touch a user interface.

use crate::error::{Error, ErrorKind};
use crate::task::caught;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// Something that is to be done by the owner, with what it owns.
type Errand<S> = Box<dyn FnOnce(&mut S) + Send>;

/// How many closures wait at most, where nobody says otherwise: a second of a screen that changes 60 times in it, with room.
pub const INBOX_DEFAULT: usize = 256;

/// Posts closures to the thread that owns a user interface, from any thread; clones post to the same.
pub struct Poster<S> {
    sender: mpsc::Sender<Errand<S>>,
    bell: Arc<Bell>,
}

/// The owner's end: made by the thread that owns the user interface, and bound to it.
///
/// ```compile_fail,E0277
/// let (_poster, inbox) = mainstay_work::inbox::<u32>(16, || {}).unwrap();
/// std::thread::spawn(move || drop(inbox)); // whoever made it has to keep it
/// ```
pub struct Inbox<S> {
    receiver: mpsc::Receiver<Errand<S>>,
    bell: Arc<Bell>,
    stays_here: PhantomData<*const ()>,
}

/// What the owner answered to a [`Poster::call`]: a future.
#[derive(Debug)]
#[must_use = "the call is made all the same, and nobody hears the answer"]
pub struct Answered<R> {
    receiver: oneshot::Receiver<R>,
}

/// What one turn of an [`Inbox`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// How many closures ran, those that panicked among them.
    pub ran: usize,
    /// What those that panicked said.
    pub panics: Vec<String>,
}

/// Wakes the owner, once until it looks.
struct Bell {
    ring: Box<dyn Fn() + Send + Sync>,
    has_rung: AtomicBool,
    owner: ThreadId,
}

/// An inbox of this thread for at most `capacity` closures, and the way to post to it.
///
/// `wake` is called by whoever posts, to wake the event loop of this thread: a ping, an event of the user interface, a byte in a
/// pipe. It is called once until [`Inbox::run`] is, however much is posted meanwhile, and must not block.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) where `capacity` is 0 or more than a channel of tokio takes.
pub fn inbox<S>(
    capacity: usize,
    wake: impl Fn() + Send + Sync + 'static,
) -> Result<(Poster<S>, Inbox<S>), Error> {
    if !(1..=tokio::sync::Semaphore::MAX_PERMITS).contains(&capacity) {
        let text = format!("an inbox for {capacity} closures cannot be: choose at least 1");
        return Err(Error::new(ErrorKind::Invalid, text));
    }
    let (sender, receiver) = mpsc::channel(capacity);
    let bell = Arc::new(Bell {
        ring: Box::new(wake),
        has_rung: AtomicBool::new(false),
        owner: thread::current().id(),
    });
    let poster = Poster {
        sender,
        bell: Arc::clone(&bell),
    };
    let inbox = Inbox {
        receiver,
        bell,
        stays_here: PhantomData,
    };
    Ok((poster, inbox))
}

// === impl Poster ===

impl<S: 'static> Poster<S> {
    /// Posts a closure if there is room for it; never waits, and may be called by the owner too.
    ///
    /// # Errors
    ///
    /// [`Full`](ErrorKind::Full) where the owner does not keep up, and [`Closed`](ErrorKind::Closed) where it is gone. The closure
    /// is dropped.
    pub fn post(&self, errand: impl FnOnce(&mut S) + Send + 'static) -> Result<(), Error> {
        match self.sender.try_send(Box::new(errand)) {
            Ok(()) => {
                self.bell.ring();
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(gone()),
            Err(TrySendError::Full(_)) => Err(Error::new(
                ErrorKind::Full,
                "the owner of the user interface does not keep up, try again later",
            )),
        }
    }

    /// Posts a closure once there is room for it, in the order of asking. Dropping the future posts nothing.
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed) where the owner is gone.
    pub async fn post_when_free(
        &self,
        errand: impl FnOnce(&mut S) + Send + 'static,
    ) -> Result<(), Error> {
        let place = self.sender.reserve().await.map_err(|_| gone())?;
        place.send(Box::new(errand));
        self.bell.ring();
        Ok(())
    }

    /// As [`post`](Self::post), with an answer. The owner must not wait for it on its own thread.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post); the answer is [`Closed`](ErrorKind::Closed) where the owner goes before it answered, or panics.
    pub fn call<R: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut S) -> R + Send + 'static,
    ) -> Result<Answered<R>, Error> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |owned| {
            // Nobody may want the answer any more.
            drop(sender.send(errand(owned)));
        })?;
        Ok(Answered { receiver })
    }

    /// Whether this is the thread that made the inbox.
    pub fn is_owner(&self) -> bool {
        thread::current().id() == self.bell.owner
    }
}

impl<S> Clone for Poster<S> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            bell: Arc::clone(&self.bell),
        }
    }
}

impl<S> fmt::Debug for Poster<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poster").finish_non_exhaustive()
    }
}

// === impl Inbox ===

impl<S> Inbox<S> {
    /// Runs what was posted, in its order, up to what there is room for: what is posted meanwhile has the event loop woken
    /// again, so that no flood keeps it from its other work.
    ///
    /// A closure that panics is told in the result, and the next ones run; what it left half-changed in `owned` stays so.
    pub fn run(&mut self, owned: &mut S) -> Turn {
        // Before the first is taken, so that whoever posts from here on rings again. What those who rang no more had posted is seen
        // below because the mark that they left is read here.
        self.bell.has_rung.swap(false, Ordering::SeqCst);
        let mut turn = Turn::default();
        for _ in 0..self.receiver.len() {
            let Ok(errand) = self.receiver.try_recv() else {
                break;
            };
            turn.ran += 1;
            if let Err(message) = caught(|| errand(owned)) {
                tracing::error!(
                    panic = message,
                    "what was posted to a user interface panicked"
                );
                turn.panics.push(message);
            }
        }
        turn
    }
}

impl<S> fmt::Debug for Inbox<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("waiting", &self.receiver.len())
            .finish_non_exhaustive()
    }
}

// === impl Bell ===

impl Bell {
    fn ring(&self) {
        if !self.has_rung.swap(true, Ordering::SeqCst) {
            (self.ring)();
        }
    }
}

// === impl Answered ===

impl<R: Send> Answered<R> {
    /// Waits on this thread, which must not be the owner's.
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed) where there will be no answer.
    pub fn wait(self) -> Result<R, Error> {
        mainstay_clock::block_on(self)
    }
}

impl<R> Future for Answered<R> {
    type Output = Result<R, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver)
            .poll(cx)
            .map(|received| received.map_err(|_| gone()))
    }
}

fn gone() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the owner of the user interface is gone, or gave no answer",
    )
}
