//! What neither takes nor delivers: who answers, shows, and looks after the rest.

use super::tasks::{Tasks, beside};
use super::trash::Due;
use super::{Agent, Display, anew, network, progress, scrub, trash};
use crate::alerts;
use crate::config::Settings;
use crate::control::{self, Listener};
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::health::{self, Door};
use crate::notify;
use mainstay_clock::SharedClock;
use mainstay_supervise::{Health, Holdings, TaskContext, TaskError};
use std::net::SocketAddr;
use std::sync::Arc;

/// Where the agent can be asked.
pub(super) struct Doors {
    socket: Listener,
    health: Option<(Door, SocketAddr)>,
}

impl Doors {
    /// Opens the control socket, and the address of its health where there is to be one.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub(super) async fn open(
        data: &DataDir,
        settings: &Settings,
        holdings: &Holdings,
    ) -> Result<Self, Failure> {
        let health = match settings.health.listen {
            Some(listen) => {
                let door = Door::open(listen, holdings).await?;
                let open = door.address().unwrap_or(listen);
                Some((door, open))
            }
            None => None,
        };
        let socket = Listener::open(data, holdings)?;
        Ok(Self { socket, health })
    }
}

/// Starts all of them.
///
/// # Errors
/// The agent cannot watch its health, or is stopping already.
pub(super) fn start(
    agent: &Arc<Agent>,
    settings: &Settings,
    display: &Display,
    clock: &SharedClock,
    doors: Doors,
) -> Result<(), Failure> {
    let tasks = agent.tasks.clone();
    let health = health::watch(agent, settings.health.limits, clock).map_err(|error| {
        Failure::new(Exit::StartFailed, "the agent cannot watch its health").because(error)
    })?;
    anew::watch(&tasks, &agent.queue)?;
    answer(&tasks, doors.socket, agent, &health)?;
    if let Some((door, open)) = doors.health {
        tell(&tasks, door, open, agent, &health, clock)?;
    }
    let (told, watched, by) = (Arc::clone(agent), health.clone(), clock.clone());
    tasks.start(
        beside("what the service manager is told"),
        move |context: TaskContext| {
            let (told, watched, by) = (Arc::clone(&told), watched.clone(), by.clone());
            async move { notify::tell(told, watched, by, &context).await }
        },
    )?;
    alert(&tasks, agent, &health, settings, clock)?;
    tasks.start(
        beside("the checks of its health"),
        move |context: TaskContext| {
            let health = health.clone();
            async move { health.run(&context).await }
        },
    )?;
    look_after(&tasks, agent, settings, display, clock)
}

/// Tells of changes whoever is named in the configuration.
fn alert(
    tasks: &Tasks,
    agent: &Arc<Agent>,
    health: &Health,
    settings: &Settings,
    clock: &SharedClock,
) -> Result<(), Failure> {
    // The first is made here, so that no change is missed, and what cannot work is told at the start.
    let mut first = Some(alerts::tell(agent, health, &settings.alerts, clock)?);
    let (agent, health, wishes, clock) = (
        Arc::clone(agent),
        health.clone(),
        settings.alerts.clone(),
        clock.clone(),
    );
    tasks.start(beside("the alerts"), move |context: TaskContext| {
        let tellers = match first.take() {
            Some(first) => Ok(first),
            None => alerts::tell(&agent, &health, &wishes, &clock),
        };
        async move {
            let tellers = tellers.map_err(|failure| failure.account())?;
            tellers.run(&context).await;
            Ok::<(), TaskError>(())
        }
    })?;
    Ok(())
}

/// Starts what shows how the agent does, and looks after what it keeps.
fn look_after(
    tasks: &Tasks,
    agent: &Arc<Agent>,
    settings: &Settings,
    display: &Display,
    clock: &SharedClock,
) -> Result<(), Failure> {
    let (shown, display) = (Arc::clone(agent), display.clone());
    tasks.start(beside("the progress display"), move |context| {
        progress::show(display.clone(), Arc::clone(&shown), context)
    })?;
    let asked = Arc::clone(agent);
    tasks.start(beside("the look at the network"), move |context| {
        network::ask(Arc::clone(&asked), context)
    })?;
    let (kept, wish, by) = (Arc::clone(agent), settings.scrub, clock.clone());
    tasks.start(beside("the scrub of the backups"), move |context| {
        scrub::keep_whole(Arc::clone(&kept), wish, by.clone(), context)
    })?;
    let (emptied, after, by) = (Arc::clone(agent), settings.empty_trash_after, clock.clone());
    let due = Due::default();
    tasks.start(beside("the emptying of the trash"), move |context| {
        trash::empty_old(
            Arc::clone(&emptied),
            after,
            by.clone(),
            Arc::clone(&due),
            context,
        )
    })?;
    Ok(())
}

fn answer(
    tasks: &Tasks,
    socket: Listener,
    agent: &Arc<Agent>,
    health: &Health,
) -> Result<(), Failure> {
    let (mut first, agent, health) = (Some(socket), Arc::clone(agent), health.clone());
    let spec = beside("the control socket");
    tasks.start(spec, move |context: TaskContext| {
        let (first, agent, health) = (first.take(), Arc::clone(&agent), health.clone());
        async move {
            let socket = match first {
                Some(socket) => socket,
                None => Listener::open(&agent.data, agent.tasks.holdings())
                    .map_err(|failure| failure.account())?,
            };
            control::serve(socket, agent, health, &context).await;
            Ok::<(), TaskError>(())
        }
    })?;
    Ok(())
}

fn tell(
    tasks: &Tasks,
    door: Door,
    open: SocketAddr,
    agent: &Arc<Agent>,
    health: &Health,
    clock: &SharedClock,
) -> Result<(), Failure> {
    let (mut first, agent, health, clock) =
        (Some(door), Arc::clone(agent), health.clone(), clock.clone());
    let spec = beside("the address of its health");
    tasks.start(spec, move |context: TaskContext| {
        let (first, agent, health) = (first.take(), Arc::clone(&agent), health.clone());
        let clock = clock.clone();
        async move {
            let door = match first {
                Some(door) => door,
                None => Door::open(open, agent.tasks.holdings())
                    .await
                    .map_err(|failure| failure.account())?,
            };
            door.serve(agent, health, clock, &context).await;
            Ok::<(), TaskError>(())
        }
    })?;
    Ok(())
}
