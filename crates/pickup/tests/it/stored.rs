//! A queue as the intake of a pickup, as the agent has it: the claim of a file names its document.

use mainstay_clock::ManualClock;
use mainstay_pickup::{Claim, Content, Intake, Refusal, Taken};
use mainstay_queue::{
    Batch, Body, ClaimId, Config, DocumentId, ErrorKind, LaneId, Lease, NewBody, NewDocument, Queue,
};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) queue: Queue,
    lane: LaneId,
}

impl Stored {
    pub(crate) async fn open(folder: &Path, clock: &ManualClock, documents: u64) -> Self {
        let config = Config {
            segment_bytes: 256 * 1024,
            first_segment_bytes: 64 * 1024,
            reserve_bytes: 64 * 1024,
            max_documents: documents,
            clock: Arc::new(clock.clone()),
            ..Config::default()
        };
        let (queue, recovery) = Queue::open(folder, config).unwrap();
        assert!(recovery.clean);
        let lane = declare(&queue, "lane".to_owned()).await;
        Self { queue, lane }
    }

    /// Commits as an earlier life of the process would have.
    pub(crate) async fn commit_earlier(&self, claim: Claim, content: &[u8]) {
        let batch = Batch {
            documents: vec![self.document(claim, NewBody::Inline(content.to_vec().into()))],
            claims: vec![claim_id(claim)],
        };
        self.queue.enqueue_batch(batch).await.unwrap();
    }

    /// A document that is next in line, and what it holds.
    pub(crate) fn next(&self) -> Option<(Lease, Vec<u8>)> {
        let lease = self.queue.try_lease(self.lane)?;
        let bytes = match lease.body().unwrap() {
            Body::Bytes(bytes) => bytes.to_vec(),
            Body::File(mut file, _) => read(&mut file),
        };
        Some((lease, bytes))
    }

    fn document(&self, claim: Claim, body: NewBody) -> NewDocument {
        let mut document = NewDocument::new(vec![self.lane], "");
        document.id = DocumentId::from_bytes(claim.to_bytes());
        document.body = body;
        document
    }

    fn batch(&self, files: Vec<Taken>) -> Batch {
        let mut batch = Batch::default();
        for file in files {
            let body = match file.content {
                Content::Bytes(bytes) => NewBody::Inline(bytes.into()),
                Content::File(mut open) => {
                    let mut writer = self.queue.body_writer().unwrap();
                    writer.write(&read(&mut open)).unwrap();
                    NewBody::File(writer.finish().unwrap())
                }
            };
            batch.claims.push(claim_id(file.claim));
            batch.documents.push(self.document(file.claim, body));
        }
        batch
    }
}

impl Intake for Stored {
    async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
        let stored = self.clone();
        let batch = tokio::task::spawn_blocking(move || stored.batch(files)).await;
        let stored = self.queue.enqueue_batch(batch.unwrap()).await;
        stored.map(drop).map_err(|error| match error.kind() {
            ErrorKind::Full => Refusal::Full(error.to_string()),
            _ => Refusal::Failed(error.to_string()),
        })
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

pub(crate) async fn declare(queue: &Queue, name: String) -> LaneId {
    let queue = queue.clone();
    let declared = tokio::task::spawn_blocking(move || queue.declare_lane(&name));
    declared.await.unwrap().unwrap()
}

fn claim_id(claim: Claim) -> ClaimId {
    ClaimId::from_bytes(claim.to_bytes())
}

fn read(file: &mut std::fs::File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}
