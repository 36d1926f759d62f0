//! What Linux tells of the names in some folders as it happens (inotify).

use crate::system::{Hint, faults};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many folders are listened to.
///
/// The system's own limit (`fs.inotify.max_user_watches`) is 8,192 on small machines, and other programs need some too.
const FOLDERS_MAX: usize = 4_096;

/// Enough for some 100 events at once.
const BUFFER: usize = 4_096;

/// How many events are read in one go, so that whoever makes them without a pause keeps us from nothing else.
const EVENTS_MAX: usize = 1_024;

/// Hears what happens in folders; where the system refuses, it hears nothing.
#[derive(Debug)]
pub(crate) struct Ear {
    descriptor: Option<OwnedFd>,
    /// The paths of a folder by the number of its watch; a folder that is mounted twice has two.
    folders: HashMap<i32, Vec<PathBuf>>,
}

impl Ear {
    pub(crate) fn new() -> Self {
        let made = faults::pass("watch")
            .and_then(|()| Ok(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?));
        Self {
            descriptor: made.ok(),
            folders: HashMap::new(),
        }
    }

    /// Listens to the folders that have these paths now, and to no others; answers whether it hears all of them.
    pub(crate) fn listen(&mut self, folders: &BTreeSet<PathBuf>) -> bool {
        let before = std::mem::take(&mut self.folders);
        let Some(descriptor) = &self.descriptor else {
            return folders.is_empty();
        };
        let mut is_all = folders.len() <= FOLDERS_MAX;
        for folder in folders.iter().take(FOLDERS_MAX) {
            match add(descriptor, folder) {
                // The same folder under the same name keeps its number, another one gets another.
                Ok(number) => self.folders.entry(number).or_default().push(folder.clone()),
                Err(_) => is_all = false,
            }
        }
        for number in before.keys() {
            if !self.folders.contains_key(number) {
                // It may have ended by itself, with its folder.
                inotify::remove_watch(descriptor, *number).ok();
            }
        }
        is_all
    }

    /// Hands over what was heard since it was last asked, or a good part of it.
    pub(crate) fn hear(&mut self, mut each: impl FnMut(Hint)) {
        let Some(descriptor) = &self.descriptor else {
            return;
        };
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(descriptor, &mut buffer);
        for _ in 0..EVENTS_MAX {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return,
                Err(_) => break,
            };
            let name = event
                .file_name()
                .map(|name| OsStr::from_bytes(name.to_bytes()));
            hints(
                descriptor,
                &mut self.folders,
                event.wd(),
                event.events(),
                name,
                &mut each,
            );
        }
    }

    /// Waits until there is something to hear, or the time is over; may also return early.
    pub(crate) fn wait(&self, patience: Duration) {
        let Some(descriptor) = &self.descriptor else {
            return std::thread::park_timeout(patience);
        };
        let timeout = Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        };
        let mut heard = [PollFd::new(descriptor, PollFlags::IN)];
        if poll(&mut heard, Some(&timeout)).is_err_and(|error| error != Errno::INTR) {
            std::thread::park_timeout(patience);
        }
    }
}

fn add(descriptor: &OwnedFd, folder: &Path) -> io::Result<i32> {
    faults::pass("watch")?;
    let flags = WatchFlags::MODIFY
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ONLYDIR;
    Ok(inotify::add_watch(descriptor, folder, flags)?)
}

/// What an event means.
fn hints(
    descriptor: &OwnedFd,
    folders: &mut HashMap<i32, Vec<PathBuf>>,
    number: i32,
    events: ReadFlags,
    name: Option<&OsStr>,
    each: &mut impl FnMut(Hint),
) {
    if events.intersects(ReadFlags::QUEUE_OVERFLOW) {
        return each(Hint::Lost);
    }
    let ends =
        ReadFlags::IGNORED | ReadFlags::UNMOUNT | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF;
    if events.intersects(ends) {
        // A folder that was moved would keep its watch, under a path that is no more; the next `listen` finds what is there.
        inotify::remove_watch(descriptor, number).ok();
        if folders.remove(&number).is_some() {
            each(Hint::Lost);
        }
        return;
    }
    let paths = folders.get(&number).map(Vec::as_slice).unwrap_or_default();
    for (folder, name) in paths.iter().zip(name.into_iter().cycle()) {
        each(Hint::At(folder.join(name)));
    }
}
