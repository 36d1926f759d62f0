//! What waits for the writer: operations, and whoever wants to know what they came to.

use crate::core::Held;
use crate::error::Error;
use crate::store::{Op, Outcome};
use crate::sync::{Condvar, Mutex, MutexGuard};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::oneshot;

/// Operations on their way to the disk.
pub(crate) struct Command {
    pub(crate) asked: Asked,
    /// What is held for them until they are done: a share of memory, a place in the queue.
    pub(crate) held: Option<Held>,
}

/// What became of an operation.
pub(crate) type Answer = Result<Outcome, Error>;

/// What is asked, and where the answers go; nobody may be waiting for them any more.
pub(crate) enum Asked {
    One(Op, Option<oneshot::Sender<Answer>>),
    Together(Vec<Op>, oneshot::Sender<Vec<Answer>>),
    /// To die of a bug: only tests ask for it.
    Die,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ops = match &self.asked {
            Asked::One(op, _) => std::slice::from_ref(op),
            Asked::Together(ops, _) => ops,
            Asked::Die => &[],
        };
        f.debug_struct("Command")
            .field("ops", &ops)
            .finish_non_exhaustive()
    }
}

/// What the writer finds when it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mail {
    /// Commands have come.
    Commands,
    /// Nothing came for as long as it was ready to wait.
    Idle,
    /// Nothing is left, and nothing will come.
    Closed,
}

/// The commands that the vector keeps room for.
const KEPT: usize = 4096;

#[derive(Debug, Default)]
struct State {
    commands: Vec<Command>,
    closed: bool,
    /// Whether the writer waits to be woken.
    sleeps: bool,
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
        let mut state = self.state();
        if state.closed {
            return Err(command);
        }
        state.commands.push(command);
        let sleeps = std::mem::take(&mut state.sleeps);
        drop(state);
        if sleeps {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Puts all that has come into `commands`, which is empty, or says what else there is to say; waits up to `patience` (for
    /// ever if it is `None`).
    pub(crate) fn receive(&self, commands: &mut Vec<Command>, patience: Option<Duration>) -> Mail {
        let mut state = self.state();
        let is_idle = |state: &mut State| {
            state.sleeps = state.commands.is_empty() && !state.closed;
            state.sleeps
        };
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
        state.sleeps = false;
        if !state.commands.is_empty() {
            commands.shrink_to(KEPT);
            std::mem::swap(commands, &mut state.commands);
            Mail::Commands
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
