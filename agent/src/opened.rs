//! A data folder that is ours alone: locked, and its queue open.

use crate::control;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use mainstay_clock::SharedClock;
use mainstay_files::{ErrorKind, Lock};
use mainstay_queue::{Config, Queue, Recovery};
use std::path::PathBuf;
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
    _lock: Lock,
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
        make(data)?;
        let lock = lock(data, clock).await?;
        let shown = queue_dir.display().to_string();
        let place = queue_dir.clone();
        let opened = tokio::task::spawn_blocking(move || Queue::open(&place, config)).await;
        let opened = opened.map_err(|died| {
            Failure::new(Exit::StartFailed, "opening the queue died").because(died)
        })?;
        let (queue, recovery) = opened.map_err(|error| match error.kind() {
            mainstay_queue::ErrorKind::Locked => in_use(data).because(error),
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

    /// Writes what was handed over, and gives the folder back.
    pub(crate) async fn close(self) {
        let Self { queue, _lock, .. } = self;
        queue.close().await;
    }
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
    let shown = data.path().display();
    let holder = Lock::holder(&data.lock()).filter(|pid| *pid != 0);
    let (who, stop) = match holder {
        Some(pid) => (format!("process {pid}"), format!("kill {pid}")),
        None => ("another process".to_owned(), "mainstay status".to_owned()),
    };
    Failure::new(
        Exit::InUse,
        format!("cannot use the data folder `{shown}`: {who} has it"),
    )
    .help(format!(
        "stop that one first ({stop}), or choose another folder with --data"
    ))
}
