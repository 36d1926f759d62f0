//! The log does what the reference store does, whatever is asked of it and whenever it is killed.

use mainstay_clock::ManualClock;
use mainstay_queue::disk::RealDisk;
use mainstay_queue::store::{Op, Outcome, Store, Verdict};
use mainstay_queue::{
    ClaimId, Config, DocumentId, Io, LaneId, LogStore, NewDocument, Priority, SqliteStore, State,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Something that both stores are asked.
#[derive(Clone, Debug)]
enum Step {
    Enqueue {
        sizes: Vec<u16>,
        priority: u8,
        lanes: u8,
        claim: bool,
    },
    Again(usize),
    Lease(u8),
    GiveBack,
    Settle(Verdict, usize, u8),
    Retry(u16),
    Pass(u16),
    CloseClaims,
    Kill,
    /// The power goes: nothing says any more that the last group was confirmed.
    Cut,
    Stop,
    Maintain,
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        4 => Just(Verdict::Acknowledged),
        1 => Just(Verdict::Buried),
        1 => Just(Verdict::Discarded),
        2 => Just(Verdict::Revived),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop::collection::vec(0..9000u16, 1..4), 1..=10u8, 1..=3u8, any::<bool>())
            .prop_map(|(sizes, priority, lanes, claim)| Step::Enqueue { sizes, priority, lanes, claim }),
        1 => (0..50usize).prop_map(Step::Again),
        6 => (0..2u8).prop_map(Step::Lease),
        1 => Just(Step::GiveBack),
        5 => (verdict(), 0..50usize, 0..2u8).prop_map(|(verdict, which, lane)| Step::Settle(verdict, which, lane)),
        2 => (1..200u16).prop_map(Step::Retry),
        2 => (1..300u16).prop_map(Step::Pass),
        1 => Just(Step::CloseClaims),
        1 => Just(Step::Kill),
        1 => Just(Step::Cut),
        1 => Just(Step::Stop),
        1 => Just(Step::Maintain),
    ]
}

struct Pair {
    folder: TempDir,
    clock: ManualClock,
    config: Config,
    log: Option<LogStore>,
    reference: SqliteStore,
    known: Vec<DocumentId>,
    claims: Vec<ClaimId>,
    leased: Vec<(DocumentId, LaneId)>,
    lanes: [LaneId; 2],
}

impl Pair {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::new();
        let config = Config {
            first_segment_bytes: 64 * 1024,
            segment_bytes: 64 * 1024,
            reserve_bytes: 64 * 1024,
            retain_documents: 5,
            io: Io::Buffered,
            clock: Arc::new(clock.clone()),
            ..Config::default()
        };
        let reference = SqliteStore::open(&folder.path().join("reference.db"), &config).unwrap();
        std::fs::create_dir(folder.path().join("queue")).unwrap();
        let mut pair = Self {
            log: None,
            folder,
            clock,
            config,
            reference,
            known: Vec::new(),
            claims: Vec::new(),
            leased: Vec::new(),
            lanes: [LaneId::default(); 2],
        };
        pair.start();
        pair.lanes = ["a", "b"].map(|name| {
            let Ok(Outcome::Lane(lane)) = pair
                .both(|| vec![Op::DeclareLane(name.to_owned())])
                .remove(0)
            else {
                panic!("a lane is declared")
            };
            lane
        });
        pair
    }

    fn start(&mut self) {
        self.log = None;
        let disk = RealDisk::open(&self.folder.path().join("queue"), Io::Buffered).unwrap();
        let (log, recovery) = LogStore::open(Arc::new(disk), &self.config).unwrap();
        assert_eq!(recovery.damage, []);
        assert_eq!(recovery.unbalanced, 0);
        self.log = Some(log);
        for (id, lane) in self.leased.drain(..) {
            self.reference.give_back(id, lane);
        }
    }

    fn log(&self) -> &LogStore {
        self.log.as_ref().unwrap()
    }

    /// Asks both, and holds the answers against each other.
    fn both(&self, ops: impl Fn() -> Vec<Op>) -> Vec<Result<Outcome, mainstay_queue::ErrorKind>> {
        let log = self.log().commit(&ops()).answers;
        let reference = self.reference.commit(&ops()).answers;
        let plain = |answers: Vec<Result<Outcome, mainstay_queue::Error>>| {
            answers
                .into_iter()
                .map(|answer| answer.map_err(|error| error.kind()))
                .collect::<Vec<_>>()
        };
        let (log, reference) = (plain(log), plain(reference));
        assert_eq!(log, reference);
        log
    }

    fn document(&self, id: DocumentId, size: u16, priority: u8, lanes: u8) -> NewDocument {
        let lanes = match lanes {
            1 => vec![self.lanes[0]],
            2 => vec![self.lanes[1]],
            _ => self.lanes.to_vec(),
        };
        let body = vec![size as u8; usize::from(size)];
        NewDocument {
            id,
            priority: Priority::new(priority).unwrap(),
            ..NewDocument::new(lanes, body)
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Enqueue {
                sizes,
                priority,
                lanes,
                claim,
            } => {
                let ids: Vec<DocumentId> = sizes.iter().map(|_| DocumentId::new()).collect();
                let claim = claim.then(ClaimId::new);
                let make =
                    |(id, size): (&DocumentId, &u16)| self.document(*id, *size, *priority, *lanes);
                self.both(|| {
                    let documents = ids.iter().zip(sizes).map(make).collect();
                    vec![Op::Enqueue {
                        documents,
                        claims: claim.into_iter().collect(),
                    }]
                });
                self.known.extend(ids);
                self.claims.extend(claim);
            }
            Step::Again(which) => {
                let Some(id) = self.known.get(*which).copied() else {
                    return;
                };
                self.both(|| {
                    vec![Op::Enqueue {
                        documents: vec![self.document(id, 9, 5, 1)],
                        claims: Vec::new(),
                    }]
                });
            }
            Step::Lease(lane) => {
                let lane = self.lanes[usize::from(*lane)];
                let leased = self.log().lease(lane);
                assert_eq!(leased, self.reference.lease(lane));
                self.leased.extend(leased.map(|id| (id, lane)));
            }
            Step::GiveBack => {
                let Some((id, lane)) = self.leased.pop() else {
                    return;
                };
                self.log().give_back(id, lane);
                self.reference.give_back(id, lane);
            }
            Step::Settle(verdict, which, lane) => {
                let lane = self.lanes[usize::from(*lane)];
                let named = self.known.get(*which).map(|id| (*id, lane));
                // Half of them what somebody holds, as delivery does; the others at random, as people do.
                let chosen = if which % 2 == 0 {
                    self.leased.first().copied().or(named)
                } else {
                    named
                };
                let Some((id, lane)) = chosen else { return };
                if *verdict == Verdict::Revived
                    && self.standing_state(id, lane) == Some(State::Leased)
                {
                    return;
                }
                self.leased.retain(|held| *held != (id, lane));
                self.both(|| {
                    vec![Op::Settle {
                        id,
                        lane,
                        verdict: *verdict,
                        note: "why".to_owned(),
                    }]
                });
            }
            Step::Retry(seconds) => {
                if self.leased.is_empty() {
                    return;
                }
                let (id, lane) = self.leased.remove(0);
                let after = Duration::from_secs(u64::from(*seconds));
                self.both(|| {
                    vec![Op::Retry {
                        id,
                        lane,
                        after,
                        note: "busy".to_owned(),
                    }]
                });
            }
            Step::Pass(seconds) => {
                self.clock.advance(Duration::from_secs(u64::from(*seconds)));
                self.both(Vec::new);
            }
            Step::CloseClaims => {
                let claims = std::mem::take(&mut self.claims);
                self.both(|| vec![Op::CloseClaims(claims.clone())]);
            }
            Step::Kill => self.start(),
            Step::Cut => {
                std::fs::remove_file(self.folder.path().join("queue/watermark")).unwrap();
                self.start();
            }
            Step::Stop => {
                self.log().close();
                self.start();
            }
            Step::Maintain => {
                self.log().maintain();
                self.log().clean_step();
                self.log().advance_cursor();
                self.log().maintain();
            }
        }
    }

    fn standing_state(&self, id: DocumentId, lane: LaneId) -> Option<State> {
        let standing = self.log().standing(id)?;
        standing
            .into_iter()
            .find(|standing| standing.lane == lane)
            .map(|standing| standing.state)
    }

    fn compare(&self) {
        let (log, reference) = (self.log(), &self.reference);
        assert_eq!(log.ledger(), reference.ledger());
        assert!(log.ledger().is_balanced());
        let sorted = |mut claims: Vec<ClaimId>| {
            claims.sort_unstable();
            claims
        };
        assert_eq!(sorted(log.open_claims()), sorted(reference.open_claims()));
        assert_eq!(log.usage().0, reference.usage().0);
        for lane in self.lanes {
            // Asked first, because it promotes what has become due.
            assert_eq!(log.next_due(lane), reference.next_due(lane));
        }
        for id in &self.known {
            let mut ours = log.standing(*id).unwrap_or_default();
            ours.sort_by_key(|standing| standing.lane);
            for standing in &mut ours {
                standing.note = standing.note.take().filter(|note| !note.is_empty());
            }
            assert_eq!(ours, reference.standing(*id).unwrap_or_default(), "{id}");
            let (ours, theirs) = (log.load(*id).unwrap(), reference.load(*id).unwrap());
            assert_eq!(ours.is_some(), theirs.is_some());
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, rng_seed: RngSeed::Fixed(20_261_121), ..ProptestConfig::default() })]

    #[test]
    fn the_log_and_the_reference_store_agree_on_everything(steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.run(step);
            pair.compare();
        }
    }
}
