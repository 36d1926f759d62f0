//! `mainstay run`: the main job, from a folder to its destinations, until it is asked to stop.
//!
//! ```text
//! drop folder ── pickup ──► queue ── worker ──► destination        one pickup for each route, one worker for each destination
//! POST /ingest ─── hub ──────►▲
//!              control socket ┘ submit, status, verbs by hand
//! ```
//!
//! Every part is a task that is watched, and started again when it fails ([`tasks`]). A stop has three phases, each with its time
//! ([`life`](mod@life)): intake and deliveries take nothing new and finish what they have, within the grace; what is left gives up;
//! the queue is closed. Nothing depends on it: killed at any point, the next start goes on where this one was.

mod agent;
mod anew;
mod body;
mod budgets;
mod certificates;
mod children;
mod content_type;
pub(crate) mod destination;
mod drop_folder;
mod emptiness;
mod fault;
mod folders;
mod group;
mod intake;
mod jobs;
mod kept;
mod life;
pub(crate) mod lookups;
mod network;
mod others;
mod progress;
mod protections;
mod readiness;
mod report;
mod scrub;
mod start;
mod stops;
mod tasks;
mod trash;
mod upkeep;

pub(crate) use agent::Agent;
pub(crate) use body::{BODY_MAX, BodyMaker, Unread, read_body};
pub(crate) use budgets::{Measured, measure_command};
pub(crate) use content_type::content_type;
pub(crate) use fault::Wish;
pub(crate) use intake::{STATION, Template, template};
pub(crate) use jobs::{Course, Jobs, Kind};
pub(crate) use progress::Display;
pub(crate) use report::{describe_damage, describe_queue};
pub(crate) use stops::{LastStops, Told};

use crate::alerts;
use crate::cli::RunArgs;
use crate::config::{self, Settings};
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::notify::Manager;
use crate::signals::Stop;
use crate::terminal;
use anew::Deaths;
use certificates::Met;
use life::life;
use mainstay_clock::SharedClock;
use mainstay_files::Lock;
use mainstay_resilience::Backoff;
use mainstay_work::{DebounceSettings, Debounced, debounce};
use network::Network;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

/// A start that was asked to stop is waited for so long: nothing was begun, and a queue that is being read is as it was.
const START: Duration = Duration::from_secs(10);

/// Whoever asked a second time waits so long for what hangs; whatever does not hang needs a fraction of it.
const AT_ONCE: Duration = Duration::from_millis(500);

/// A life of the agent may leave threads behind that a disk holds up, and with them a lock; the next one waits so long for it. A
/// copy of the longest file from the slowest stick that we met takes a minute.
const LET_GO: Duration = Duration::from_mins(5);

/// It looks again after this, and then after twice as long each time, up to the second: to look is to open the queue.
const LOOK_AGAIN: Backoff = Backoff::doubling(Duration::from_secs(1), Duration::from_secs(15));

/// Who asks for a new configuration again so soon after the last time is answered once, with what stands there then: a script that
/// writes several files and tells of each. Nobody waits longer than two seconds, however often somebody asks.
const RELOADS: DebounceSettings = DebounceSettings {
    quiet: Duration::from_millis(200),
    longest: Duration::from_secs(2),
};

/// What all lives of the agent have in common.
#[derive(Clone, Copy)]
struct Process<'a> {
    args: &'a Arc<RunArgs>,
    data: &'a DataDir,
    stop: &'a Stop,
    /// Asked for a new configuration; kept where no life waits for it at this moment.
    reloads: &'a tokio::sync::Mutex<Debounced<()>>,
    display: &'a Display,
    clock: &'a SharedClock,
    measured: &'a Measured,
    manager: Option<&'a Arc<Manager>>,
    told: &'a alerts::Memory,
    met: &'a Met,
    network: &'a Network,
    deaths: &'a Deaths,
    /// The lock of the data folder, from the first life on: between two lives nobody else takes the folder.
    lock: &'a OnceCell<Arc<Lock>>,
    /// Whether a life runs, which ends in bounded time; none does while one starts.
    runs: &'a AtomicBool,
}

/// What comes after a life of the agent.
enum Next {
    End(Exit),
    /// Another life, with other settings or the same.
    Again(Option<Box<Settings>>),
}

/// Runs the agent.
///
/// # Errors
/// It cannot start, or was to end when all is done and cannot do it.
pub(crate) async fn run(args: RunArgs, display: Display) -> Result<Exit, Failure> {
    let (stop, runs) = (Stop::default(), Arc::new(AtomicBool::new(false)));
    // On a task of its own: a folder that hangs holds up whoever looks at it, and nobody who listens to signals.
    let clock = mainstay_clock::system();
    let (reload, reloads) = debounce(RELOADS, clock).map_err(|error| {
        Failure::new(Exit::Unexpected, "cannot listen for new configurations").because(error)
    })?;
    let lives = lives(
        args.into(),
        stop.clone(),
        reloads,
        display,
        Arc::clone(&runs),
    );
    let mut lives = tokio::spawn(lives);
    tokio::select! {
        ended = &mut lives => ended.unwrap_or_else(|died| Err(
            Failure::new(Exit::Unexpected, "the agent died").because(died)
        )),
        failed = stop.listen_for_reload(&reload) => Err(failed),
        () = given_up(&stop, &runs) => {
            tracing::warn!("something does not answer, and is not waited for; nothing is lost");
            Ok(Exit::StoppedEarly)
        }
    }
}

/// Ready when a stop that was asked for is not waited for any longer.
async fn given_up(stop: &Stop, runs: &AtomicBool) {
    let clock = mainstay_clock::system();
    let starts = async {
        stop.asked.cancelled().await;
        clock.sleep(START).await;
        if runs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let hangs = async {
        stop.at_once.cancelled().await;
        clock.sleep(AT_ONCE).await;
    };
    tokio::select! {
        () = starts => {}
        () = hangs => {}
    }
}

/// One life, and another one for each new configuration and for a queue that has died; one that cannot begin with a configuration
/// begins with the one before.
async fn lives(
    args: Arc<RunArgs>,
    stop: Stop,
    reloads: Debounced<()>,
    display: Display,
    runs: Arc<AtomicBool>,
) -> Result<Exit, Failure> {
    let data = DataDir::of(&args.place)?;
    let mut settings = Arc::new(read_settings(&args, &data).await?);
    let mut before: Option<Arc<Settings>> = None;
    let clock = mainstay_clock::system();
    let measured = Measured::new(&clock)?;
    let manager = Manager::of_this_process().map(Arc::new);
    let told = alerts::Memory::default();
    let met = Met::default();
    let (network, deaths) = (Network::new(&clock), Deaths::default());
    let (reloads, lock) = (tokio::sync::Mutex::new(reloads), OnceCell::new());
    let process = Process {
        args: &args,
        data: &data,
        stop: &stop,
        reloads: &reloads,
        display: &display,
        clock: &clock,
        measured: &measured,
        manager: manager.as_ref(),
        told: &told,
        met: &met,
        network: &network,
        deaths: &deaths,
        lock: &lock,
        runs: &runs,
    };
    let (mut let_go_by, mut looks) = (None, 0);
    loop {
        match life(process, &settings).await {
            Ok(Next::End(exit)) => return Ok(exit),
            Ok(Next::Again(new)) => {
                before = new.map(|new| std::mem::replace(&mut settings, (*new).into()));
                (let_go_by, looks) = (Some(clock.now() + LET_GO), 0);
            }
            Err(failure)
                if failure.exit() == Exit::InUse
                    && let_go_by.is_some_and(|until| clock.now() < until) =>
            {
                looks += 1;
                if looks == 1 {
                    tracing::warn!(why = failure.account(), "it waits until that is let go of");
                }
                tokio::select! {
                    () = stop.asked.cancelled() => return Ok(Exit::StoppedEarly),
                    // Nobody else looks: nothing is to be spread.
                    () = clock.sleep(LOOK_AGAIN.bound(looks)) => {}
                }
            }
            Err(failure) => match before.take() {
                Some(old) if failure.exit() != Exit::PartDied => {
                    terminal::warn(&format!(
                        "the new configuration cannot be used, and the one before it goes on: {failure}"
                    ));
                    settings = old;
                }
                _ => return Err(failure),
            },
        }
    }
}

/// The configuration that somebody wants instead, once it can be used.
///
/// Where nobody wrote one down there is nothing to read again, and what a person watches ends with the terminal.
async fn new_settings(process: Process<'_>) -> Box<Settings> {
    let Process {
        args,
        data,
        stop,
        reloads,
        display,
        ..
    } = process;
    loop {
        if reloads.lock().await.next().await.is_none() {
            // Nobody listens to signals any more: the process is at its end.
            return std::future::pending().await;
        }
        if args.from.is_some() || args.to.is_some() || display.is_shown() {
            stop.ask("SIGHUP");
            return std::future::pending().await;
        }
        match read_settings(args, data).await {
            Ok(new) => {
                terminal::say("the configuration was read again, and is taken");
                return Box::new(new);
            }
            Err(failure) => terminal::warn(&format!(
                "the configuration is not taken, and the one before it goes on: {failure}"
            )),
        }
    }
}

/// Reads the configuration; a file that hangs keeps a thread, and nobody else.
async fn read_settings(args: &Arc<RunArgs>, data: &DataDir) -> Result<Settings, Failure> {
    let (args, data) = (Arc::clone(args), data.clone());
    let reading = tokio::task::spawn_blocking(move || settings(&args, &data));
    reading.await.unwrap_or_else(|died| {
        let failure = Failure::new(Exit::Unexpected, "reading the configuration died");
        Err(failure.because(died))
    })
}

fn settings(args: &RunArgs, data: &DataDir) -> Result<Settings, Failure> {
    let mut settings = if args.from.is_some() || args.to.is_some() {
        config::from_flags(args.from.as_deref(), args.to.as_deref(), data)?
    } else {
        config::load(&args.place, data)?
    };
    for warning in &settings.warnings {
        terminal::warn(&warning.to_string());
    }
    if let Some(grace) = args.grace {
        settings.grace = grace.0;
    }
    Ok(settings)
}

/// The queue's own configuration.
pub(crate) fn queue_config(settings: &Settings, clock: &SharedClock) -> mainstay_queue::Config {
    mainstay_queue::Config {
        max_documents: settings.queue.max_documents,
        max_bytes: settings.queue.max_bytes,
        when_full: settings.queue.when_full,
        retain_after_ack: settings.queue.retain_after_ack,
        clock: clock.clone(),
        ..mainstay_queue::Config::default()
    }
}
