//! `mainstay run`: the main job, from a folder to its destinations, until it is asked to stop.
//!
//! ```text
//! drop folder ── pickup ──► queue ── worker ──► destination        one pickup for each route, one worker for each destination
//! POST /ingest ─── hub ──────►▲
//!              control socket ┘ submit, status, verbs by hand
//! ```
//!
//! Every part is a task that is watched, and started again when it fails ([`tasks`]). A stop has three phases, each with its time
//! ([`Stopping`]): intake and deliveries take nothing new and finish what they have, within the grace; what is left gives up;
//! the queue is closed. Nothing depends on it: killed at any point, the next start goes on where this one was.

mod agent;
mod body;
mod budgets;
mod content_type;
pub(crate) mod destination;
mod drop_folder;
mod emptiness;
mod fault;
mod folders;
mod group;
mod intake;
pub(crate) mod lookups;
mod others;
mod progress;
mod report;
mod scrub;
mod start;
mod stops;
mod tasks;
mod trash;

pub(crate) use agent::Agent;
pub(crate) use body::{BODY_MAX, BodyMaker, Unread, read_body};
pub(crate) use budgets::{Measured, measure_command};
pub(crate) use content_type::content_type;
pub(crate) use fault::Wish;
pub(crate) use intake::{STATION, Template, template};
pub(crate) use progress::Display;
pub(crate) use report::{describe_damage, describe_queue};
pub(crate) use stops::Told;

use crate::cli::RunArgs;
use crate::config::{self, Settings};
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::notify;
use crate::opened::Opened;
use crate::signals::Stop;
use crate::terminal::{self, Count};
use agent::Assembled;
use group::Closing;
use mainstay_clock::SharedClock;
use mainstay_queue::Recovery;
use mainstay_resilience::within;
use mainstay_supervise::{ServiceState, StopOutcome, StopReport, StopSettings, Stopping};
use others::Doors;
use start::Started;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tasks::Tasks;
use tokio::sync::broadcast::error::RecvError;

/// Closing a part gets this long: a sync on the slowest disk we met takes 1 s.
const CLOSE: Duration = Duration::from_secs(10);

/// What is left of the grace is for those who give up when it is over.
const AFTER_GRACE: Duration = Duration::from_millis(200);

/// What was told to give up ends at its next wait; what does not is blocked, and is left behind.
const CANCEL: Duration = Duration::from_secs(2);

/// Why a life of the agent ends.
enum Ending {
    /// It was asked to.
    Asked,
    /// Nothing is left to do, and it was told to end then.
    Empty,
    /// Something that it is not what it is for without failed for good, and it was told to end when all is done.
    Failed(String),
    /// It begins anew, with another configuration.
    Reload(Box<Settings>),
}

/// What all lives of the agent have in common.
#[derive(Clone, Copy)]
struct Process<'a> {
    args: &'a RunArgs,
    data: &'a DataDir,
    stop: &'a Stop,
    display: &'a Display,
    clock: &'a SharedClock,
    measured: &'a Measured,
}

/// What comes after a life of the agent.
enum Next {
    End(Exit),
    /// Another life.
    Again(Box<Settings>),
}

/// Runs the agent.
///
/// # Errors
/// It cannot start, or was to end when all is done and cannot do it.
pub(crate) async fn run(args: RunArgs, display: Display) -> Result<Exit, Failure> {
    let stop = Stop::default();
    tokio::select! {
        ended = lives(&args, &stop, &display) => ended,
        failed = stop.listen_for_reload() => Err(failed),
    }
}

/// One life, and another one for each new configuration; one that cannot begin with it begins with the one before.
async fn lives(args: &RunArgs, stop: &Stop, display: &Display) -> Result<Exit, Failure> {
    let data = DataDir::of(&args.place)?;
    let mut settings = Arc::new(settings(args, &data)?);
    let mut before: Option<Arc<Settings>> = None;
    let clock = mainstay_clock::system();
    let measured = Measured::new(&clock)?;
    loop {
        let process = Process {
            args,
            data: &data,
            stop,
            display,
            clock: &clock,
            measured: &measured,
        };
        match life(process, &settings).await {
            Ok(Next::End(exit)) => return Ok(exit),
            Ok(Next::Again(new)) => before = Some(std::mem::replace(&mut settings, (*new).into())),
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

async fn life(process: Process<'_>, settings: &Settings) -> Result<Next, Failure> {
    let Process {
        args,
        stop,
        display,
        clock,
        ..
    } = process;
    let (opened, agent, stopping) = process
        .measured
        .startup
        .measure_async(launch(process, settings))
        .await?;
    tell_start(&agent, settings);
    agent.last_stops.warn();
    let noted = {
        let agent = Arc::clone(&agent);
        tokio::task::spawn_blocking(move || agent.last_stops.write())
    };

    let ending = tokio::select! {
        biased;
        () = stop.asked.cancelled() => Ending::Asked,
        why = failed(&agent), if args.until_empty => Ending::Failed(why),
        () = emptiness::reached(&agent, clock), if args.until_empty => Ending::Empty,
        new = new_settings(process) => Ending::Reload(new),
    };
    if !matches!(ending, Ending::Reload(_)) {
        notify::tell_stopping(&agent);
    }
    let report = run_out(stopping, &ending, stop).await;
    display.end();
    let exit = judge(&agent, &report);
    let ended = Arc::clone(&agent);
    let written = async {
        // It was written long ago, or its thread panicked, which was told.
        drop(noted.await);
        drop(tokio::task::spawn_blocking(move || ended.last_stops.ended(&report)).await);
    };
    unless_it_hangs(written, stop, clock).await;
    drop(opened);
    match ending {
        Ending::Failed(why) => Err(Failure::new(
            Exit::PartDied,
            format!("{why}; everything else was stopped in order"),
        )
        .help("nothing is lost; start again, and report this with the log")),
        Ending::Empty => Ok(Next::End(emptiness::tell(&agent))),
        // Whoever asked meanwhile wants no other life.
        Ending::Reload(new) if !stop.asked.is_cancelled() => Ok(Next::Again(new)),
        Ending::Reload(_) | Ending::Asked => Ok(Next::End(exit)),
    }
}

/// Takes the data folder, opens the queue and starts everything.
///
/// # Errors
/// One of that cannot be done; nothing runs then, and the folder is free.
async fn launch(
    process: Process<'_>,
    settings: &Settings,
) -> Result<(Opened, Arc<Agent>, Stopping), Failure> {
    let Process {
        args, data, clock, ..
    } = process;
    folders::prepare(args, settings, data)?;
    let queue = queue_config(settings, clock);
    let opened = Opened::take(data, settings.queue.dir.clone(), queue, clock).await?;
    folders::tell_exposed(data);
    tell_recovery(&opened.recovery);
    match begin(process, &opened, settings).await {
        Ok((agent, stopping)) => Ok((opened, agent, stopping)),
        Err(failure) => {
            // Another life may want the folder at once.
            opened.close().await;
            Err(failure)
        }
    }
}

/// Starts everything.
///
/// # Errors
/// Something cannot be started; nothing runs then.
async fn begin(
    process: Process<'_>,
    opened: &Opened,
    settings: &Settings,
) -> Result<(Arc<Agent>, Stopping), Failure> {
    let Process {
        args,
        display,
        clock,
        measured,
        ..
    } = process;
    let tasks = Tasks::new(clock, args.test_faults)?;
    let supervisor = tasks.supervisor().clone();
    let begun = async {
        let mut assembled = tokio::task::block_in_place(|| {
            Assembled::new(opened, settings, tasks, measured, clock)
        })?;
        assembled.recover().await;
        assembled.listen(settings, clock).await?;
        let doors = Doors::open(&opened.data, settings).await?;
        let started = assembled.start(clock)?;
        let agent = Arc::clone(&started.agent);
        others::start(&agent, settings, display, clock, doors)?;
        Ok((agent, stopping(opened, started, settings.grace)?))
    };
    let begun = begun.await;
    match begun {
        Ok(_) => supervisor.started(),
        Err(_) => supervisor.close().await,
    }
    begun
}

/// What there is to be stopped, in the order in which it was started.
///
/// # Errors
/// Two things are called the same, which none are.
fn stopping(opened: &Opened, started: Started, grace: Duration) -> Result<Stopping, Failure> {
    let settings = StopSettings {
        drain: grace.saturating_add(AFTER_GRACE),
        cancel: CANCEL,
        close: CLOSE,
        ..StopSettings::default()
    };
    let Started {
        agent,
        delivery,
        intake,
    } = started;
    let (queue, socket) = (opened.queue.clone(), opened.data.socket());
    let register = move || {
        let mut stopping = Stopping::new(agent.tasks.supervisor(), settings)?;
        stopping.register(Closing(queue))?;
        stopping.register(delivery)?;
        stopping.register(intake)?;
        stopping.verify("the control socket is gone", move || async move {
            match socket.try_exists() {
                Ok(false) => Ok(()),
                Ok(true) => Err(format!("`{}` is there", socket.display())),
                Err(error) => Err(error.to_string()),
            }
        })?;
        Ok(stopping)
    };
    register().map_err(|error: mainstay_supervise::Error| {
        Failure::new(Exit::StartFailed, "the agent could not be stopped").because(error)
    })
}

/// Stops everything in order, and at once when that is asked for.
async fn run_out(stopping: Stopping, ending: &Ending, stop: &Stop) -> StopReport {
    let signal = stopping.signal();
    signal.ask(match ending {
        Ending::Asked => "a signal",
        Ending::Empty | Ending::Failed(_) => "--until-empty",
        Ending::Reload(_) => "a new configuration",
    });
    let mut running = pin!(stopping.run());
    tokio::select! {
        report = &mut running => return report,
        () = stop.at_once.cancelled() => {}
    }
    signal.ask("a second signal");
    running.await
}

/// Waits for what is written down last, unless its disk hangs or somebody wants no more of it.
async fn unless_it_hangs(written: impl Future<Output = ()>, stop: &Stop, clock: &SharedClock) {
    let hurry = async {
        stop.at_once.cancelled().await;
        clock.sleep(AFTER_GRACE).await;
    };
    let is_written = tokio::select! {
        biased;
        written = within(&**clock, CLOSE, written) => written.is_some(),
        () = hurry => false,
    };
    if !is_written {
        tracing::warn!("how this run ended is not written down: the disk did not answer in time");
    }
}

/// Whether all that was in hand was finished.
fn judge(agent: &Agent, report: &StopReport) -> Exit {
    if 0 < agent.abandoned() {
        tracing::warn!(
            abandoned = agent.abandoned(),
            "deliveries were given up; the documents are sent again, under the same ids"
        );
    }
    if report.outcome != StopOutcome::Clean {
        let unfinished = report.complaints();
        tracing::warn!(
            ?unfinished,
            "stopped before all was finished; nothing is lost"
        );
    } else if agent.abandoned() == 0 {
        return Exit::Done;
    }
    Exit::StoppedEarly
}

/// Ready when the agent cannot do what it is for, with the reason.
async fn failed(agent: &Agent) -> String {
    let mut events = agent.tasks.supervisor().subscribe();
    loop {
        let (state, why) = agent.tasks.state();
        if state == ServiceState::Error {
            return why;
        }
        // Whoever is behind has missed nothing: the state is looked at again.
        if matches!(events.recv().await, Err(RecvError::Closed)) {
            return std::future::pending().await;
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
        display,
        ..
    } = process;
    loop {
        stop.reload.notified().await;
        if args.from.is_some() || args.to.is_some() || display.is_shown() {
            stop.ask("SIGHUP");
            return std::future::pending().await;
        }
        match settings(args, data) {
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

/// Says what opening the queue found, loudly where documents are concerned.
fn tell_recovery(recovery: &Recovery) {
    tracing::info!(
        clean = recovery.clean,
        groups = recovery.groups_read,
        torn = recovery.torn_groups,
        "queue open"
    );
    for damage in &recovery.damage {
        terminal::warn(&format!(
            "the queue's file `{}` is damaged from byte {} to {}: {}",
            damage.file, damage.start, damage.end, damage.what
        ));
    }
    if recovery.documents_unreadable > 0 {
        terminal::warn(&format!(
            "{} unreadable; all others are delivered, see `mainstay status`",
            Count(recovery.documents_unreadable, "document")
        ));
    }
    if recovery.settlements_unreadable > 0 {
        terminal::warn(&format!(
            "{} offered again, under the same keys: the word that they were settled is lost",
            Count(recovery.settlements_unreadable, "document")
        ));
    }
    if recovery.unbalanced != 0 {
        terminal::warn(&format!(
            "the ledger does not add up by {}: run `mainstay queue verify`, and report this",
            recovery.unbalanced
        ));
    }
}

fn tell_start(agent: &Agent, settings: &Settings) {
    terminal::say(&format!(
        "mainstay {} runs, data in {}",
        env!("CARGO_PKG_VERSION"),
        agent.data.path().display()
    ));
    tracing::info!(
        origin = settings.origin,
        routes = agent.routes.len(),
        "settings"
    );
    for route in &agent.routes {
        let from = route.from.as_ref();
        let from = from.map_or_else(|| "submit".to_owned(), agent::Source::shown);
        for to in &route.to {
            terminal::say(&format!("{from} -> {}", to.address));
        }
    }
    for (lane, number) in agent.unassigned() {
        terminal::warn(&format!(
            "{} queued on `{lane}`, and no route leads there any more",
            Count(number, "document")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_that_hangs_keeps_nobody_who_asked_a_second_time() {
        let (stop, clock) = (Stop::default(), mainstay_clock::system());
        stop.ask("a test");
        stop.ask("a test");
        unless_it_hangs(std::future::pending(), &stop, &clock).await;
    }
}
