//! A few files that are served to the kernel (FUSE), so that whatever is written to them, and when it is to be durable, is
//! seen one request after the other.
//!
//! Only what a loop device and a writer ask is answered: no files are made, none are removed, and there are no links.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The version of the protocol that is spoken here, and its major number: 7.31 has all that is needed since Linux 5.4.
const VERSION: (u32, u32) = (7, 31);

/// The most bytes of one write; a larger one comes in parts.
const WRITE_MAX: u32 = 1024 * 1024;

/// Room for one request: a write, and the heads before it.
const REQUEST_MAX: usize = WRITE_MAX as usize + 4096;

/// Writes may be larger than a page, and the number of pages is said.
const FLAGS: u32 = (1 << 5) | (1 << 22);

/// What the kernel does with an open file: nothing is cached, so every read and write comes here.
const DIRECT_IO: u32 = 1;

/// The folder itself; files are numbered from the next on.
const ROOT: u64 = 1;

/// Seconds for which the kernel may believe what it was told of a name or a file.
const VALID_SECS: u64 = 3600;

/// The kernel lets go of files that nobody uses within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// The head of a request, in bytes.
const HEAD_OF_REQUEST: usize = 40;

/// Files that somebody keeps.
pub(super) trait Files: Send + 'static {
    /// Their names; a file is known by its place among them.
    fn names(&self) -> &[&'static str];

    /// The length of one, in bytes.
    fn len(&self, file: usize) -> u64;

    /// What is there, up to `len` bytes.
    fn read(&self, file: usize, offset: u64, len: usize) -> Vec<u8>;

    /// Takes what is written.
    fn write(&mut self, file: usize, offset: u64, bytes: &[u8]);

    /// Everything that was written to a file so far is to be durable.
    fn sync(&mut self, file: usize);
}

/// Files that are served in a folder, until this is dropped.
#[derive(Debug)]
pub(super) struct Served {
    folder: PathBuf,
    server: JoinHandle<()>,
}

impl Served {
    /// Serves them in `folder`.
    ///
    /// # Errors
    /// If the machine does not allow it: no root, no FUSE.
    pub(super) fn start(folder: &Path, files: impl Files) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let channel = File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .context("there is no FUSE here")?;
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0",
            channel.as_raw_fd()
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("mainstay-testkit"),
            folder,
            Some("fuse"),
            flags,
            Some(options.as_str()),
        )
        .context("mounting FUSE is not allowed here")?;
        let server = thread::spawn(move || serve(channel, files));
        Ok(Self {
            folder: folder.to_owned(),
            server,
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        umount2(&self.folder, MntFlags::MNT_DETACH).ok();
        let begun = Instant::now();
        // It ends when the kernel lets go of the last file; whoever never lets go keeps it.
        while !self.server.is_finished() && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Answers until the kernel has nothing to ask any more.
fn serve(mut channel: File, mut files: impl Files) {
    let mut buffer = vec![0; REQUEST_MAX];
    loop {
        let len = match channel.read(&mut buffer) {
            Ok(0) => return,
            Ok(len) => len,
            // A request that was taken back, or a signal.
            Err(error) if is_passing(&error) => continue,
            Err(_) => return,
        };
        let Some(request) = Request::read(&buffer[..len]) else {
            continue;
        };
        if let Some(answer) = answer(&request, &mut files) {
            // Whoever asked may be gone.
            channel.write_all(&framed(request.unique, answer)).ok();
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    let passing = [Errno::EINTR, Errno::ENOENT];
    passing
        .iter()
        .any(|errno| error.raw_os_error() == Some(*errno as i32))
}

/// What the kernel asks.
struct Request<'a> {
    operation: u32,
    unique: u64,
    node: u64,
    rest: &'a [u8],
}

impl<'a> Request<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            operation: u32_at(bytes, 4)?,
            unique: u64_at(bytes, 8)?,
            node: u64_at(bytes, 16)?,
            rest: bytes.get(HEAD_OF_REQUEST..)?,
        })
    }

    /// The file that is meant; `None` for the folder.
    fn file(&self, files: &impl Files) -> Option<usize> {
        let file = self.node.checked_sub(ROOT + 1)? as usize;
        (file < files.names().len()).then_some(file)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

/// An answer, or the number of an error.
type Answer = Result<Vec<u8>, Errno>;

/// `None` where no answer is expected.
fn answer(request: &Request<'_>, files: &mut impl Files) -> Option<Answer> {
    let file = request.file(files);
    Some(match (request.operation, file) {
        // FORGET, INTERRUPT, BATCH_FORGET
        (2 | 36 | 42, _) => return None,
        // LOOKUP
        (1, None) => looked_up(request.rest, files).ok_or(Errno::ENOENT),
        // GETATTR, and SETATTR: nothing changes, the length least of all.
        (3 | 4, file) => Ok(attributes_answer(request.node, file, files)),
        // OPEN
        (14, Some(_)) => Ok(numbers(&[0, 0, DIRECT_IO, 0])),
        // READ
        (15, Some(file)) => read(request.rest, file, files).ok_or(Errno::EINVAL),
        // WRITE
        (16, Some(file)) => written(request.rest, file, files).ok_or(Errno::EINVAL),
        // FSYNC
        (20, Some(file)) => {
            files.sync(file);
            Ok(Vec::new())
        }
        // RELEASE, FLUSH, DESTROY
        (18 | 25 | 38, _) => Ok(Vec::new()),
        // INIT
        (26, _) => Ok(begun()),
        _ => Err(Errno::ENOSYS),
    })
}

/// An answer with its head.
fn framed(unique: u64, answer: Answer) -> Vec<u8> {
    let (error, rest) = match answer {
        Ok(rest) => (0, rest),
        Err(errno) => (-(errno as i32), Vec::new()),
    };
    let len = (16 + rest.len()) as u32;
    let mut bytes = Vec::with_capacity(len as usize);
    bytes.extend(len.to_ne_bytes());
    bytes.extend(error.to_ne_bytes());
    bytes.extend(unique.to_ne_bytes());
    bytes.extend(rest);
    bytes
}

fn begun() -> Vec<u8> {
    // Nothing is read ahead; as many requests at once as the kernel thinks right; times count in nanoseconds.
    let mut bytes = numbers(&[VERSION.0, VERSION.1, 0, FLAGS, 0, WRITE_MAX, 1]);
    bytes.extend(((WRITE_MAX / 4096) as u16).to_ne_bytes());
    bytes.resize(64, 0);
    bytes
}

fn looked_up(rest: &[u8], files: &impl Files) -> Option<Vec<u8>> {
    let name = rest.split(|byte| *byte == 0).next()?;
    let file = files
        .names()
        .iter()
        .position(|known| known.as_bytes() == name)?;
    let node = ROOT + 1 + file as u64;
    let mut bytes = Vec::with_capacity(128);
    for number in [node, 0, VALID_SECS, VALID_SECS, 0] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes.extend(attributes(node, Some(file), files));
    Some(bytes)
}

fn attributes_answer(node: u64, file: Option<usize>, files: &impl Files) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(104);
    for number in [VALID_SECS, 0] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes.extend(attributes(node, file, files));
    bytes
}

fn attributes(node: u64, file: Option<usize>, files: &impl Files) -> Vec<u8> {
    /// A folder and a file that root alone may use.
    const FOLDER_MODE: u32 = 0o040_700;
    const FILE_MODE: u32 = 0o100_600;
    let len = file.map_or(0, |file| files.len(file));
    let mode = if file.is_some() {
        FILE_MODE
    } else {
        FOLDER_MODE
    };
    let mut bytes = Vec::with_capacity(88);
    // Number, length, blocks of 512 bytes, and three times.
    for number in [node, len, len / 512, 0, 0, 0] {
        bytes.extend(number.to_ne_bytes());
    }
    // Their parts of a second, mode, links, owner, group, device, size of a block, flags.
    for number in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes
}

fn read(rest: &[u8], file: usize, files: &impl Files) -> Option<Vec<u8>> {
    let (offset, len) = (u64_at(rest, 8)?, u32_at(rest, 16)?);
    Some(files.read(file, offset, len.min(WRITE_MAX) as usize))
}

fn written(rest: &[u8], file: usize, files: &mut impl Files) -> Option<Vec<u8>> {
    let (offset, len) = (u64_at(rest, 8)?, u32_at(rest, 16)?);
    let bytes = rest.get(40..)?.get(..len as usize)?;
    files.write(file, offset, bytes);
    Some(numbers(&[len, 0]))
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_ne_bytes())
        .collect()
}
