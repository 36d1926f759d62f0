//! A block device whose writes fail while it is told so, and that heals.
//!
//! `nbdkit` serves a file and fails writes as long as another file exists; `nbdfuse` shows what it serves as a file again, and
//! a loop device lies on that. So a failed write comes from below the file system, as from a cable that was pulled.

use crate::image::{Image, Kind};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Both programs are ready within this time, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);

/// A disk with a file system on it, mounted; all of it goes when it is dropped.
#[derive(Debug)]
pub struct FailingDisk {
    // In the order in which they have to go: each lies on the next.
    image: Image,
    _shown: Served,
    _served: Served,
    trigger: PathBuf,
}

impl FailingDisk {
    /// Makes one in `folder`, mounted at `folder/NAME`.
    ///
    /// # Errors
    /// If the machine does not allow it: no root, no FUSE, no nbdkit or nbdfuse.
    pub fn make(folder: &Path, name: &str, kind: Kind) -> Result<Self> {
        let path = |ending: &str| folder.join(format!("{name}.{ending}"));
        let (file, socket, trigger, shown) =
            (path("disk"), path("socket"), path("trigger"), path("shown"));
        File::create(&file)?.set_len(kind.size())?;
        fs::create_dir(&shown)?;
        let mut server = Command::new("nbdkit");
        server.arg("-f").arg("-U").arg(&socket);
        server.args(["--filter=error", "file"]).arg(&file);
        for write in ["pwrite", "zero", "trim"] {
            server.arg(format!("error-{write}=EIO"));
            server.arg(format!("error-{write}-rate=100%"));
            server.arg(format!("error-{write}-file={}", trigger.display()));
        }
        let served = Served::start(&mut server, &socket)?;
        let shown_file = shown.join("disk");
        let mut viewer = Command::new("nbdfuse");
        viewer.arg(&shown_file).arg("--unix").arg(&socket);
        let viewer = Served::start(&mut viewer, &shown_file)?;
        Ok(Self {
            image: Image::on(&shown_file, &folder.join(name), kind)?,
            _shown: viewer,
            _served: served,
            trigger,
        })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.image.path()
    }

    /// Fails every write from now on, or heals, whichever it does not do now.
    ///
    /// # Errors
    /// If the file that says so cannot be made.
    pub fn turn(&self) -> Result<()> {
        if self.trigger.exists() {
            self.heal()
        } else {
            File::create(&self.trigger)?;
            Ok(())
        }
    }

    /// Takes writes again.
    ///
    /// # Errors
    /// If the file that says otherwise cannot be removed.
    pub fn heal(&self) -> Result<()> {
        if self.trigger.exists() {
            fs::remove_file(&self.trigger)?;
        }
        Ok(())
    }

    /// Forgets what memory says that the disk holds, and looks at the disk itself.
    ///
    /// # Errors
    /// If somebody still holds it, or it cannot be mounted any more.
    pub fn forget_memory(&mut self) -> Result<()> {
        self.image.remount()
    }
}

impl Drop for FailingDisk {
    fn drop(&mut self) {
        // A file system that cannot write does not let go of its disk.
        self.heal().ok();
    }
}

/// A program that serves something; asked to end when it is dropped.
#[derive(Debug)]
struct Served {
    child: Child,
}

impl Served {
    /// Starts it, and waits until what it serves is there.
    fn start(command: &mut Command, there: &Path) -> Result<Self> {
        let program = command.get_program().display().to_string();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // It tells of every write that it fails.
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("there is no `{program}`"))?;
        let mut served = Self { child };
        let begun = Instant::now();
        while !there.exists() {
            let ended = served.child.try_wait()?;
            ensure!(ended.is_none(), "`{program}` does not work here");
            ensure!(begun.elapsed() < PATIENCE, "`{program}` serves nothing");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(served)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        self.child.wait().ok();
    }
}
