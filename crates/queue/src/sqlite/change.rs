//! What each operation changes in the database.

use super::{Answer, SqliteStore, lock};
use crate::document::{ClaimId, DocumentId, LaneId, NewBody, Receipt, State};
use crate::error::{Error, ErrorKind};
use crate::record::{self, cut_note, state_byte};
use crate::store::{Op, Outcome, Verdict};
use rusqlite::{Transaction, params};

impl SqliteStore {
    pub(super) fn run(
        &self,
        transaction: &Transaction<'_>,
        op: &Op,
    ) -> Result<Answer, rusqlite::Error> {
        match op {
            Op::Enqueue { documents, claims } => self.enqueue(transaction, documents, claims),
            Op::Settle {
                id,
                lane,
                verdict,
                note,
            } => self.settle(transaction, *id, *lane, *verdict, note),
            Op::Retry {
                id,
                lane,
                after,
                note,
            } => {
                let due = self.clock.wall().saturating_add(after.as_millis() as u64);
                let changed = transaction.execute(
                    "UPDATE deliveries SET state = 1, attempts = attempts + 1, note = ?3, due = ?4
                     WHERE id = ?1 AND lane = ?2 AND state IN (0, 1)",
                    params![id.to_bytes(), lane.0, cut_note(note), due as i64],
                )?;
                lock(&self.leased).remove(&(*id, *lane));
                Ok(Ok(if changed == 0 {
                    Outcome::NotFound
                } else {
                    Outcome::Done
                }))
            }
            Op::CloseClaims(claims) => {
                for claim in claims {
                    transaction.execute("DELETE FROM claims WHERE id = ?1", [claim.to_bytes()])?;
                }
                Ok(Ok(Outcome::Done))
            }
            Op::DeclareLane(name) => {
                transaction.execute(
                    "INSERT OR IGNORE INTO lanes SELECT COALESCE(MAX(lane) + 1, 0), ?1 FROM lanes",
                    [name],
                )?;
                let lane = transaction.query_row(
                    "SELECT lane FROM lanes WHERE name = ?1",
                    [name],
                    |row| row.get(0),
                )?;
                Ok(Ok(Outcome::Lane(LaneId(lane))))
            }
        }
    }

    fn enqueue(
        &self,
        transaction: &Transaction<'_>,
        documents: &[crate::NewDocument],
        claims: &[ClaimId],
    ) -> Result<Answer, rusqlite::Error> {
        for document in documents {
            for lane in &document.lanes {
                let query = "SELECT COUNT(*) FROM lanes WHERE lane = ?1";
                if transaction.query_row(query, [lane.0], |row| row.get::<_, i64>(0))? == 0 {
                    let message = format!("lane {} was never declared; nothing was stored", lane.0);
                    return Ok(Err(Error::new(ErrorKind::UnknownLane, message)));
                }
            }
            if matches!(document.body, NewBody::File(_)) {
                let message = "the reference store keeps no large bodies; nothing was stored";
                return Ok(Err(Error::new(ErrorKind::TooLarge, message)));
            }
        }
        let now = self.clock.wall();
        let mut receipts = Vec::new();
        for document in documents {
            let id = document.id.to_bytes();
            let stored = transaction.execute(
                "INSERT OR IGNORE INTO documents (id, created, priority, payload) VALUES (?1, ?2, ?3, ?4)",
                params![id, now as i64, document.priority.number(), record::encode_store(document, now)],
            )?;
            if stored == 0 {
                receipts.push(Receipt::AlreadyThere(document.id));
                continue;
            }
            let ord = transaction.last_insert_rowid();
            for lane in &document.lanes {
                transaction.execute(
                    "INSERT INTO deliveries (ord, id, lane, state) VALUES (?1, ?2, ?3, 0)",
                    params![ord, id, lane.0],
                )?;
            }
            transaction.execute("UPDATE totals SET accepted = accepted + 1", [])?;
            receipts.push(Receipt::Accepted(document.id));
        }
        for claim in claims {
            transaction.execute(
                "INSERT OR IGNORE INTO claims VALUES (?1)",
                [claim.to_bytes()],
            )?;
        }
        Ok(Ok(Outcome::Receipts(receipts)))
    }

    fn settle(
        &self,
        transaction: &Transaction<'_>,
        id: DocumentId,
        lane: LaneId,
        verdict: Verdict,
        note: &str,
    ) -> Result<Answer, rusqlite::Error> {
        let (next, from) = match verdict {
            Verdict::Acknowledged => (State::Sent, "0, 1, 3"),
            Verdict::Buried => (State::Dead, "0, 1"),
            Verdict::Discarded => (State::Discarded, "0, 1, 3"),
            // What waits, or has waited before it became ready again.
            Verdict::Revived => (State::Ready, "2, 3"),
        };
        let before = whole(transaction, id)?;
        let note = (next == State::Dead).then(|| cut_note(note));
        let is_revival = verdict == Verdict::Revived;
        let attempts = if next == State::Dead { "attempts" } else { "0" };
        let sent_at = (next == State::Sent).then(|| self.clock.wall() as i64);
        let changed = transaction.execute(
            &format!(
                "UPDATE deliveries SET state = ?3, note = ?4, attempts = {attempts}, sent_at = ?6 WHERE id = ?1 AND lane = ?2 AND (state IN ({from}) OR ?5 AND (state = 1 OR state = 0 AND attempts > 0))"
            ),
            params![id.to_bytes(), lane.0, state_byte(next), note, is_revival, sent_at],
        )?;
        if !is_revival {
            lock(&self.leased).remove(&(id, lane));
        }
        if changed == 0 {
            return Ok(Ok(Outcome::NotFound));
        }
        count(transaction, before, -1)?;
        let after = whole(transaction, id)?;
        count(transaction, after, 1)?;
        match after {
            Some(State::Discarded) => forget(transaction, id)?,
            Some(State::Sent) => {
                let now = self.clock.wall() as i64;
                transaction.execute(
                    "UPDATE documents SET sent_at = ?2 WHERE id = ?1",
                    params![id.to_bytes(), now],
                )?;
            }
            _ => {
                transaction.execute(
                    "UPDATE documents SET sent_at = NULL WHERE id = ?1",
                    [id.to_bytes()],
                )?;
            }
        }
        Ok(Ok(Outcome::Done))
    }

    pub(super) fn expire(&self, transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        let oldest = self.clock.wall() as i64 - self.retention.time.as_millis() as i64;
        let mut gone = transaction.prepare(
            "SELECT id FROM documents WHERE sent_at IS NOT NULL AND (sent_at <= ?1 OR id NOT IN
             (SELECT id FROM documents WHERE sent_at IS NOT NULL ORDER BY sent_at DESC, ord DESC LIMIT ?2))",
        )?;
        let ids = gone.query_map(params![oldest, self.retention.documents as i64], |row| {
            row.get::<_, [u8; 16]>(0)
        })?;
        for id in ids.collect::<Result<Vec<_>, _>>()? {
            forget(transaction, DocumentId::from_bytes(id))?;
        }
        Ok(())
    }
}

/// Where a document stands as a whole; `None` if it is not known.
fn whole(transaction: &Transaction<'_>, id: DocumentId) -> Result<Option<State>, rusqlite::Error> {
    let mut query = transaction.prepare_cached("SELECT state FROM deliveries WHERE id = ?1")?;
    let states = query
        .query_map([id.to_bytes()], |row| row.get::<_, u8>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let has = |wanted: &[u8]| states.iter().any(|state| wanted.contains(state));
    Ok(match states.len() {
        0 => None,
        _ if has(&[0, 1]) => Some(State::Ready),
        _ if has(&[3]) => Some(State::Dead),
        _ if has(&[4]) => Some(State::Discarded),
        _ => Some(State::Sent),
    })
}

fn count(
    transaction: &Transaction<'_>,
    state: Option<State>,
    by: i64,
) -> Result<(), rusqlite::Error> {
    let update = match state {
        Some(State::Sent) => "UPDATE totals SET delivered = delivered + ?1",
        Some(State::Discarded) => "UPDATE totals SET discarded = discarded + ?1",
        _ => return Ok(()),
    };
    transaction.execute(update, [by]).map(drop)
}

fn forget(transaction: &Transaction<'_>, id: DocumentId) -> Result<(), rusqlite::Error> {
    transaction.execute("DELETE FROM deliveries WHERE id = ?1", [id.to_bytes()])?;
    transaction
        .execute("DELETE FROM documents WHERE id = ?1", [id.to_bytes()])
        .map(drop)
}
