//! What people see of a pickup, and how others speak to it while it runs.

use crate::pulse::Pulse;
use mainstay_clock::Moment;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// How many waiting files a status names; of more it gives the number only.
pub const WAITING_MAX: usize = 100;

/// What a pickup is doing, and what it has done since it was opened; opening it again goes on counting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Why, and what to do about it; empty where all is well.
    pub reason: String,
    /// Whether the system tells of new files at once; else they are found at the next rescan.
    pub has_events: bool,
    /// Files committed.
    pub taken: u64,
    /// Bytes committed.
    pub taken_bytes: u64,
    /// Entries moved to quarantine.
    pub quarantined: u64,
    /// Files that changed while they were read, and went back.
    pub returned: u64,
    /// Files in the drop folder that are known and wait for their turn.
    pub ready: usize,
    /// Files in the drop folder that are still being written, or were so recently.
    pub settling: usize,
    /// Files in the work folder that are not committed yet.
    pub pending: usize,
    /// Files in the work folder that are committed, and not archived, moved or removed yet.
    pub unfinished: usize,
    /// Files that cannot be taken as they are, oldest complaint first; at most [`WAITING_MAX`].
    pub waiting: Vec<Waiting>,
    /// How many those are together; above 10,000 the number is a lower bound.
    pub waiting_total: usize,
    /// What went wrong last, with what to do.
    pub last_error: Option<String>,
    /// When it did, in milliseconds since 1970.
    pub last_error_ms: Option<u64>,
    /// When a file was last committed, in milliseconds since 1970.
    pub last_taken_ms: Option<u64>,
    /// How often the whole folder was looked through.
    pub scans: u64,
}

/// What a pickup is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It has not looked at the folder yet.
    Starting,
    /// It waits for files, or takes them.
    Watching,
    /// The drop folder is not there; it is looked for at each rescan.
    Missing,
    /// The intake has no room: files stay in the drop folder until it has.
    Full,
    /// Files cannot be taken at the moment, and it is tried again; or a panic has ended it, and the reason says that it died.
    Failed,
    /// It was told to stop, or was dropped.
    Stopped,
}

/// A file that cannot be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its path below the drop folder.
    pub path: PathBuf,
    /// Why, and what to do about it.
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

/// Reads the status of a pickup, and speaks to it, from any thread; clones speak to the same one.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// What it is doing now.
    pub fn status(&self) -> Status {
        self.shared.lock().told()
    }

    /// Makes it try again at once what it waits with: after the intake got room, or the folder was put back.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// When its loop turned last, by the clock of the pickup: before its first turn, when it was opened.
    ///
    /// While it waits, that is never much longer ago than [`Pickup::TURN`](crate::Pickup::TURN). It does not turn while a blocking
    /// thread is at work ([`is_away`](Self::is_away)), nor while the intake commits.
    pub fn turned(&self) -> Moment {
        self.shared.pulse.turned()
    }

    /// Since when a blocking thread has been at work for it, with what it knows of its folders; `None` when none is.
    ///
    /// A look at a slow share and the copy of a large file take their time; a folder that hangs takes for ever. The thread
    /// cannot be ended: also where the run was dropped, it goes on, and keeps the lock of the work folder until a moment after it
    /// has come back.
    pub fn is_away(&self) -> Option<Moment> {
        self.shared.pulse.away_since()
    }

    /// Whether it has stopped, was dropped or died, and nobody has opened it again.
    pub fn has_ended(&self) -> bool {
        self.shared.lock().has_ended()
    }

    /// Ready once a look through the whole folder, begun after this call, found nothing that can be taken or will settle.
    ///
    /// Files that cannot be taken as they are ([`Status::waiting`]) are not waited for, and neither is a folder that is
    /// missing: look at the status. It is ready as well once the pickup [has ended](Self::has_ended), whatever lies there.
    /// Dropping it has no effect.
    pub async fn idle(&self) {
        let ticket = self.shared.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut answered = self.shared.answered.subscribe();
        self.shared.wake.notify_one();
        // An error says that the pickup is gone, which is as idle as it gets.
        drop(answered.wait_for(|answered| *answered >= ticket).await);
    }
}

/// What the pickup and its handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    board: Mutex<Board>,
    pub(crate) pulse: Pulse,
    pub(crate) wake: Notify,
    /// How often somebody asked whether all is taken.
    asked: AtomicU64,
    /// Up to which of them the answer is yes.
    answered: watch::Sender<u64>,
}

/// The status, and the complaints behind it.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) status: Status,
    complaints: BTreeMap<PathBuf, Complaint>,
}

#[derive(Debug)]
struct Complaint {
    reason: String,
    since_ms: u64,
    /// The look through the folder at which it was last made.
    scan: u64,
}

/// What a panic has ended.
const DIED: &str = "it died; its files stay where they are until it is opened again";

/// How many complaints are remembered.
const COMPLAINTS_MAX: usize = 10_000;

impl Shared {
    pub(crate) fn new() -> Self {
        let status = Status {
            state: State::Starting,
            reason: String::new(),
            has_events: false,
            taken: 0,
            taken_bytes: 0,
            quarantined: 0,
            returned: 0,
            ready: 0,
            settling: 0,
            pending: 0,
            unfinished: 0,
            waiting: Vec::new(),
            waiting_total: 0,
            last_error: None,
            last_error_ms: None,
            last_taken_ms: None,
            scans: 0,
        };
        let board = Board {
            status,
            complaints: BTreeMap::new(),
        };
        Self {
            board: Mutex::new(board),
            pulse: Pulse::new(),
            wake: Notify::new(),
            asked: AtomicU64::new(0),
            answered: watch::Sender::new(0),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often somebody asked whether all is taken.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Whether somebody who asked has no answer yet.
    pub(crate) fn is_asked(&self) -> bool {
        *self.answered.borrow() < self.asked()
    }

    /// Another pickup takes the place of the one before, which is gone.
    pub(crate) fn begin_anew(&self) {
        self.lock().begin_anew();
        // The earlier one has told all who waited that it is gone; those who ask from now on are told by the new one.
        self.answered.send_replace(self.asked());
    }

    /// All is taken, for those who asked up to `ticket`.
    pub(crate) fn answer(&self, ticket: u64) {
        self.answered.send_replace(ticket);
    }
}

impl Board {
    /// The state changes; `reason` is empty where all is well.
    pub(crate) fn be(&mut self, state: State, reason: &str) {
        if self.status.state != state || self.status.reason != reason {
            tracing::info!(?state, reason, "pickup changes its state");
        }
        self.status.state = state;
        reason.clone_into(&mut self.status.reason);
    }

    /// It has ended. That it died is what counts, whoever of those that held it ends first.
    pub(crate) fn end(&mut self, has_died: bool) {
        if has_died {
            self.be(State::Failed, DIED);
        } else if !self.has_ended() {
            self.be(State::Stopped, "");
        }
    }

    fn has_ended(&self) -> bool {
        let status = &self.status;
        let has_died = status.state == State::Failed && status.reason == DIED;
        has_died || status.state == State::Stopped
    }

    /// Nothing is known yet of what lies in the folders; what was counted goes on.
    fn begin_anew(&mut self) {
        self.be(State::Starting, "");
        self.complaints.clear();
        let status = &mut self.status;
        status.has_events = false;
        (status.ready, status.settling) = (0, 0);
        (status.pending, status.unfinished) = (0, 0);
    }

    /// Something went wrong that is not about the state.
    pub(crate) fn fail(&mut self, message: String, now_ms: u64) {
        if self.status.last_error.as_ref() != Some(&message) {
            tracing::warn!("{message}");
        }
        self.status.last_error = Some(message);
        self.status.last_error_ms = Some(now_ms);
    }

    /// A file cannot be taken as it is.
    pub(crate) fn complain(&mut self, relative: &Path, reason: &str, now_ms: u64) {
        let scan = self.status.scans;
        if let Some(complaint) = self.complaints.get_mut(relative) {
            complaint.scan = scan;
            reason.clone_into(&mut complaint.reason);
        } else if self.complaints.len() < COMPLAINTS_MAX {
            tracing::warn!(path = %mainstay_files::Shown(relative), reason, "file cannot be taken");
            let complaint = Complaint {
                reason: reason.to_owned(),
                since_ms: now_ms,
                scan,
            };
            self.complaints.insert(relative.to_owned(), complaint);
        }
    }

    /// What was complained of is gone, or taken.
    pub(crate) fn content(&mut self, relative: &Path) {
        self.complaints.remove(relative);
    }

    /// A look through the folder begins; complaints that the one before did not renew are settled.
    pub(crate) fn begin_scan(&mut self) {
        let scan = self.status.scans;
        self.complaints
            .retain(|_, complaint| complaint.scan >= scan);
        self.status.scans += 1;
    }

    fn told(&self) -> Status {
        let mut waiting: Vec<Waiting> = self
            .complaints
            .iter()
            .map(|(path, complaint)| Waiting {
                path: path.clone(),
                reason: complaint.reason.clone(),
                since_ms: complaint.since_ms,
            })
            .collect();
        waiting.sort_by_key(|waiting| waiting.since_ms);
        waiting.truncate(WAITING_MAX);
        Status {
            waiting,
            waiting_total: self.complaints.len(),
            ..self.status.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_of_those_that_wait_are_named_and_the_others_counted_up_to_a_limit() {
        let shared = Shared::new();
        let mut board = shared.lock();
        for number in 0..=COMPLAINTS_MAX {
            let path = PathBuf::from(number.to_string());
            board.complain(&path, "it is a link", number as u64);
        }
        let told = board.told();
        assert_eq!(told.waiting_total, COMPLAINTS_MAX);
        assert_eq!(told.waiting.len(), WAITING_MAX);
        assert_eq!(told.waiting[0].path, Path::new("0"));
    }
}
