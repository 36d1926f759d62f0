//! What can be asked of a queue and done with its documents, by whoever has it open.

mod carrying;
mod moving;
mod redelivering;
mod repairing;
mod submitting;

use super::views::{Document, List};
use crate::exit::{Exit, Failure};
use crate::run::Template;
use mainstay_queue::{Body, DocumentId, Error, ErrorKind, Filter, LaneId, Queue};
use std::io::Read;

/// A queue, and the routes that documents can be submitted to.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    queue: Queue,
    routes: Vec<Template>,
}

impl Desk {
    /// A desk for an open queue.
    pub(crate) fn new(queue: Queue, routes: Vec<Template>) -> Self {
        Self { queue, routes }
    }

    /// Documents, first in line first. Blocks.
    ///
    /// # Errors
    /// No such lane, or the disk refuses.
    pub(crate) fn list(&self, wish: &List) -> Result<Vec<Document>, Failure> {
        let filter = Filter {
            lane: self.lane(wish.lane.as_deref())?,
            states: wish.state.into_iter().collect(),
            text: wish.text.clone(),
            limit: wish.limit,
            ..Filter::default()
        };
        let found = self
            .queue
            .list(&filter)
            .map_err(|error| unreadable("list the documents", error))?;
        Ok(found.into_iter().map(Document::from).collect())
    }

    /// One document. Blocks.
    ///
    /// # Errors
    /// It is not known, or the disk refuses.
    pub(crate) fn show(&self, id: &str) -> Result<Document, Failure> {
        let found = self
            .queue
            .get(parsed(id)?)
            .map_err(|error| unreadable("read the document", error))?;
        found.map(Document::from).ok_or_else(|| no_such(id))
    }

    /// A document's content. Blocks.
    ///
    /// # Errors
    /// As [`show`](Self::show), or it is damaged.
    pub(crate) fn content(&self, id: &str) -> Result<Vec<u8>, Failure> {
        let body = self
            .queue
            .content(parsed(id)?)
            .map_err(|error| unreadable("read the content", error))?;
        let mut bytes = Vec::new();
        match body.ok_or_else(|| no_such(id))? {
            Body::Bytes(content) => bytes.extend(content),
            Body::File(mut file, _) => {
                file.read_to_end(&mut bytes).map_err(|error| {
                    Failure::new(Exit::Damaged, format!("cannot read the content of {id}"))
                        .because(error)
                })?;
            }
        }
        Ok(bytes)
    }

    fn lane(&self, name: Option<&str>) -> Result<Option<LaneId>, Failure> {
        let Some(name) = name else { return Ok(None) };
        let lanes = self.queue.lanes();
        if let Some(lane) = lanes.iter().find(|lane| lane.name == name) {
            return Ok(Some(lane.id));
        }
        let known: Vec<&str> = lanes.iter().map(|lane| lane.name.as_str()).collect();
        let failure = Failure::new(Exit::NoSuchDocument, format!("there is no lane `{name}`"));
        Err(failure.help(format!("lanes: {}", known.join(", "))))
    }
}

fn parsed(id: &str) -> Result<DocumentId, Failure> {
    id.parse().map_err(|_| {
        Failure::new(
            Exit::NoSuchDocument,
            format!("`{id}` is not the id of a document"),
        )
        .help(
            "ids look like 0197a3f2-5a1b-7c3d-8e4f-0123456789ab; `mainstay queue list` shows them",
        )
    })
}

fn no_such(id: &str) -> Failure {
    Failure::new(
        Exit::NoSuchDocument,
        format!("no document {id} is in the queue"),
    )
    .help("delivered documents are kept for `queue.retain_after_ack` only")
}

fn unreadable(doing: &str, error: Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::Damaged => Exit::Damaged,
        ErrorKind::NotFound => Exit::NoSuchDocument,
        _ => Exit::Unexpected,
    };
    Failure::new(exit, format!("cannot {doing}")).because(error)
}
