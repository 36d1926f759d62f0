//! What waits for the writer: operations, and whoever wants to know what they came to.

use crate::error::Error;
use crate::store::{Op, Outcome};
use crate::sync::{Condvar, Mutex, MutexGuard};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::oneshot;

/// An operation on its way to the disk.
pub(crate) struct Command {
    pub(crate) op: Op,
    /// Where the answer goes; nobody may be waiting for it any more.
    pub(crate) reply: Option<oneshot::Sender<Result<Outcome, Error>>>,
    /// What is held for it until it is done: a share of memory, a place in the queue.
    pub(crate) held: Option<Box<dyn Send>>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command")
            .field("op", &self.op)
            .finish_non_exhaustive()
    }
}

/// What the writer finds when it looks.
#[derive(Debug)]
pub(crate) enum Mail {
    Commands(Vec<Command>),
    /// Nothing came for as long as it was ready to wait.
    Idle,
    /// Nothing is left, and nothing will come.
    Closed,
}

#[derive(Debug, Default)]
struct State {
    commands: Vec<Command>,
    closed: bool,
}

/// Bounded by what its senders hold: memory shares for documents, leases for settlements.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    arrived: Condvar,
}

impl Mailbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a command over; gives it back if the queue is closed.
    pub(crate) fn send(&self, command: Command) -> Result<(), Command> {
        let mut command = Some(command);
        if self.send_with(|commands| commands.extend(command.take())) {
            return Ok(());
        }
        command.map_or(Ok(()), Err)
    }

    /// Hands commands over that the writer is to find together. Returns whether the queue took them; it is closed if not.
    pub(crate) fn send_all(&self, more: Vec<Command>) -> bool {
        self.send_with(|commands| commands.extend(more))
    }

    fn send_with(&self, add: impl FnOnce(&mut Vec<Command>)) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        let was_empty = state.commands.is_empty();
        add(&mut state.commands);
        drop(state);
        if was_empty {
            self.arrived.notify_one();
        }
        true
    }

    /// All that has come, or what else there is to say; waits up to `patience` (for ever if it is `None`).
    pub(crate) fn receive(&self, patience: Option<Duration>) -> Mail {
        let mut state = self.state();
        let is_idle = |state: &mut State| state.commands.is_empty() && !state.closed;
        match patience {
            None => {
                state = self
                    .arrived
                    .wait_while(state, is_idle)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            Some(patience) => {
                let waited = self.arrived.wait_timeout_while(state, patience, is_idle);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        if !state.commands.is_empty() {
            Mail::Commands(std::mem::take(&mut state.commands))
        } else if state.closed {
            Mail::Closed
        } else {
            Mail::Idle
        }
    }

    /// Takes nothing more; what has come is still done.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.arrived.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }
}
