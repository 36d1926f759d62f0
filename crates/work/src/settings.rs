//! How large a pool is, and how much of each kind it does at once.

use crate::error::{Error, ErrorKind};
use tokio::sync::Semaphore;

/// The most workers of a pool: beyond it threads cost more than they bring.
const WORKERS_MAX: usize = 1_024;

/// How many jobs a pool does at once, and how many may wait for that.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `workers` | 4 | as many as a small station has cores |
/// | `waiting` | 1,000 | a second of jobs of 4 ms; who comes later waits for a place or is told that there is none |
/// | `kinds` | none | every kind may use every worker |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// How many jobs run at once, each on a thread of its own; 1 to 1,024.
    pub workers: usize,
    /// How many jobs wait at most; at least 1.
    pub waiting: usize,
    /// Kinds of which less is done at once than there are workers.
    pub kinds: Vec<Kind>,
}

/// A kind of job that has a limit of its own, because it uses something that others need too: a disk, a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// How many of it run at once; at least 1.
    pub at_once: usize,
    /// How many of it wait at most, so that a flood of one kind leaves places for the others; at least 1.
    pub waiting: usize,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            workers: 4,
            waiting: 1_000,
            kinds: Vec::new(),
        }
    }
}

impl PoolSettings {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.workers < 1 || WORKERS_MAX < self.workers {
            return Err(refused(format!(
                "a pool of {} workers cannot be: choose 1 to {WORKERS_MAX}",
                self.workers
            )));
        }
        check_waiting("a pool", self.waiting)?;
        for (at, kind) in self.kinds.iter().enumerate() {
            let what = format!("the kind `{}`", kind.name);
            check_waiting(&what, kind.waiting)?;
            if kind.at_once < 1 {
                return Err(refused(format!("{what} could never run: `at_once` is 0")));
            }
            if self.kinds[..at].iter().any(|other| other.name == kind.name) {
                return Err(refused(format!("{what} is given twice")));
            }
        }
        Ok(())
    }
}

fn check_waiting(what: &str, waiting: usize) -> Result<(), Error> {
    match waiting {
        1..=Semaphore::MAX_PERMITS => Ok(()),
        _ => Err(refused(format!(
            "{what} in which {waiting} jobs may wait cannot be: choose 1 to {}",
            Semaphore::MAX_PERMITS
        ))),
    }
}

fn refused(text: String) -> Error {
    Error::new(ErrorKind::Invalid, text)
}
