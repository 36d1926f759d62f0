//! A stage for the demonstration and the self-test: a folder with a receiver, an agent, and a producer that drops files.

mod child;
mod samples;
mod verdict;

pub(crate) use samples::{Sample, samples};
pub(crate) use verdict::Verdict;

use crate::exit::{Exit, Failure};
use crate::opened::Opened;
use crate::status::Status;
use child::Child;
use mainstay_clock::SharedClock;
use std::path::{Path, PathBuf};
use std::time::Duration;
use verdict::stored_files;

/// How long a child may take to be ready; on a busy machine ten times what it needs.
const READY: Duration = Duration::from_secs(20);

/// How long a child may take to stop in order.
const STOP: Duration = Duration::from_secs(20);

const LOOK: Duration = Duration::from_millis(20);

/// The folder, and who runs in it.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: PathBuf,
    clock: SharedClock,
    address: String,
    receiver: Option<Child>,
    agent: Option<Child>,
}

impl Stage {
    /// Starts the receiver on a free port, then the agent that delivers to it.
    ///
    /// # Errors
    /// One of them does not start.
    pub(crate) async fn set(folder: &Path, clock: SharedClock) -> Result<Self, Failure> {
        let mut stage = Self {
            folder: folder.to_owned(),
            clock,
            address: "127.0.0.1:0".to_owned(),
            receiver: None,
            agent: None,
        };
        for part in ["drop", "store", "data"] {
            mainstay_files::create_dir_all(&folder.join(part), 0o700).map_err(|error| {
                Failure::new(Exit::StartFailed, "cannot set the stage").because(error)
            })?;
        }
        stage.start_receiver().await?;
        stage.start_agent()?;
        Ok(stage)
    }

    /// Starts the receiver, from the second time on at its old address.
    ///
    /// # Errors
    /// It does not start, or is not ready in time.
    pub(crate) async fn start_receiver(&mut self) -> Result<(), Failure> {
        let (store, ready) = (self.path("store"), self.path("ready"));
        let args = [
            "receive",
            "--listen",
            &self.address,
            "--store",
            &store,
            "--ready-file",
            &ready,
        ];
        mainstay_files::remove(Path::new(&ready)).map_err(|error| {
            Failure::new(Exit::StartFailed, "cannot start the receiver").because(error)
        })?;
        let mut receiver = Child::start("receiver", &args, &self.folder.join("receiver.log"))?;
        let deadline = self.clock.now() + READY;
        while self.clock.now() < deadline {
            if let Ok(address) = std::fs::read_to_string(&ready) {
                address.trim().clone_into(&mut self.address);
                self.receiver = Some(receiver);
                return Ok(());
            }
            if let Some(status) = receiver.ended() {
                return Err(self.died("receiver", &status.to_string()));
            }
            self.clock.sleep(LOOK).await;
        }
        Err(Failure::new(
            Exit::TimedOut,
            format!("the receiver was not ready within {READY:?}"),
        ))
    }

    /// Starts the agent.
    ///
    /// # Errors
    /// It cannot be started; that it ends later is seen by [`check`](Self::check).
    pub(crate) fn start_agent(&mut self) -> Result<(), Failure> {
        let (drop, data, url) = (
            self.path("drop"),
            self.path("data"),
            format!("http://{}/ingest", self.address),
        );
        let args = [
            "run",
            "--from",
            &drop,
            "--to",
            &url,
            "--data",
            &data,
            "--log-level",
            "info",
        ];
        self.agent = Some(Child::start(
            "agent",
            &args,
            &self.folder.join("agent.log"),
        )?);
        Ok(())
    }

    /// Kills the receiver: from now on its port refuses connections.
    pub(crate) fn kill_receiver(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.kill();
        }
    }

    /// Kills the agent in the middle of whatever it does.
    pub(crate) fn kill_agent(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.kill();
        }
    }

    /// Drops one file as an ordinary producer does.
    ///
    /// # Errors
    /// It cannot be written.
    #[expect(
        clippy::disallowed_methods,
        reason = "an ordinary producer syncs nothing; the demonstration plays one"
    )]
    pub(crate) fn drop_file(&self, sample: &Sample) -> Result<(), Failure> {
        let drop = self.folder.join("drop");
        let unfinished = drop.join(format!(".{}.part", sample.name));
        std::fs::write(&unfinished, &sample.content)
            .and_then(|()| std::fs::rename(&unfinished, drop.join(&sample.name)))
            .map_err(|error| {
                Failure::new(Exit::Unexpected, format!("cannot drop `{}`", sample.name))
                    .because(error)
            })
    }

    /// How many documents the receiver has stored by now.
    pub(crate) fn stored(&self) -> usize {
        stored_files(&self.store()).map_or(0, |files| files.len())
    }

    /// Makes sure that nobody died who was not killed.
    ///
    /// # Errors
    /// The agent or the receiver ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        let ended = |child: &mut Option<Child>| child.as_mut().and_then(Child::ended);
        if let Some(status) = ended(&mut self.agent) {
            return Err(self.died("agent", &status.to_string()));
        }
        match ended(&mut self.receiver) {
            Some(status) => Err(self.died("receiver", &status.to_string())),
            None => Ok(()),
        }
    }

    /// What the running agent says of itself; nothing while it starts.
    pub(crate) async fn status(&self) -> Option<Status> {
        crate::control::Client::of(&self.data().ok()?)
            .status()
            .await
            .ok()
    }

    /// Stops both in order, and reads the agent's books from its data folder.
    ///
    /// # Errors
    /// One does not stop in order, or the books cannot be read.
    pub(crate) async fn end(mut self) -> Result<Status, Failure> {
        if let Some(agent) = self.agent.take() {
            agent.stop(&self.clock, STOP).await?;
        }
        if let Some(receiver) = self.receiver.take() {
            receiver.stop(&self.clock, STOP).await?;
        }
        let data = self.data()?;
        let config = mainstay_queue::Config {
            clock: self.clock.clone(),
            ..mainstay_queue::Config::default()
        };
        let opened = Opened::take(&data, data.queue(), config, &self.clock).await?;
        let status = crate::status::read_stopped(&opened);
        opened.close().await;
        Ok(status)
    }

    /// Where the receiver keeps what it received.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    fn data(&self) -> Result<crate::data::DataDir, Failure> {
        crate::data::DataDir::at(&self.folder.join("data"))
    }

    fn path(&self, part: &str) -> String {
        self.folder.join(part).display().to_string()
    }

    fn died(&self, who: &str, how: &str) -> Failure {
        let log = self.folder.join(format!("{who}.log"));
        Failure::new(
            Exit::PartDied,
            format!("the {who} ended with {how}, though nobody killed it"),
        )
        .help(format!("read `{}`", log.display()))
    }
}
