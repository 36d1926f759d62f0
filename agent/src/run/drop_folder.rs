//! The drop folder of a route: how it is opened, and opened again after its pickup died.

use super::intake::{RouteIntake, Watched};
use crate::config;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use mainstay_clock::SharedClock;
use mainstay_pickup::{After, Config, ErrorKind, Handle, Pickup};
use mainstay_supervise::Holdings;
use std::sync::Arc;

/// All that it takes to open the pickup of a route.
#[derive(Debug)]
pub(crate) struct DropFolder {
    route: String,
    settings: config::Drop,
    config: Config,
    intake: Arc<RouteIntake>,
    holdings: Holdings,
    clock: SharedClock,
}

impl DropFolder {
    pub(super) fn new(
        data: &DataDir,
        route: &config::Route,
        drop: &config::Drop,
        intake: RouteIntake,
        holdings: &Holdings,
        clock: &SharedClock,
    ) -> Self {
        Self {
            route: route.name.clone(),
            settings: drop.clone(),
            config: pickup_config(data, &route.name, drop),
            intake: Arc::new(intake),
            holdings: holdings.clone(),
            clock: clock.clone(),
        }
    }

    /// Opens its pickup; makes the folder, where that is ours to do. Blocks.
    ///
    /// # Errors
    /// The folders cannot work, or another process has them.
    pub(super) fn open(&self) -> Result<Pickup<Watched>, Failure> {
        self.make()?;
        let (config, intake) = (self.config.clone(), self.watched());
        Pickup::open(config, intake, self.clock.clone()).map_err(|error| self.cannot(error))
    }

    /// Opens it again, for those who look at the one before. Blocks.
    ///
    /// # Errors
    /// As [`open`](Self::open); also while a thread of the one before is still at work.
    pub(super) fn reopen(&self, before: &Handle) -> Result<Pickup<Watched>, Failure> {
        self.make()?;
        let (config, intake) = (self.config.clone(), self.watched());
        Pickup::reopen(before, config, intake, self.clock.clone())
            .map_err(|error| self.cannot(error))
    }

    /// Whether its pickup waits for others: for the folder, or for the disk of the queue. Nothing gets better by opening it again
    /// then, and what does not answer is told by the checks that look at it.
    pub(super) fn waits(&self, pickup: &Handle) -> bool {
        pickup.is_away().is_some() || self.intake.is_committing()
    }

    fn watched(&self) -> Arc<Watched> {
        Arc::new(Watched::new(&self.intake, &self.holdings))
    }

    fn make(&self) -> Result<(), Failure> {
        let folder = &self.settings.folder;
        if !self.settings.make {
            return Ok(());
        }
        mainstay_files::create_dir_all(folder, 0o700).map_err(|error| {
            let message = format!("cannot make the inbox `{}`", folder.display());
            Failure::new(Exit::StartFailed, message).because(error)
        })
    }

    fn cannot(&self, error: mainstay_pickup::Error) -> Failure {
        let message = format!("route `{}` cannot take files", self.route);
        let exit = match error.kind() {
            ErrorKind::Locked => Exit::InUse,
            _ => Exit::StartFailed,
        };
        Failure::new(exit, message).because(error)
    }
}

fn pickup_config(data: &DataDir, route: &str, drop: &config::Drop) -> Config {
    let mut config = Config::new(
        &drop.folder,
        data.work(route),
        data.archive(route),
        data.quarantine(route),
    );
    config.include.clone_from(&drop.include);
    config.exclude.clone_from(&drop.exclude);
    config.recursive = drop.recursive;
    config.settle = drop.settle;
    config.marker.clone_from(&drop.marker);
    config.after = match &drop.after {
        config::After::Archive => After::Archive,
        config::After::Delete => After::Delete,
        config::After::Keep => After::Keep,
        config::After::Move(folder) => After::Move(folder.clone()),
    };
    config
}

#[cfg(test)]
mod tests {
    use super::super::budgets::Measured;
    use super::super::intake::Template;
    use super::*;
    use futures_util::FutureExt;
    use mainstay_queue::Queue;
    use std::sync::mpsc::sync_channel;

    /// A thread that a folder holds up keeps the watch of a pickup that is gone: it has the intake of that opening, and nobody saw it.
    #[test]
    fn the_watch_of_a_folder_is_held_for_as_long_as_a_thread_of_its_pickup_is_left() {
        // The one thread that may block is held up, as by a share that is away.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .enable_all()
            .build();
        runtime.unwrap().block_on(left());
    }

    async fn left() {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::at(&root.path().join("data")).unwrap();
        let clock = mainstay_clock::system();
        let queue = Queue::open(root.path().join("queue"), mainstay_queue::Config::default());
        let (queue, _) = queue.unwrap();
        let measured = Measured::new(&clock).unwrap();
        let settings = crate::config::defaults(&data).unwrap();
        let Some(config::From::Folder(drop)) = &settings.routes[0].from else {
            panic!("the inbox is a folder");
        };
        let route = &settings.routes[0];
        let intake = RouteIntake::new(queue.clone(), Template::of("lab"), &measured);
        let holdings = Holdings::new(clock.clone());
        let folder = DropFolder::new(&data, route, drop, intake, &holdings, &clock);
        assert!(holdings.list().is_empty(), "it is not open yet");

        let pickup = folder.open().unwrap();
        let held = "still held: the watch of route `lab` (Watcher)";
        assert_eq!(holdings.verify_empty().unwrap_err().to_string(), held);
        let handle = pickup.handle();
        std::mem::drop(pickup);
        holdings.verify_empty().unwrap();

        let (go_on, waits) = sync_channel::<()>(1);
        let hangs = tokio::task::spawn_blocking(move || waits.recv());
        let mut pickup = folder.reopen(&handle).unwrap();
        assert!(pickup.recover().now_or_never().is_none());
        std::mem::drop(pickup);
        assert_eq!(holdings.verify_empty().unwrap_err().to_string(), held);
        go_on.send(()).unwrap();
        hangs.await.unwrap().unwrap();
        // The one thread does one thing after the other.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        holdings.verify_empty().unwrap();
        queue.close().await;
    }
}
