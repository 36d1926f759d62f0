//! A data folder that is ours alone: locked, and its queue open.

use crate::control;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use mainstay_clock::SharedClock;
use mainstay_files::{ErrorKind, Lock};
use mainstay_queue::{Config, Queue, Recovery};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Mode of the data folder: documents may be confidential.
const PRIVATE: u32 = 0o700;

/// How long a folder that is locked by a command, and not by an agent, is waited for; such a command is done in moments.
const PATIENCE: Duration = Duration::from_secs(3);

const LOOK: Duration = Duration::from_millis(50);

/// The folder's lock and its open queue.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The folder.
    pub(crate) data: DataDir,
    /// Its queue.
    pub(crate) queue: Queue,
    /// What opening it found.
    pub(crate) recovery: Recovery,
    /// Where its queue lies.
    pub(crate) queue_dir: PathBuf,
    /// How many documents had been lost to damage before it was opened.
    pub(crate) unreadable_before: u64,
    _lock: Arc<Lock>,
}

impl Opened {
    /// Makes the folder if it is missing, takes its lock and opens its queue.
    ///
    /// # Errors
    /// Another process has it ([`Exit::InUse`]), or it cannot be made, locked or opened.
    pub(crate) async fn take(
        data: &DataDir,
        queue_dir: PathBuf,
        config: Config,
        clock: &SharedClock,
    ) -> Result<Self, Failure> {
        let lock = take(data, clock).await?;
        Self::open(data, lock, queue_dir, config).await
    }

    /// Opens the queue of a folder that is ours already.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) async fn open(
        data: &DataDir,
        lock: Arc<Lock>,
        queue_dir: PathBuf,
        config: Config,
    ) -> Result<Self, Failure> {
        let shown = queue_dir.display().to_string();
        let place = queue_dir.clone();
        let opened = tokio::task::spawn_blocking(move || Queue::open(&place, config)).await;
        let opened = opened.map_err(|died| {
            Failure::new(Exit::StartFailed, "opening the queue died").because(died)
        })?;
        let (queue, recovery) = opened.map_err(|error| match error.kind() {
            mainstay_queue::ErrorKind::Locked => {
                taken("queue", &queue_dir, &queue_dir.join("LOCK")).because(error)
            }
            _ => Failure::new(
                Exit::StartFailed,
                format!("cannot open the queue `{shown}`"),
            )
            .because(error),
        })?;
        let unreadable_before = queue
            .ledger()
            .unreadable
            .saturating_sub(recovery.documents_unreadable);
        Ok(Self {
            data: data.clone(),
            queue,
            recovery,
            queue_dir,
            unreadable_before,
            _lock: lock,
        })
    }

    /// Writes what was handed over, and gives the folder back, unless its lock is held elsewhere too.
    pub(crate) async fn close(self) {
        let Self { queue, _lock, .. } = self;
        queue.close().await;
    }
}

/// Makes the folder if it is missing, and takes its lock: nobody else has the folder while a copy of that is left.
///
/// # Errors
/// Another process has it ([`Exit::InUse`]), or it cannot be made or locked.
pub(crate) async fn take(data: &DataDir, clock: &SharedClock) -> Result<Arc<Lock>, Failure> {
    make(data)?;
    Ok(Arc::new(lock(data, clock).await?))
}

fn make(data: &DataDir) -> Result<(), Failure> {
    mainstay_files::create_dir_all(data.path(), PRIVATE).map_err(|error| {
        Failure::new(
            Exit::StartFailed,
            format!("cannot make the data folder `{}`", data.path().display()),
        )
        .because(error)
        .help("choose another folder with --data, or change the owner of the one above it")
    })
}

/// An agent keeps the lock, and answers on its socket: then there is nothing to wait for.
pub(crate) async fn lock(data: &DataDir, clock: &SharedClock) -> Result<Lock, Failure> {
    let deadline = clock.now() + PATIENCE;
    loop {
        match Lock::acquire(&data.lock()) {
            Ok(lock) => return Ok(lock),
            Err(error) if error.kind() == ErrorKind::Locked => {
                if clock.now() >= deadline || control::answers(data).await {
                    return Err(in_use(data).because(error));
                }
                clock.sleep(LOOK).await;
            }
            Err(error) => {
                let message = format!("cannot lock the data folder `{}`", data.path().display());
                return Err(Failure::new(Exit::StartFailed, message).because(error));
            }
        }
    }
}

fn in_use(data: &DataDir) -> Failure {
    taken("data folder", data.path(), &data.lock())
}

/// Who has it is asked of the lock, not guessed.
fn taken(what: &str, path: &Path, lock: &Path) -> Failure {
    let holder = Lock::holder(lock).filter(|pid| *pid != 0);
    let (who, stop) = match holder {
        Some(pid) if pid == std::process::id() => {
            let who = "what this agent ran before".to_owned();
            (who, "stop this agent".to_owned())
        }
        Some(pid) => (format!("process {pid}"), format!("kill {pid}")),
        None => ("another process".to_owned(), "mainstay status".to_owned()),
    };
    Failure::new(
        Exit::InUse,
        format!("cannot use the {what} `{}`: {who} has it", path.display()),
    )
    .help(format!(
        "stop that one first ({stop}), or choose another folder with --data"
    ))
}
