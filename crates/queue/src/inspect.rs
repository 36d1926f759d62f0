//! Looking at what is in the queue, and carrying it elsewhere by hand.

use crate::document::{DocumentId, LaneId, State};
use crate::error::Error;
use crate::queue::Queue;
use crate::store::{Body, Document, Standing, Store, StoredBody};
use serde::Serialize;

/// Which documents are listed.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Only on this lane.
    pub lane: Option<LaneId>,
    /// Only in one of these states; empty for any.
    pub states: Vec<State>,
    /// Only those whose id, name, route or last error contains this, in any case.
    pub text: Option<String>,
    /// Only those behind this one in line: the last of the page before.
    pub after: Option<DocumentId>,
    /// At most so many.
    pub limit: usize,
}

impl Default for Filter {
    /// The first 100 of all.
    fn default() -> Self {
        Self {
            lane: None,
            states: Vec::new(),
            text: None,
            after: None,
            limit: 100,
        }
    }
}

/// A document in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Its name.
    pub id: DocumentId,
    /// The name that its producer gave it, with what is not UTF-8 replaced.
    pub source: String,
    /// The route that it came by.
    pub route: String,
    /// How urgent it is.
    pub priority: u8,
    /// How many bytes its body has.
    pub bytes: u64,
    /// When it was stored, ms since 1970.
    pub created: u64,
    /// Where it stands, lane by lane.
    pub lanes: Vec<LaneSummary>,
}

/// Where a document in a list stands on a lane.
#[derive(Clone, Debug, Serialize)]
pub struct LaneSummary {
    /// The lane's name.
    pub lane: String,
    /// Where it stands there.
    pub state: State,
    /// How many attempts have failed.
    pub attempts: u32,
    /// What went wrong last, or why it was given up.
    pub error: Option<String>,
    /// How long until its next attempt, ms.
    pub due_in_ms: Option<u64>,
    /// When it was acknowledged there, ms since 1970; only while it is kept as sent.
    pub sent_at: Option<u64>,
}

/// A document with all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// What a list says of it.
    #[serde(flatten)]
    pub summary: Summary,
    /// What it is, as a media type.
    pub content_type: String,
    /// Further facts that travel with it.
    pub headers: Vec<(String, String)>,
    /// SHA-256 of its body in hexadecimal, where it is known.
    pub sha256: Option<String>,
}

impl Queue {
    /// The documents that a filter asks for, first in line first. Reads each from the disk.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) if the system refuses. What is damaged is left out, counted and reported.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Summary>, Error> {
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        let mut found = Vec::new();
        for id in self
            .raw_store()
            .select(filter.lane, &filter.states, filter.after)
        {
            if found.len() >= filter.limit {
                break;
            }
            let Some((document, standing)) = self.look_up(id)? else {
                continue;
            };
            let summary = self.summary(&document, standing);
            if text.as_ref().is_none_or(|text| summary.mentions(text)) {
                found.push(summary);
            }
        }
        Ok(found)
    }

    /// All that is known of a document.
    ///
    /// # Errors
    /// As [`list`](Queue::list).
    pub fn get(&self, id: DocumentId) -> Result<Option<Detail>, Error> {
        let Some((document, standing)) = self.look_up(id)? else {
            return Ok(None);
        };
        let summary = self.summary(&document, standing);
        Ok(Some(Detail {
            summary,
            content_type: document.content_type,
            headers: document.headers,
            sha256: document.hash.map(|hash| crate::bodies::hex(&hash)),
        }))
    }

    /// The content of a document; `None` if it is not known.
    ///
    /// # Errors
    /// As [`list`](Queue::list); [`Damaged`](crate::ErrorKind::Damaged) if it is.
    pub fn content(&self, id: DocumentId) -> Result<Option<Body>, Error> {
        let Some((document, _)) = self.look_up(id)? else {
            return Ok(None);
        };
        self.raw_store().body(&document).map(Some)
    }

    pub(crate) fn look_up(
        &self,
        id: DocumentId,
    ) -> Result<Option<(Document, Vec<Standing>)>, Error> {
        let store = self.raw_store();
        match store.load(id) {
            Ok(document) => Ok(document.zip(store.standing(id))),
            Err(error) if error.kind() == crate::ErrorKind::Damaged => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn summary(&self, document: &Document, standing: Vec<Standing>) -> Summary {
        let lanes = self.lanes();
        let name = |id: LaneId| {
            lanes
                .iter()
                .find(|lane| lane.id == id)
                .map_or_else(|| format!("lane-{}", id.0), |lane| lane.name.clone())
        };
        let lanes = standing.into_iter().map(|standing| LaneSummary {
            lane: name(standing.lane),
            state: standing.state,
            attempts: standing.attempts,
            error: standing.note.filter(|note| !note.is_empty()),
            sent_at: standing.sent_at,
            due_in_ms: standing.due_in.map(|due| due.as_millis() as u64),
        });
        Summary {
            id: document.id,
            source: String::from_utf8_lossy(&document.source).into_owned(),
            route: document.route.clone(),
            priority: document.priority.number(),
            bytes: match &document.body {
                StoredBody::Inline(bytes) => bytes.len() as u64,
                StoredBody::File(_, len) => *len,
            },
            created: document.created,
            lanes: lanes.collect(),
        }
    }
}

impl Summary {
    fn mentions(&self, lower_case: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(lower_case);
        has(&self.id.to_string())
            || has(&self.source)
            || has(&self.route)
            || self
                .lanes
                .iter()
                .any(|lane| lane.error.as_deref().is_some_and(has))
    }
}
