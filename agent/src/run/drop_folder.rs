//! The drop folder of a route: how it is opened, and opened again after its pickup died.

use super::intake::RouteIntake;
use crate::config;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use mainstay_clock::SharedClock;
use mainstay_pickup::{After, Config, ErrorKind, Handle, Pickup};
use std::sync::Arc;

/// All that it takes to open the pickup of a route.
#[derive(Debug)]
pub(crate) struct DropFolder {
    route: String,
    settings: config::Drop,
    config: Config,
    intake: Arc<RouteIntake>,
    clock: SharedClock,
}

impl DropFolder {
    pub(super) fn new(
        data: &DataDir,
        route: &config::Route,
        drop: &config::Drop,
        intake: RouteIntake,
        clock: &SharedClock,
    ) -> Self {
        Self {
            route: route.name.clone(),
            settings: drop.clone(),
            config: pickup_config(data, &route.name, drop),
            intake: Arc::new(intake),
            clock: clock.clone(),
        }
    }

    /// Opens its pickup; makes the folder, where that is ours to do. Blocks.
    ///
    /// # Errors
    /// The folders cannot work, or another process has them.
    pub(super) fn open(&self) -> Result<Pickup<RouteIntake>, Failure> {
        self.make()?;
        let (config, intake) = (self.config.clone(), Arc::clone(&self.intake));
        Pickup::open(config, intake, self.clock.clone()).map_err(|error| self.cannot(error))
    }

    /// Opens it again, for those who look at the one before. Blocks.
    ///
    /// # Errors
    /// As [`open`](Self::open); also while a thread of the one before is still at work.
    pub(super) fn reopen(&self, before: &Handle) -> Result<Pickup<RouteIntake>, Failure> {
        self.make()?;
        let (config, intake) = (self.config.clone(), Arc::clone(&self.intake));
        Pickup::reopen(before, config, intake, self.clock.clone())
            .map_err(|error| self.cannot(error))
    }

    /// Whether its pickup waits for others: for the folder, or for the disk of the queue. Nothing gets better by opening it again
    /// then, and what does not answer is told by the checks that look at it.
    pub(super) fn waits(&self, pickup: &Handle) -> bool {
        pickup.is_away().is_some() || self.intake.is_committing()
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
