//! A route's address: who comes is served, as many at once as are allowed, until the stop.

use super::connection;
use super::counters::{Counters, Told};
use super::gate::Gate;
use super::request::Desk;
use crate::arrival::{Bounds, SILENCE_MAX};
use crate::config::{Ingest, Settings};
use crate::exit::{Exit, Failure};
use crate::run::Template;
use mainstay_clock::SharedClock;
use mainstay_queue::{Queue, WhenFull};
use mainstay_resilience::within;
use mainstay_supervise::{Held, Holdings, Resource, TaskContext};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Requests in flight get half of the grace, and no more than this, to finish at a stop.
const FINISH: Duration = Duration::from_secs(10);

/// After the system has refused a connection, for example because too many files are open, it is left alone for this long.
const BREATH: Duration = Duration::from_millis(200);

/// A route's address, open and ready.
#[derive(Debug)]
pub(crate) struct Hub {
    listener: Held<TcpListener>,
    holdings: Holdings,
    /// The address of the configuration, whose port may be 0.
    asked: SocketAddr,
    desk: Arc<Desk>,
    places: usize,
    connections: Arc<Semaphore>,
    finish: Duration,
}

/// Where a hub listens, for the one that comes after it.
#[derive(Debug)]
pub(crate) struct Address {
    listen: SocketAddr,
    holdings: Holdings,
    desk: Arc<Desk>,
    places: usize,
    finish: Duration,
}

/// What can be asked of a hub that runs.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    desk: Arc<Desk>,
}

impl Hub {
    /// Opens the address; nobody is answered yet. `stop` ends it.
    ///
    /// # Errors
    /// The address cannot be listened on, or the token cannot be read.
    pub(crate) async fn open(
        ingest: &Ingest,
        template: Template,
        queue: Queue,
        settings: &Settings,
        holdings: &Holdings,
        clock: &SharedClock,
    ) -> Result<Self, Failure> {
        let route = &template.route;
        let missing = |why| {
            let message = format!("the token of route `{route}` is missing: {why}");
            Failure::new(Exit::StartFailed, message)
        };
        let token = match &ingest.token {
            Some(token) => Some(token.fetch().map_err(missing)?),
            None => None,
        };
        let gate = Gate::new(token.as_ref()).map_err(|why| {
            let message = format!("the token of route `{route}` cannot be sent by anybody: {why}");
            Failure::new(Exit::ConfigInvalid, message)
        })?;
        let listener = TcpListener::bind(ingest.listen)
            .await
            .map_err(|error| cannot_listen(route, ingest.listen, error))?;
        let listener = held(holdings, route, listener);
        let desk = Desk {
            queue,
            template,
            makes_room: settings.queue.when_full == WhenFull::DropOldest,
            gate,
            kinds: ingest.types.clone(),
            bounds: Bounds {
                len: ingest.max_body,
                silence: SILENCE_MAX,
                time: ingest.timeout,
            },
            turns: Arc::new(Semaphore::new(usize::from(ingest.max_concurrent))),
            counters: Counters::default(),
            stop: CancellationToken::new(),
            clock: clock.clone(),
        };
        let places = usize::from(ingest.max_connections);
        Ok(Self {
            listener,
            holdings: holdings.clone(),
            asked: ingest.listen,
            desk: Arc::new(desk),
            places,
            connections: Arc::new(Semaphore::new(places)),
            finish: FINISH.min(settings.grace / 2),
        })
    }

    /// How it is opened again after it died.
    pub(crate) fn again(&self) -> Address {
        let listen = self.listener.local_addr();
        Address {
            holdings: self.holdings.clone(),
            listen: listen.unwrap_or(self.asked),
            desk: Arc::clone(&self.desk),
            places: self.places,
            finish: self.finish,
        }
    }

    /// What can be asked while it runs.
    ///
    /// # Errors
    /// The system does not say where it listens.
    pub(crate) fn source(&self) -> io::Result<Source> {
        Ok(Source {
            address: self.listener.local_addr()?,
            desk: Arc::clone(&self.desk),
        })
    }

    /// Serves as a task that beats by itself, until that is to stop; requests in flight are finished, within their time.
    pub(crate) async fn run(self, context: &TaskContext) {
        let mut running = JoinSet::new();
        tokio::select! {
            () = context.stopping() => {}
            () = self.accept(&mut running, context) => {}
        }
        // Nobody new comes in from here on; whoever is in hears that it ends.
        let Self { listener, desk, .. } = self;
        drop(listener);
        desk.stop.cancel();
        let all = async { while running.join_next().await.is_some() {} };
        let finished = context.alive_while(within(&*desk.clock, self.finish, all), || true);
        if finished.await.is_none() {
            tracing::warn!(
                route = desk.template.route,
                "requests were still in flight; their senders will ask again"
            );
        }
    }

    /// Accepts for ever; whoever is one too many waits in the system's own line.
    async fn accept(&self, running: &mut JoinSet<()>, context: &TaskContext) {
        loop {
            context.beat();
            let (accepted, place) = tokio::select! {
                accepted = self.next() => accepted,
                () = context.beat_due() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let desk = Arc::clone(&self.desk);
                    running.spawn(async move {
                        connection::serve(stream, peer, desk).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, route = self.desk.template.route, "cannot take a connection");
                    self.desk.clock.sleep(BREATH).await;
                }
            }
            while running.try_join_next().is_some() {}
        }
    }

    /// Whoever comes next, once there is a place.
    async fn next(
        &self,
    ) -> (
        io::Result<(TcpStream, SocketAddr)>,
        Option<OwnedSemaphorePermit>,
    ) {
        // It is never closed.
        let place = Arc::clone(&self.connections).acquire_owned().await.ok();
        (self.listener.accept().await, place)
    }
}

impl Address {
    /// Opens it again; whoever was served by the one before asks again.
    ///
    /// # Errors
    /// It cannot be listened on.
    pub(crate) async fn open(&self) -> Result<Hub, Failure> {
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| cannot_listen(&self.desk.template.route, self.listen, error))?;
        let listener = held(&self.holdings, &self.desk.template.route, listener);
        Ok(Hub {
            listener,
            holdings: self.holdings.clone(),
            asked: self.listen,
            desk: Arc::clone(&self.desk),
            places: self.places,
            connections: Arc::new(Semaphore::new(self.places)),
            finish: self.finish,
        })
    }
}

impl Source {
    /// What came of the requests since the start.
    pub(crate) fn told(&self) -> Told {
        self.desk.counters.told()
    }

    /// Whether documents are taken now.
    pub(crate) fn has_room(&self) -> bool {
        self.desk.makes_room || self.desk.queue.has_room()
    }

    /// Whether it has ended, or is about to.
    pub(crate) fn is_stopping(&self) -> bool {
        self.desk.stop.is_cancelled()
    }
}

fn held(holdings: &Holdings, route: &str, listener: TcpListener) -> Held<TcpListener> {
    let name = format!("the address of route {route}");
    holdings.hold(Resource::Listener, &name, listener, drop)
}

fn cannot_listen(route: &str, address: SocketAddr, error: io::Error) -> Failure {
    let help = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: stop it, or choose another port in `listen`"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address (yet): choose one that it has, or 0.0.0.0 for all of them"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for the system: choose a higher one in `listen`"
        }
        _ => "choose another address in `listen`",
    };
    let message = format!("route `{route}` cannot listen on {address}");
    Failure::new(Exit::CannotListen, message)
        .because(error)
        .help(help)
}
