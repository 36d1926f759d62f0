//! How far a body has come, for those who no longer have it in hand.

use super::Fault;
use mainstay_clock::{Moment, SharedClock};
use std::sync::{Arc, Mutex, PoisonError};

/// How far the body has come; what the attempt looks at while hyper has the body.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    shared: Arc<Mutex<Traced>>,
    clock: SharedClock,
}

#[derive(Debug)]
struct Traced {
    moved: Moment,
    whole: bool,
    fault: Option<Fault>,
}

impl Trace {
    /// Of a body that nobody has asked for yet; an empty one is whole from the start.
    pub(super) fn new(is_empty: bool, clock: &SharedClock) -> Self {
        let traced = Traced {
            moved: clock.now(),
            whole: is_empty,
            fault: None,
        };
        Self {
            shared: Arc::new(Mutex::new(traced)),
            clock: clock.clone(),
        }
    }

    /// When the connection last took a piece.
    pub(crate) fn moved(&self) -> Moment {
        self.with(|traced| traced.moved)
    }

    /// Whether the connection has taken all of it.
    pub(crate) fn is_whole(&self) -> bool {
        self.with(|traced| traced.whole)
    }

    /// Why it broke off, if that was our side's doing.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.with(|traced| traced.fault.clone())
    }

    /// The connection has asked for the next piece, and got it.
    pub(super) fn note_piece(&self) {
        let now = self.clock.now();
        self.with(|traced| traced.moved = now);
    }

    /// That was the last piece.
    pub(super) fn note_end(&self) {
        self.with(|traced| traced.whole = true);
    }

    pub(super) fn note_fault(&self, fault: Fault) {
        self.with(|traced| traced.fault = Some(fault));
    }

    fn with<T>(&self, see: impl FnOnce(&mut Traced) -> T) -> T {
        see(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
