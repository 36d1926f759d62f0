//! The errors of tokio: limits of time, tasks, locks, permits and channels.
//!
//! | error | class | why |
//! |---|---|---|
//! | a limit of time | timeout, tried again | |
//! | a timer that cannot be had: too many | resource, tried again | |
//! | a timer that is shut down | internal | its runtime is going away |
//! | a task that panicked | internal, critical | |
//! | a task that was cancelled | internal, low | somebody stopped it |
//! | a lock that is held, permits that are all taken, a channel that is full or empty | resource, low, tried again | the next moment is another one |
//! | a reader that was overtaken | resource, tried again | it goes on with the oldest that is left, and what it missed is gone |
//! | a channel or semaphore that is closed, a sender that is gone | internal, low | the other end is stopping, and does not come back |

use super::{Category, Class, Classify, Severity};
use tokio::sync::{AcquireError, TryAcquireError, TryLockError, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinError;
use tokio::time::error::{Elapsed, Error as TimerError};

const BUSY: Class = Class::retryable(Category::Resource, Severity::Low);
const OVERTAKEN: Class = Class::retryable(Category::Resource, Severity::Medium);
const CLOSED: Class = Class::permanent(Category::Internal, Severity::Low);

/// A limit of [`tokio::time::timeout`].
impl Classify for Elapsed {
    fn class(&self) -> Class {
        Class::retryable(Category::Timeout, Severity::Medium)
    }
}

/// A timer that cannot be had.
impl Classify for TimerError {
    fn class(&self) -> Class {
        if self.is_at_capacity() {
            Class::retryable(Category::Resource, Severity::Medium)
        } else {
            Class::permanent(Category::Internal, Severity::Medium)
        }
    }
}

/// A task that panicked, or was cancelled.
impl Classify for JoinError {
    fn class(&self) -> Class {
        let severity = if self.is_panic() {
            Severity::Critical
        } else {
            Severity::Low
        };
        Class::permanent(Category::Internal, severity)
    }
}

/// A semaphore that is closed.
impl Classify for AcquireError {
    fn class(&self) -> Class {
        CLOSED
    }
}

/// A semaphore that is closed, or has no permit left.
impl Classify for TryAcquireError {
    fn class(&self) -> Class {
        match self {
            Self::Closed => CLOSED,
            Self::NoPermits => BUSY,
        }
    }
}

/// A lock that somebody else holds.
impl Classify for TryLockError {
    fn class(&self) -> Class {
        BUSY
    }
}

/// A channel whose receiver is gone.
impl<T> Classify for mpsc::error::SendError<T> {
    fn class(&self) -> Class {
        CLOSED
    }
}

/// A channel whose receiver is gone, or that is full.
impl<T> Classify for mpsc::error::TrySendError<T> {
    fn class(&self) -> Class {
        match self {
            Self::Full(_) => BUSY,
            Self::Closed(_) => CLOSED,
        }
    }
}

/// A channel whose receiver is gone, or that was full for too long.
impl<T> Classify for mpsc::error::SendTimeoutError<T> {
    fn class(&self) -> Class {
        match self {
            Self::Timeout(_) => Class::retryable(Category::Timeout, Severity::Medium),
            Self::Closed(_) => CLOSED,
        }
    }
}

/// A channel that is empty, or whose senders are gone.
impl Classify for mpsc::error::TryRecvError {
    fn class(&self) -> Class {
        match self {
            Self::Empty => BUSY,
            Self::Disconnected => CLOSED,
        }
    }
}

/// An answer that nobody gives any more.
impl Classify for oneshot::error::RecvError {
    fn class(&self) -> Class {
        CLOSED
    }
}

/// An answer that is not there yet, or that nobody gives any more.
impl Classify for oneshot::error::TryRecvError {
    fn class(&self) -> Class {
        match self {
            Self::Empty => BUSY,
            Self::Closed => CLOSED,
        }
    }
}

/// A channel without a receiver.
impl<T> Classify for broadcast::error::SendError<T> {
    fn class(&self) -> Class {
        CLOSED
    }
}

/// A reader that was overtaken, or a channel without senders.
impl Classify for broadcast::error::RecvError {
    fn class(&self) -> Class {
        match self {
            Self::Lagged(_) => OVERTAKEN,
            Self::Closed => CLOSED,
        }
    }
}

/// A reader that was overtaken, a channel that is empty, or without senders.
impl Classify for broadcast::error::TryRecvError {
    fn class(&self) -> Class {
        match self {
            Self::Empty => BUSY,
            Self::Lagged(_) => OVERTAKEN,
            Self::Closed => CLOSED,
        }
    }
}

/// A value that nobody watches.
impl<T> Classify for watch::error::SendError<T> {
    fn class(&self) -> Class {
        CLOSED
    }
}

/// A value that nobody changes any more.
impl Classify for watch::error::RecvError {
    fn class(&self) -> Class {
        CLOSED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::time::Duration;
    use tokio::sync::{Mutex, RwLock, Semaphore};

    fn assert_class(error: &impl Classify, expected: Class) {
        assert_eq!(error.class(), expected);
    }

    #[tokio::test]
    async fn each_error_of_a_channel_that_happens_has_its_class() {
        let (sender, mut receiver) = mpsc::channel(1);
        assert_class(&receiver.try_recv().unwrap_err(), BUSY);
        sender.try_send(1).unwrap();
        assert_class(&sender.try_send(2).unwrap_err(), BUSY);
        let late = sender.send_timeout(2, Duration::ZERO).await.unwrap_err();
        assert_class(&late, Class::retryable(Category::Timeout, Severity::Medium));
        let other = sender.clone();
        drop(receiver);
        assert_class(&sender.try_send(2).unwrap_err(), CLOSED);
        assert_class(&sender.send(2).await.unwrap_err(), CLOSED);
        let gone = other.send_timeout(2, Duration::ZERO).await.unwrap_err();
        assert_class(&gone, CLOSED);
        let (sender, mut receiver) = mpsc::channel::<()>(1);
        drop(sender);
        assert_class(&receiver.try_recv().unwrap_err(), CLOSED);

        let (sender, mut receiver) = oneshot::channel::<()>();
        assert_class(&receiver.try_recv().unwrap_err(), BUSY);
        drop(sender);
        assert_class(&receiver.try_recv().unwrap_err(), CLOSED);
        let (_, receiver) = oneshot::channel::<()>();
        assert_class(&receiver.await.unwrap_err(), CLOSED);

        let (sender, mut receiver) = broadcast::channel(1);
        assert_class(&receiver.try_recv().unwrap_err(), BUSY);
        for round in 0..2 {
            sender.send(round).unwrap();
            sender.send(round).unwrap();
            match round {
                0 => assert_class(&receiver.recv().await.unwrap_err(), OVERTAKEN),
                _ => assert_class(&receiver.try_recv().unwrap_err(), OVERTAKEN),
            }
        }
        receiver.recv().await.unwrap();
        drop(sender);
        assert_class(&receiver.try_recv().unwrap_err(), CLOSED);
        assert_class(&receiver.recv().await.unwrap_err(), CLOSED);
        let (sender, receiver) = broadcast::channel(1);
        drop(receiver);
        assert_class(&sender.send(1).unwrap_err(), CLOSED);

        let (sender, mut receiver) = watch::channel(1);
        drop(sender);
        assert_class(&receiver.changed().await.unwrap_err(), CLOSED);
        let (sender, receiver) = watch::channel(1);
        drop(receiver);
        assert_class(&sender.send(2).unwrap_err(), CLOSED);
    }

    #[tokio::test]
    async fn each_error_of_a_lock_a_limit_and_a_task_that_happens_has_its_class() {
        let permits = Semaphore::new(0);
        assert_class(&permits.try_acquire().unwrap_err(), BUSY);
        permits.close();
        assert_class(&permits.try_acquire().unwrap_err(), CLOSED);
        assert_class(&permits.acquire().await.unwrap_err(), CLOSED);
        let lock = Mutex::new(());
        let held = lock.lock().await;
        assert_class(&lock.try_lock().unwrap_err(), BUSY);
        drop(held);
        let lock = RwLock::new(());
        let held = lock.write().await;
        assert_class(&lock.try_read().unwrap_err(), BUSY);
        drop(held);

        let late = tokio::time::timeout(Duration::ZERO, pending::<()>()).await;
        assert_class(
            &late.unwrap_err(),
            Class::retryable(Category::Timeout, Severity::Medium),
        );
        let panicked = tokio::spawn(async { panic!("on purpose") }).await;
        assert_class(
            &panicked.unwrap_err(),
            Class::permanent(Category::Internal, Severity::Critical),
        );
        let task = tokio::spawn(pending::<()>());
        task.abort();
        assert_class(&task.await.unwrap_err(), CLOSED);
    }
}
