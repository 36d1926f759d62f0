//! What we must never be: an intake that answers before it has stored, and one that does not know what it has stored.
//!
//! Campaigns leave them out. They show that whoever looks for lost and doubled files finds them.

use super::{Folders, Place, Store, refusal, take_into};
use anyhow::Result;
use mainstay_pickup::{Claim, Intake, Refusal, Taken};
use mainstay_queue::{Batch, ClaimId, DocumentId};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Says that files are stored, so that they go to the archive, and stores them in the end.
struct Hasty {
    store: Store,
    owed: Mutex<Vec<Batch>>,
}

impl Hasty {
    fn owed(&self) -> MutexGuard<'_, Vec<Batch>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intake for Hasty {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        let batch = self.store.batch(files)?;
        self.owed().push(batch);
        Ok(())
    }

    fn is_committed(&self, claim: Claim) -> bool {
        let id = ClaimId::from_bytes(claim.to_bytes());
        self.store.is_committed(claim) || self.owed().iter().any(|batch| batch.claims.contains(&id))
    }

    fn closed(&self, _: Vec<Claim>) {}
}

pub(in crate::workloads) fn hasty(place: &Place) -> Result<()> {
    let hasty = |store| Hasty {
        store,
        owed: Mutex::default(),
    };
    if let Some(intake) = take_into(&Folders::of(place, false), hasty)? {
        for batch in mem::take(&mut *intake.owed()) {
            let claims = batch.claims.clone();
            super::block_on(intake.store.queue.enqueue_batch(batch))??;
            intake.store.queue.close_claims(claims);
        }
        intake.store.queue.close_blocking();
    }
    Ok(())
}

/// Stores files, and does not remember from which claims.
struct Forgetful {
    store: Store,
}

impl Intake for Forgetful {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        let mut batch = self.store.batch(files)?;
        batch.claims.clear();
        for document in &mut batch.documents {
            document.id = DocumentId::new();
        }
        let stored = self.store.queue.enqueue_batch(batch).await;
        stored.map(drop).map_err(|error| refusal(&error))
    }

    fn is_committed(&self, _: Claim) -> bool {
        false
    }

    fn closed(&self, _: Vec<Claim>) {}
}

pub(in crate::workloads) fn forgetful(place: &Place) -> Result<()> {
    let forgetful = |store| Forgetful { store };
    if let Some(intake) = take_into(&Folders::of(place, false), forgetful)? {
        intake.store.queue.close_blocking();
    }
    Ok(())
}
