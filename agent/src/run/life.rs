//! One life of the agent: everything is started, works, and is stopped in three phases.

use super::Process;
use super::agent::{Agent, Assembled, Source};
use super::group::{Closing, GivingUp};
use super::others::{self, Doors};
use super::start::Started;
use super::tasks::Tasks;
use super::{Next, children, emptiness, folders, new_settings, queue_config};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::notify;
use crate::opened::{self, Opened};
use crate::signals::Stop;
use crate::terminal::{self, Count};
use mainstay_clock::SharedClock;
use mainstay_queue::Recovery;
use mainstay_resilience::within;
use mainstay_supervise::{
    Holdings, ServiceState, StillHeld, StopOutcome, StopReport, StopSettings, Stopping,
};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// What is left of the grace is for those who give up when it is over.
const AFTER_GRACE: Duration = Duration::from_millis(200);

/// A process that was killed is gone in this time, unless the system itself holds it.
const GONE: Duration = Duration::from_secs(1);

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
    /// It begins anew, as its queue has died.
    Died,
}

impl Ending {
    /// Whether the process goes on with another life.
    fn begins_anew(&self) -> bool {
        matches!(self, Self::Reload(_) | Self::Died)
    }
}

/// Lives until there is a reason to end.
///
/// # Errors
/// It cannot begin, or was to end when all is done and cannot do it.
pub(super) async fn life(process: Process<'_>, settings: &Settings) -> Result<Next, Failure> {
    let Process {
        args,
        stop,
        display,
        clock,
        ..
    } = process;
    let launched = process
        .measured
        .startup
        .measure_async(launch(process, settings));
    let (opened, agent, stopping) = notify::alive_while(process.manager, clock, launched).await?;
    process.runs.store(true, Ordering::Relaxed);
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
        () = process.deaths.end(&opened.queue, clock) => Ending::Died,
    };
    if !ending.begins_anew() {
        notify::tell_stopping(&agent);
    }
    let report = notify::alive_while(process.manager, clock, run_out(stopping, &ending, stop));
    let report = report.await;
    display.end();
    let exit = judge(&agent, &report);
    let ended = Arc::clone(&agent);
    let written = async {
        // It was written long ago, or its thread panicked, which was told.
        drop(noted.await);
        drop(tokio::task::spawn_blocking(move || ended.last_stops.ended(&report)).await);
    };
    unless_it_hangs(written, settings.close, stop, clock).await;
    drop(opened);
    process.runs.store(false, Ordering::Relaxed);
    match ending {
        Ending::Failed(why) => Err(Failure::new(
            Exit::PartDied,
            format!("{why}; everything else was stopped in order"),
        )
        .help("nothing is lost; start again, and report this with the log")),
        Ending::Empty => Ok(Next::End(emptiness::tell(&agent))),
        // Whoever asked meanwhile wants no other life.
        Ending::Reload(_) | Ending::Died if stop.asked.is_cancelled() => Ok(Next::End(exit)),
        Ending::Reload(new) => Ok(Next::Again(Some(new))),
        Ending::Died => Ok(Next::Again(None)),
        Ending::Asked => Ok(Next::End(exit)),
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
    tokio::task::block_in_place(|| folders::prepare(args, settings, data))?;
    let queue = queue_config(settings, clock);
    let lock = process.lock.get_or_try_init(|| opened::take(data, clock));
    let lock = Arc::clone(lock.await?);
    let opened = Opened::open(data, lock, settings.queue.dir.clone(), queue).await?;
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
        manager,
        ..
    } = process;
    let tasks = Tasks::new(clock, args.test_faults)?;
    let (supervisor, holdings) = (tasks.supervisor().clone(), tasks.holdings().clone());
    let begun = async {
        let mut assembled = tokio::task::block_in_place(|| {
            Assembled::new(
                opened,
                settings,
                tasks,
                measured,
                (process.told, process.met, process.network),
                clock,
            )
        })?;
        assembled.agent.manager = manager.cloned();
        assembled.agent.last_stops.after(process.deaths);
        assembled.recover().await;
        assembled.listen(settings, clock).await?;
        let doors = Doors::open(&opened.data, settings, &holdings).await?;
        let started = assembled.start(clock)?;
        let agent = Arc::clone(&started.agent);
        others::start(&agent, settings, display, clock, doors)?;
        Ok((agent, stopping(opened, started, times(settings), clock)?))
    };
    let begun = begun.await;
    match begun {
        Ok(_) => supervisor.started(),
        Err(_) => supervisor.close().await,
    }
    begun
}

/// How long each phase of a stop may take.
fn times(settings: &Settings) -> StopSettings {
    StopSettings {
        drain: settings.grace.saturating_add(AFTER_GRACE),
        cancel: settings.cancel,
        close: settings.close,
        verify: settings.close,
        ..StopSettings::default()
    }
}

/// What there is to be stopped, in the order in which it was started.
///
/// # Errors
/// Two things are called the same, which none are.
fn stopping(
    opened: &Opened,
    started: Started,
    times: StopSettings,
    clock: &SharedClock,
) -> Result<Stopping, Failure> {
    let Started {
        agent,
        delivery,
        intake,
    } = started;
    let (queue, socket, clock) = (opened.queue.clone(), opened.data.socket(), clock.clone());
    let register = move || {
        let mut stopping = Stopping::new(agent.tasks.supervisor(), times)?;
        agent.stop.get_or_init(|| stopping.signal());
        stopping.register(Closing(queue))?;
        stopping.register(GivingUp(agent.jobs.clone()))?;
        stopping.register(delivery)?;
        stopping.register(intake)?;
        stopping.verify("the control socket is gone", move || async move {
            match socket.try_exists() {
                Ok(false) => Ok(()),
                Ok(true) => Err(format!("`{}` is there", socket.display())),
                Err(error) => Err(error.to_string()),
            }
        })?;
        let (holdings, by) = (agent.tasks.holdings().clone(), clock.clone());
        stopping.verify("all that was held is given back", move || {
            given_back(holdings, by)
        })?;
        stopping.verify("its processes are gone", move || gone(clock))?;
        Ok(stopping)
    };
    register().map_err(|error: mainstay_supervise::Error| {
        Failure::new(Exit::StartFailed, "the agent could not be stopped").because(error)
    })
}

/// Whether every process that was started has ended: what was killed goes within moments.
///
/// # Errors
/// Which are there, when the time is nearly up.
async fn gone(clock: SharedClock) -> Result<(), String> {
    let until = clock.now() + GONE;
    loop {
        let left = children::left().map_err(|error| error.to_string())?;
        if left.is_empty() {
            return Ok(());
        }
        if until <= clock.now() {
            return Err(format!("{} would not go", left.join(", ")));
        }
        clock.sleep(Duration::from_millis(10)).await;
    }
}

/// Whether all addresses are closed and all processes were waited for: what is given back by a thread takes a moment.
///
/// # Errors
/// What is still held, when the time is nearly up.
async fn given_back(holdings: Holdings, clock: SharedClock) -> Result<(), StillHeld> {
    let until = clock.now() + GONE;
    loop {
        match holdings.verify_empty() {
            Err(held) if until <= clock.now() => return Err(held),
            Err(_) => clock.sleep(Duration::from_millis(10)).await,
            Ok(()) => return Ok(()),
        }
    }
}

/// Stops everything in order, and at once when that is asked for.
async fn run_out(stopping: Stopping, ending: &Ending, stop: &Stop) -> StopReport {
    let signal = stopping.signal();
    signal.ask(match ending {
        Ending::Asked => "a signal",
        Ending::Empty | Ending::Failed(_) => "--until-empty",
        Ending::Reload(_) => "a new configuration",
        Ending::Died => "the death of the queue",
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
async fn unless_it_hangs(
    written: impl Future<Output = ()>,
    limit: Duration,
    stop: &Stop,
    clock: &SharedClock,
) {
    let hurry = async {
        stop.at_once.cancelled().await;
        clock.sleep(AFTER_GRACE).await;
    };
    let is_written = tokio::select! {
        biased;
        written = within(&**clock, limit, written) => written.is_some(),
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
        let from = from.map_or_else(|| "submit".to_owned(), Source::shown);
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

    #[test]
    fn each_phase_of_a_stop_has_the_time_that_the_configuration_gives_it() {
        let root = tempfile::tempdir().unwrap();
        let data = crate::data::DataDir::at(root.path()).unwrap();
        let settings = Settings {
            grace: Duration::from_secs(1),
            cancel: Duration::from_secs(2),
            close: Duration::from_secs(3),
            ..crate::config::defaults(&data).unwrap()
        };
        let times = times(&settings);
        assert_eq!(times.drain, Duration::from_millis(1_200));
        assert_eq!(times.cancel, Duration::from_secs(2));
        assert_eq!(
            (times.close, times.verify),
            (Duration::from_secs(3), Duration::from_secs(3))
        );
    }

    #[tokio::test]
    async fn what_is_given_back_in_time_is_no_complaint_and_what_is_not_is_named() {
        let clock = mainstay_clock::system();
        let holdings = Holdings::new(clock.clone());
        let socket = mainstay_supervise::Resource::Listener;
        let soon = holdings.hold(socket, "a door", (), drop);
        let waits = tokio::spawn(given_back(holdings.clone(), clock.clone()));
        tokio::task::yield_now().await;
        drop(soon);
        waits.await.unwrap().unwrap();
        let _never = holdings.hold(socket, "a gate", (), drop);
        let held = given_back(holdings, clock).await.unwrap_err();
        assert_eq!(held.to_string(), "still held: a gate (Listener)");
    }

    #[tokio::test]
    async fn a_disk_that_hangs_keeps_nobody_who_asked_a_second_time() {
        let (stop, clock) = (Stop::default(), mainstay_clock::system());
        stop.ask("a test");
        stop.ask("a test");
        unless_it_hangs(std::future::pending(), Duration::MAX, &stop, &clock).await;
    }
}
