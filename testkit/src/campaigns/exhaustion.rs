//! Too little of something: room on the disk, inodes, descriptors, memory, or the disk itself.

mod agent;

use super::trial::Trial;
use super::{Effort, scratch};
use crate::image::{Image, Kind};
use crate::mount::Tmpfs;
use crate::random::Random;
use crate::tracer::{self, Ending, Watched};
use crate::verdict::{Figure, Verdict};
use crate::workloads::{ACROSS, ALL, Workload};
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A disk is left so many bytes more from one level to the next: a block.
const STEP: u64 = 4096;

/// Levels of each workload and disk in the short form, drawn by the seed: together they take about a quarter of a minute.
const SAMPLE: u64 = 6;

/// Less than a workload leaves behind is too little for it; some more than that shows the end of the trouble.
const MARGIN: u64 = 128 * 1024;

pub(super) fn run(effort: Effort) -> Verdict {
    if !tracer::IS_SUPPORTED {
        return Verdict::NotMeasured(
            "exhaustion: the registers of this machine are not known".to_owned(),
        );
    }
    let (mut measured, mut unmeasured) = (Vec::new(), Vec::new());
    let mut filled = 0;
    for disk in ["tmpfs", "ext4", "xfs"] {
        match levels(disk, effort) {
            Ok(Measured::Good(levels, complained)) => {
                filled += levels;
                measured.push(format!(
                    "{levels} fill levels on {disk}, {complained} of them too full for some step"
                ));
            }
            Ok(Measured::Broken(what, kept)) => {
                return Verdict::Violation {
                    what,
                    seed: effort.seed,
                    kept: Some(kept),
                };
            }
            Ok(Measured::Not(why)) => unmeasured.push(why),
            Err(error) => return Verdict::from(error.context(disk)),
        }
        println!("  {}", measured.join("; "));
    }
    let shortages = match agent::scenarios(effort) {
        Ok(shortages) => shortages,
        Err(verdict) => return verdict,
    };
    measured.push(format!("the agent with {}", shortages.met.join(", ")));
    unmeasured.extend(shortages.unmeasured);
    let measured = measured.join("; ");
    if unmeasured.is_empty() {
        Verdict::Pass(measured)
            .with(Figure::FillLevels, filled)
            .with(Figure::Shortages, shortages.met.len() as u64)
    } else {
        Verdict::NotMeasured(format!("{}; measured: {measured}", unmeasured.join("; ")))
    }
}

/// What came of the levels of a disk.
enum Measured {
    /// How many, and at how many of them something was refused.
    Good(u64, u64),
    Broken(String, PathBuf),
    Not(String),
}

/// A small disk; it goes when it is dropped.
enum Disk {
    Memory(Tmpfs),
    Image(Image),
}

impl Disk {
    fn make(folder: &Path, kind: &str) -> Result<Self> {
        Ok(match kind {
            "tmpfs" => Self::Memory(Tmpfs::mount(&folder.join("disk"), "16m")?),
            "ext4" => Self::Image(Image::make(folder, "disk", Kind::Ext4)?),
            _ => Self::Image(Image::make(folder, "disk", Kind::Xfs)?),
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Memory(disk) => disk.path(),
            Self::Image(disk) => disk.path(),
        }
    }
}

fn levels(kind: &str, effort: Effort) -> Result<Measured> {
    let folder = scratch()?;
    let mut disk = match Disk::make(folder.path(), kind) {
        Ok(disk) => disk,
        Err(error) => return Ok(Measured::Not(format!("{kind}: {error:#}"))),
    };
    let (mut count, mut complained) = (0, 0);
    for workload in ALL {
        let mut random = Random::new(effort.seed);
        let (mut trial, needed) = prepared(workload, disk.path(), folder.path())?;
        let all = needed / STEP;
        let chosen: Vec<u64> = if effort.is_long {
            (0..all).collect()
        } else {
            (0..SAMPLE).map(|_| random.below(all)).collect()
        };
        for level in chosen {
            let left = level * STEP;
            let (refused, wrong) = at_level(&mut trial, disk.path(), left)?;
            count += 1;
            complained += u64::from(refused);
            if let Some(wrong) = wrong {
                if let Disk::Image(image) = &mut disk {
                    image.keep();
                }
                let what = format!(
                    "{} on {kind} with {left} bytes left: {wrong}",
                    workload.name
                );
                return Ok(Measured::Broken(what, folder.keep()));
            }
        }
    }
    Ok(Measured::Good(count, complained))
}

/// A trial on a disk, and how many bytes it takes there in all.
fn prepared<'a>(workload: &'a Workload, disk: &Path, folder: &Path) -> Result<(Trial<'a>, u64)> {
    // A claim from another file system is none if both folders lie on one disk. The other one has room: what comes from there meets the
    // full disk in the middle of its copy.
    let near = disk.join("near");
    let far = if workload.name == ACROSS {
        folder.join("far")
    } else {
        disk.join("far")
    };
    std::fs::create_dir_all(&near)?;
    std::fs::create_dir_all(&far)?;
    let notes = folder.join("notes");
    let mut trial = Trial::new(workload, &near, &far, &notes, Watched::Changes)?;
    trial.reset()?;
    let before = free(disk)?;
    trial.rehearse()?;
    let needed = before.saturating_sub(free(disk)?) + MARGIN;
    Ok((trial, needed))
}

fn free(disk: &Path) -> Result<u64> {
    let facts = rustix::fs::statvfs(disk)?;
    Ok(facts.f_bfree * facts.f_frsize)
}

/// Whether something was refused with so many bytes left, and what is wrong.
fn at_level(trial: &mut Trial<'_>, disk: &Path, left: u64) -> Result<(bool, Option<String>)> {
    trial.reset()?;
    let filler = Filler::fill(disk, left)?;
    let (seen, told) = trial.run(None, &mut || Ok(()))?;
    let refused = told.contains("refused");
    if let Some(died) = trial.died(&seen)? {
        return Ok((refused, Some(died)));
    }
    // It may start on the full disk or say why not; it has to do one of them.
    let started = trial.check(None, &mut || Ok(()))?;
    if !matches!(started.ending, Ending::Exited(0..=2)) {
        let what = format!("the start on the full disk: {:?}", started.ending);
        return Ok((refused, Some(what)));
    }
    drop(filler);
    let mut wrong = trial.wrong()?;
    if wrong.is_none() {
        wrong = trial.again()?;
    }
    if wrong.is_none() {
        wrong = trial.wrong()?;
    }
    Ok((refused, wrong))
}

/// A file that takes the room of a disk; removed when it is dropped.
struct Filler {
    path: PathBuf,
}

impl Filler {
    /// Takes all room but `left` bytes.
    fn fill(disk: &Path, left: u64) -> Result<Self> {
        /// What the last pieces are found with, one by one.
        const REST: u64 = 1024 * 1024;
        let filler = Self {
            path: disk.join("filler"),
        };
        let mut file = File::create(&filler.path)?;
        let most = free(disk)?.saturating_sub(REST);
        let flags = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(&file, flags, 0, most.max(STEP))
            .context("the disk cannot be filled")?;
        let mut len = most.max(STEP);
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(len))?;
        let block = vec![1; STEP as usize];
        loop {
            match file.write_all(&block).and_then(|()| file.sync_all()) {
                Ok(()) => len += STEP,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
        file.set_len(len.saturating_sub(left))?;
        file.sync_all()?;
        Ok(filler)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // XFS gives the room of a removed file back some time later, that of a shortened one at once.
        let file = File::options().write(true).open(&self.path);
        file.and_then(|file| file.set_len(0)).ok();
        std::fs::remove_file(&self.path).ok();
    }
}
