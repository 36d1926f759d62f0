//! `mainstay files watch`: what others do to files, as it happens.

use super::backup::{failed, shown};
use crate::cli::WatchArgs;
use crate::exit::{Exit, Failure};
use crate::signals;
use crate::status::date;
use crate::terminal::{self, Count};
use crate::units::Size;
use mainstay_files::{Change, ChangeKind, Stamp, Watch, WatchOptions};
use serde::Serialize;
use std::time::Duration;
use tokio::sync::mpsc;

/// How many changes wait to be printed; a reader that is slower makes the watch wait, which then tells several as one.
const WAITING_MAX: usize = 16;

/// How long the watch goes on after nobody prints any more; the program's end does not wait for it.
const TURN: Duration = Duration::from_secs(1);

/// Prints a line for each change, until it is asked to stop.
///
/// # Errors
/// A file cannot be watched; nothing can be printed.
pub(crate) async fn watch(args: WatchArgs) -> Result<Exit, Failure> {
    let mut options = WatchOptions::default();
    if let Some(settle) = args.settle {
        options.quiet = settle.0;
        options.patience = options.patience.max(settle.0 * 10);
    }
    // Long files take a while to read; until then a signal just ends the program.
    let watch = Watch::start(&args.files, options).map_err(failed(Exit::NoInput))?;
    let mut requests = signals::requests()?;
    for file in &args.files {
        if mainstay_files::facts(file).is_err() {
            terminal::warn(&format!(
                "{} is not there yet; it is told when it comes",
                shown(file)
            ));
        }
    }
    let number = Count(args.files.len() as u64, "file");
    terminal::say(&format!("watching {number}; Ctrl-C ends it"));

    let (tell, mut told) = mpsc::channel(WAITING_MAX);
    let watching = tokio::task::spawn_blocking(move || pass_on(watch, &tell));
    loop {
        let change = tokio::select! {
            _ = requests.next() => return Ok(Exit::Done),
            change = told.recv() => change,
        };
        let Some(change) = change else {
            return watching
                .await
                .map(|()| Exit::Done)
                .map_err(|died| Failure::new(Exit::Unexpected, "the watch died").because(died));
        };
        let line = Told::of(&change);
        terminal::print(&if args.json {
            line.json()?
        } else {
            line.text(&change)
        })?;
        if args.once {
            return Ok(Exit::Done);
        }
    }
}

/// Hands over what happens, until nobody wants it.
fn pass_on(mut watch: Watch, tell: &mpsc::Sender<Change>) {
    while !tell.is_closed() {
        if let Some(change) = watch.next(TURN)
            && tell.blocking_send(change).is_err()
        {
            return;
        }
    }
}

/// A change, in JSON.
#[derive(Debug, Serialize)]
struct Told {
    time: String,
    file: String,
    /// `changed`, `replaced`, `deleted`, `created` or `unreadable`.
    change: &'static str,
    bytes_before: Option<u64>,
    bytes: Option<u64>,
    sha256_before: Option<String>,
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Told {
    fn of(change: &Change) -> Self {
        let hash = |stamp: Option<Stamp>| stamp.map(|stamp| stamp.hash().to_string());
        let len = |stamp: Option<Stamp>| stamp.map(|stamp| stamp.facts().len);
        Self {
            time: date(mainstay_clock::system().wall()),
            file: change.path.display().to_string(),
            change: match change.kind {
                ChangeKind::Replaced => "replaced",
                ChangeKind::Deleted => "deleted",
                ChangeKind::Created => "created",
                ChangeKind::Unreadable(_) => "unreadable",
                _ => "changed",
            },
            bytes_before: len(change.before),
            bytes: len(change.stamp),
            sha256_before: hash(change.before),
            sha256: hash(change.stamp),
            reason: match change.kind {
                ChangeKind::Unreadable(kind) => Some(kind.reason()),
                _ => None,
            },
        }
    }

    fn json(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::from(std::io::Error::other(error)))
    }

    fn text(&self, change: &Change) -> String {
        let size = |bytes: Option<u64>, none: &str| {
            bytes.map_or_else(|| none.to_owned(), |bytes| Size(bytes).to_string())
        };
        let before = size(self.bytes_before, "nothing");
        let after = size(self.bytes, self.reason.unwrap_or("nothing"));
        format!(
            "{}  {}  {before} → {after}  {}",
            self.time,
            self.change,
            shown(&change.path)
        )
    }
}
