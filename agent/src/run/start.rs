//! Starts what was assembled: each part is a task, which knows how it is made anew.

use super::Agent;
use super::agent::{Assembled, Source};
use super::drop_folder::DropFolder;
use super::group::Group;
use super::intake::Watched;
use super::tasks::{Tasks, critical};
use crate::exit::Failure;
use crate::hub::{Address, Hub};
use mainstay_clock::SharedClock;
use mainstay_deliver::Worker;
use mainstay_pickup::Pickup;
use mainstay_supervise::{Drained, TaskContext, TaskError, TaskHandle};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The parts of a running agent, in the order in which they were started.
pub(super) struct Started {
    pub(super) agent: Arc<Agent>,
    pub(super) delivery: Group,
    pub(super) intake: Group,
}

impl Assembled {
    /// Starts delivery, and then whatever takes documents.
    ///
    /// # Errors
    /// The agent is stopping already.
    pub(super) fn start(self, clock: &SharedClock) -> Result<Started, Failure> {
        let Self {
            agent,
            pickups,
            hubs,
            workers,
        } = self;
        let tasks = agent.tasks.clone();
        let mut delivery = Vec::new();
        for (name, worker) in workers {
            delivery.push(deliver(&tasks, name, worker, &agent.abandoned)?);
        }
        let mut intake = Vec::new();
        for (name, pickup, folder) in pickups {
            intake.push(take(&tasks, name, pickup, folder)?);
        }
        for (name, hub, address) in hubs {
            intake.push(listen(&tasks, name, hub, address)?);
        }
        let agent = Arc::new(agent);
        Ok(Started {
            delivery: delivery_group(&agent, delivery, clock),
            intake: intake_group(&agent, intake, clock),
            agent,
        })
    }
}

fn deliver(
    tasks: &Tasks,
    name: String,
    worker: Worker,
    abandoned: &Arc<AtomicUsize>,
) -> Result<TaskHandle, Failure> {
    let abandoned = Arc::clone(abandoned);
    tasks.start(critical(name), move |context: TaskContext| {
        let (handle, abandoned) = (worker.handle(), Arc::clone(&abandoned));
        let work = worker.run(context.stop().clone());
        async move {
            let mut last = handle.turned();
            let has_turned = || {
                let turned = handle.turned();
                std::mem::replace(&mut last, turned) != turned
            };
            let stopped = context.alive_while(work, has_turned).await;
            abandoned.fetch_add(stopped.abandoned, Ordering::Relaxed);
        }
    })
}

fn take(
    tasks: &Tasks,
    name: String,
    pickup: Pickup<Watched>,
    folder: DropFolder,
) -> Result<TaskHandle, Failure> {
    let handle = pickup.handle();
    let (mut first, folder) = (Some(pickup), Arc::new(folder));
    tasks.start(critical(name), move |context: TaskContext| {
        let (first, folder, handle) = (first.take(), Arc::clone(&folder), handle.clone());
        async move {
            let pickup = if let Some(pickup) = first {
                pickup
            } else {
                // A share that hangs is waited for, not asked again and again by one thread after the other.
                tokio::select! {
                    opened = context.alive_while(anew(&folder, &handle), || true) => opened?,
                    () = context.stopping() => return Ok(()),
                }
            };
            let mut last = handle.turned();
            let moves = || {
                let turned = handle.turned();
                std::mem::replace(&mut last, turned) != turned || folder.waits(&handle)
            };
            let work = pickup.run(context.stop().clone());
            context.alive_while(work, moves).await;
            Ok::<(), TaskError>(())
        }
    })
}

async fn anew(
    folder: &Arc<DropFolder>,
    before: &mainstay_pickup::Handle,
) -> Result<Pickup<Watched>, TaskError> {
    let (folder, before) = (Arc::clone(folder), before.clone());
    let opened = tokio::task::spawn_blocking(move || folder.reopen(&before)).await?;
    opened.map_err(|failure| failure.account().into())
}

fn listen(tasks: &Tasks, name: String, hub: Hub, address: Address) -> Result<TaskHandle, Failure> {
    let (mut first, address) = (Some(hub), Arc::new(address));
    tasks.start(critical(name), move |context: TaskContext| {
        let (first, address) = (first.take(), Arc::clone(&address));
        async move {
            let hub = match first {
                Some(hub) => hub,
                None => address.open().await.map_err(|failure| failure.account())?,
            };
            hub.run(&context).await;
            Ok::<(), TaskError>(())
        }
    })
}

fn delivery_group(agent: &Arc<Agent>, tasks: Vec<TaskHandle>, clock: &SharedClock) -> Group {
    let (asked, ended) = (Arc::clone(agent), Arc::clone(agent));
    // How many were delivered when it was first asked what is under way, which is when the stop begins.
    let before = Arc::new(OnceLock::new());
    let at_end = Arc::clone(&before);
    Group {
        name: "the delivery",
        tasks,
        under_way: Box::new(move || {
            before.get_or_init(|| asked.queue.ledger().delivered);
            let targets = asked.routes.iter().flat_map(|route| &route.to);
            let counted = targets.map(|to| (to.handle.status().in_flight, &to.lane));
            let under_way = counted.filter(|(number, _)| 0 < *number);
            under_way
                .map(|(number, lane)| format!("{number} on `{lane}`"))
                .collect()
        }),
        became: Box::new(move || {
            let ledger = ended.queue.ledger();
            let before = at_end.get().copied().unwrap_or(ledger.delivered);
            Drained {
                completed: ledger.delivered.saturating_sub(before),
                cancelled: ended.abandoned() as u64,
                left: ledger.queued,
            }
        }),
        clock: clock.clone(),
        paused: OnceLock::new(),
    }
}

fn intake_group(agent: &Arc<Agent>, tasks: Vec<TaskHandle>, clock: &SharedClock) -> Group {
    let asked = Arc::clone(agent);
    Group {
        name: "the intake",
        tasks,
        under_way: Box::new(move || {
            let sources = asked.routes.iter().filter_map(|route| {
                let under_way = match route.from.as_ref()? {
                    Source::Folder(folder) => folder.handle.status().pending as u64,
                    Source::Http(hub) => hub.told().under_way,
                };
                Some((under_way, &route.template.route))
            });
            let under_way = sources.filter(|(number, _)| 0 < *number);
            under_way
                .map(|(number, route)| format!("{number} of route `{route}`"))
                .collect()
        }),
        became: Box::new(Drained::default),
        clock: clock.clone(),
        paused: OnceLock::new(),
    }
}
