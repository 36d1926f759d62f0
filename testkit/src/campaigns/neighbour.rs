//! Somebody who may write to a folder puts links, folders and pipes in the place of the files that we work with there, as
//! quickly as they can. What lies outside must never be read or written.

use super::{Effort, scratch};
use crate::verdict::{Figure, Verdict};
use anyhow::{Context, Result, ensure};
use mainstay_files::{Backups, Resolution, Save, Transactions, Trash};
use rustix::fs::{CWD, Mode, OFlags};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than it takes for every pair of steps to meet, many times.
const SHORT: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(20);

/// Long enough for a careless program to be caught some hundred times.
const CONTROL: Duration = Duration::from_millis(300);

/// Stands in what must not be read, and nowhere else.
const SECRET: &[u8] = b"the canary outside";

const NAMES: [&str; 3] = ["settings", "report", "state"];

/// A user that is neither us nor root.
const SOMEBODY: u32 = 65_534;

/// Who the shared folder belongs to, and its mode: either lets somebody else write there.
const FOLDERS: [(Option<u32>, u32); 3] = [(None, 0o777), (None, 0o1_777), (Some(SOMEBODY), 0o755)];

pub(super) fn run(effort: Effort) -> Verdict {
    let each = if effort.is_long { LONG } else { SHORT } / FOLDERS.len() as u32;
    let (mut deeds, mut swaps) = (0, 0);
    match careless() {
        Ok(true) => {}
        Ok(false) => {
            return Verdict::HarnessBroken(
                "neighbour: a program that copies whatever is there read nothing outside"
                    .to_owned(),
            );
        }
        Err(error) => return Verdict::from(error),
    }
    for (owner, mode) in FOLDERS {
        let place = match Place::new(owner, mode) {
            Ok(place) => place,
            Err(error) => return Verdict::NotMeasured(format!("neighbour: {error:#}")),
        };
        match place.contest(each, false) {
            Ok((done, swapped)) => {
                deeds += done;
                swaps += swapped;
            }
            Err(error) => {
                return Verdict::Violation {
                    what: format!("in a folder of mode {mode:o}: {error:#}"),
                    seed: effort.seed,
                    kept: None,
                };
            }
        }
    }
    Verdict::Pass(format!(
        "{deeds} deeds with files that a neighbour swapped {swaps} times, and nothing outside was read or written"
    ))
    .with(Figure::Swaps, swaps)
}

/// Whether a program that opens names as they come is led outside.
fn careless() -> Result<bool> {
    let place = Place::new(None, 0o777)?;
    Ok(place.contest(CONTROL, true).is_err())
}

struct Place {
    _folder: tempfile::TempDir,
    /// Where the neighbour writes, too.
    shared: PathBuf,
    /// What must not be touched.
    canary: PathBuf,
    /// Ours alone: backups, trash, copies.
    own: PathBuf,
}

impl Place {
    fn new(owner: Option<u32>, mode: u32) -> Result<Self> {
        let folder = scratch()?;
        let path = |name: &str| folder.path().join(name);
        let (shared, outside, own) = (path("shared"), path("outside"), path("own"));
        for path in [&shared, &outside, &own] {
            fs::create_dir(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        }
        let canary = outside.join("canary");
        fs::write(&canary, SECRET)?;
        fs::set_permissions(&shared, fs::Permissions::from_mode(mode))?;
        if let Some(owner) = owner {
            std::os::unix::fs::chown(&shared, Some(owner), Some(owner))
                .context("only root may play somebody else")?;
        }
        Ok(Self {
            _folder: folder,
            shared,
            canary,
            own,
        })
    }

    /// Works for so long while the neighbour swaps; how often each of them did something.
    fn contest(&self, time: Duration, is_careless: bool) -> Result<(u64, u64)> {
        let (is_over, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
        let canary = fs::metadata(&self.canary)?;
        let deeds = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for name in NAMES {
                        self.swap(name, swaps.fetch_add(1, Ordering::Relaxed));
                    }
                }
            });
            let deeds = self.work(time, is_careless);
            is_over.store(true, Ordering::Relaxed);
            deeds
        })?;
        let now = fs::metadata(&self.canary)?;
        ensure!(
            (now.ino(), now.mtime_nsec(), now.ctime_nsec(), now.mode())
                == (
                    canary.ino(),
                    canary.mtime_nsec(),
                    canary.ctime_nsec(),
                    canary.mode()
                ),
            "the file outside was changed"
        );
        ensure!(
            fs::read(&self.canary)? == SECRET,
            "the file outside was written to"
        );
        let outside = self.canary.parent().unwrap_or(&self.own);
        ensure!(
            fs::read_dir(outside)?.count() == 1,
            "something was made outside"
        );
        if let Some(path) = holding_the_secret(&self.own)? {
            anyhow::bail!("the file outside was read: {} has it", path.display());
        }
        Ok((deeds, swaps.load(Ordering::Relaxed)))
    }

    /// What the neighbour does; most of it fails now and then.
    fn swap(&self, name: &str, turn: u64) {
        let path = self.shared.join(name);
        let aside = self.shared.join(format!("{name}.aside"));
        fs::remove_file(&aside).ok();
        fs::remove_dir(&aside).ok();
        match turn % 7 {
            0 | 3 => drop(symlink(&self.canary, &aside)),
            1 => drop(symlink(self.canary.with_file_name("made"), &aside)),
            2 => drop(fs::create_dir(&aside)),
            4 => drop(rustix::fs::mkfifoat(
                CWD,
                &aside,
                Mode::from_raw_mode(0o666),
            )),
            _ => drop(fs::write(&aside, "of the neighbour")),
        }
        fs::remove_dir(&path).ok();
        fs::rename(&aside, &path).ok();
    }

    fn work(&self, time: Duration, is_careless: bool) -> Result<u64> {
        let begun = Instant::now();
        let backups = Backups::open(&self.own.join("backups"))?;
        let trash = Trash::open(&self.own.join("trash"))?;
        let mut deeds = 0;
        while begun.elapsed() < time {
            for name in NAMES {
                deeds += 1;
                if is_careless {
                    let copy = self.own.join(format!("careless-{deeds}"));
                    copy_whatever(&self.shared.join(name), &copy).ok();
                    continue;
                }
                // Each may be refused; none may do what it should not.
                drop(self.deed(deeds, &self.shared.join(name), &backups, &trash));
            }
        }
        Ok(deeds)
    }

    fn deed(
        &self,
        number: u64,
        path: &Path,
        backups: &Backups,
        trash: &Trash,
    ) -> Result<(), mainstay_files::Error> {
        let content = b"ours";
        let own = |name: &str| self.own.join(format!("{name}-{number}"));
        match number % 11 {
            0 => mainstay_files::replace(path, content),
            1 => backups.replace(path, content).map(drop),
            2 => backups.create(path).map(drop),
            3 => match backups.list(path)?.backups.first() {
                Some(newest) => backups.restore(newest, path).map(drop),
                None => Ok(()),
            },
            4 => trash.put(path).map(drop),
            5 => mainstay_files::copy_new(path, &own("copy")),
            6 => mainstay_files::move_file(path, &own("moved")),
            7 => Save::new(path, content)
                .keeping(backups)
                .resolve(&Resolution::KeepBoth)
                .map(drop),
            8 => {
                let transactions = Transactions::open(&self.own.join("transactions"))?;
                let mut all = transactions.begin()?;
                all.replace(path, content)?;
                all.commit()
            }
            9 => mainstay_files::write_sidecar(path, mainstay_files::Algorithm::Sha256).map(drop),
            _ => backups
                .load(path, &mainstay_files::Format::Text)
                .and_then(|loaded| mainstay_files::create_new(&own("loaded"), &loaded.bytes)),
        }
    }
}

/// What a program does that opens names as they come; it is not to wait for the other end of a pipe.
fn copy_whatever(from: &Path, to: &Path) -> Result<()> {
    let from = rustix::fs::open(from, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
    std::io::copy(&mut fs::File::from(from), &mut fs::File::create(to)?)?;
    Ok(())
}

/// A file below `folder` that holds what must not be read; links count for themselves.
fn holding_the_secret(folder: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let found = if kind.is_dir() {
            holding_the_secret(&entry.path())?
        } else {
            let holds = kind.is_file()
                && fs::read(entry.path())?
                    .windows(SECRET.len())
                    .any(|part| part == SECRET);
            holds.then(|| entry.path())
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
