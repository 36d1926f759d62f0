//! What the system tells of a folder as it happens (inotify).
//!
//! Events are a hint and nothing more: they may be lost, and on network shares only those of this machine come. What counts is
//! found by looking through the folder.

use crate::folder::Folder;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many folders are watched; files in others are found by the rescan.
///
/// The system's own limit (`fs.inotify.max_user_watches`) is 8,192 on small machines, and other programs need some too.
const FOLDERS_MAX: usize = 4_096;

/// Enough for some 100 events at once.
const BUFFER: usize = 4_096;

/// One thing that happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// This file was closed after writing, or moved in.
    File(PathBuf),
    /// This folder was made, or moved in.
    Folder(PathBuf),
    /// Something was missed, or a watched folder went away: only looking helps.
    Lost,
}

/// The watches on a folder and those below it.
#[derive(Debug)]
pub(crate) struct Watch {
    descriptor: Descriptor,
    /// The path below the drop folder, by the number of the watch.
    folders: HashMap<i32, PathBuf>,
}

/// The descriptor that becomes readable when something has happened.
#[derive(Debug, Clone)]
pub(crate) struct Descriptor(Arc<OwnedFd>);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        mainstay_files::simulated::pass("watch")?;
        let descriptor = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self {
            descriptor: Descriptor(Arc::new(descriptor)),
            folders: HashMap::new(),
        })
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        self.descriptor.clone()
    }

    /// Watches an open folder, which has this path below the drop folder; again does no harm.
    pub(crate) fn add(&mut self, folder: &Folder, relative: &Path) -> io::Result<()> {
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let number = inotify::add_watch(&*self.descriptor.0, folder.own_path(), flags)?;
        if self.folders.len() >= FOLDERS_MAX && !self.folders.contains_key(&number) {
            inotify::remove_watch(&*self.descriptor.0, number)?;
            return Err(io::Error::other(format!("more than {FOLDERS_MAX} folders")));
        }
        self.folders.insert(number, relative.to_owned());
        Ok(())
    }

    /// Hands over everything that happened since it was last asked.
    pub(crate) fn read(&mut self, mut each: impl FnMut(Notice)) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(&*self.descriptor.0, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let name = event
                .file_name()
                .map(|name| OsStr::from_bytes(name.to_bytes()));
            if let Some(notice) = notice(&mut self.folders, event.wd(), event.events(), name) {
                each(notice);
            }
        }
    }
}

/// What an event means; `None` for those that mean nothing to us.
fn notice(
    folders: &mut HashMap<i32, PathBuf>,
    number: i32,
    events: ReadFlags,
    name: Option<&OsStr>,
) -> Option<Notice> {
    if events.intersects(ReadFlags::QUEUE_OVERFLOW) {
        return Some(Notice::Lost);
    }
    if events.intersects(
        ReadFlags::IGNORED | ReadFlags::UNMOUNT | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF,
    ) {
        // A folder that was moved keeps its watch; looking through all gives it its new path.
        return folders.remove(&number).map(|_| Notice::Lost);
    }
    let path = folders.get(&number)?.join(name?);
    if events.contains(ReadFlags::ISDIR) {
        return Some(Notice::Folder(path));
    }
    // That a file was made says nothing: its writer has only begun. A hard link or a pipe is found by the next rescan.
    events
        .intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MOVED_TO)
        .then_some(Notice::File(path))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests play the producer")]
mod tests {
    use super::*;

    fn notices(watch: &mut Watch) -> Vec<Notice> {
        let mut notices = Vec::new();
        watch.read(|notice| notices.push(notice)).unwrap();
        notices
    }

    #[test]
    fn what_happens_to_a_folder_is_told_and_what_only_begins_is_not() {
        let root = tempfile::tempdir().unwrap();
        let drop = root.path().join("drop");
        std::fs::create_dir(&drop).unwrap();
        let mut watch = Watch::new().unwrap();
        watch
            .add(&Folder::open(&drop).unwrap(), Path::new(""))
            .unwrap();

        let file = std::fs::File::create(drop.join("x")).unwrap();
        assert_eq!(notices(&mut watch), []);
        std::mem::drop(file);
        assert_eq!(notices(&mut watch), [Notice::File("x".into())]);

        std::fs::write(root.path().join("y"), "").unwrap();
        std::fs::rename(root.path().join("y"), drop.join("y")).unwrap();
        std::fs::create_dir(drop.join("sub")).unwrap();
        assert_eq!(
            notices(&mut watch),
            [Notice::File("y".into()), Notice::Folder("sub".into())]
        );

        watch
            .add(&Folder::open(&drop.join("sub")).unwrap(), Path::new("sub"))
            .unwrap();
        std::fs::write(drop.join("sub/z"), "").unwrap();
        assert_eq!(notices(&mut watch), [Notice::File("sub/z".into())]);

        std::fs::rename(&drop, root.path().join("elsewhere")).unwrap();
        assert_eq!(notices(&mut watch), [Notice::Lost]);
    }
}
