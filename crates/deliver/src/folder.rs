//! Documents into a local folder: each one whole, on the disk, once.

mod config;
mod name;
mod placement;
mod sweep;
mod turn;

pub use config::FolderConfig;

use crate::destination::{Checking, Sending};
use crate::template::Template;
use crate::{Checked, Destination, Error, Outcome, Outgoing};
use mainstay_clock::{Clock, SharedClock};
use mainstay_queue::DocumentId;
use mainstay_resilience::{Category, within};
use mainstay_wire::shown_path;
use placement::Placement;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::task::JoinError;
use turn::Turn;

/// A person waits for a look; a folder that hangs never answers.
const LOOK: Duration = Duration::from_secs(10);

/// A folder that documents are delivered to.
///
/// A file appears there whole, under a name that is safe on every system, after its bytes are on the disk. What is there is
/// never replaced: of several documents with one name the second is called "name (2)". The same document never makes a second
/// file, whatever happens between the first one and its acknowledgement; how that is known is drawn in `folder/placement.rs`.
/// The folder `.mainstay` in it holds what is needed for that; it is empty when nothing is on its way.
///
/// A folder that is missing, full or not writable holds the destination. It is never created: create it yourself, so that a
/// share that is not mounted is noticed.
pub struct Folder {
    inner: Arc<Inner>,
    shown: String,
}

struct Inner {
    path: PathBuf,
    name: Template,
    mode: u32,
    clock: SharedClock,
    swept: Once,
}

impl Folder {
    /// Checks every setting; the folder itself is looked at with each document.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Setting`](crate::ErrorKind::Setting) for a name with `/` or a wrong placeholder in it, or an empty one.
    pub fn new(config: &FolderConfig, clock: SharedClock) -> Result<Self, Error> {
        if config.name.is_empty() || config.name.contains(['/', '\\']) {
            return Err(Error::setting(format!(
                "`{}` is not a single file name; write it like {{name}} or {{id}}-{{name}}",
                config.name
            )));
        }
        let inner = Inner {
            path: config.path.clone(),
            name: Template::parse(&config.name)?,
            mode: config.mode,
            clock,
            swept: Once::new(),
        };
        Ok(Self {
            inner: Arc::new(inner),
            shown: shown_path(&config.path),
        })
    }
}

impl Destination for Folder {
    fn address(&self) -> &str {
        &self.shown
    }

    fn send(&self, document: Outgoing) -> Sending<'_> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let placing = tokio::task::spawn_blocking(move || inner.place(document));
            placing.await.unwrap_or_else(|error| {
                let reason = format!("the delivery to the folder ended early: {error}");
                Outcome::retry(Category::Internal, reason)
            })
        })
    }

    fn check<'a>(&'a self, _route: &'a str) -> Checking<'a> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let clock = SharedClock::clone(&inner.clock);
            let looking = tokio::task::spawn_blocking(move || placement::look(&inner.path));
            self.looked(looking, &*clock).await
        })
    }

    fn acknowledged(&self, id: DocumentId) {
        let mark = placement::mark(&self.inner.path, &id.to_string());
        // Not waited for: a mark that is left behind is removed by a later sweep.
        drop(tokio::task::spawn_blocking(move || {
            mainstay_files::remove(&mark)
        }));
    }
}

impl Folder {
    /// What a look came to. The thread that looks cannot be ended where the folder hangs, and is not waited for then.
    async fn looked(
        &self,
        looking: impl Future<Output = Result<Checked, JoinError>>,
        clock: &dyn Clock,
    ) -> Checked {
        let Some(looked) = within(clock, LOOK, looking).await else {
            let (shown, seconds) = (&self.shown, LOOK.as_secs());
            return Checked::failing(format!(
                "`{shown}` did not answer within {seconds} s; see whether its share or disk hangs"
            ));
        };
        looked.unwrap_or_else(|error| {
            Checked::failing(format!("the look at the folder ended early: {error}"))
        })
    }
}

impl Inner {
    fn place(&self, document: Outgoing) -> Outcome {
        let name = name::first(&self.name, &document);
        let id = document.id.to_string();
        let _turn = Turn::take(&self.path, &id);
        let placement = Placement::new(
            self.path.clone(),
            id,
            name,
            self.mode,
            document.hash,
            document.body,
        );
        let outcome = placement.run();
        if matches!(outcome, Outcome::Delivered | Outcome::AlreadyThere) {
            self.swept
                .call_once(|| sweep::sweep(&placement::own_folder(&self.path), self.clock.wall()));
        }
        outcome
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder")
            .field("path", &self.shown)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests make the files that stand in the way"
)]
mod tests;
