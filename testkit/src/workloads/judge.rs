//! Holds a queue that was opened again against what was told of it.

use super::content::hash;
use super::facts::{Facts, Together, word};
use crate::tracer::unwatched;
use anyhow::{Context, Result};
use mainstay_queue::{Body, Config, DocumentId, Filter, Queue, Recovery, Summary};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// The route of documents that a check itself stores, to see whether the queue goes on.
pub(super) const PROBE: &str = "probe";

/// More than any workload stores.
const ALL: usize = 100_000;

/// Everything in the queue, and what is wrong with it in itself.
pub(super) struct Inventory {
    pub(super) documents: BTreeMap<DocumentId, Summary>,
    pub(super) wrong: Vec<String>,
}

/// Reads every document of a queue.
pub(super) fn inventory(queue: &Queue, recovery: &Recovery) -> Result<Inventory> {
    let mut wrong = Vec::new();
    if !recovery.damage.is_empty() || recovery.documents_unreadable != 0 {
        wrong.push(format!("the start reports damage: {:?}", recovery.damage));
    }
    if recovery.unbalanced != 0 {
        wrong.push(format!(
            "the start is short of {} documents",
            recovery.unbalanced
        ));
    }
    let ledger = queue.ledger();
    if !ledger.is_balanced() || ledger.unreadable != 0 {
        wrong.push(format!("the ledger is {ledger:?}"));
    }
    let filter = Filter {
        limit: ALL,
        ..Filter::default()
    };
    let mut documents = BTreeMap::new();
    for summary in queue.list(&filter)? {
        if summary.route != PROBE {
            documents.insert(summary.id, summary);
        }
    }
    Ok(Inventory { documents, wrong })
}

/// What is wrong with a queue, by what was told of it.
pub(super) fn differences(
    queue: &Queue,
    recovery: &Recovery,
    facts: &Facts,
) -> Result<Vec<String>> {
    let Inventory {
        documents,
        mut wrong,
    } = inventory(queue, recovery)?;
    for (id, known) in &facts.documents {
        let standing = documents
            .get(id)
            .and_then(|summary| summary.lanes.first())
            .map(|lane| word(lane.state));
        if !known.may_be.contains(&standing) {
            wrong.push(format!(
                "document {id} is {standing:?}, and may be {:?}",
                known.may_be
            ));
        }
        if standing.is_some() && content_hash(queue, *id)? != known.hash {
            wrong.push(format!("document {id} is not what was offered"));
        }
    }
    for id in documents
        .keys()
        .filter(|id| !facts.documents.contains_key(id))
    {
        wrong.push(format!("nobody offered document {id}"));
    }
    for together in &facts.together {
        wrong.extend(apart(queue, together, facts, &documents));
    }
    for (archive, (count, is_confirmed)) in &facts.archives {
        wrong.extend(unwatched(|| {
            archive_lacks(Path::new(archive), *count, *is_confirmed)
        }));
    }
    wrong.extend(goes_on(queue));
    Ok(wrong)
}

/// The SHA-256 of a document's content, in hexadecimal.
pub(super) fn content_hash(queue: &Queue, id: DocumentId) -> Result<String> {
    let body = queue.content(id)?.context("it was there a moment ago")?;
    let bytes = match body {
        Body::Bytes(bytes) => bytes.to_vec(),
        Body::File(mut file, _) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            bytes
        }
    };
    Ok(hash(&bytes))
}

/// A batch is there as a whole with its claim, or not at all.
fn apart(
    queue: &Queue,
    together: &Together,
    facts: &Facts,
    documents: &BTreeMap<DocumentId, Summary>,
) -> Option<String> {
    // What is sent was there, and need not be kept.
    let was_sent = |id: &DocumentId| {
        let known = facts.documents.get(id);
        known.is_some_and(|known| known.may_be.contains(&Some("sent")))
    };
    let there = together
        .documents
        .iter()
        .filter(|id| documents.contains_key(id) || was_sent(id))
        .count();
    let has_claim = queue.is_claim_committed(together.claim);
    let is_whole = there == together.documents.len() && (has_claim || together.may_be_closed);
    let is_gone = there == 0 && !has_claim;
    (!is_whole && !is_gone).then(|| {
        format!(
            "of a batch of {} there are {there}, its claim is known: {has_claim}",
            together.documents.len()
        )
    })
}

/// An archive that was confirmed has everything; any that is there is whole.
fn archive_lacks(path: &Path, count: u64, is_confirmed: bool) -> Option<String> {
    if !path.exists() {
        return is_confirmed.then(|| format!("the archive {} is gone", path.display()));
    }
    let imported = || -> Result<u64> {
        // Outside of the disk that fails.
        let folder = tempfile::tempdir()?;
        let (queue, _) = Queue::open(folder.path(), Config::default())?;
        Ok(queue.import(std::fs::File::open(path)?)?.accepted)
    };
    match imported() {
        Ok(accepted) if accepted == count => None,
        other => Some(format!("of {count} documents the archive has {other:?}")),
    }
}

/// Whether the queue takes and offers documents now.
fn goes_on(queue: &Queue) -> Option<String> {
    let stored = || -> Result<()> {
        let lane = queue.declare_lane("probe")?;
        let mut document = mainstay_queue::NewDocument::new(vec![lane], "probe");
        PROBE.clone_into(&mut document.route);
        queue.enqueue_blocking(document)?;
        queue.try_lease(lane).context("nothing is offered")?;
        Ok(())
    };
    stored()
        .err()
        .map(|error| format!("the queue does not go on: {error:#}"))
}
