//! Reading everything, at rest and in use, and setting aside what cannot be read.

use super::{Desk, unreadable};
use crate::control::views::{Repaired, Verified};
use crate::exit::{Exit, Failure};
use crate::hash::{hex, sha256};
use crate::opened::Opened;
use crate::run::{Course, describe_damage};
use mainstay_queue::{Body, DocumentId, ErrorKind, Filter};
use mainstay_work::Unit;

/// Documents that are listed at once.
const PAGE: usize = 1_000;

/// Why a document went to the dead letters.
const CHANGED: &str = "its content is not what was stored";

/// What reading every document found.
#[derive(Debug, Default)]
struct Read {
    documents: u64,
    bytes: u64,
    /// Documents whose content is not what was stored, though they are known; and what is wrong with each.
    changed: Vec<(DocumentId, String)>,
}

impl Desk {
    /// Reads every document back. Blocks.
    ///
    /// # Errors
    /// The disk refuses, or it is to give up; what is damaged is part of the answer.
    pub(crate) fn verify(&self, course: &mut dyn Course) -> Result<Verified, Failure> {
        let read = self.read_all(course)?;
        let status = self.queue.status();
        let mut damage: Vec<String> = read.changed.into_iter().map(|(_, what)| what).collect();
        damage.extend(status.damage.iter().map(describe_damage));
        Ok(Verified {
            documents: read.documents,
            bytes: read.bytes,
            ledger: status.ledger.into(),
            damage,
        })
    }

    /// Reads every document back, sets aside what cannot be read, and gives space back. `opened` is the folder that this
    /// queue was opened in: opening it has set aside what it met.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) async fn repair(&self, opened: &Opened) -> Result<Repaired, Failure> {
        let desk = self.clone();
        let reading = tokio::task::spawn_blocking(move || desk.read_all(&mut ()));
        let died = |died| Failure::new(Exit::Unexpected, "reading the queue died").because(died);
        let read = reading.await.map_err(died)??;
        let mut damage: Vec<String> = Vec::new();
        let mut buried = 0;
        for (id, what) in read.changed {
            let moved = self.queue.bury(id, None, CHANGED).await;
            buried += u64::from(moved.map_err(|error| unreadable("bury the document", error))? > 0);
            damage.push(what);
        }
        let queue = self.queue.clone();
        let log = tokio::task::spawn_blocking(move || queue.compact())
            .await
            .map_err(died)?;
        let status = self.queue.status();
        let lost_now = status
            .ledger
            .unreadable
            .saturating_sub(opened.unreadable_before);
        damage.extend(status.damage.iter().map(describe_damage));
        let copies = status
            .damage
            .iter()
            .filter(|damage| damage.copied_to.is_some());
        Ok(Repaired {
            documents: read.documents,
            bytes: read.bytes,
            ledger: status.ledger.into(),
            lost: lost_now,
            buried,
            copies: copies.count() as u64,
            damaged_folder: opened.queue_dir.join("damaged"),
            log,
            damage,
        })
    }

    fn read_all(&self, course: &mut dyn Course) -> Result<Read, Failure> {
        course.phase("reading", Unit::Items, None);
        let mut read = Read::default();
        let mut page = Filter {
            limit: PAGE,
            ..Filter::default()
        };
        loop {
            let found = self
                .queue
                .list(&page)
                .map_err(|error| unreadable("list the documents", error))?;
            let Some(last) = found.last() else { break };
            page.after = Some(last.id);
            for summary in &found {
                course.done(1)?;
                match self.read_back(summary.id) {
                    Ok(()) => {
                        read.documents += 1;
                        read.bytes += summary.bytes;
                    }
                    // It was dropped, and is among the damage of the queue.
                    Err(None) => {}
                    Err(Some(why)) => {
                        let what = format!("document {}: {why}", summary.id);
                        read.changed.push((summary.id, what));
                    }
                }
            }
        }
        Ok(read)
    }

    /// Reads one document's content against its checksum; one that was settled meanwhile is fine. The error says what is
    /// wrong with it, unless the queue itself has found that and says so.
    fn read_back(&self, id: DocumentId) -> Result<(), Option<String>> {
        let body = self
            .queue
            .content(id)
            .map_err(|error| (error.kind() != ErrorKind::Damaged).then(|| error.to_string()))?;
        let Some(Body::File(file, _)) = body else {
            return Ok(());
        };
        let hash = hex(&sha256(file).map_err(|error| Some(error.to_string()))?);
        let detail = self.queue.get(id);
        let expected = detail.ok().flatten().and_then(|detail| detail.sha256);
        match expected {
            Some(expected) if expected != hash => Err(Some(CHANGED.to_owned())),
            _ => Ok(()),
        }
    }
}
