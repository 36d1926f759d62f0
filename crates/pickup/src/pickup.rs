//! The loop: look, take, commit, finish, wait.

#[cfg(feature = "simulated")]
mod by_hand;

use crate::batch::{Batch, Trouble};
use crate::collector::{Book, Collector, Place, backoff};
use crate::config::Config;
use crate::ear::Ear;
use crate::error::Error;
use crate::intake::{Intake, Refusal};
use crate::kept::Kept;
use crate::look::Look;
use crate::pulse::Away;
use crate::recovery::Recovered;
use crate::status::{Handle, Shared, State};
use mainstay_clock::{Moment, SharedClock};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a commit that is under way may go on when we are told to stop.
const COMMIT_GRACE: Duration = Duration::from_secs(1);

/// Takes finished files out of one folder, and hands them to an [`Intake`].
///
/// Open it, [`recover`](Self::recover), and [`run`](Self::run) it as a task. Look at it, and speak to it, through its
/// [`handle`](Self::handle).
pub struct Pickup<I: Intake> {
    collector: Option<Box<Collector>>,
    /// The blocking thread that has the collector; it brings it back.
    away: Option<JoinHandle<Box<Collector>>>,
    intake: Arc<I>,
    clock: SharedClock,
    shared: Arc<Shared>,
    is_recovered: bool,
    /// How often in a row the intake refused.
    refusals: u32,
}

/// Says that a run has ended, however it did.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.lock().end(std::thread::panicking());
    }
}

/// What a round came to.
enum Round {
    /// There may be more to do at once.
    Again,
    /// Nothing can be done before this moment, unless something happens.
    Wait(Moment),
    /// Files are waiting, and nothing can be done for them before this moment, unless we are told.
    Pause(Moment),
}

impl<I: Intake> Pickup<I> {
    /// While it waits, its loop turns at least this often, also where nothing happens: see [`Handle::turned`].
    pub const TURN: Duration = Duration::from_secs(5);

    /// Checks the settings and the folders, makes those of ours that are missing, and locks the work folder.
    ///
    /// The drop folder may be missing. It blocks; nothing is taken yet.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig), [`UnsafeLayout`](crate::ErrorKind::UnsafeLayout),
    /// [`Locked`](crate::ErrorKind::Locked), [`NewerVersion`](crate::ErrorKind::NewerVersion),
    /// [`Folder`](crate::ErrorKind::Folder). No file was touched; folders may have been made.
    pub fn open(config: Config, intake: Arc<I>, clock: SharedClock) -> Result<Self, Error> {
        Self::open_with(Arc::new(Shared::new()), config, intake, clock)
    }

    /// Opens a pickup in the place of one that has stopped, was dropped or died; `handle`, and its clones, speak to this one then.
    ///
    /// The status goes on counting, and knows nothing of the folders until it has looked. Whoever waited for the earlier one to
    /// become idle was told that it is gone; whoever asks from now on waits for this one. `clock` has to be the one that the
    /// earlier one had. It is the lock of the work folder that keeps two apart: give it the same one.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open). [`Locked`](crate::ErrorKind::Locked) also while a blocking thread of the earlier one is not
    /// back yet ([`Handle::is_away`]): try again later. `handle` shows what it did before.
    pub fn reopen(
        handle: &Handle,
        config: Config,
        intake: Arc<I>,
        clock: SharedClock,
    ) -> Result<Self, Error> {
        Self::open_with(Arc::clone(&handle.shared), config, intake, clock)
    }

    fn open_with(
        shared: Arc<Shared>,
        config: Config,
        intake: Arc<I>,
        clock: SharedClock,
    ) -> Result<Self, Error> {
        let collector = Collector::open(config, Arc::clone(&clock), Arc::clone(&shared))?;
        // From here on the lock is ours, and the earlier one has said its last word.
        shared.begin_anew();
        shared.pulse.turn(clock.now());
        Ok(Self {
            collector: Some(Box::new(collector)),
            away: None,
            intake,
            clock,
            shared,
            is_recovered: false,
            refusals: 0,
        })
    }

    /// A handle to look at it and to speak to it, from any thread, also while it runs.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.shared))
    }

    /// Finishes what an earlier life has begun: see [`Recovered`].
    ///
    /// [`run`](Self::run) does it where it was not done; doing it before tells what was found, and which claims are open.
    /// Dropped before it returns, it goes on to its end and tells nobody; whatever is called next waits for that.
    ///
    /// # Errors
    ///
    /// [`UnsafeLayout`](crate::ErrorKind::UnsafeLayout) where the work folder cannot be listed,
    /// [`NewerVersion`](crate::ErrorKind::NewerVersion), [`Folder`](crate::ErrorKind::Folder). Nothing is lost, and it may be
    /// called again.
    pub async fn recover(&mut self) -> Result<Recovered, Error> {
        let recovered = self.blocking(Collector::recover).await?;
        self.is_recovered = true;
        Ok(recovered)
    }

    /// Takes files until `stop` is cancelled; then it ends within a second, or when the file being copied is copied.
    ///
    /// It may end at any point, also by being dropped or killed, or by a panic of the intake: what was not committed is offered
    /// again at the next start, or when it is opened again in this process ([`reopen`](Self::reopen)).
    pub async fn run(mut self, stop: CancellationToken) {
        let _ending = Ending(Arc::clone(&self.shared));
        self.turn();
        self.bring_back().await;
        self.collector().stop = stop.clone();
        self.recover_until_done(&stop).await;
        let mut ear = Ear::default();
        while !stop.is_cancelled() {
            self.turn();
            let look = self.blocking(Collector::look).await;
            ear.listen(
                self.collector()
                    .watch
                    .as_ref()
                    .map(crate::watch::Watch::descriptor),
            );
            match self.round(&look, &stop).await {
                Round::Again => {}
                Round::Wait(until) => self.wait(until, Some(&mut ear), &stop).await,
                Round::Pause(until) => self.wait(until, None, &stop).await,
            }
        }
    }

    fn turn(&self) {
        self.shared.pulse.turn(self.clock.now());
    }

    async fn recover_until_done(&mut self, stop: &CancellationToken) {
        let mut failures = 0;
        while !self.is_recovered && !stop.is_cancelled() {
            if let Err(error) = self.recover().await {
                failures += 1;
                self.shared.lock().be(State::Failed, &error.to_string());
                self.wait(self.clock.now() + backoff(failures), None, stop)
                    .await;
            }
        }
    }

    /// Takes one batch to the end, if there is one.
    async fn round(&mut self, look: &Look, stop: &CancellationToken) -> Round {
        if !look.has_files {
            self.rest();
            return Round::Wait(look.next);
        }
        if !self.intake.has_room() {
            return self.refused(
                State::Full,
                "the intake has no room; files stay in the drop folder until it has",
            );
        }
        let mut batch = self.blocking(Collector::prepare).await;
        let trouble = batch.trouble.take();
        if batch.files.is_empty() {
            if self.may_go_on(trouble.as_ref()) {
                return Round::Again;
            }
            return self.after_trouble(trouble);
        }
        let files = std::mem::take(&mut batch.files);
        let bytes: u64 = files.iter().map(|file| file.len).sum();
        let intake = Arc::clone(&self.intake);
        let committed = tokio::select! {
            biased;
            committed = intake.commit(files) => committed,
            // What became of it is asked at the next start.
            () = self.grace(stop) => return Round::Again,
        };
        match committed {
            Ok(()) => {
                self.committed(batch, bytes).await;
                // The copies of what was committed are gone: there is room for more of them.
                let trouble = trouble.filter(|trouble| trouble.state != State::Full);
                self.after_trouble(trouble)
            }
            Err(refusal) => self.not_committed(batch, refusal).await,
        }
    }

    /// Whether there is no room for more copies, and files are there whose copies lie ready.
    fn may_go_on(&self, trouble: Option<&Trouble>) -> bool {
        let now = self.clock.now();
        trouble.is_some_and(|trouble| trouble.state == State::Full)
            && self
                .collector
                .as_ref()
                .is_some_and(|collector| collector.pending.iter().any(|file| file.due <= now))
    }

    fn after_trouble(&mut self, trouble: Option<Trouble>) -> Round {
        trouble.map_or(Round::Again, |trouble| {
            self.refused(trouble.state, &trouble.reason)
        })
    }

    async fn committed(&mut self, batch: Batch, bytes: u64) {
        self.refusals = 0;
        let now_ms = self.clock.wall();
        {
            let mut board = self.shared.lock();
            board.be(State::Watching, "");
            board.status.taken += batch.claimed.len() as u64;
            board.status.taken_bytes += bytes;
            board.status.last_taken_ms = Some(now_ms);
        }
        self.blocking(move |collector, book| collector.settle_batch(batch, book))
            .await;
    }

    /// The files stay where they are, and are offered again.
    async fn not_committed(&mut self, batch: Batch, refusal: Refusal) -> Round {
        let is_alone = batch.claimed.len() == 1;
        let next = match &refusal {
            Refusal::Full(reason) => self.refused(State::Full, reason),
            Refusal::Failed(reason) => {
                let pause = self.refused(State::Failed, reason);
                // The first failure may be the fault of one file: the others are tried without it before we wait.
                if self.refusals < 2 {
                    Round::Again
                } else {
                    pause
                }
            }
            Refusal::Rejected { .. } => Round::Again,
        };
        self.blocking(move |collector, book| {
            collector.offer_later(batch, &refusal, is_alone, book);
        })
        .await;
        next
    }

    fn refused(&mut self, state: State, reason: &str) -> Round {
        self.refusals = self.refusals.saturating_add(1);
        {
            let mut board = self.shared.lock();
            // What the intake itself said is full tells more than that it still is.
            if state != State::Full || board.status.state != State::Full {
                board.be(state, reason);
            }
        }
        Round::Pause(self.clock.now() + backoff(self.refusals))
    }

    /// Nothing can be done now: people are told why, and whoever waits until all is taken is told if it is.
    fn rest(&mut self) {
        let Some(collector) = &self.collector else {
            return;
        };
        if !collector.has_room_to_finish() {
            let reason =
                "too many committed files cannot be archived, moved or removed: see the last error";
            self.shared.lock().be(State::Failed, reason);
        } else if collector.pending.is_empty() && collector.attached.is_some() {
            self.refusals = 0;
            self.shared.lock().be(State::Watching, "");
        }
        if collector.is_idle() {
            self.shared.answer(collector.scan.ticket);
        }
    }

    /// Waits for events, for a word, for the time, or for the end. It turns meanwhile, and looks at nothing for that.
    async fn wait(&self, until: Moment, ear: Option<&mut Ear>, stop: &CancellationToken) {
        let event = async {
            match ear {
                Some(ear) => ear.hear().await,
                None => std::future::pending().await,
            }
        };
        let mut event = std::pin::pin!(event);
        loop {
            self.turn();
            let left = until.since(self.clock.now());
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.shared.wake.notified() => return,
                () = self.clock.sleep(left.min(Self::TURN)) => if left <= Self::TURN { return },
                () = &mut event => return,
            }
        }
    }

    async fn grace(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        self.clock.sleep(COMMIT_GRACE).await;
    }

    fn collector(&mut self) -> &mut Collector {
        self.collector
            .as_mut()
            .expect("it is only away while `blocking` waits, or after that was given up")
    }

    /// Does something with the collector on a blocking thread.
    async fn blocking<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(&mut Collector, &dyn Book) -> T + Send + 'static,
    ) -> T {
        // A call before this one may have been given up, and its thread may still be at work.
        self.bring_back().await;
        if mainstay_files::simulated::is_here() {
            let intake = Arc::clone(&self.intake);
            return act(self.collector(), &*intake);
        }
        let mut collector = self
            .collector
            .take()
            .expect("it is here once it was brought back");
        let intake = Arc::clone(&self.intake);
        let (tell, mut told) = oneshot::channel();
        collector.away = Some(Away::go(&self.shared, &self.clock));
        self.away = Some(tokio::task::spawn_blocking(move || {
            // Whoever asked may have given up.
            drop(tell.send(act(&mut collector, &*intake)));
            collector.away = None;
            collector
        }));
        self.bring_back().await;
        told.try_recv()
            .expect("it was told before the collector came back")
    }

    /// Waits for the blocking thread that has the collector, if one has it. Dropped meanwhile, it can be called again.
    async fn bring_back(&mut self) {
        let Some(away) = &mut self.away else { return };
        let back = away.await;
        self.away = None;
        match back {
            Ok(collector) => self.collector = Some(collector),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down, and so are we.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl<I: Intake> fmt::Debug for Pickup<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pickup")
            .field("collector", &self.collector)
            .finish_non_exhaustive()
    }
}

// === what follows a commit ===

impl Collector {
    /// A batch was committed.
    fn settle_batch(&mut self, mut batch: Batch, book: &dyn Book) {
        if let (Some(intent), Some(kept)) = (batch.intent, &mut self.kept)
            && let Err(error) = kept.confirm(intent)
        {
            self.fail(format!("cannot remember which files stay: {error}"));
            // Their claims stay open, so that the next start can ask for them.
            batch.claimed.retain(|file| file.place != Place::Drop);
        }
        self.finish(batch.claimed, book);
    }

    /// A batch was not committed, as far as the intake said.
    fn offer_later(&mut self, batch: Batch, refusal: &Refusal, is_alone: bool, book: &dyn Book) {
        // A batch is stored as a whole: a refusal that came too late shows in any of its claims.
        if batch
            .claimed
            .first()
            .is_some_and(|file| book.is_committed(file.claim))
        {
            self.settle_batch(batch, book);
            return;
        }
        match (batch.intent, &mut self.kept) {
            (Some(intent), Some(kept)) if matches!(refusal, Refusal::Failed(_)) => {
                // Where this fails, a file is remembered twice, and the next start asks for it once.
                drop(kept.doubt(intent));
            }
            // Where this fails, the next start asks for its claims, and finds that none was stored.
            (Some(intent), _) => drop(Kept::withdraw(&intent)),
            (None, _) => {}
        }
        for mut file in batch.claimed {
            match refusal {
                Refusal::Rejected { claim, reason } if *claim == file.claim => {
                    self.refuse_claimed(file, reason);
                    continue;
                }
                Refusal::Failed(reason) => {
                    file.failures += 1;
                    if is_alone {
                        self.complain(
                            &file.relative,
                            &format!("it could not be stored: {reason}; this is tried again"),
                        );
                        file.due = self.now() + backoff(file.failures);
                    }
                }
                // There may be room for one where there is none for all of them: each goes alone next.
                Refusal::Full(_) if !is_alone => file.failures = file.failures.max(1),
                Refusal::Full(_) | Refusal::Rejected { .. } => {}
            }
            self.pending.push(file);
        }
        self.count();
    }
}
