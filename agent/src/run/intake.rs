//! Where pickup and queue meet: taken files become documents, all of a batch or none.

use super::body::{Unread, read_body};
use super::budgets::Measured;
use super::content_type::content_type;
use crate::config;
use crate::exit::{Exit, Failure};
use mainstay_pickup::{Claim, Content, Intake, Refusal, Taken};
use mainstay_queue::{
    Batch, ClaimId, DocumentId, Error, ErrorKind, LaneId, NewBody, NewDocument, Priority, Queue,
};
use mainstay_supervise::{Held, Holdings, Resource};
use mainstay_work::Operation;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The header that says which station a document comes from.
pub(crate) const STATION: &str = "Mainstay-Station";

/// The intake of one route.
#[derive(Debug, Clone)]
pub(crate) struct RouteIntake {
    pub(crate) queue: Queue,
    pub(crate) template: Template,
    commits: Arc<AtomicUsize>,
    time: Operation<Duration>,
}

/// The intake of one opening of a drop folder. The pickup has it, and each thread that works for it: as long as one of them is left,
/// so is the watch of the folder, and its lock.
#[derive(Debug)]
pub(crate) struct Watched {
    intake: Arc<RouteIntake>,
    _watch: Held<()>,
}

/// A commit that is under way.
struct Commit<'a>(&'a AtomicUsize);

/// What all documents of a route have in common.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) route: String,
    pub(crate) lanes: Vec<LaneId>,
    pub(crate) priority: Priority,
    pub(crate) headers: Vec<(String, String)>,
}

/// The template of a route; its lanes are declared where the queue does not know them yet. Blocks.
///
/// # Errors
/// The queue cannot store a new lane.
pub(crate) fn template(
    queue: &Queue,
    route: &config::Route,
    station: &config::Station,
) -> Result<Template, Failure> {
    let declare = |to: &config::Destination| {
        queue.declare_lane(&to.lane).map_err(|error| {
            Failure::new(
                Exit::StartFailed,
                format!("cannot declare the lane `{}`", to.lane),
            )
            .because(error)
        })
    };
    Ok(Template {
        lanes: route.to.iter().map(declare).collect::<Result<_, _>>()?,
        priority: Priority::new(route.priority).unwrap_or_default(),
        headers: station
            .name
            .iter()
            .map(|name| (STATION.to_owned(), name.clone()))
            .collect(),
        ..Template::of(&route.name)
    })
}

impl Template {
    /// A route of this name that leads nowhere yet.
    pub(crate) fn of(route: &str) -> Self {
        Self {
            route: route.to_owned(),
            lanes: Vec::new(),
            priority: Priority::default(),
            headers: Vec::new(),
        }
    }

    /// A document of this route.
    pub(crate) fn document(
        &self,
        id: DocumentId,
        source: &[u8],
        body: NewBody,
        hash: [u8; 32],
    ) -> NewDocument {
        NewDocument {
            id,
            route: self.route.clone(),
            source: source.to_vec(),
            content_type: content_type(source).to_owned(),
            priority: self.priority,
            headers: self.headers.clone(),
            lanes: self.lanes.clone(),
            hash: Some(hash),
            body,
        }
    }
}

impl Intake for RouteIntake {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        let _commit = self.begin_commit();
        self.time.measure_async(self.store(files)).await
    }

    fn is_committed(&self, claim: Claim) -> bool {
        self.queue.is_claim_committed(claim_id(claim))
    }

    fn closed(&self, claims: Vec<Claim>) {
        self.queue
            .close_claims(claims.into_iter().map(claim_id).collect());
    }

    fn has_room(&self) -> bool {
        self.queue.has_room()
    }
}

impl Watched {
    /// Holds the watch of the route's folder.
    pub(super) fn new(intake: &Arc<RouteIntake>, holdings: &Holdings) -> Self {
        let name = format!("the watch of route `{}`", intake.template.route);
        Self {
            intake: Arc::clone(intake),
            _watch: holdings.hold(Resource::Watcher, &name, (), drop),
        }
    }
}

impl Intake for Watched {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        self.intake.commit(files).await
    }

    fn is_committed(&self, claim: Claim) -> bool {
        self.intake.is_committed(claim)
    }

    fn closed(&self, claims: Vec<Claim>) {
        self.intake.closed(claims);
    }

    fn has_room(&self) -> bool {
        self.intake.has_room()
    }
}

impl RouteIntake {
    pub(super) fn new(queue: Queue, template: Template, measured: &Measured) -> Self {
        Self {
            queue,
            template,
            commits: Arc::default(),
            time: measured.intake.clone(),
        }
    }

    async fn store(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        let intake = self.clone();
        let single = match files.as_slice() {
            [file] => Some(file.claim),
            _ => None,
        };
        let reading = tokio::task::spawn_blocking(move || intake.batch(files)).await;
        let batch = reading
            .map_err(|died| Refusal::Failed(format!("reading the taken files died: {died}")))??;
        self.queue
            .enqueue_batch(batch)
            .await
            .map(drop)
            .map_err(|error| refusal(&error, single))
    }

    /// Whether something waits for the queue, and so for its disk.
    pub(super) fn is_committing(&self) -> bool {
        0 < self.commits.load(Ordering::Relaxed)
    }

    fn begin_commit(&self) -> Commit<'_> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        Commit(&self.commits)
    }

    fn batch(&self, files: Vec<Taken>) -> Result<Batch, Refusal> {
        let mut batch = Batch::default();
        for file in files {
            let (body, hash) = match file.content {
                Content::Bytes(bytes) => (NewBody::Inline(bytes.into()), file.sha256),
                Content::File(content) => read_body(&self.queue, content)
                    .map_err(|unread| unreadable(unread, file.claim))?,
            };
            if hash != file.sha256 {
                return Err(Refusal::Failed(format!(
                    "`{}` changed while it was stored",
                    file.relative.display()
                )));
            }
            batch.claims.push(claim_id(file.claim));
            // The claim was made before the file was touched and is kept until it is archived, so it names the document too:
            // whatever is interrupted and repeated, one claim is one document.
            let id = DocumentId::from_bytes(file.claim.to_bytes());
            batch
                .documents
                .push(self.template.document(id, file.name.as_bytes(), body, hash));
        }
        Ok(batch)
    }
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The queue's name for a claim.
pub(crate) fn claim_id(claim: Claim) -> ClaimId {
    ClaimId::from_bytes(claim.to_bytes())
}

fn unreadable(unread: Unread, claim: Claim) -> Refusal {
    match unread {
        Unread::Source(error) => Refusal::Failed(format!("a taken file cannot be read: {error}")),
        Unread::TooLarge => Refusal::Rejected {
            claim,
            reason: "it is larger than 256 MiB".to_owned(),
        },
        Unread::Queue(error) => refusal(&error, Some(claim)),
    }
}

/// Only a file that came alone can be blamed for a refusal.
fn refusal(error: &Error, single: Option<Claim>) -> Refusal {
    match (error.kind(), single) {
        (ErrorKind::Full | ErrorKind::ReadOnly, _) => Refusal::Full(error.to_string()),
        (ErrorKind::TooLarge | ErrorKind::Invalid, Some(claim)) => Refusal::Rejected {
            claim,
            reason: error.to_string(),
        },
        _ => Refusal::Failed(error.to_string()),
    }
}
