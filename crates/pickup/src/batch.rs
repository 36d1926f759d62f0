//! What is offered to the intake together.

use crate::candidates::{Candidate, Seen};
use crate::claiming::Unclaimed;
use crate::collector::{Book, Claimed, Collector, Place};
use crate::examine::{Verdict, examine};
use crate::folder::Folder;
use crate::intake::Taken;
use crate::kept::{Intent, KEPT_MAX, Kept};
use crate::look::{name, parent};
use crate::round::Round;
use crate::status::State;
use mainstay_files as files;
use std::sync::Arc;

/// How many candidates are looked at for one batch, so that many that cannot be taken do not hold up those that can.
const LOOKED_AT_MAX: usize = 1_024;

/// How many files may lie committed in the work folder, because they cannot be archived, before no more are taken.
const UNFINISHED_MAX: usize = 1_024;

/// What is offered to the intake together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The files, as the intake gets them.
    pub(crate) files: Vec<Taken>,
    /// The same files, as we know them, in the same order.
    pub(crate) claimed: Vec<Claimed>,
    /// What was written down of files that stay in the drop folder.
    pub(crate) intent: Option<Intent>,
    /// Why no more can be taken for the moment.
    pub(crate) trouble: Option<Trouble>,
}

/// Why no more can be taken for the moment.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) state: State,
    pub(crate) reason: String,
}

impl Trouble {
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self {
            state: State::Failed,
            reason: reason.into(),
        }
    }

    pub(crate) fn full(reason: String) -> Self {
        Self {
            state: State::Full,
            reason,
        }
    }
}

impl Collector {
    /// Whether there is room for more files between the drop folder and the archive.
    pub(crate) fn may_take(&self) -> bool {
        self.pending.len() < self.config.batch_files && self.has_room_to_finish()
    }

    /// Whether so few committed files wait for their end that more may be committed.
    pub(crate) fn has_room_to_finish(&self) -> bool {
        self.unfinished.len() < UNFINISHED_MAX
    }

    /// The next files for the intake: those that it did not take before, then new ones, oldest first.
    pub(crate) fn prepare(&mut self, book: &dyn Book) -> Batch {
        let mut batch = Batch::default();
        let is_alone = self.offer_again(&mut batch, book);
        // While there is no room for copies of what was taken, nothing more is.
        let may_take = !is_alone && batch.trouble.is_none() && self.may_take();
        if may_take && batch.claimed.len() < self.config.batch_files {
            self.take(&mut batch);
        }
        self.intend(&mut batch);
        self.count();
        batch
    }

    /// Puts pending files into the batch; one that failed before goes alone, and then the answer is yes.
    fn offer_again(&mut self, batch: &mut Batch, book: &dyn Book) -> bool {
        let (chosen, is_alone) = self.choose_pending();
        let mut committed = Vec::new();
        for claimed in chosen {
            if book.is_committed(claimed.claim) {
                committed.push(claimed);
            } else if claimed.is_durable {
                self.load(claimed, batch);
            } else {
                self.put_back(claimed);
            }
        }
        self.finish(committed, book);
        is_alone
    }

    /// Those pending files whose time has come: all that did not fail yet, or one that did.
    fn choose_pending(&mut self) -> (Vec<Claimed>, bool) {
        let now = self.now();
        let has_fresh = self
            .pending
            .iter()
            .any(|claimed| claimed.due <= now && claimed.failures == 0);
        let limit = if has_fresh {
            self.config.batch_files
        } else {
            1
        };
        let mut chosen: Vec<Claimed> = Vec::new();
        let mut bytes = 0;
        for claimed in std::mem::take(&mut self.pending) {
            let is_next =
                chosen.len() < limit && claimed.due <= now && has_fresh == (claimed.failures == 0);
            let len = if is_next { self.len_of(&claimed) } else { 0 };
            if is_next && (chosen.is_empty() || bytes + len <= self.config.batch_bytes) {
                bytes += len;
                chosen.push(claimed);
            } else {
                self.pending.push(claimed);
            }
        }
        let is_alone = !has_fresh && !chosen.is_empty();
        (chosen, is_alone)
    }

    /// How long a taken file is; after a restart it was not looked at yet.
    fn len_of(&self, claimed: &Claimed) -> u64 {
        if let Some(seen) = claimed.seen {
            return seen.len;
        }
        let copy = self.work_path(&Self::committed_name(claimed));
        let found = files::facts(&copy).ok().or_else(|| {
            let held = self.held(claimed).ok()?;
            let folder = held.folder.as_ref().unwrap_or(&self.work);
            folder.facts(&held.name).ok()
        });
        found.map_or(0, |facts| facts.len)
    }

    /// Takes new files.
    fn take(&mut self, batch: &mut Batch) {
        if self.kept.as_ref().is_some_and(Kept::is_full) {
            let what = format!(
                "the drop folder keeps {KEPT_MAX} files: remove some, or let them be archived"
            );
            batch.trouble = Some(Trouble::failed(what));
            return;
        }
        let Some(root) = self.open_root() else { return };
        let mut round = Round::new(root);
        let mut claimed = self.claim_some(&mut round, batch);
        if !claimed.is_empty() {
            self.scan.is_quiet = false;
        }
        if self.sync(&round, &mut claimed) {
            for claimed in claimed {
                self.load(claimed, batch);
            }
        } else {
            batch.trouble = Some(Trouble::failed(
                "the disk did not confirm that files were moved: see the last error",
            ));
            for claimed in claimed {
                self.put_back(claimed);
            }
        }
    }

    /// Claims files until the batch is full.
    fn claim_some(&mut self, round: &mut Round, batch: &mut Batch) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        let mut bytes: u64 = batch.files.iter().map(|file| file.len).sum();
        for _ in 0..LOOKED_AT_MAX {
            let count = batch.claimed.len() + claimed.len();
            if count >= self.config.batch_files || self.stop.is_cancelled() {
                break;
            }
            let Some(candidate) = self.candidates.pop() else {
                break;
            };
            let Some(seen) = self.judge(round, &candidate) else {
                continue;
            };
            if count > 0 && bytes + seen.len > self.config.batch_bytes {
                self.candidates.add(candidate);
                break;
            }
            bytes += seen.len;
            match self.claim(round, &candidate.relative, seen) {
                Ok(taken) => claimed.push(taken),
                Err(Unclaimed::Gone) => self.shared.lock().content(&candidate.relative),
                Err(Unclaimed::Stuck(reason)) => self.complain(&candidate.relative, &reason),
                Err(Unclaimed::Across) => self.complain(
                    &candidate.relative,
                    "it lies on another file system than the drop folder; give its folder a route of its own",
                ),
                Err(Unclaimed::Trouble(reason)) => {
                    self.candidates.add(candidate);
                    batch.trouble = Some(Trouble::failed(reason));
                    break;
                }
            }
        }
        claimed
    }

    /// The drop folder that is watched, opened anew: held open for longer it could not be unmounted.
    pub(crate) fn open_root(&self) -> Option<Folder> {
        let root = Folder::open(&self.config.drop).ok()?;
        (self.attached.is_some() && root.id().ok() == self.attached).then_some(root)
    }

    /// What a candidate looks like, if it is to be taken; else what has to be done with it is done.
    fn judge(&mut self, round: &mut Round, candidate: &Candidate) -> Option<Seen> {
        let relative = &*candidate.relative;
        let folder = match round.folder(parent(relative)) {
            Ok(folder) => folder,
            Err(error) => {
                // Where its folder went away, or a link took its place, there is nothing to complain of.
                if error
                    .raw_os_error()
                    .is_some_and(|code| code == libc::EMFILE || code == libc::ENFILE)
                {
                    self.complain(relative, &format!("its folder cannot be opened: {error}"));
                }
                return None;
            }
        };
        match examine(&self.config, &folder, name(relative), candidate) {
            // It was offered under another claim, and committed, since it was found.
            Verdict::Take(seen)
                if self
                    .kept
                    .as_ref()
                    .is_some_and(|kept| kept.has(relative, seen)) =>
            {
                self.shared.lock().content(relative);
            }
            Verdict::Take(seen) => return Some(seen),
            Verdict::Gone => self.shared.lock().content(relative),
            Verdict::Complain(reason) => self.complain(relative, &reason),
            Verdict::Settle(seen, reason) => {
                self.scan.is_quiet = false;
                if !reason.is_empty() {
                    self.complain(relative, reason);
                }
                let due = self.now() + self.settle_time();
                self.candidates
                    .settle(Arc::clone(&candidate.relative), seen, due);
            }
            Verdict::Refuse(reason) => self.refuse(round, &folder, relative, &reason),
        }
        None
    }

    /// Writes down which files of the batch stay in the drop folder.
    fn intend(&mut self, batch: &mut Batch) {
        let Some(kept) = &mut self.kept else { return };
        if !batch
            .claimed
            .iter()
            .any(|claimed| claimed.place == Place::Drop)
        {
            return;
        }
        let wall = self.clock.wall();
        let staying = batch
            .claimed
            .iter()
            .filter(|claimed| claimed.place == Place::Drop);
        let files = staying
            .filter_map(|claimed| Some((claimed.claim, claimed.relative.clone(), claimed.seen?)));
        match kept.intend(files, wall) {
            Ok(intent) => batch.intent = Some(intent),
            Err(error) => {
                batch.trouble = Some(Trouble::failed(format!(
                    "cannot remember which files stay: {error}"
                )));
                batch.files.clear();
                self.pending.append(&mut batch.claimed);
            }
        }
    }
}
