//! Looking at the drop folder: whether it is there, what the events say, and what lies in it.

use crate::candidates::{Candidate, Proof, Seen};
use crate::collector::{Book, CLAIMED, Collector};
use crate::filter::{Judged, is_hidden};
use crate::folder::Folder;
use crate::layout;
use crate::status::State;
use crate::watch::{Notice, Watch};
use mainstay_clock::Moment;
use mainstay_files::{Facts, Shown};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// How deep folders are searched.
const DEPTH_MAX: usize = 32;

/// How many folders may wait to be searched at once.
const FOLDERS_MAX: usize = 100_000;

/// While files wait to be taken the folder is looked through only every so many rescans: the files are known already.
const RESCANS_WHILE_BUSY: u32 = 6;

/// What a look found.
#[derive(Debug)]
pub(crate) struct Look {
    /// Whether there are files to take or to offer again now.
    pub(crate) has_files: bool,
    /// When to look again if nothing happens.
    pub(crate) next: Moment,
}

impl Collector {
    /// Looks at everything that may have changed.
    pub(crate) fn look(&mut self, book: &dyn Book) -> Look {
        let now = self.now();
        let root = self.attach(now);
        if !self.unfinished.is_empty() && self.unfinished_due <= now {
            let unfinished = std::mem::take(&mut self.unfinished);
            self.finish(unfinished, book);
        }
        if let Some(root) = root {
            if self.is_new_here {
                self.is_new_here = false;
                self.recover_claimed(&root, book);
            }
            self.note_events(&root);
            self.candidates.let_settle(now);
            if self.is_scan_due(now) {
                self.scan(&root, now);
            }
        }
        self.count();
        let has_pending = self.pending.iter().any(|claimed| claimed.due <= now);
        let pending = self.pending.iter().map(|claimed| claimed.due).min();
        let unfinished = (!self.unfinished.is_empty()).then_some(self.unfinished_due);
        let next = [self.candidates.next_due(), pending, unfinished];
        let next = next
            .into_iter()
            .flatten()
            .fold(self.next_scan(), Moment::min);
        let may_take = self.candidates.ready() > 0 && self.attached.is_some() && self.may_take();
        Look {
            has_files: has_pending || may_take,
            next,
        }
    }

    /// Whether the last look through the whole folder, and all since, found nothing that can be taken or has to settle.
    pub(crate) fn is_idle(&self) -> bool {
        self.scan.is_quiet
            && self.candidates.ready() == 0
            && !self.candidates.has_more()
            && self.pending.is_empty()
    }

    /// Opens the drop folder, and begins to watch it where it is another one than before.
    pub(crate) fn attach(&mut self, now: Moment) -> Option<Folder> {
        let opened = Folder::open(&self.config.drop).and_then(|root| {
            let id = root.id()?;
            Ok((root, id))
        });
        let (root, id) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let remedy = match error.kind() {
                    io::ErrorKind::PermissionDenied => "let the user that Mainstay runs as read it",
                    _ => "make it, mount it, or correct the path",
                };
                let reason = format!(
                    "drop folder `{}` cannot be opened ({error}): {remedy}; it is looked for every {} s",
                    Shown(&self.config.drop),
                    self.config.rescan.as_secs_f32()
                );
                self.detach(now, State::Missing, &reason);
                return None;
            }
        };
        if self.attached != Some(id) {
            if let Err(error) = layout::check(&self.config) {
                self.detach(now, State::Failed, &error.to_string());
                return None;
            }
            self.candidates.clear();
            self.watch = None;
            self.attached = Some(id);
            self.is_new_here = true;
            // Some may have waited for the very folder that has come.
            self.unfinished_due = now;
            self.scan.is_forced = true;
        }
        if self.watch.is_none() && (self.scan.is_forced || self.scan.due <= now) {
            self.watch(&root);
        }
        let state = self.shared.lock().status.state;
        if matches!(state, State::Starting | State::Missing) {
            self.be(State::Watching, "");
        }
        Some(root)
    }

    /// Nothing can be taken, because the folder is not there.
    fn detach(&mut self, now: Moment, state: State, reason: &str) {
        self.be(state, reason);
        self.candidates.clear();
        self.watch = None;
        self.attached = None;
        // Whoever waits until all is taken need not wait for what is not there.
        self.scan.is_quiet = true;
        self.scan.ticket = self.shared.asked();
        self.scan.last = now;
        self.scan.due = now + self.config.rescan;
    }

    /// Begins to watch; where the system has no watch left, the rescans do all the work.
    fn watch(&mut self, root: &Folder) {
        let watch =
            Watch::new().and_then(|mut watch| watch.add(root, Path::new("")).map(|()| watch));
        match watch {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => self.fail(format!(
                "cannot watch `{}` ({error}): new files are found every {} s only; raise fs.inotify.max_user_watches and \
                 max_user_instances",
                Shown(&self.config.drop),
                self.config.rescan.as_secs_f32()
            )),
        }
    }

    // === events ===

    fn note_events(&mut self, root: &Folder) {
        let Some(watch) = &mut self.watch else { return };
        let mut notices = Vec::new();
        if watch.read(|notice| notices.push(notice)).is_err() {
            notices.push(Notice::Lost);
        }
        for notice in notices {
            match notice {
                Notice::File(path) => self.note_file(root, &path),
                Notice::Folder(path) => self.note_folder(root, path),
                Notice::Lost => self.scan.is_forced = true,
            }
        }
    }

    fn note_file(&mut self, root: &Folder, path: &Path) {
        let (file, proof) = match self.filter.judge(path) {
            Judged::File => (path.to_owned(), Proof::Closed),
            Judged::MarkerOf(file) => (file, Proof::Marked),
            // The marker may have come first.
            Judged::Ignored if self.filter.awaits_marker(path) => (path.to_owned(), Proof::Marked),
            Judged::Ignored => return,
        };
        let Ok(folder) = root.below(parent(&file)) else {
            return;
        };
        if let Some(marker) = self.filter.marker_of(&file)
            && folder.facts(name(&marker)).is_err()
        {
            return;
        }
        let Ok(facts) = folder.facts(name(&file)) else {
            return;
        };
        if facts.is_folder() || self.is_kept(&file, &facts) {
            return;
        }
        self.scan.is_quiet = false;
        self.candidates.add(Candidate {
            relative: file.into(),
            seen: Seen::of(&facts),
            proof,
        });
    }

    fn note_folder(&mut self, root: &Folder, path: PathBuf) {
        if self.config.recursive && !has_hidden(&path) {
            self.search(root, path);
        }
    }

    // === looking through the folder ===

    fn is_scan_due(&self, now: Moment) -> bool {
        if self.candidates.ready() > 0 {
            return self.next_scan() <= now;
        }
        let is_unanswered = self.scan.ticket < self.shared.asked() || !self.scan.is_quiet;
        self.scan.is_forced
            || self.scan.due <= now
            || self.candidates.has_more()
            || (self.shared.is_asked() && is_unanswered && self.candidates.settling() == 0)
    }

    /// When the folder is looked through if nothing happens.
    fn next_scan(&self) -> Moment {
        if self.candidates.ready() > 0 {
            return self.scan.last + self.config.rescan.saturating_mul(RESCANS_WHILE_BUSY);
        }
        self.scan.due
    }

    fn scan(&mut self, root: &Folder, now: Moment) {
        self.scan.is_forced = false;
        self.scan.is_quiet = true;
        self.scan.ticket = self.shared.asked();
        self.scan.last = now;
        self.scan.due = now + self.config.rescan;
        self.shared.lock().begin_scan();
        self.return_strays();
        self.remove_leftovers();
        self.candidates.begin_scan();
        self.search(root, PathBuf::new());
        self.candidates.end_scan();
        if let Some(kept) = &mut self.kept {
            kept.end_scan(self.clock.wall());
        }
        if self.candidates.settling() > 0 {
            self.scan.is_quiet = false;
        }
    }

    /// Looks through one folder and, where that is wanted, those in it.
    fn search(&mut self, root: &Folder, start: PathBuf) {
        let mut folders = vec![start];
        while let Some(relative) = folders.pop() {
            if self.stop.is_cancelled() {
                return;
            }
            let searched = root.below(&relative).and_then(|folder| {
                if let Some(watch) = &mut self.watch {
                    // A folder without a watch is looked through at each rescan all the same.
                    drop(watch.add(&folder, &relative));
                }
                self.search_one(&folder, &relative, &mut folders)
            });
            match searched {
                Ok(()) => {}
                // It went away, or a link has taken its place, since it was listed.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) => {}
                Err(error) => self.complain(
                    &relative,
                    &format!("the folder cannot be searched: {error}"),
                ),
            }
        }
    }

    fn search_one(
        &mut self,
        folder: &Folder,
        relative: &Path,
        folders: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        for entry in folder.entries()? {
            let entry = entry?;
            let entry_name = entry.file_name();
            let path = relative.join(&entry_name);
            // Answered from the listing itself on all file systems that matter.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_folder {
                self.find(folder, &path);
            } else if entry_name.as_bytes().starts_with(CLAIMED.as_bytes()) {
                self.note_claimed_folder(folder, relative, &entry_name);
            } else if self.config.recursive && !is_hidden(&entry_name) {
                let is_within =
                    path.components().count() <= DEPTH_MAX && folders.len() < FOLDERS_MAX;
                if is_within {
                    folders.push(path);
                } else {
                    self.complain(&path, &format!("the folder lies more than {DEPTH_MAX} deep, or there are too many; it is not searched"));
                }
            }
        }
        Ok(())
    }

    /// An entry that is not a folder was listed.
    fn find(&mut self, folder: &Folder, path: &Path) {
        let (file, is_marked) = match self.filter.judge(path) {
            Judged::Ignored => return,
            Judged::File => (path.to_owned(), false),
            Judged::MarkerOf(file) => (file, true),
        };
        if self.candidates.is_settling(&file) {
            self.scan.is_quiet = false;
            return;
        }
        let Ok(facts) = folder.facts(name(&file)) else {
            return;
        };
        if facts.is_folder() || self.is_kept(&file, &facts) {
            return;
        }
        let relative: Arc<Path> = file.into();
        let seen = Seen::of(&facts);
        let proof = match () {
            () if !facts.is_regular() => Proof::Nothing,
            () if is_marked => Proof::Marked,
            () if self.is_aged(&facts) => Proof::Aged,
            () => {
                let due = self.now() + self.settle_time();
                self.candidates.settle(relative, seen, due);
                return;
            }
        };
        self.candidates.add_found(Candidate {
            relative,
            seen,
            proof,
        });
    }

    /// Whether a file was changed last so long ago that it has settled; one from the future has not.
    fn is_aged(&self, facts: &Facts) -> bool {
        let wall = UNIX_EPOCH + Duration::from_millis(self.clock.wall());
        wall.duration_since(facts.modified)
            .is_ok_and(|age| age >= self.config.settle)
    }

    /// How long a file has to stay as it is; never nothing, so that one that is being written does not keep us spinning.
    pub(crate) fn settle_time(&self) -> Duration {
        const SHORTEST: Duration = Duration::from_millis(100);
        self.config.settle.max(SHORTEST)
    }

    fn is_kept(&mut self, relative: &Path, facts: &Facts) -> bool {
        let wall = self.clock.wall();
        let is_pending = || {
            self.pending
                .iter()
                .any(|claimed| claimed.relative == relative)
        };
        self.kept
            .as_mut()
            .is_some_and(|kept| kept.knows(relative, facts, wall) || is_pending())
    }

    /// A claimed folder lies in the drop folder: ours, or that of another agent.
    fn note_claimed_folder(&mut self, folder: &Folder, relative: &Path, entry_name: &OsStr) {
        if relative.as_os_str().is_empty() && entry_name == self.claimed_name {
            return;
        }
        let is_empty = folder
            .below(Path::new(entry_name))
            .and_then(|claimed| claimed.entries())
            .is_ok_and(|mut entries| entries.next().is_none());
        let is_old = folder.facts(entry_name).is_ok_and(|facts| {
            let wall = UNIX_EPOCH + Duration::from_millis(self.clock.wall());
            wall.duration_since(facts.modified)
                .is_ok_and(|age| age > Duration::from_hours(1))
        });
        if !is_empty && is_old {
            self.complain(
                &relative.join(entry_name),
                "another agent took these files more than an hour ago and has not finished; if it is gone for good, move \
                 them back into the drop folder",
            );
        }
    }
}

/// The folder part of a path below the drop folder.
pub(crate) fn parent(relative: &Path) -> &Path {
    relative.parent().unwrap_or(Path::new(""))
}

/// The last part of a path below the drop folder.
pub(crate) fn name(relative: &Path) -> &OsStr {
    relative.file_name().unwrap_or_default()
}

fn has_hidden(path: &Path) -> bool {
    path.iter().any(is_hidden)
}
