//! A running agent: its routes, its queue, and what it says of itself.

use super::budgets::Measured;
use super::certificates::Met;
use super::destination::{AnyDestination, build};
use super::drop_folder::DropFolder;
use super::folders::left_behind;
use super::intake::{RouteIntake, Template, Watched, claim_id, template};
use super::jobs::Jobs;
use super::kept;
use super::lookups::{Lookups, Room, Told};
use super::network::Network;
use super::readiness::{address_of, pickup_of};
use super::stops::LastStops;
use super::tasks::Tasks;
use super::upkeep::Upkeep;
use crate::alerts;
use crate::config::{self, Settings};
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::hub::{self, Address, Hub};
use crate::notify::Manager;
use crate::opened::Opened;
use crate::terminal;
use crate::units::Rate;
use mainstay_cache::Cache;
use mainstay_clock::SharedClock;
use mainstay_deliver::{Backoff, Certificates, DeliverConfig, RateLimit, Worker, WorkerHandle};
use mainstay_pickup::Pickup;
use mainstay_queue::{LaneId, Queue};
use mainstay_resilience::{ErrorLog, RateLimiter};
use mainstay_supervise::{Holdings, ServiceState, StopSignal};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// What the command line, the control socket and the progress display ask.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Where everything lies.
    pub(crate) data: DataDir,
    /// The documents.
    pub(crate) queue: Queue,
    /// Where they lie.
    pub(crate) queue_dir: PathBuf,
    /// The routes, in the order of the configuration.
    pub(crate) routes: Vec<Route>,
    /// Who this machine is.
    pub(crate) station: config::Station,
    /// When it started, in milliseconds since 1970.
    pub(crate) since: u64,
    /// What came of all that it looks after.
    pub(crate) upkeep: Upkeep,
    /// The bounds of what its lookups keep, where they keep anything.
    pub(crate) cache: Option<config::Cache>,
    /// How its earlier lives ended.
    pub(crate) last_stops: LastStops,
    /// What runs, and how that is.
    pub(crate) tasks: Tasks,
    /// What is done for people, and to look after what is kept.
    pub(crate) jobs: Jobs,
    /// What it takes for what it does.
    pub(crate) measured: Measured,
    /// What its stop is asked for by, once that is known.
    pub(super) stop: OnceLock<StopSignal>,
    /// Attempts that were given up when it stopped.
    pub(super) abandoned: Arc<AtomicUsize>,
    /// The service manager that started it.
    pub(crate) manager: Option<Arc<Manager>>,
    /// Whom each alert tells, and the certificates that are met there.
    pub(crate) alert_certificates: Vec<(String, Certificates)>,
    /// What became of its alerts.
    pub(crate) alerts: alerts::Counters,
    /// What they have told, in all its lives.
    pub(crate) told: alerts::Memory,
    /// What all that it asks met of the network.
    pub(crate) network: Network,
}

/// A running route.
#[derive(Debug)]
pub(crate) struct Route {
    /// What its documents have in common.
    pub(crate) template: Template,
    /// Where they come from.
    pub(crate) from: Option<Source>,
    /// What is asked elsewhere about them.
    pub(crate) lookups: Arc<Lookups>,
    /// Where they go.
    pub(crate) to: Vec<Target>,
}

/// Where documents come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A drop folder that is watched.
    Folder(Folder),
    /// An address that others send to.
    Http(hub::Source),
}

/// A drop folder that is watched.
#[derive(Debug)]
pub(crate) struct Folder {
    /// The folder.
    pub(crate) settings: config::Drop,
    /// Its pickup.
    pub(crate) handle: mainstay_pickup::Handle,
    pub(super) clock: SharedClock,
}

/// A destination that is delivered to.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its lane's name.
    pub(crate) lane: String,
    /// Where it is.
    pub(crate) address: String,
    /// What its attempts are held to.
    pub(crate) rate: Option<Rate>,
    /// The destination itself, with nothing in front of it.
    pub(super) destination: AnyDestination,
    /// Its worker.
    pub(crate) handle: WorkerHandle,
    /// What holds its attempts to `rate`.
    pub(super) limiter: Option<Arc<RateLimiter>>,
    /// Those that it showed, and ours that it is shown.
    pub(crate) certificates: Certificates,
}

/// An agent whose parts are ready to run.
pub(crate) struct Assembled {
    /// What can be asked.
    pub(crate) agent: Agent,
    pub(super) pickups: Vec<(String, Pickup<Watched>, DropFolder)>,
    pub(super) hubs: Vec<(String, Hub, Address)>,
    pub(super) workers: Vec<(String, Worker)>,
}

/// Opens a drop folder, whose pickup is run later.
fn opened_folder(
    data: &DataDir,
    (route, drop, intake, held): (&config::Route, &config::Drop, RouteIntake, &Holdings),
    pickups: &mut Vec<(String, Pickup<Watched>, DropFolder)>,
    clock: &SharedClock,
) -> Result<Source, Failure> {
    let folder = DropFolder::new(data, route, drop, intake, held, clock);
    let pickup = folder.open()?;
    let source = Folder::watched(drop, &pickup, clock);
    pickups.push((pickup_of(&route.name), pickup, folder));
    Ok(Source::Folder(source))
}

impl Assembled {
    /// Makes the own folders, declares the lanes, opens the drop folders, makes the destinations. Nothing runs yet. Blocks.
    ///
    /// # Errors
    /// A folder or destination that cannot work; the message says which.
    pub(crate) fn new(
        opened: &Opened,
        settings: &Settings,
        tasks: Tasks,
        measured: &Measured,
        (told, met, network): (&alerts::Memory, &Met, &Network),
        clock: &SharedClock,
    ) -> Result<Self, Failure> {
        let (mut routes, mut pickups, mut workers) = (Vec::new(), Vec::new(), Vec::new());
        let upkeep = Upkeep::of(&opened.data);
        let (cache, room) = kept::shared(&opened.data, settings, &upkeep, clock);
        let errors = tasks.supervisor().errors().clone();
        for route in &settings.routes {
            let template = template(&opened.queue, route, &settings.station)?;
            let tells = Told::of(&route.name, met, network.connectivity(), &errors);
            let lookups = build_lookups(route, cache.as_ref(), tells, &room, clock)?;
            let mut to = Vec::new();
            for (destination, lane) in route.to.iter().zip(&template.lanes) {
                let built = build_destination(destination, met, network, clock)?;
                let before = measured.measuring(lookups.before(Arc::clone(&built.0)));
                let how = how(destination, settings, &errors);
                let worker = build_worker(opened, destination, before, *lane, how, clock)?;
                to.push(target(destination, built, &worker));
                workers.push((format!("the delivery on `{}`", destination.lane), worker));
            }
            // Addresses are opened last, by `listen`: whoever comes is answered soon then.
            let from = match &route.from {
                None | Some(config::From::Http(_)) => None,
                Some(config::From::Folder(drop)) => {
                    let intake = RouteIntake::new(opened.queue.clone(), template.clone(), measured);
                    let folder = (route, drop, intake, tasks.holdings());
                    Some(opened_folder(&opened.data, folder, &mut pickups, clock)?)
                }
            };
            routes.push(Route {
                template,
                from,
                lookups,
                to,
            });
        }
        met.forget_others(settings);
        let agent = Agent {
            data: opened.data.clone(),
            queue: opened.queue.clone(),
            queue_dir: opened.queue_dir.clone(),
            routes,
            station: settings.station.clone(),
            since: clock.wall(),
            upkeep,
            cache: cache.as_ref().map(|_| settings.cache.clone()),
            last_stops: LastStops::begin(&opened.data, clock),
            jobs: Jobs::new(clock, tasks.faults().cloned())?,
            tasks,
            measured: measured.clone(),
            stop: OnceLock::new(),
            abandoned: Arc::default(),
            manager: None,
            alert_certificates: met.of_alerts(&settings.alerts),
            alerts: alerts::Counters::default(),
            told: told.clone(),
            network: network.clone(),
        };
        Ok(Self {
            agent,
            pickups,
            hubs: Vec::new(),
            workers,
        })
    }

    /// Opens the addresses of the routes that take documents over HTTP.
    ///
    /// # Errors
    /// One cannot be listened on; the message says which, and what to do.
    pub(crate) async fn listen(
        &mut self,
        settings: &Settings,
        clock: &SharedClock,
    ) -> Result<(), Failure> {
        for (configured, route) in settings.routes.iter().zip(&mut self.agent.routes) {
            let Some(config::From::Http(ingest)) = &configured.from else {
                continue;
            };
            let (template, queue) = (route.template.clone(), self.agent.queue.clone());
            let holdings = self.agent.tasks.holdings();
            let hub = Hub::open(ingest, template, queue, settings, holdings, clock).await?;
            let address = hub.again();
            let source = hub.source().map_err(|error| {
                let message = format!("route `{}` cannot listen", configured.name);
                Failure::new(Exit::CannotListen, message).because(error)
            })?;
            route.from = Some(Source::Http(source));
            let name = address_of(&configured.name);
            self.hubs.push((name, hub, address));
        }
        Ok(())
    }

    /// Finishes what an earlier life of the pickups has begun, and forgets the claims that are dealt with.
    ///
    /// What fails here is tried again by the pickups when they run; claims are forgotten at the next start then.
    pub(crate) async fn recover(&mut self) {
        let mut open = HashSet::new();
        for (name, pickup, _) in &mut self.pickups {
            match pickup.recover().await {
                Ok(found) => {
                    let (finished, pending) = (found.finished, found.pending);
                    if finished + pending > 0 {
                        tracing::info!(
                            finished,
                            pending,
                            "{name} goes on with what an earlier run had begun"
                        );
                    }
                    open.extend(found.open.into_iter().map(claim_id));
                }
                Err(error) => {
                    tracing::warn!(%error, "{name} cannot look at its earlier work; it is tried again");
                    return;
                }
            }
        }
        let left = left_behind(&self.agent);
        for (folder, files) in &left {
            terminal::warn(&format!(
                "{files} claimed in `{}`, by a route that the configuration does not have any more; \
                 add the route again, and they are delivered",
                folder.display()
            ));
        }
        if left.is_empty() {
            let queue = &self.agent.queue;
            queue.close_claims(
                queue
                    .open_claims()
                    .into_iter()
                    .filter(|claim| !open.contains(claim))
                    .collect(),
            );
        }
    }
}

impl Agent {
    /// The drop folders.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Folder> {
        let sources = self.routes.iter().filter_map(|route| route.from.as_ref());
        sources.filter_map(|source| match source {
            Source::Folder(folder) => Some(folder),
            Source::Http(_) => None,
        })
    }

    /// Attempts that were given up when it stopped; their documents are sent again, under the same ids.
    pub(crate) fn abandoned(&self) -> usize {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Documents that still have to be delivered, where there is a destination that they can be delivered to.
    pub(crate) fn pending(&self) -> u64 {
        let unassigned: u64 = self.unassigned().iter().map(|(_, number)| number).sum();
        let lanes = self.queue.status().lanes.into_iter();
        let all: u64 = lanes
            .map(|lane| lane.ready + lane.leased + lane.waiting)
            .sum();
        all - unassigned.min(all)
    }

    /// Whether it was asked to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        let state = self.tasks.supervisor().state();
        matches!(state, ServiceState::Stopping | ServiceState::Stopped)
    }

    /// Names of the queue's lanes that no route leads to, with how many documents wait there.
    pub(crate) fn unassigned(&self) -> Vec<(String, u64)> {
        let is_assigned = |lane: &str| {
            self.routes
                .iter()
                .flat_map(|route| &route.to)
                .any(|to| to.lane == lane)
        };
        let lanes = self
            .queue
            .status()
            .lanes
            .into_iter()
            .filter(|lane| !is_assigned(&lane.name));
        let waiting = lanes.map(|lane| (lane.ready + lane.leased + lane.waiting, lane.name));
        waiting
            .filter(|(number, _)| *number > 0)
            .map(|(number, name)| (name, number))
            .collect()
    }
}

impl Folder {
    fn watched(drop: &config::Drop, pickup: &Pickup<Watched>, clock: &SharedClock) -> Self {
        Self {
            settings: drop.clone(),
            handle: pickup.handle(),
            clock: clock.clone(),
        }
    }
}

impl Source {
    /// Where it is, for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.settings.folder.display().to_string(),
            Self::Http(source) => hub::shown(source.address),
        }
    }
}

fn build_lookups(
    route: &config::Route,
    cache: Option<&Arc<Cache>>,
    told: Told<'_>,
    room: &Room,
    clock: &SharedClock,
) -> Result<Arc<Lookups>, Failure> {
    Lookups::build(&route.lookups, cache, Some(told), room, clock).map_err(|error| {
        let message = format!("a lookup of route `{}` cannot work", route.name);
        Failure::new(Exit::StartFailed, message).because(error)
    })
}

/// The destination itself, and the certificates that are met there.
fn build_destination(
    destination: &config::Destination,
    met: &Met,
    network: &Network,
    clock: &SharedClock,
) -> Result<(AnyDestination, Certificates), Failure> {
    let certificates = met.of(destination);
    let told = Some(network.connectivity());
    let built = build(destination, &certificates, told, clock);
    let built = built.map_err(|error| cannot_work(destination).because(error))?;
    Ok((built, certificates))
}

fn cannot_work(destination: &config::Destination) -> Failure {
    Failure::new(
        Exit::StartFailed,
        format!("the destination `{}` cannot work", destination.lane),
    )
}

fn build_worker(
    opened: &Opened,
    destination: &config::Destination,
    built: AnyDestination,
    lane: LaneId,
    config: DeliverConfig,
    clock: &SharedClock,
) -> Result<Worker, Failure> {
    Worker::new(opened.queue.clone(), lane, built, config, clock.clone())
        .map_err(|error| cannot_work(destination).because(error))
}

/// How a destination is delivered to; what fails there is counted in `errors`.
fn how(
    destination: &config::Destination,
    settings: &Settings,
    errors: &Arc<ErrorLog>,
) -> DeliverConfig {
    DeliverConfig {
        concurrency: usize::from(destination.concurrency),
        // As many as may be under way may also begin at once.
        limit: destination.rate.map(|rate| RateLimit {
            permits: rate.number,
            per: rate.per,
            burst: rate.number.min(u32::from(destination.concurrency)),
        }),
        retry: Backoff::doubling(destination.retry_initial, destination.retry_max),
        bury_after: destination.bury_after,
        drain: settings.grace,
        errors: Some(Arc::clone(errors)),
        ..DeliverConfig::default()
    }
}

fn target(
    destination: &config::Destination,
    (built, certificates): (AnyDestination, Certificates),
    worker: &Worker,
) -> Target {
    Target {
        lane: destination.lane.clone(),
        address: built.address().to_owned(),
        rate: destination.rate,
        destination: built,
        handle: worker.handle(),
        limiter: worker.limiter(),
        certificates,
    }
}
