//! The queues that are damaged: made by the real store, with everything in them that a segment can hold.

use super::map::Map;
use super::memory::{Image, MemoryDisk};
use crate::random::Random;
use anyhow::{Context, Result, ensure};
use mainstay_clock::ManualClock;
use mainstay_queue::disk::Folder;
use mainstay_queue::store::{Op, Outcome, Store, Verdict};
use mainstay_queue::{ClaimId, Config, DocumentId, LaneId, Ledger, LogStore, NewDocument, State};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The segment that is damaged: the second, so that it holds documents that were moved there.
pub(super) const SEGMENT: &str = "seg-0000000002.log";

/// A segment of the smallest size that the queue allows: every bit of it is flipped.
pub(super) const SEGMENT_BYTES: usize = 64 * 1024;

/// How the run ended that left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// By a kill: the watermark is exact, and all of the segment was confirmed.
    Killed,
    /// By a power cut: the watermark is gone, and nothing says that the last group was confirmed.
    PowerCut,
    /// By a kill after the log had gone on in the next segment.
    Sealed,
    /// Cleanly: a snapshot holds the index, and the log is read only where a document is.
    Clean,
}

impl Ending {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Killed, Self::PowerCut, Self::Sealed, Self::Clean];

    /// How it is said.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Killed => "a kill",
            Self::PowerCut => "a power cut",
            Self::Sealed => "a kill in the next segment",
            Self::Clean => "a clean stop",
        }
    }
}

/// A document as it was handed over, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) body: Vec<u8>,
    pub(super) states: Vec<(LaneId, State)>,
}

impl Known {
    /// Whether it was delivered everywhere: then it is kept for a while, and its loss is no loss.
    pub(super) fn is_delivered(&self) -> bool {
        self.states.iter().all(|(_, state)| *state == State::Sent)
    }
}

/// What the queue has to hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) documents: BTreeMap<DocumentId, Known>,
    pub(super) ledger: Ledger,
}

/// A queue before it is damaged.
#[derive(Debug)]
pub(super) struct Original {
    pub(super) seed: u64,
    pub(super) ending: Ending,
    pub(super) image: Image,
    pub(super) map: Map,
    /// What a recycled file still holds of its life before: the first segment.
    pub(super) earlier: Vec<u8>,
    /// All files as they were before the last group: what a disk still has that forgot the writes since.
    pub(super) stale: Image,
    pub(super) contents: Contents,
    /// The same without the last group: what is left of it if that was torn.
    pub(super) before_last: Contents,
    pub(super) config: Config,
}

impl Original {
    /// The bytes of the segment that is damaged.
    pub(super) fn segment(&self) -> &[u8] {
        self.image
            .get(Folder::Root, SEGMENT)
            .map_or(&[], |bytes| bytes.as_slice())
    }
}

/// Makes a queue from a seed.
pub(super) fn make(seed: u64, ending: Ending) -> Result<Original> {
    let mut builder = Builder::new(seed)?;
    builder.first_segment()?;
    let earlier = builder.disk.image();
    builder.second_segment()?;
    let before_last = builder.contents();
    if ending == Ending::Clean {
        // It stopped cleanly once before, so that there is an older snapshot that says so.
        builder.stop_and_start()?;
    }
    let stale = builder.disk.image();
    builder.last_group()?;
    if ending == Ending::Sealed {
        let large = builder.document(12_000, 1);
        builder.commit(&[large])?;
    }
    let contents = builder.contents();
    if ending == Ending::Clean {
        builder.store.close();
    }
    let mut image = builder.disk.image();
    if ending == Ending::PowerCut {
        image = image.without(Folder::Root, "watermark");
    }
    let segment = image
        .get(Folder::Root, SEGMENT)
        .context("no second segment was written")?;
    ensure!(
        segment.len() == SEGMENT_BYTES,
        "the segment has {} bytes",
        segment.len()
    );
    let map = Map::of(segment)?;
    let earlier = earlier
        .get(Folder::Root, "seg-0000000001.log")
        .context("no first segment was written")?
        .to_vec();
    Ok(Original {
        seed,
        earlier,
        stale,
        ending,
        map,
        image,
        contents,
        before_last,
        config: builder.config,
    })
}

struct Builder {
    disk: Arc<MemoryDisk>,
    store: LogStore,
    config: Config,
    random: Random,
    lanes: Vec<LaneId>,
    /// In the order that they were stored in.
    stored: Vec<DocumentId>,
    documents: BTreeMap<DocumentId, Known>,
}

impl Builder {
    fn new(seed: u64) -> Result<Self> {
        let mut random = Random::new(seed);
        let config = Config {
            segment_bytes: SEGMENT_BYTES as u32,
            first_segment_bytes: SEGMENT_BYTES as u32,
            reserve_bytes: 0,
            clock: Arc::new(ManualClock::new()),
            ..Config::default()
        };
        // Its secret comes from the seed too, so that every byte comes again.
        let secret = ClaimId::from_bytes(random.bytes(16).try_into().unwrap_or_default());
        let format = format!("mainstay-queue 1 {secret}");
        let format = format!("{format} {:08x}\n", crc32c::crc32c(format.as_bytes())).into_bytes();
        let disk = MemoryDisk::holding(&Image::default().with(Folder::Root, "FORMAT", format));
        let (store, _) = LogStore::open(disk.clone(), &config)?;
        let mut builder = Self {
            disk,
            store,
            config,
            random,
            lanes: Vec::new(),
            stored: Vec::new(),
            documents: BTreeMap::new(),
        };
        let declared = builder.commit(&[
            Op::DeclareLane("main".to_owned()),
            Op::DeclareLane("second".to_owned()),
        ])?;
        for outcome in declared {
            if let Outcome::Lane(lane) = outcome {
                builder.lanes.push(lane);
            }
        }
        Ok(builder)
    }

    fn stop_and_start(&mut self) -> Result<()> {
        self.store.close();
        let disk = MemoryDisk::holding(&self.disk.image());
        let (store, _) = LogStore::open(disk.clone(), &self.config)?;
        (self.disk, self.store) = (disk, store);
        Ok(())
    }

    fn commit(&mut self, ops: &[Op]) -> Result<Vec<Outcome>> {
        let answers = self.store.commit(ops).answers;
        Ok(answers.into_iter().collect::<Result<_, _>>()?)
    }

    fn document(&mut self, len: usize, lanes: usize) -> Op {
        self.documents(&[len], lanes, Vec::new())
    }

    fn documents(&mut self, lens: &[usize], lanes: usize, claims: Vec<ClaimId>) -> Op {
        let lanes = self.lanes[..lanes].to_vec();
        let mut documents = Vec::new();
        for len in lens {
            let body = self.random.bytes(*len);
            let id = self.random.bytes(16).try_into().unwrap_or_default();
            let document = NewDocument {
                id: DocumentId::from_bytes(id),
                source: b"report.json".to_vec(),
                headers: vec![("serial".to_owned(), format!("{len}"))],
                ..NewDocument::new(lanes.clone(), body.clone())
            };
            let states = lanes.iter().map(|lane| (*lane, State::Ready)).collect();
            self.stored.push(document.id);
            self.documents.insert(document.id, Known { body, states });
            documents.push(document);
        }
        Op::Enqueue { documents, claims }
    }

    /// Says what became of the document that was stored as the `place`th, on its first lane.
    fn settle(&mut self, place: usize, verdict: Verdict) -> Op {
        let (id, lane) = (self.stored[place], self.lanes[0]);
        match verdict {
            Verdict::Acknowledged => self.stands(id, State::Sent),
            Verdict::Buried => self.stands(id, State::Dead),
            Verdict::Revived => self.stands(id, State::Ready),
            Verdict::Discarded => {
                self.documents.remove(&id);
            }
        }
        let note = "by the campaign".to_owned();
        Op::Settle {
            id,
            lane,
            verdict,
            note,
        }
    }

    fn retry(&mut self, place: usize) -> Op {
        let (id, lane) = (self.stored[place], self.lanes[0]);
        self.stands(id, State::Waiting);
        Op::Retry {
            id,
            lane,
            after: Duration::from_mins(1),
            note: "the server is tired".to_owned(),
        }
    }

    fn stands(&mut self, id: DocumentId, state: State) {
        if let Some((_, now)) = self
            .documents
            .get_mut(&id)
            .and_then(|known| known.states.first_mut())
        {
            *now = state;
        }
    }

    fn contents(&self) -> Contents {
        Contents {
            documents: self.documents.clone(),
            ledger: self.store.ledger(),
        }
    }

    /// Documents in every state, and one that fills the rest of the segment and is discarded.
    fn first_segment(&mut self) -> Result<()> {
        let mut ops = vec![self.documents(&[2000, 900, 1200], 1, Vec::new())];
        ops.push(self.document(1500, 2));
        ops.push(self.document(40_000, 1));
        self.commit(&ops)?;
        let ops = vec![
            self.retry(0),
            self.settle(1, Verdict::Buried),
            self.settle(2, Verdict::Acknowledged),
            self.settle(3, Verdict::Acknowledged),
            self.settle(4, Verdict::Discarded),
        ];
        self.commit(&ops)?;
        self.store.maintain();
        Ok(())
    }

    /// Groups of several kinds: a batch with claims, documents that were moved, an empty one, a mixed one, large ones.
    fn second_segment(&mut self) -> Result<()> {
        let claims: Vec<ClaimId> = (0..2)
            .map(|_| ClaimId::from_bytes(self.random.bytes(16).try_into().unwrap_or_default()))
            .collect();
        let batch = self.documents(&[0, 1, 100, 3000, 7000], 1, claims.clone());
        self.commit(&[batch])?;
        ensure!(
            self.store.clean_step(),
            "documents are moved to the second segment"
        );
        ensure!(
            self.store.advance_cursor(),
            "the first segment is not needed"
        );
        self.store.maintain();
        let mixed = vec![
            self.document(2500, 1),
            self.retry(6),
            self.settle(7, Verdict::Buried),
            self.settle(8, Verdict::Acknowledged),
            self.settle(5, Verdict::Acknowledged),
            self.settle(1, Verdict::Revived),
            Op::CloseClaims(claims[..1].to_vec()),
        ];
        self.commit(&mixed)?;
        // Two of one length in a block each: taken for each other, nothing but the id tells.
        for len in [3700, 3700, 7900] {
            let document = self.document(len, 1);
            self.commit(&[document])?;
        }
        Ok(())
    }

    /// Documents stored, and others acknowledged, in one write.
    fn last_group(&mut self) -> Result<()> {
        let ops = vec![
            self.documents(&[600, 2000], 1, Vec::new()),
            self.settle(10, Verdict::Acknowledged),
            self.settle(12, Verdict::Acknowledged),
        ];
        self.commit(&ops)?;
        Ok(())
    }
}
