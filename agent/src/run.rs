//! `mainstay run`: the main job, from a folder to its destinations, until it is asked to stop.
//!
//! ```text
//! drop folder ── pickup ──► queue ── worker ──► destination        one pickup for each route, one worker for each destination
//! POST /ingest ─── hub ──────►▲
//!              control socket ┘ submit, status, verbs by hand
//! ```
//!
//! A stop happens in this order: intake ends, deliveries in flight finish or are given up after the grace, the queue is closed,
//! the socket goes. Nothing depends on it: killed at any point, the next start goes on where this one was.

mod agent;
mod body;
mod content_type;
pub(crate) mod destination;
mod emptiness;
mod folders;
mod intake;
pub(crate) mod lookups;
mod parts;
mod progress;
mod report;
mod scrub;
mod trash;

pub(crate) use agent::Agent;
pub(crate) use body::{BODY_MAX, BodyMaker, Unread, read_body};
pub(crate) use content_type::content_type;
pub(crate) use intake::{STATION, Template, template};
pub(crate) use progress::Display;
pub(crate) use report::{describe_damage, describe_queue};

use crate::cli::RunArgs;
use crate::config::{self, Settings};
use crate::control;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::health::{self, Door};
use crate::opened::Opened;
use crate::signals::Stop;
use crate::terminal::{self, Count};
use agent::Assembled;
use mainstay_clock::SharedClock;
use mainstay_queue::Recovery;
use mainstay_resilience::within;
use parts::{Ended, Parts};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After the grace, and after a part died, closing the queue gets this long: a sync on the slowest disk we met takes 1 s.
const CLOSE: Duration = Duration::from_secs(10);

/// Why the agent ends.
enum Ending {
    /// It was asked to.
    Asked,
    /// Nothing is left to do, and it was told to end then.
    Empty,
    /// A part died.
    PartDied(Ended),
}

/// Runs the agent.
///
/// # Errors
/// It cannot start, or a part of it died.
pub(crate) async fn run(args: RunArgs, display: Display) -> Result<Exit, Failure> {
    let stop = Stop::default();
    tokio::select! {
        ended = work(&args, &stop, &display) => ended,
        failed = stop.listen() => Err(failed),
    }
}

async fn work(args: &RunArgs, stop: &Stop, display: &Display) -> Result<Exit, Failure> {
    let clock = mainstay_clock::system();
    let data = DataDir::of(&args.place)?;
    let settings = settings(args, &data)?;
    folders::prepare(args, &settings, &data)?;
    let queue = queue_config(&settings, &clock);
    let opened = Opened::take(&data, settings.queue.dir.clone(), queue, &clock).await?;
    folders::tell_exposed(&data);
    tell_recovery(&opened.recovery);
    let mut assembled = tokio::task::block_in_place(|| Assembled::new(&opened, &settings, &clock))?;
    assembled.recover().await;
    assembled.listen(&settings, &clock).await?;
    let door = match settings.health.listen {
        Some(listen) => Some(Door::open(listen).await?),
        None => None,
    };
    let listener = control::Listener::open(&data)?;

    let (intake, delivery, answers) = (
        CancellationToken::new(),
        CancellationToken::new(),
        CancellationToken::new(),
    );
    let (agent, takers, deliverers) = assembled.start(&intake, &delivery);
    let agent = Arc::new(agent);
    let others = others(
        &agent,
        &settings,
        display,
        &clock,
        (listener, door),
        &answers,
    )?;
    tell_start(&agent, &settings);

    let mut running = Running {
        takers,
        deliverers,
        others,
        intake,
        delivery,
    };
    let ending = tokio::select! {
        biased;
        ended = running.next_end() => Ending::PartDied(ended),
        () = stop.asked.cancelled() => Ending::Asked,
        () = emptiness::reached(&agent, &clock), if args.until_empty => Ending::Empty,
    };
    let exit = running.end(&agent, settings.grace, stop, &clock).await;
    display.end();
    answers.cancel();
    drop(running);
    close(opened, stop, &clock).await;
    match ending {
        Ending::PartDied(ended) => Err(Failure::new(
            Exit::PartDied,
            format!("{ended}; everything else was stopped in order"),
        )
        .help("nothing is lost; start again, and report this with the log")),
        Ending::Empty => Ok(emptiness::tell(&agent)),
        Ending::Asked => Ok(exit),
    }
}

/// Starts what neither takes nor delivers.
///
/// # Errors
/// The agent cannot watch its health.
fn others(
    agent: &Arc<Agent>,
    settings: &Settings,
    display: &Display,
    clock: &SharedClock,
    (listener, door): (control::Listener, Option<Door>),
    answers: &CancellationToken,
) -> Result<Parts, Failure> {
    let health = health::watch(agent, settings.health.queue, clock).map_err(|error| {
        Failure::new(Exit::StartFailed, "the agent cannot watch its health").because(error)
    })?;
    let mut others = Parts::default();
    others.start(
        "the control socket",
        control::serve(listener, Arc::clone(agent), health.clone(), answers.clone()),
    );
    others.start(
        "the progress display",
        progress::show(display.clone(), Arc::clone(agent), clock.clone()),
    );
    others.start(
        "the scrub of the backups",
        scrub::keep_whole(Arc::clone(agent), settings.scrub, clock.clone()),
    );
    others.start(
        "the emptying of the trash",
        trash::empty_old(
            agent.data.clone(),
            settings.empty_trash_after,
            clock.clone(),
        ),
    );
    if let Some(door) = door {
        let answers = answers.clone();
        others.start(
            "the address of its health",
            door.serve(Arc::clone(agent), health.clone(), clock.clone(), answers),
        );
    }
    let checks = answers.clone();
    others.start("the checks of its health", async move {
        health.run(checks).await;
    });
    Ok(others)
}

/// Closes the queue, unless that takes too long or a second signal wants none of it.
async fn close(opened: Opened, stop: &Stop, clock: &SharedClock) {
    let closed = tokio::select! {
        closed = within(&**clock, CLOSE, opened.close()) => closed,
        () = stop.at_once.cancelled() => None,
    };
    if closed.is_none() {
        tracing::warn!(
            "the queue was not closed in order; nothing is lost, the next start reads a little more"
        );
    }
}

/// Everything that runs, by the order in which it is stopped.
struct Running {
    takers: Parts,
    deliverers: Parts,
    others: Parts,
    intake: CancellationToken,
    delivery: CancellationToken,
}

impl Running {
    /// Waits until any part ends, which none should.
    async fn next_end(&mut self) -> Ended {
        let ended = tokio::select! {
            Some(ended) = self.takers.next_end() => ended,
            Some(ended) = self.deliverers.next_end() => ended,
            Some(ended) = self.others.next_end() => ended,
            else => std::future::pending().await,
        };
        tracing::error!("{ended}");
        ended
    }

    /// Ends intake, then delivery, within the grace.
    async fn end(
        &mut self,
        agent: &Agent,
        grace: Duration,
        stop: &Stop,
        clock: &SharedClock,
    ) -> Exit {
        agent.begin_stop();
        self.intake.cancel();
        let in_order = async {
            let taken = self.takers.all_end().await;
            self.delivery.cancel();
            taken & self.deliverers.all_end().await
        };
        let ended = tokio::select! {
            biased;
            ended = within(&**clock, grace, in_order) => ended,
            () = stop.at_once.cancelled() => None,
        };
        match ended {
            Some(_) if agent.abandoned() == 0 => Exit::Done,
            Some(_) => {
                tracing::warn!(
                    abandoned = agent.abandoned(),
                    "deliveries were given up; the documents are sent again, under the same ids"
                );
                Exit::StoppedEarly
            }
            None => {
                let unfinished =
                    [self.takers.still_running(), self.deliverers.still_running()].concat();
                tracing::warn!(
                    ?unfinished,
                    "stopped before all was finished; nothing is lost"
                );
                Exit::StoppedEarly
            }
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
