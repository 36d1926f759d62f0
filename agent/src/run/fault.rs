//! What tests do to a task of the real program: it panics, fails, hangs, keeps its thread, or ends. Only with `run --test-faults`, which nobody is shown.

use mainstay_supervise::TaskError;
use mainstay_work::Job;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How often what keeps its thread looks whether it is to keep it.
const LOOK: Duration = Duration::from_millis(10);

/// What a task is made to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// It panics.
    Panic,
    /// It ends with an error.
    Error,
    /// It stands still, and is not polled any more.
    Hang,
    /// It keeps the thread that it runs on, and nothing can end it.
    Block,
    /// It ends, though nobody asked it to.
    Return,
}

/// A fault that was asked for, and of which task.
#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    pub(crate) task: String,
    pub(crate) fault: Fault,
    /// It is met again at each new start of the task, for as long as there is such a file; without one it is met once.
    #[serde(default)]
    pub(crate) while_there: Option<PathBuf>,
}

/// The faults that were asked for, and that no task has met yet: one at most for each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    faults: Mutex<BTreeMap<String, Wish>>,
    changed: Notify,
}

/// A fault that a task has met.
#[derive(Debug)]
struct Met {
    fault: Fault,
    while_there: Option<PathBuf>,
}

impl Met {
    /// Keeps the thread, and looks at nothing but the file that was named, for as long as that is there; without one for ever.
    fn stand_still(&self) {
        let file = self.while_there.as_ref();
        while file.is_none_or(|file| file.exists()) {
            std::thread::park_timeout(LOOK);
        }
    }
}

/// What a task that was made to fail says.
#[derive(Debug)]
struct OnPurpose;

impl fmt::Display for OnPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a test asked for it")
    }
}

impl std::error::Error for OnPurpose {}

impl Faults {
    /// The task of this name meets it as soon as it runs.
    pub(crate) fn ask(&self, wish: Wish) {
        self.asked().insert(wish.task.clone(), wish);
        self.0.changed.notify_waiters();
    }

    /// Runs `work` as the task of this name, until a fault comes in between.
    ///
    /// # Errors
    /// As `work`, or as it was asked for.
    ///
    /// # Panics
    /// As `work`, or as it was asked for.
    pub(super) async fn exposed(
        &self,
        task: &str,
        work: impl Future<Output = Result<(), TaskError>>,
    ) -> Result<(), TaskError> {
        let mut work = pin!(work);
        loop {
            let met = tokio::select! {
                biased;
                met = self.of(task) => met,
                ended = &mut work => return ended,
            };
            match met.fault {
                Fault::Panic => panic!("{OnPurpose}"),
                Fault::Error => return Err(OnPurpose.into()),
                // What it has in hand stays there, as with what really hangs.
                Fault::Hang => return std::future::pending().await,
                Fault::Block => met.stand_still(),
                Fault::Return => return Ok(()),
            }
        }
    }

    /// What a job that begins meets. One that is to hang does so on its thread and looks at nothing, for as long as there is the
    /// file that was named, and without one for ever.
    ///
    /// # Errors
    /// As it was asked for.
    ///
    /// # Panics
    /// As it was asked for.
    pub(super) fn met_by_a_job(&self, job: &Job) -> Result<(), mainstay_work::Failure> {
        let Some(met) = self.next(job.name()) else {
            return Ok(());
        };
        match met.fault {
            Fault::Return => {}
            Fault::Panic => panic!("{OnPurpose}"),
            Fault::Error => return Err(OnPurpose.into()),
            Fault::Hang | Fault::Block => met.stand_still(),
        }
        Ok(())
    }

    async fn of(&self, task: &str) -> Met {
        loop {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if let Some(met) = self.next(task) {
                return met;
            }
            changed.await;
        }
    }

    fn next(&self, task: &str) -> Option<Met> {
        let mut asked = self.asked();
        let wish = asked.remove(task)?;
        let met = Met {
            fault: wish.fault,
            while_there: wish.while_there.clone(),
        };
        match &wish.while_there {
            None => Some(met),
            Some(file) if file.try_exists().unwrap_or(false) => {
                asked.insert(task.to_owned(), wish);
                Some(met)
            }
            Some(_) => None,
        }
    }

    fn asked(&self) -> MutexGuard<'_, BTreeMap<String, Wish>> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
