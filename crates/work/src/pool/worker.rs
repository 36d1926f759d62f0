//! A thread that does one job after another until the pool is closed and nobody waits.

use super::{Running, Shared, Waiting};
use crate::error::{Error, ErrorKind};
use crate::task::{End, caught};
use std::sync::{Arc, PoisonError};
use std::thread;

/// Starts one; it ends when the pool was closed, or its last handle dropped, and its job is over.
pub(super) fn start(shared: &Arc<Shared>, number: usize) -> Result<(), Error> {
    let name = format!("{}-{number}", shared.name);
    let worker = Arc::clone(shared);
    shared.state().workers_alive += 1;
    let started = thread::Builder::new().name(name).spawn(move || {
        let _alive = Alive(Arc::clone(&worker));
        while let Some(waiting) = worker.next() {
            worker.work_on(waiting);
        }
    });
    if let Err(error) = started {
        shared.state().workers_alive -= 1;
        let text = format!("the system gives `{}` no thread", shared.name);
        return Err(Error::with_source(ErrorKind::System, text, error));
    }
    Ok(())
}

/// Counts a worker for as long as it lives.
struct Alive(Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.state().workers_alive -= 1;
        self.0.ended.notify_waiters();
    }
}

impl Shared {
    /// Waits for a job; none any more where the pool is closed and all is done.
    fn next(&self) -> Option<Waiting> {
        let mut state = self.state();
        loop {
            if let Some(waiting) = state.line.next() {
                let running = Running {
                    work: waiting.work.clone(),
                    since: self.clock.now(),
                };
                state.running.insert(waiting.id, running);
                return Some(waiting);
            }
            // Jobs that wait because of their kind are left to those who do one of it.
            if state.is_closed && state.line.len() == 0 {
                return None;
            }
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work_on(&self, waiting: Waiting) {
        let Waiting {
            id,
            work,
            task,
            _places: places,
            ..
        } = waiting;
        drop(places);
        let mut is_told = false;
        let mut over = |end| {
            is_told = true;
            self.over(id, work.kind, end);
        };
        // The job itself is caught inside; here it is what others hear of its end.
        let heard = caught(|| {
            if work.token.is_cancelled() {
                task.refuse(Error::cancelled(&work.name), &mut over);
            } else {
                task.run(&work, Arc::clone(&self.clock), &mut over);
            }
        });
        if heard.is_err() && !is_told {
            self.over(id, work.kind, End::Panicked);
        }
    }

    /// A job is over, and counts among those under way no more.
    fn over(&self, id: u64, kind: &'static str, end: End) {
        let mut state = self.state();
        state.running.remove(&id);
        state.line.finished(kind);
        state.count(end);
        // The place that came free among its kind is for one job at most, which this worker looks for next. Only the end
        // concerns the others.
        if state.is_closed {
            self.work.notify_all();
        }
    }
}
