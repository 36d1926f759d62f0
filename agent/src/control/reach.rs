//! The queue of a data folder, by whichever way it can be reached: through the running agent, or opened by ourselves.

use super::client::{Client, answers};
use super::desk::Desk;
use super::views::{
    Document, Export, List, Move, Moved, Redeliver, Redelivered, Repaired, Submission, Submitted,
    Verified,
};
use crate::cli::PlaceArgs;
use crate::config::{self, Settings};
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::opened::Opened;
use crate::run::{Template, describe_damage, queue_config, template};
use crate::status::{Status, read_stopped};
use crate::terminal;
use axum::body::Body;
use futures_util::TryStreamExt;
use mainstay_files::Lock;
use mainstay_queue::{Exported, Imported};
use mainstay_work::Counter;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::io::ReaderStream;

/// A way to the queue.
#[derive(Debug)]
pub(crate) enum Reach {
    /// An agent runs, and is asked.
    Agent(Client),
    /// No agent runs: the folder is ours until [`done`](Reach::done).
    Folder(Box<(Opened, Desk)>),
}

/// What the queue is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To look at what is there, and to move it; where there is nothing, nothing is made.
    Look,
    /// To hand documents over; a data folder is made where there is none.
    Submit,
}

/// An agent that was there a moment ago is looked for so often, each time after so long: one that does not come back within 3 s has
/// ended, as one that is locked for so long is in use.
const LOOKS: u32 = 30;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What is handed over.
#[derive(Debug)]
pub(crate) enum Input {
    /// A file, and who counts what is read of it.
    File(PathBuf, Option<Counter>),
    /// Standard input.
    Standard,
}

impl Reach {
    /// Finds the way.
    ///
    /// # Errors
    /// There is nothing at that place, or somebody else has it locked and does not answer.
    pub(crate) async fn open(place: &PlaceArgs, purpose: Purpose) -> Result<Self, Failure> {
        let data = DataDir::of(place)?;
        if answers(&data).await {
            return Ok(Self::Agent(Client::of(&data)));
        }
        let settings = settings(place, &data)?;
        if purpose == Purpose::Look && !settings.queue.dir.exists() {
            return Err(no_queue(&data));
        }
        let clock = mainstay_clock::system();
        let config = queue_config(&settings, &clock);
        let opened = match Opened::take(&data, settings.queue.dir.clone(), config, &clock).await {
            // An agent that was just starting has it, and answers by now.
            Err(failure) if failure.exit() == Exit::InUse && answers(&data).await => {
                drop(failure);
                return Ok(Self::Agent(Client::of(&data)));
            }
            opened => opened?,
        };
        let routes = match purpose {
            Purpose::Look => Vec::new(),
            Purpose::Submit => routes(&opened, settings, place).await?,
        };
        let desk = Desk::new(opened.queue.clone(), routes);
        Ok(Self::Folder(Box::new((opened, desk))))
    }

    /// The status of whoever is there; asked again for a while where an agent begins another life just then, which answers nobody
    /// for a moment.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`status`](Self::status).
    pub(crate) async fn look(place: &PlaceArgs) -> Result<Status, Failure> {
        let clock = mainstay_clock::system();
        let mut looks = 0;
        loop {
            let reach = Self::open(place, Purpose::Look).await?;
            let status = reach.status().await;
            let asked = matches!(reach, Self::Agent(_));
            reach.done().await;
            match status {
                Err(failure) if asked && failure.exit() == Exit::NotRunning && looks < LOOKS => {
                    looks += 1;
                    clock.sleep(LOOK_AGAIN).await;
                }
                status => return status,
            }
        }
    }

    /// The status.
    ///
    /// # Errors
    /// As the [`Client`] or the [`Desk`] has them; so for all of these.
    pub(crate) async fn status(&self) -> Result<Status, Failure> {
        match self {
            Self::Agent(client) => client.status().await,
            Self::Folder(here) => Ok(read_stopped(&here.0)),
        }
    }

    /// Documents, first in line first.
    pub(crate) async fn list(&self, wish: &List) -> Result<Vec<Document>, Failure> {
        match self {
            Self::Agent(client) => client.list(wish).await,
            Self::Folder(here) => here.1.list(wish),
        }
    }

    /// One document.
    pub(crate) async fn show(&self, id: &str) -> Result<Document, Failure> {
        match self {
            Self::Agent(client) => client.show(id).await,
            Self::Folder(here) => here.1.show(id),
        }
    }

    /// A document's content.
    pub(crate) async fn content(&self, id: &str) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Agent(client) => client.content(id).await,
            Self::Folder(here) => here.1.content(id),
        }
    }

    /// Moves documents by hand.
    pub(crate) async fn change(&self, wish: &Move) -> Result<Moved, Failure> {
        match self {
            Self::Agent(client) => client.change(wish).await,
            Self::Folder(here) => {
                let (desk, wish) = (here.1.clone(), wish.clone());
                aside("moving the documents", move || desk.change(&wish, &mut ())).await
            }
        }
    }

    /// Sends again what was delivered.
    pub(crate) async fn redeliver(&self, wish: &Redeliver) -> Result<Redelivered, Failure> {
        match self {
            Self::Agent(client) => client.redeliver(wish).await,
            Self::Folder(here) => {
                let (desk, wish) = (here.1.clone(), wish.clone());
                aside("sending them again", move || desk.redeliver(&wish, &mut ())).await
            }
        }
    }

    /// Sets aside what cannot be read; only where no agent runs.
    pub(crate) async fn repair(&self) -> Result<Repaired, Failure> {
        match self {
            Self::Agent(client) => {
                let pid = client.status().await.ok().and_then(|status| status.pid);
                let stop = pid.map_or_else(String::new, |pid| format!(" (kill {pid})"));
                Err(Failure::new(Exit::InUse, "cannot repair the queue: its agent runs").help(format!(
                    "`mainstay queue verify` reads everything beside it\nstop it first{stop} to have damage set aside; it does so by itself at every start, too"
                )))
            }
            Self::Folder(here) => here.1.repair(&here.0).await,
        }
    }

    /// Writes documents as an archive.
    pub(crate) async fn export(
        &self,
        wish: &Export,
        archive: &mut impl Write,
    ) -> Result<Exported, Failure> {
        match self {
            Self::Agent(client) => client.export(wish, archive).await,
            Self::Folder(here) => here.1.export(wish, archive),
        }
    }

    /// Stores the documents of an archive.
    pub(crate) async fn import(&self, input: Input) -> Result<Imported, Failure> {
        match (self, input) {
            (Self::Agent(client), Input::File(path, counter)) => {
                let file = tokio::fs::File::open(&path)
                    .await
                    .map_err(|error| no_input(&path, error))?;
                let pieces = ReaderStream::new(file);
                let counted = pieces.inspect_ok(move |piece| count(counter.as_ref(), piece.len()));
                client.import(Body::from_stream(counted)).await
            }
            (Self::Agent(client), Input::Standard) => {
                let archive = ReaderStream::new(tokio::io::stdin());
                client.import(Body::from_stream(archive)).await
            }
            (Self::Folder(here), input) => {
                let archive: Box<dyn Read + Send> = match input {
                    Input::File(path, counter) => {
                        let file = File::open(&path).map_err(|error| no_input(&path, error))?;
                        Box::new(Counted { file, counter })
                    }
                    Input::Standard => Box::new(std::io::stdin()),
                };
                let desk = here.1.clone();
                aside("importing", move || desk.import(archive)).await
            }
        }
    }

    /// Hands a document over; it is durable when this returns.
    pub(crate) async fn submit(
        &self,
        submission: Submission,
        input: Input,
    ) -> Result<Submitted, Failure> {
        match (self, input) {
            (Self::Agent(client), Input::File(path, _)) => {
                let file = tokio::fs::File::open(&path)
                    .await
                    .map_err(|error| no_input(&path, error))?;
                client
                    .submit(&submission, Body::from_stream(ReaderStream::new(file)))
                    .await
            }
            (Self::Agent(client), Input::Standard) => {
                let body = Body::from_stream(ReaderStream::new(tokio::io::stdin()));
                client.submit(&submission, body).await
            }
            (Self::Folder(here), Input::File(path, _)) => {
                let file = std::fs::File::open(&path).map_err(|error| no_input(&path, error))?;
                here.1.submit(submission, file).await
            }
            (Self::Folder(here), Input::Standard) => {
                here.1.submit(submission, std::io::stdin()).await
            }
        }
    }

    /// Gives the folder back, if it was ours.
    pub(crate) async fn done(self) {
        if let Self::Folder(here) = self {
            let (opened, desk) = *here;
            drop(desk);
            opened.close().await;
        }
    }
}

/// Does what blocks on a thread of its own. Nobody else is here who would have to know of it: the command ends with it.
async fn aside<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|died| {
        Err(Failure::new(Exit::Unexpected, format!("{what} died")).because(died))
    })
}

/// A file that is read, and counted.
struct Counted {
    file: File,
    counter: Option<Counter>,
}

impl Read for Counted {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(bytes)?;
        count(self.counter.as_ref(), read);
        Ok(read)
    }
}

fn count(counter: Option<&Counter>, bytes: usize) {
    if let Some(counter) = counter {
        counter.add(bytes as u64);
    }
}

/// Reads every document back and changes nothing: beside a running agent, or with the folder locked for so long.
///
/// # Errors
/// There is no queue, or somebody else has it.
pub(crate) async fn verify_at_rest(place: &PlaceArgs) -> Result<Verified, Failure> {
    let data = DataDir::of(place)?;
    if answers(&data).await {
        return Client::of(&data).verify().await;
    }
    let settings = settings(place, &data)?;
    if !settings.queue.dir.exists() {
        return Err(no_queue(&data));
    }
    let clock = mainstay_clock::system();
    let held = crate::opened::lock(&data, &clock).await;
    if matches!(&held, Err(failure) if failure.exit() == Exit::InUse) && answers(&data).await {
        return Client::of(&data).verify().await;
    }
    let _held = held?;
    let config = queue_config(&settings, &clock);
    let folder = settings.queue.dir.clone();
    // The queue may lie elsewhere, where another data folder names it too.
    let _queue = Lock::acquire(&folder.join("LOCK")).map_err(|error| {
        let exit = match error.kind() {
            mainstay_files::ErrorKind::Locked => Exit::InUse,
            _ => Exit::StartFailed,
        };
        let message = format!("cannot lock the queue in `{}`", folder.display());
        Failure::new(exit, message).because(error)
    })?;
    let found = tokio::task::spawn_blocking(move || mainstay_queue::verify(&folder, &config));
    let found = found
        .await
        .map_err(|died| Failure::new(Exit::Unexpected, "reading the queue died").because(died))?
        .map_err(|error| {
            let exit = match error.kind() {
                mainstay_queue::ErrorKind::NotFound => Exit::NotRunning,
                mainstay_queue::ErrorKind::Damaged => Exit::Damaged,
                _ => Exit::Unexpected,
            };
            Failure::new(exit, "cannot verify the queue").because(error)
        })?;
    Ok(Verified {
        documents: found.documents,
        bytes: found.bytes,
        ledger: found.ledger.into(),
        damage: found.damage.iter().map(describe_damage).collect(),
    })
}

/// The settings; the queue can be looked at without the configuration, unless it was asked for by name.
fn settings(place: &PlaceArgs, data: &DataDir) -> Result<Settings, Failure> {
    match config::load(place, data) {
        Err(failure) if place.config.is_none() => {
            terminal::warn(&format!(
                "the configuration cannot be used, and the defaults are taken\n{failure}"
            ));
            config::defaults(data)
        }
        loaded => loaded,
    }
}

fn no_queue(data: &DataDir) -> Failure {
    if data.path().is_file() {
        let message = format!("`{}` is a file, not a data folder", data.path().display());
        return Failure::new(Exit::NotRunning, message).help("name the folder with --data");
    }
    let message = format!(
        "no agent runs on the data folder `{}`, and it holds no queue",
        data.path().display()
    );
    Failure::new(Exit::NotRunning, message).help("name the right folder with --data")
}

fn no_input(path: &std::path::Path, error: std::io::Error) -> Failure {
    let help = crate::commands::advice(&error);
    Failure::new(Exit::NoInput, format!("cannot read `{}`", path.display()))
        .because(error)
        .help(help)
}

/// The routes of the configuration; without one, those that the queue knows from the last run, else the defaults.
async fn routes(
    opened: &Opened,
    settings: Settings,
    place: &PlaceArgs,
) -> Result<Vec<Template>, Failure> {
    let lanes = opened.queue.lanes();
    if place.config.is_none() && settings.is_default && !lanes.is_empty() {
        let mut known: BTreeMap<&str, Template> = BTreeMap::new();
        for lane in &lanes {
            let route = lane.name.split('/').next().unwrap_or_default();
            known
                .entry(route)
                .or_insert_with(|| Template::of(route))
                .lanes
                .push(lane.id);
        }
        return Ok(known.into_values().collect());
    }
    let queue = opened.queue.clone();
    let declaring = tokio::task::spawn_blocking(move || {
        let routes = settings.routes.iter();
        routes
            .map(|route| template(&queue, route, &settings.station))
            .collect()
    });
    declaring
        .await
        .map_err(|died| Failure::new(Exit::Unexpected, "declaring the lanes died").because(died))?
}
