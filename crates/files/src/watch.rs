//! Files that others may change, delete or replace, and being told when they do.

mod ours;

mod pending;

pub use ours::Ours;

use crate::conflict::Stamp;
use crate::error::{Attempt, Error, ErrorKind};
use crate::facts::facts;
use crate::integrity::Checksum;
use crate::system::{self, Ear, Hint};
use crate::target::{split, whole};
use mainstay_clock::{Moment, SharedClock};
use pending::Pending;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// While something is about to be looked at, events are read so often and no more, however many come.
const BREATH: Duration = Duration::from_millis(20);

/// The shortest time between two looks at all files; less would keep a processor busy.
const LOOK_MIN: Duration = Duration::from_millis(10);

/// How often a file is read at the start while somebody writes to it.
const READS_MAX: u32 = 3;

/// How patient a [`Watch`] is.
///
/// # Defaults
///
/// | field | default | why |
/// |---|---|---|
/// | `quiet` | 200 ms | an editor's truncate, write and rename are one change |
/// | `patience` | 2 s | a file that never rests is told of all the same |
/// | `look_every` | 2 s | as quick as a person expects, and costs one call for each file |
/// | `rescan_every` | 10 s | events get lost, and those of other machines never come |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchOptions {
    /// How long nothing happens to a file before it is looked at.
    pub quiet: Duration,
    /// How long is waited for that at most.
    pub patience: Duration,
    /// How often files are looked at where the system does not tell what happens to them; 10 ms at least.
    pub look_every: Duration,
    /// How often where it does; 10 ms at least.
    pub rescan_every: Duration,
}

/// Something that happened to a watched file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Which, as it was named at the start.
    pub path: PathBuf,
    /// What.
    pub kind: ChangeKind,
    /// What it was; none where it was not there, or could not be read.
    pub before: Option<Stamp>,
    /// What it is now, likewise.
    pub stamp: Option<Stamp>,
}

/// What happened to a watched file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It has another content.
    Changed,
    /// It is gone.
    Deleted,
    /// Another file, with another content, is in its place; where the system gave that one the number of the old one, it is
    /// `Changed`.
    Replaced,
    /// It is there again, or for the first time.
    Created,
    /// Something is there that cannot be read, and why.
    Unreadable(ErrorKind),
}

/// Watches files, and tells what others do to them.
///
/// What the system tells of (inotify on Linux) is a hint to look, and nothing more: a file is compared with what it was, and where
/// its content is the same, nothing is told. Events that are lost, folders that vanish and return, and systems without events are
/// made good by looking at all files now and then.
///
/// No thread is behind it: everything happens in [`next`](Self::next), which blocks. What happens between two calls is found by
/// the later one. A symbolic link is followed, and the file that it leads to is what is watched.
///
/// ```
/// use mainstay_files::{ChangeKind, Watch, WatchOptions, replace};
/// use std::time::Duration;
///
/// # let folder = tempfile::TempDir::new()?;
/// # let path = folder.path().join("settings.json");
/// replace(&path, b"one")?;
/// let mut watch = Watch::start(&[&path], WatchOptions::default())?;
///
/// let ours = watch.ours();
/// ours.will_write(&path, b"two");
/// replace(&path, b"two")?;
/// assert!(watch.next(Duration::from_millis(500)).is_none());
///
/// std::fs::write(&path, b"somebody else's")?;
/// let change = watch.next(Duration::from_secs(60)).ok_or("nobody told")?;
/// assert_eq!(change.kind, ChangeKind::Changed);
/// let (_stamp, content) = watch.reload(&path)?;
/// assert_eq!(content, b"somebody else's");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Watch {
    files: Vec<Watched>,
    /// Which files are looked at when something happens to a path.
    places: HashMap<PathBuf, Vec<usize>>,
    ear: Ear,
    ours: Ours,
    options: WatchOptions,
    clock: SharedClock,
    /// When all files are looked at again.
    next_look: Moment,
}

#[derive(Debug)]
struct Watched {
    /// As it was named.
    path: PathBuf,
    /// From the root, links not followed.
    absolute: PathBuf,
    known: Known,
    pending: Pending,
}

/// What a file was when it was last looked at.
#[derive(Debug, Clone, Copy)]
enum Known {
    Gone,
    File(Stamp),
    Unreadable(ErrorKind),
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(200),
            patience: Duration::from_secs(2),
            look_every: Duration::from_secs(2),
            rescan_every: Duration::from_secs(10),
        }
    }
}

impl Watch {
    /// Watches the files at `paths` from now on; each is read once, to its end.
    ///
    /// One that is not there yet is told once it comes, but its folder has to be there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]: the folder of one is not there. [`ErrorKind::NotRegular`], [`ErrorKind::Permission`] and others:
    /// it cannot be read. [`ErrorKind::Changed`]: somebody writes to it without a pause.
    pub fn start(paths: &[impl AsRef<Path>], options: WatchOptions) -> Result<Self, Error> {
        let clock = mainstay_clock::system();
        let files = paths
            .iter()
            .map(|path| Watched::named(path.as_ref()))
            .collect::<Result<Vec<_>, Error>>()?;
        let ours = Ours::new(files.iter().map(|file| file.absolute.clone()));
        let mut watch = Self {
            files,
            places: HashMap::new(),
            ear: Ear::new(),
            ours,
            options,
            next_look: clock.now(),
            clock,
        };
        // Listening comes before reading: what happens in between is heard.
        watch.listen();
        for file in &mut watch.files {
            file.known = file.first()?;
        }
        Ok(watch)
    }

    /// Waits until something happened to a file, but no longer than `timeout` and the reading of one file; none where nothing did.
    ///
    /// It is told once the file was quiet for a while. Where several things happened to one file since it was last told of, the
    /// first and the last state are told as one change, and nothing where they are alike.
    pub fn next(&mut self, timeout: Duration) -> Option<Change> {
        let deadline = self.clock.now() + timeout;
        loop {
            self.hear();
            if self.clock.now() >= self.next_look {
                self.look_around();
            }
            let told = self.due().and_then(|index| self.look(index));
            if told.is_some() {
                return told;
            }
            if self.clock.now() >= deadline {
                return None;
            }
            self.wait(deadline);
        }
    }

    /// What tells this watch beforehand of our own changes; it can be cloned, and used while [`next`](Self::next) waits.
    pub fn ours(&self) -> Ours {
        self.ours.clone()
    }

    /// Reads the watched file at `path` into memory, whole and of one moment; from now on only what differs from this is told.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Changed`]: somebody wrote to it or replaced it meanwhile, so the next change will be told;
    /// [`ErrorKind::NotFound`]: it is gone, or not watched; others as [`Stamp::of`].
    pub fn reload(&mut self, path: &Path) -> Result<(Stamp, Vec<u8>), Error> {
        let attempt = Attempt::new("reload", path, "");
        let absolute = std::path::absolute(path).map_err(|error| attempt.failed(error))?;
        let Some(file) = self.files.iter_mut().find(|file| file.absolute == absolute) else {
            return Err(attempt.refused(ErrorKind::NotFound, "it is not watched"));
        };
        let (stamp, content) = Stamp::and_content(&whole(&absolute)?)?;
        // What was opened may be somebody's old file by now.
        if facts(&whole(&absolute)?)? != *stamp.facts() {
            return Err(attempt.refused(ErrorKind::Changed, "somebody replaced it meanwhile"));
        }
        file.known = Known::File(stamp);
        Ok((stamp, content))
    }

    fn hear(&mut self) {
        let now = self.clock.now();
        let (files, places) = (&mut self.files, &self.places);
        let mut is_lost = false;
        self.ear.hear(|hint| match hint {
            Hint::At(path) => {
                for index in places.get(&path).map(Vec::as_slice).unwrap_or_default() {
                    if let Some(file) = files.get_mut(*index) {
                        file.pending.hint(now);
                    }
                }
            }
            Hint::Lost => is_lost = true,
        });
        if is_lost {
            for file in files {
                file.pending.hint(now);
            }
            self.next_look = self.next_look.min(now + self.look_every());
        }
    }

    /// Listens where the files are by now, and notes those that seem to be others.
    fn look_around(&mut self) {
        self.listen();
        let now = self.clock.now();
        for file in &mut self.files {
            if file.seems_other() {
                file.pending.hint(now);
            }
        }
    }

    /// Listens to the folders that the paths lead through by now: that of the path itself, and that of the file behind a link.
    fn listen(&mut self) {
        self.places.clear();
        let mut folders = BTreeSet::new();
        for (index, file) in self.files.iter().enumerate() {
            for place in file.places() {
                folders.extend(place.parent().map(Path::to_owned));
                self.places.entry(place).or_default().push(index);
            }
        }
        let every = if self.ear.listen(&folders) {
            self.options.rescan_every.max(LOOK_MIN)
        } else {
            self.look_every()
        };
        self.next_look = self.clock.now() + every;
    }

    fn look_every(&self) -> Duration {
        self.options.look_every.max(LOOK_MIN)
    }

    /// The file that has been due for longest.
    fn due(&self) -> Option<usize> {
        let now = self.clock.now();
        self.dues()
            .filter(|(due, _)| *due <= now)
            .min()
            .map(|(_, index)| index)
    }

    fn dues(&self) -> impl Iterator<Item = (Moment, usize)> {
        let files = self.files.iter().enumerate();
        files.filter_map(|(index, file)| Some((file.pending.due(&self.options)?, index)))
    }

    /// Compares a file with what it was; answers what happened, where it has to be told.
    fn look(&mut self, index: usize) -> Option<Change> {
        let now = self.clock.now();
        let file = self.files.get_mut(index)?;
        file.pending.clear();
        let Some(found) = file.found() else {
            // Somebody writes to it right now.
            file.pending.hint(now);
            return None;
        };
        let before = std::mem::replace(&mut file.known, found);
        if let Some(content) = found.content()
            && self.ours.take(&file.absolute, content)
        {
            return None;
        }
        Some(Change {
            path: file.path.clone(),
            kind: kind(&before, &found)?,
            before: before.stamp(),
            stamp: found.stamp(),
        })
    }

    fn wait(&self, deadline: Moment) {
        let now = self.clock.now();
        let until = |moment: Moment| moment.since(now);
        let patience = until(deadline.min(self.next_look));
        match self.dues().min() {
            // Whoever writes without a pause does not wake us each time.
            Some((due, _)) => std::thread::park_timeout(patience.min(until(due)).min(BREATH)),
            None => self.ear.wait(patience),
        }
    }
}

impl Watched {
    fn named(path: &Path) -> Result<Self, Error> {
        let attempt = Attempt::new("watch", path, "");
        let (folder, _) = split(&attempt, path)?;
        system::facts_of_path(folder).map_err(|error| attempt.failed_at_folder(folder, error))?;
        Ok(Self {
            path: path.to_owned(),
            absolute: std::path::absolute(path).map_err(|error| attempt.failed(error))?,
            known: Known::Gone,
            pending: Pending::default(),
        })
    }

    /// What it is at the start; what cannot be read then need not be watched.
    fn first(&self) -> Result<Known, Error> {
        let mut reads = 1;
        loop {
            match whole(&self.absolute).and_then(|path| Stamp::of(&path)) {
                Ok(stamp) => return Ok(Known::File(stamp)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Known::Gone),
                Err(error) if error.kind() == ErrorKind::Changed && reads < READS_MAX => reads += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// What it is now; none where somebody writes to it.
    fn found(&self) -> Option<Known> {
        match whole(&self.absolute).and_then(|path| Stamp::of(&path)) {
            Ok(stamp) => Some(Known::File(stamp)),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => Some(Known::Gone),
                ErrorKind::Changed => None,
                kind => Some(Known::Unreadable(kind)),
            },
        }
    }

    /// Whether it may be another than it was, without reading it.
    fn seems_other(&self) -> bool {
        let found = whole(&self.absolute).and_then(|path| facts(&path));
        match (found, &self.known) {
            (Ok(now), Known::File(stamp)) => now != *stamp.facts(),
            (Err(error), Known::Gone) => error.kind() != ErrorKind::NotFound,
            _ => true,
        }
    }

    /// Where it is, and where the link to it is.
    fn places(&self) -> Vec<PathBuf> {
        let folder = self.absolute.parent().unwrap_or(&self.absolute);
        let name = self.absolute.file_name().unwrap_or_default();
        let mut places = match std::fs::canonicalize(folder) {
            Ok(folder) => vec![folder.join(name)],
            Err(_) => vec![self.absolute.clone()],
        };
        if let Ok(file) = std::fs::canonicalize(&self.absolute)
            && !places.contains(&file)
        {
            places.push(file);
        }
        places
    }
}

impl Known {
    fn stamp(self) -> Option<Stamp> {
        match self {
            Self::File(stamp) => Some(stamp),
            Self::Gone | Self::Unreadable(_) => None,
        }
    }

    /// The content as [`Ours`] expects it.
    #[expect(
        clippy::option_option,
        reason = "nothing there is a content, too; what cannot be read has none"
    )]
    fn content(self) -> Option<Option<Checksum>> {
        match self {
            Self::Gone => Some(None),
            Self::File(stamp) => Some(Some(stamp.hash())),
            Self::Unreadable(_) => None,
        }
    }
}

/// What happened between two looks; none where the content is the same.
fn kind(before: &Known, now: &Known) -> Option<ChangeKind> {
    match (before, now) {
        (Known::Gone, Known::Gone) | (Known::Unreadable(_), Known::Unreadable(_)) => None,
        (_, Known::Gone) => Some(ChangeKind::Deleted),
        (_, Known::Unreadable(why)) => Some(ChangeKind::Unreadable(*why)),
        (Known::Gone, Known::File(_)) => Some(ChangeKind::Created),
        (Known::Unreadable(_), Known::File(_)) => Some(ChangeKind::Changed),
        (Known::File(old), Known::File(new)) if old.hash() == new.hash() => None,
        (Known::File(old), Known::File(new)) if old.facts().is_same_file(new.facts()) => {
            Some(ChangeKind::Changed)
        }
        (Known::File(_), Known::File(_)) => Some(ChangeKind::Replaced),
    }
}
