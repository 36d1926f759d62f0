//! The power goes at a system call: at each in turn, on two file systems, in two ways, and again while recovery is at work.

use super::trial::Trial;
use super::{Effort, scratch};
use crate::image::{Cut, Image, Kind};
use crate::random::Random;
use crate::tracer::{self, Fault, Plan, Watched};
use crate::verdict::{Figure, Verdict};
use crate::workloads::{ALL, REOPENED, Workload};
use anyhow::Result;
use std::fmt;
use std::path::{Path, PathBuf};

/// Recovery is cut, too, after each so many cuts of the work.
const AGAIN_EACH: u64 = 5;

/// Cuts of each workload in the short form, for what is not cut everywhere: three file systems and ways of 10 workloads take
/// about a minute so.
const SAMPLE: u64 = 14;

/// File systems and ways, and whether the short form cuts at every call there. ext4 with nothing written is where a missing
/// sync of a folder shows, and it is the quickest; XFS and a journal without its data show missing syncs of files.
const COMBINATIONS: [(Kind, Cut, bool); 4] = [
    (Kind::Ext4, Cut::Nothing, true),
    (Kind::Ext4, Cut::Journal, false),
    (Kind::Xfs, Cut::Nothing, false),
    (Kind::Xfs, Cut::Journal, false),
];

/// What was done.
#[derive(Default)]
struct Count {
    everywhere: u64,
    sampled: u64,
    while_recovering: u64,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cuts at every call of {} workloads, {} at a sample of the calls on the other file systems and ways, {} more while recovering",
            self.everywhere,
            ALL.len() + 1,
            self.sampled,
            self.while_recovering
        )
    }
}

pub(super) fn run(effort: Effort) -> Verdict {
    if !tracer::IS_SUPPORTED {
        return Verdict::NotMeasured(
            "powercut: the registers of this machine are not known".to_owned(),
        );
    }
    let mut count = Count::default();
    let mut unmeasured = Vec::new();
    for (kind, cut, everywhere) in COMBINATIONS {
        let folder = match scratch() {
            Ok(folder) => folder,
            Err(error) => return Verdict::from(error),
        };
        let disks = match Disks::make(folder.path(), kind, cut) {
            Ok(disks) => disks,
            Err(error) => {
                unmeasured.push(format!("{}: {error:#}", kind.name()));
                continue;
            }
        };
        let everywhere = everywhere || effort.is_long;
        match cut_all(disks, everywhere, effort, &mut count) {
            Ok(None) => println!("  {} {cut:?}: {count}", kind.name()),
            Ok(Some(what)) => {
                return Verdict::Violation {
                    what,
                    seed: effort.seed,
                    kept: Some(folder.keep()),
                };
            }
            Err(error) => return Verdict::from(error),
        }
    }
    if unmeasured.is_empty() {
        let cuts = count.everywhere + count.sampled + count.while_recovering;
        Verdict::Pass(format!("{count}")).with(Figure::PowerCuts, cuts)
    } else if count.everywhere == 0 {
        Verdict::NotMeasured(format!("powercut: {}", unmeasured.join("; ")))
    } else {
        Verdict::NotMeasured(format!(
            "powercut, in part: {}; measured: {count}",
            unmeasured.join("; ")
        ))
    }
}

/// Two disks whose power goes at once, as in one machine.
struct Disks {
    near: Image,
    far: Image,
    cut: Cut,
    folder: PathBuf,
}

impl Disks {
    fn make(folder: &Path, kind: Kind, cut: Cut) -> Result<Self> {
        Ok(Self {
            near: Image::make(folder, "near", kind)?,
            far: Image::make(folder, "far", kind)?,
            cut,
            folder: folder.to_owned(),
        })
    }

    fn power_off(&self) -> Result<()> {
        self.near.cut(self.cut)?;
        self.far.cut(self.cut)
    }

    fn power_on(&mut self) -> Result<()> {
        self.near.remount()?;
        self.far.remount()
    }
}

fn cut_all(
    mut disks: Disks,
    everywhere: bool,
    effort: Effort,
    count: &mut Count,
) -> Result<Option<String>> {
    for workload in ALL.iter().chain([&REOPENED]) {
        let mut random = Random::new(effort.seed);
        // A sample of it does where there is little time: what it adds is a start that has to recover.
        let everywhere = everywhere && (effort.is_long || workload.name != REOPENED.name);
        if let Some(what) = cut_workload(&mut disks, workload, everywhere, &mut random, count)? {
            disks.near.keep();
            disks.far.keep();
            return Ok(Some(what));
        }
    }
    Ok(None)
}

fn cut_workload(
    disks: &mut Disks,
    workload: &Workload,
    everywhere: bool,
    random: &mut Random,
    count: &mut Count,
) -> Result<Option<String>> {
    let notes = disks.folder.join("notes");
    let (near, far) = (disks.near.path().to_owned(), disks.far.path().to_owned());
    let mut trial = Trial::new(workload, &near, &far, &notes, Watched::Changes)?;
    let (calls, calls_of_check) = trial.rehearse()?;
    // After a cut there is more to do than after a clean stop.
    let mut longest = 2 * calls_of_check;
    let mut at = 0;
    let mut cuts = 0;
    loop {
        at += if everywhere {
            1
        } else {
            1 + random.below((2 * calls / SAMPLE).max(1))
        };
        trial.reset()?;
        let plan = Plan {
            at,
            fault: Fault::PowerOff,
        };
        let (seen, _) = trial.run(Some(plan), &mut || disks.power_off())?;
        // Threads take turns: runs differ by some calls, so the end is a run that was not met.
        let Some(call) = seen.hit.clone() else {
            return Ok(None);
        };
        disks.power_on()?;
        cuts += 1;
        *(if everywhere {
            &mut count.everywhere
        } else {
            &mut count.sampled
        }) += 1;
        let mut history = vec![format!("call {at} ({call})")];
        let died = trial.died(&seen)?;
        if cuts % AGAIN_EACH == 0 {
            let cut_into = cut_recovery(&trial, disks, &mut longest, random)?;
            count.while_recovering += cut_into.len() as u64;
            history.extend(cut_into);
        }
        let wrong = match died {
            Some(died) => Some(died),
            None => trial.wrong()?,
        };
        if let Some(wrong) = wrong {
            return Ok(Some(format!(
                "{} on {}, cut at {}: {wrong}",
                workload.name,
                disks.near.describe(disks.cut),
                history.join(", then at ")
            )));
        }
    }
}

/// Cuts into the recovery, and into the recovery from that, anywhere in the `longest` of them; tells where.
fn cut_recovery(
    trial: &Trial<'_>,
    disks: &mut Disks,
    longest: &mut u64,
    random: &mut Random,
) -> Result<Vec<String>> {
    let mut history = Vec::new();
    for _ in 0..2 {
        let plan = Plan {
            at: 1 + random.below((*longest).max(1)),
            fault: Fault::PowerOff,
        };
        let seen = trial.check(Some(plan), &mut || disks.power_off())?;
        if let Some(call) = seen.hit {
            history.push(format!("call {} of recovery ({call})", plan.at));
            // How much there is to recover differs from cut to cut, and nobody has seen the end of this one.
            *longest += *longest / 16 + 1;
        } else {
            *longest = seen.calls + seen.calls / 4;
        }
        disks.power_on()?;
    }
    Ok(history)
}
