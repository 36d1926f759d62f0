//! A disk whose power can be cut: a file system in a file, mounted, that stops dead when it is told to.

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// `_IOR('X', 125, u32)`: the file system goes down. ext4 and XFS know it.
const GOING_DOWN: rustix::ioctl::Opcode = 0x8004_587d;

/// A mount that a dying process still holds is free within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// What lies on the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ext4, with a journal as large as it makes one.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs, whose own limits need no kernel that counts what each user has. Its power cannot be cut.
    Btrfs,
}

impl Kind {
    /// As `mount` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// The smallest that does: XFS makes none below 300 MiB, btrfs none below 109; all files are sparse.
    pub(crate) fn size(self) -> u64 {
        const MIB: u64 = 1024 * 1024;
        match self {
            Self::Ext4 => 32 * MIB,
            Self::Xfs => 320 * MIB,
            Self::Btrfs => 256 * MIB,
        }
    }
}

/// How the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The journal is written, and the data is not: a file may be there, and empty.
    Journal = 1,
    /// Nothing that is in memory reaches the disk any more, the journal included.
    Nothing = 2,
}

/// A file system in a file; unmounted, detached and removed when it is dropped.
#[derive(Debug)]
pub struct Image {
    kind: Kind,
    file: PathBuf,
    device: PathBuf,
    point: PathBuf,
    is_mounted: bool,
    is_kept: bool,
}

impl Image {
    /// Makes one in `folder` and mounts it at `folder/NAME`.
    ///
    /// # Errors
    /// If the machine does not allow it: no root, no loop device, no program that makes the file system.
    pub fn make(folder: &Path, name: &str, kind: Kind) -> Result<Self> {
        Self::make_of(folder, name, kind, kind.size())
    }

    /// The same with a size in bytes.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn make_of(folder: &Path, name: &str, kind: Kind, size: u64) -> Result<Self> {
        let file = folder.join(format!("{name}.image"));
        File::create(&file)?.set_len(size)?;
        let made = Self::on(&file, &folder.join(name), kind);
        Self::unless_made(&file, made)
    }

    /// One that counts what lies on it, and may be told how much that may be; see [`limit`](Self::limit).
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn make_counting(folder: &Path, name: &str) -> Result<Self> {
        let made = Self::make(folder, name, Kind::Btrfs)?;
        told(
            Command::new("btrfs")
                .args(["quota", "enable"])
                .arg(made.path()),
        )
        .context("no quota can be had here")?;
        Ok(made)
    }

    fn unless_made(file: &Path, made: Result<Self>) -> Result<Self> {
        if made.is_err() {
            fs::remove_file(file).ok();
        }
        made
    }

    /// Makes a file system in a file that is there, and mounts it at `point`.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn on(file: &Path, point: &Path, kind: Kind) -> Result<Self> {
        make_file_system(file, kind)?;
        Self::attach(file, point, kind)
    }

    /// Mounts at `point` what lies on a file.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub(crate) fn attach(file: &Path, point: &Path, kind: Kind) -> Result<Self> {
        let mut image = Self::of(file, point, kind)?;
        image.mount().context("mounting is not allowed here")?;
        Ok(image)
    }

    /// A device on a file, to be plugged in at `point`.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub(crate) fn of(file: &Path, point: &Path, kind: Kind) -> Result<Self> {
        fs::create_dir_all(point)?;
        let device = attached(file).context("no loop device can be had here")?;
        Ok(Self {
            kind,
            file: file.to_owned(),
            device: device.into(),
            point: point.to_owned(),
            is_mounted: false,
            is_kept: false,
        })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.point
    }

    /// Leaves the file where it is when this is dropped, to be looked at.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// What it is, and how its power goes, in words.
    pub fn describe(&self, cut: Cut) -> String {
        let rest = match cut {
            Cut::Journal => "the journal written and the data not",
            Cut::Nothing => "nothing written",
        };
        format!("{} with {rest}", self.kind.name())
    }

    /// The power goes: whatever is not on the disk yet never will be.
    ///
    /// # Errors
    /// If the file system does not know how.
    pub fn cut(&self, how: Cut) -> Result<()> {
        let folder = File::open(&self.point)?;
        #[expect(unsafe_code, reason = "there is no safe call for it")]
        // SAFETY: the file system reads one u32 from the address that it is given, and changes nothing there.
        let answer = unsafe {
            let setter = rustix::ioctl::Setter::<GOING_DOWN, u32>::new(how as u32);
            rustix::ioctl::ioctl(folder.as_fd(), setter)
        };
        answer.with_context(|| format!("{} cannot be cut", self.kind.name()))
    }

    /// The power is back: what reached the disk is there.
    ///
    /// # Errors
    /// If somebody still holds it, or it cannot be mounted any more.
    pub fn remount(&mut self) -> Result<()> {
        self.unmount()?;
        self.mount()
    }

    /// Takes it away at once, under whoever uses it; what is open stays open until it is closed.
    ///
    /// # Errors
    /// If it is not mounted.
    pub fn pull(&mut self) -> Result<()> {
        umount2(&self.point, MntFlags::MNT_DETACH)?;
        self.is_mounted = false;
        Ok(())
    }

    /// Brings it back to its place.
    ///
    /// # Errors
    /// If it cannot be mounted.
    pub fn plug(&mut self) -> Result<()> {
        self.mount()
    }

    /// Makes it read-only, or writable again, while it is there.
    ///
    /// # Errors
    /// If something on it is open to be written.
    pub fn set_read_only(&self, is_read_only: bool) -> Result<()> {
        let mut flags = MsFlags::MS_REMOUNT;
        flags.set(MsFlags::MS_RDONLY, is_read_only);
        self.change(flags, None)
    }

    /// It turns read-only under whoever writes, as after an error that it could not bear; writable again when it is
    /// mounted anew. ext4 knows how.
    ///
    /// # Errors
    /// If the file system does not know how.
    pub fn give_up(&self) -> Result<()> {
        self.change(MsFlags::MS_REMOUNT, Some("abort"))
    }

    /// What lies here may take so many bytes from now on, whoever writes it.
    ///
    /// # Errors
    /// If it does not count.
    pub fn limit(&self, bytes: u64) -> Result<()> {
        let mut limit = Command::new("btrfs");
        limit.args(["qgroup", "limit", &bytes.to_string()]);
        told(limit.arg(&self.point)).context("no limit can be set here")?;
        Ok(())
    }

    fn change(&self, flags: MsFlags, options: Option<&str>) -> Result<()> {
        let none: Option<&str> = None;
        mount(none, &self.point, none, flags, options)
            .with_context(|| format!("cannot mount {} otherwise", self.point.display()))
    }

    /// Takes it away once nobody uses it any more, if it is there; all that was written is in its file then.
    ///
    /// # Errors
    /// If somebody still holds it.
    pub fn unplug(&mut self) -> Result<()> {
        if self.is_mounted {
            self.unmount()?;
        }
        Ok(())
    }

    fn mount(&mut self) -> Result<()> {
        // Copies of one XFS may be mounted at the same time.
        let options = match self.kind {
            Kind::Xfs => Some("nouuid"),
            Kind::Ext4 | Kind::Btrfs => None,
        };
        mount(
            Some(&self.device),
            &self.point,
            Some(self.kind.name()),
            MsFlags::empty(),
            options,
        )
        .with_context(|| format!("cannot mount {}", self.file.display()))?;
        self.is_mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<()> {
        let begun = Instant::now();
        // A process that was killed lets go of its files a moment after its end was told.
        while let Err(error) = umount2(&self.point, MntFlags::empty()) {
            ensure!(
                error == nix::errno::Errno::EBUSY && begun.elapsed() < PATIENCE,
                "cannot unmount {}: {error}",
                self.point.display()
            );
            thread::sleep(Duration::from_millis(1));
        }
        self.is_mounted = false;
        Ok(())
    }
}

/// The device that a file got.
///
/// One at a time, over all processes: two programs that look for a free device hold each other's open, and what is open keeps in
/// memory what lay on it before.
fn attached(file: &Path) -> Result<String> {
    let control = File::open("/dev/loop-control")?;
    control.lock()?;
    told(Command::new("losetup").args(["--find", "--show"]).arg(file))
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.is_mounted && self.unmount().is_err() {
            umount2(&self.point, MntFlags::MNT_DETACH).ok();
        }
        told(Command::new("losetup").arg("-d").arg(&self.device)).ok();
        if !self.is_kept {
            fs::remove_file(&self.file).ok();
        }
    }
}

/// Makes a file system in a file that is there.
///
/// # Errors
/// If there is no program that does.
pub(crate) fn make_file_system(file: &Path, kind: Kind) -> Result<()> {
    let maker = format!("mkfs.{}", kind.name());
    told(Command::new(&maker).arg("-q").arg(file))
        .with_context(|| format!("no {} can be made here", kind.name()))?;
    Ok(())
}

/// Runs a program to its end; what it printed, or why it failed.
fn told(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .with_context(|| format!("there is no `{program}`"))?;
    ensure!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
