//! Where a workload is recorded, and where images are mounted and judged: at the same place, since names stand in what is
//! stored.

use crate::image::{Image, Kind};
use crate::recorded::{Content, DISKS, RecordedDisks, Recording};
use crate::workloads::{CHECK_ALONE, Place, RUN_ALONE, WRONG, Workload, complaints, missed};
use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// A workload takes milliseconds; one that takes so long hangs.
const PATIENCE: Timespec = Timespec {
    tv_sec: 60,
    tv_nsec: 0,
};

/// A workload's run, and the disks that it needs.
pub(super) struct Recorded {
    pub(super) recording: Recording,
    /// How many of [`DISKS`] it uses.
    disks: usize,
}

/// What may be wrong with an image.
pub(super) enum Wrong {
    /// Something that was said is not so.
    Promise(String),
    /// It cannot be mounted: then nothing can be said of what lies on it.
    FileSystem(String),
}

/// Runs a workload on disks that are recorded, and returns what was seen of it.
///
/// # Errors
/// If it does not come to its end without a complaint.
pub(super) fn record(
    disks: &RecordedDisks,
    workload: &Workload,
    folder: &Path,
) -> Result<Recorded> {
    let place = place(folder);
    (workload.prepare)(&place)?;
    let recording = disks.begin()?;
    let said = folder.join("said");
    let mut command = command(RUN_ALONE, workload, &place)?;
    command.stdout(disks.said()?).stderr(File::create(&said)?);
    let status = wait(&mut command)?;
    let uses_other = fs::read_dir(&place.other)?
        .filter_map(Result::ok)
        .any(|entry| entry.file_name() != "lost+found");
    let recording = disks.end(recording)?;
    let told = recording.said_before(recording.events.len());
    let complaints = complaints(&told);
    ensure!(
        status.success() && complaints.is_empty(),
        "{} fails without a fault: {status} {complaints:?} {}",
        workload.name,
        fs::read_to_string(&said)?.trim()
    );
    let missed = missed(&told);
    ensure!(
        missed.is_empty(),
        "{} shows nothing: {missed:?}",
        workload.name
    );
    Ok(Recorded {
        recording,
        disks: 1 + usize::from(uses_other),
    })
}

/// Where the disks of a folder are mounted.
fn place(folder: &Path) -> Place {
    Place {
        folder: folder.join(DISKS[0]),
        other: folder.join(DISKS[1]),
        round: 0,
    }
}

fn command(verb: &str, workload: &Workload, place: &Place) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["workload", verb, workload.name])
        .arg(&place.folder)
        .arg(&place.other)
        .arg(place.round.to_string())
        .stdin(Stdio::null());
    Ok(command)
}

/// Where images are mounted and judged, one after the other.
pub(super) struct Bed {
    stands: Vec<Stand>,
    /// For what is written of it.
    own: PathBuf,
    place: Place,
}

/// A disk that gets another content for each image.
struct Stand {
    image: Image,
    file: File,
}

impl Stand {
    /// Its image lies in `own`, and is mounted at `point`.
    fn new(own: &Path, name: &str, point: &Path, kind: Kind) -> Result<Self> {
        let path = own.join(format!("{name}.image"));
        let mut options = File::options();
        let file = options.create_new(true).write(true).open(&path)?;
        file.set_len(kind.size())?;
        let image = Image::of(&path, point, kind)?;
        Ok(Self { image, file })
    }
}

impl Bed {
    /// One of several in `folder`, where the recording was made and is no longer mounted.
    ///
    /// All of them are made by one thread: two programs that look for a free device at once hold each other's open, and what
    /// is open keeps in memory what lay on it before.
    pub(super) fn new(
        folder: &Path,
        number: usize,
        kind: Kind,
        recorded: &Recorded,
    ) -> Result<Self> {
        let own = folder.join(format!("bed-{number}"));
        fs::create_dir(&own)?;
        let stand = |name: &&str| Stand::new(&own, name, &folder.join(name), kind);
        let stands: Result<_> = DISKS[..recorded.disks].iter().map(stand).collect();
        Ok(Self {
            stands: stands?,
            own,
            place: place(folder),
        })
    }

    /// Mounts what lies on the disks, and has a process hold it against what was said.
    pub(super) fn judge(
        &mut self,
        workload: &Workload,
        disks: &[Content],
        said: &str,
    ) -> Result<Option<Wrong>> {
        let mut unmountable = None;
        for (stand, content) in self.stands.iter_mut().zip(disks) {
            content.pour_into(&stand.file)?;
            unmountable = unmountable.or(stand.image.plug().err());
        }
        let wrong = match unmountable {
            Some(error) => Some(Wrong::FileSystem(format!("{error:#}"))),
            None => self.check(workload, said)?.map(Wrong::Promise),
        };
        for stand in &mut self.stands {
            stand.image.unplug()?;
        }
        Ok(wrong)
    }

    fn check(&self, workload: &Workload, said: &str) -> Result<Option<String>> {
        let path = |name: &str| self.own.join(name);
        fs::write(path("facts"), said)?;
        let mut command = command(CHECK_ALONE, workload, &self.place)?;
        command
            .arg(path("facts"))
            .stdout(File::create(path("told"))?)
            .stderr(File::create(path("said"))?);
        let status = wait(&mut command)?;
        let said = fs::read_to_string(path("said"))?;
        Ok(match status.code() {
            Some(0) if !said.contains("panicked") => None,
            Some(WRONG) => Some(fs::read_to_string(path("told"))?.trim().replace('\n', "; ")),
            _ => Some(format!("the next start: {status}: {}", said.trim())),
        })
    }
}

/// From here on the calling thread, and the processes it starts, see mounts that nobody else sees: so each bed has its disks
/// at the same place. The thread has to end with its bed.
///
/// # Errors
/// If the machine does not allow it.
pub(super) fn leave_the_mounts_of_others() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("mounts of its own are not allowed here")?;
    let (none, flags) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(none, "/", none, flags, none).context("mounts cannot be kept apart here")
}

/// Puts down images as they were before anybody mounted them, and what was said by then.
pub(super) fn keep(folder: &Path, disks: &[Content], said: &str) -> Result<()> {
    for (name, content) in DISKS.iter().zip(disks) {
        let path = folder.join(format!("{name}.crashed"));
        content.pour_into(&File::create(path)?)?;
    }
    fs::write(folder.join("facts"), said)?;
    Ok(())
}

/// Runs a command to its end, or kills it.
fn wait(command: &mut Command) -> Result<ExitStatus> {
    let mut child = command.spawn().context("cannot start a workload")?;
    let pid = Pid::from_raw(child.id() as i32).context("a process id is not 0")?;
    let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
    let mut ends = [PollFd::new(&descriptor, PollFlags::IN)];
    if poll(&mut ends, Some(&PATIENCE))? == 0 {
        child.kill()?;
    }
    Ok(child.wait()?)
}
