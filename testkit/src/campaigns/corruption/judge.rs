//! Opens a damaged queue, reads all of it, and holds what is seen against what was stored.

use super::memory::{Image, MemoryDisk};
use super::originals::{Contents, Ending, Original, SEGMENT};
use mainstay_queue::disk::Folder;
use mainstay_queue::store::Store;
use mainstay_queue::{
    Body, Config, Damage, DocumentId, ErrorKind, LaneId, Ledger, LogStore, Recovery, State,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The bytes of a segment's head that say something.
const HEAD: usize = 84;

/// What was done to a segment.
#[derive(Clone, Debug)]
pub(super) struct Harm {
    /// The bytes that are not what they were.
    pub(super) changed: Range<usize>,
    /// Others that changed places with them.
    pub(super) swapped: Range<usize>,
    /// Whether groups stand elsewhere than they were written: then what is lost with them cannot be said beforehand.
    pub(super) moves_groups: bool,
    /// Whether the file ends before its end.
    pub(super) cuts: bool,
}

impl Harm {
    /// Bytes changed where they are.
    pub(super) fn at(changed: Range<usize>) -> Self {
        Self {
            changed,
            swapped: 0..0,
            moves_groups: false,
            cuts: false,
        }
    }

    fn bytes(&self) -> impl Iterator<Item = usize> + use<> {
        self.changed.clone().chain(self.swapped.clone())
    }
}

/// A document that was read: its body, and where it stands.
type Read = (Vec<u8>, Vec<(LaneId, State)>);

/// What a queue shows after it was opened.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) recovery: Recovery,
    /// Every document that could be read.
    pub(super) documents: BTreeMap<DocumentId, Read>,
    pub(super) ledger: Ledger,
    /// What was damaged, as the start and the reading found it.
    pub(super) damage: Vec<Damage>,
    pub(super) disk: Arc<MemoryDisk>,
}

/// Opens a queue and reads everything in it.
pub(super) fn open(image: &Image, config: &Config) -> Result<Seen, String> {
    let disk = MemoryDisk::holding(image);
    let seen = catch_unwind(AssertUnwindSafe(|| read(&disk, config)));
    seen.unwrap_or_else(|_| Err("a panic".to_owned()))
}

fn read(disk: &Arc<MemoryDisk>, config: &Config) -> Result<Seen, String> {
    let (store, recovery) = LogStore::open(Arc::clone(disk) as Arc<_>, config)
        .map_err(|error| format!("it is not opened: {error}"))?;
    let mut documents = BTreeMap::new();
    for id in store.select(None, &[], None) {
        let loaded = store.load(id).and_then(|document| match document {
            Some(document) => store.body(&document).map(|body| Some((document, body))),
            None => Ok(None),
        });
        match loaded {
            Ok(Some((document, Body::Bytes(bytes)))) if document.id == id => {
                let standing = store.standing(id).unwrap_or_default();
                let states = standing.iter().map(|on| (on.lane, on.state)).collect();
                documents.insert(id, (bytes.to_vec(), states));
            }
            Err(error) if error.kind() == ErrorKind::Damaged => {}
            other => {
                return Err(format!("document {id} is read as {other:?}"));
            }
        }
    }
    Ok(Seen {
        recovery,
        documents,
        ledger: store.ledger(),
        damage: store.damage(),
        disk: Arc::clone(disk),
    })
}

/// What was held against the original.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Judged {
    pub(super) dead: u64,
    pub(super) damaged: u64,
    pub(super) torn: u64,
    /// Bytes that a clean start has no need of.
    pub(super) unread: u64,
}

impl Judged {
    /// Counts others in.
    pub(super) fn add(&mut self, other: Self) {
        self.dead += other.dead;
        self.damaged += other.damaged;
        self.torn += other.torn;
        self.unread += other.unread;
    }
}

/// Holds a queue with a harmed segment against what was stored in it.
pub(super) fn judge(original: &Original, image: &Image, harm: &Harm) -> Result<Judged, String> {
    let seen = open(image, &original.config)?;
    let mut judged = Judged::default();
    sane(original, &seen)?;
    let is_live = harm.bytes().any(|byte| original.map.is_live(byte));
    let is_silent = seen.damage.is_empty() && seen.recovery.torn_groups == 0;
    let unconfirmed = original.map.groups.last().map(|group| group.bytes.clone());
    let only_unconfirmed = original.ending == Ending::PowerCut
        && unconfirmed.is_some_and(|last| harm.bytes().all(|byte| last.start <= byte));
    if is_silent {
        // A whole block of zeros or of an earlier life looks like one that was never written.
        let is_gone = only_unconfirmed && harm.changed.len() > 1;
        // And without its head and a watermark, a segment is one that was never used.
        let is_unused =
            harm.cuts && original.ending == Ending::PowerCut && harm.changed.start < HEAD;
        if is_unused || is_gone && same(&original.before_last, &seen).is_ok() {
            judged.torn = 1;
            return Ok(judged);
        }
        same(&original.contents, &seen)?;
        if !is_live {
            judged.dead = 1;
            return Ok(judged);
        }
        if original.ending == Ending::Clean && !is_needed(original, harm) {
            judged.unread = 1;
            return Ok(judged);
        }
        return Err("bytes that say something were changed, and nothing was noticed".to_owned());
    }
    let is_kept = if harm.cuts {
        !(only_unconfirmed && in_last_group(original, harm.changed.start))
    } else {
        harm.changed.len() > 1 && seen.damage.is_empty()
    };
    if !is_live && is_kept {
        // Another group behind the end looks like a write that was begun; nothing may be missing for it.
        same(&original.contents, &seen)?;
        judged.dead = 1;
        return Ok(judged);
    }
    if !is_live && !harm.cuts {
        return Err(format!(
            "dead bytes were taken for damage: {:?}",
            seen.damage
        ));
    }
    if only_unconfirmed {
        return torn(original, harm, &seen);
    }
    let may_be_torn = original.ending == Ending::PowerCut || harm.moves_groups;
    if seen.recovery.torn_groups != 0 && !may_be_torn {
        return Err("what was confirmed counts as a torn tail".to_owned());
    }
    if seen.damage.is_empty() {
        return Err("what was confirmed is left out without a word".to_owned());
    }
    places(original, image, harm, &seen)?;
    losses(original, harm, &seen)?;
    judged.damaged = 1;
    Ok(judged)
}

/// What has to hold whatever was done: no wrong content, nothing foreign, an account that balances.
fn sane(original: &Original, seen: &Seen) -> Result<(), String> {
    for (id, (body, _)) in &seen.documents {
        let Some(known) = original.contents.documents.get(id) else {
            return Err(format!("document {id} was never stored"));
        };
        if known.body != *body {
            return Err(format!("document {id} has another content"));
        }
    }
    if !seen.ledger.is_balanced() || seen.recovery.unbalanced != 0 {
        return Err(format!(
            "the account does not balance: {:?}, {:?}",
            seen.ledger, seen.recovery
        ));
    }
    Ok(())
}

/// That everything is as it was stored.
pub(super) fn same(contents: &Contents, seen: &Seen) -> Result<(), String> {
    for (id, known) in &contents.documents {
        match seen.documents.get(id) {
            None => return Err(format!("document {id} is gone without a word")),
            Some((_, states)) if *states != known.states => {
                return Err(format!(
                    "document {id} stands at {states:?}, not {:?}",
                    known.states
                ));
            }
            Some(_) => {}
        }
    }
    if seen.documents.len() != contents.documents.len() || seen.ledger != contents.ledger {
        return Err(format!(
            "the account is {:?}, not {:?}",
            seen.ledger, contents.ledger
        ));
    }
    Ok(())
}

/// That the last group was left out as a whole, counted, and is no damage.
fn torn(original: &Original, harm: &Harm, seen: &Seen) -> Result<Judged, String> {
    // That a file was cut is damage whatever stood behind.
    if !seen.damage.is_empty() && !harm.cuts {
        return Err(format!("a torn tail counts as damage: {:?}", seen.damage));
    }
    if seen.recovery.torn_groups != 1 && !harm.cuts {
        return Err(format!("{} torn groups", seen.recovery.torn_groups));
    }
    same(&original.before_last, seen)?;
    Ok(Judged {
        torn: 1,
        ..Judged::default()
    })
}

/// Whether a clean start, which reads no log, or a reader of the documents needs the bytes that were changed.
fn is_needed(original: &Original, harm: &Harm) -> bool {
    harm.bytes().any(|byte| {
        let of = original.map.record_at(byte).filter(|record| record.stores);
        byte < HEAD
            || of
                .and_then(|record| record.document)
                .is_some_and(|id| original.contents.documents.contains_key(&id))
    })
}

/// That the damage is named where it is, and copied aside as it is.
fn places(original: &Original, image: &Image, harm: &Harm, seen: &Seen) -> Result<(), String> {
    let segment = image
        .get(Folder::Root, SEGMENT)
        .map_or(&[][..], |bytes| bytes.as_slice());
    let after = seen.disk.image();
    for damage in seen.damage.iter().filter(|damage| damage.file == SEGMENT) {
        let range = damage.start as usize..(damage.end as usize).min(segment.len());
        if range.is_empty() {
            continue;
        }
        let copy = damage.copied_to.as_deref();
        let copied = copy.and_then(|name| after.get(Folder::Damaged, name));
        if copied.map(|copied| copied.as_slice()) != segment.get(range) {
            return Err(format!("not copied aside as it is: {damage:?}"));
        }
    }
    if harm.moves_groups || harm.cuts {
        return Ok(());
    }
    let is_named = |byte: usize| {
        seen.damage.iter().any(|damage| {
            damage.file == SEGMENT && (damage.start..damage.end).contains(&(byte as u64))
        })
    };
    let needed = |byte: &usize| {
        original.map.is_live(*byte)
            && (original.ending != Ending::Clean || is_needed(original, &Harm::at(*byte..byte + 1)))
            && !(original.ending == Ending::PowerCut && in_last_group(original, *byte))
    };
    match harm
        .changed
        .clone()
        .filter(needed)
        .find(|byte| !is_named(*byte))
    {
        None => Ok(()),
        Some(byte) => Err(format!(
            "byte {byte} is damaged, and {:?} does not say so",
            seen.damage
        )),
    }
}

fn in_last_group(original: &Original, byte: usize) -> bool {
    let last = original.map.groups.last();
    last.is_some_and(|group| group.bytes.contains(&byte))
}

/// That nothing is lost but what lay in the damage, and that each loss is counted.
fn losses(original: &Original, harm: &Harm, seen: &Seen) -> Result<(), String> {
    let touched = touched(original, harm);
    let mut lost = 0;
    for (id, known) in &original.contents.documents {
        let is_touched = harm.moves_groups || touched.contains(id);
        match seen.documents.get(id) {
            None if !is_touched => {
                return Err(format!(
                    "document {id} is lost, and its bytes are whole: {:?}",
                    seen.damage
                ));
            }
            None if !known.is_delivered() => lost += 1,
            Some((_, states)) if *states != known.states && !is_touched => {
                return Err(format!(
                    "document {id} stands at {states:?}, not {:?}, and its bytes are whole",
                    known.states
                ));
            }
            _ => {}
        }
    }
    let told = seen.ledger.unreadable;
    // A document whose every record is lost may have been delivered: it counts as lost.
    let delivered = original.contents.documents.values();
    let doubtful = delivered.filter(|known| known.is_delivered()).count() as u64
        + original.contents.ledger.discarded;
    let most = if harm.changed.len() == 1 {
        lost
    } else {
        lost + doubtful
    };
    if original.ending != Ending::PowerCut && !(lost..=most).contains(&told) {
        return Err(format!(
            "{lost} documents are lost and {told} are counted: {:?}",
            seen.ledger
        ));
    }
    Ok(())
}

/// The documents that the changed bytes speak of.
fn touched(original: &Original, harm: &Harm) -> BTreeSet<DocumentId> {
    let mut touched = BTreeSet::new();
    let mut harmed = harm.changed.clone();
    if harm.cuts {
        harmed.end = usize::MAX;
        // The group that is cut in two counts as one that was being written.
        let cut = original.map.group_at(harmed.start);
        if let Some(group) = cut.filter(|_| original.ending == Ending::PowerCut) {
            harmed.start = group.bytes.start;
        }
    }
    for group in &original.map.groups {
        for record in &group.records {
            if record.bytes.start < harmed.end && harmed.start < record.bytes.end {
                touched.extend(record.document);
            }
        }
    }
    touched
}
