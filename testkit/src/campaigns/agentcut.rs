//! The power goes at random moments under the whole agent, while files come in and a receiver outside stores them.

use super::stage::Stage;
use super::{Effort, scratch};
use crate::image::{Cut, Image, Kind};
use crate::process::Receiver;
use crate::verdict::{Figure, Verdict};
use anyhow::{Context, Result};
use std::thread;
use std::time::Duration;

/// Cuts over both file systems. One costs about 170 ms, most of it the life of the agent: 300 are over within a minute.
const CUTS_SHORT: u64 = 300;
const CUTS_LONG: u64 = 10_000;

/// Sizes of the disk: the log of the agent grows to segments of 64 MiB, and the archive keeps everything. The files are
/// sparse.
const DISK_SHORT: u64 = 1024 * 1024 * 1024;
const DISK_LONG: u64 = 4 * DISK_SHORT;

/// An agent lives so long after its start, at most.
const LIFE_MAX: Duration = Duration::from_millis(200);

/// Files that come in a life, at most.
const FILES_MAX: u64 = 8;

pub(super) fn run(effort: Effort) -> Verdict {
    let (all, size) = if effort.is_long {
        (CUTS_LONG, DISK_LONG)
    } else {
        (CUTS_SHORT, DISK_SHORT)
    };
    let all = effort.cuts.unwrap_or(all);
    let mut passed = Vec::new();
    for (kind, cuts) in [(Kind::Ext4, all.div_ceil(2)), (Kind::Xfs, all / 2)] {
        let mut stage = match Stage::new(effort.seed) {
            Ok(stage) => stage,
            Err(error) => return Verdict::from(error),
        };
        // In memory, where a sync of the producer takes no time that the cuts could have.
        let folder = match scratch() {
            Ok(folder) => folder,
            Err(error) => return Verdict::from(error),
        };
        let mut disk = match Image::make_of(folder.path(), "disk", kind, size) {
            Ok(disk) => disk,
            Err(error) => {
                return Verdict::NotMeasured(format!("agentcut: {error:#}; measured: {passed:?}"));
            }
        };
        let verdict = match cycles(&mut stage, &mut disk, cuts) {
            Ok(()) => stage.judge(&["data"], &format!("{cuts} cuts on {}", kind.name())),
            Err(error) => Verdict::from(error.context(format!("on {}", kind.name()))),
        };
        match verdict {
            Verdict::Pass(what) => {
                println!("  {what}");
                passed.push(what);
            }
            Verdict::Violation { what, seed, kept } => {
                disk.keep();
                let what = format!("{what}; its disk in {}", folder.keep().display());
                return Verdict::Violation { what, seed, kept };
            }
            other => return other,
        }
    }
    Verdict::Pass(passed.join("; ")).with(Figure::PowerCuts, all)
}

fn cycles(stage: &mut Stage, disk: &mut Image, cuts: u64) -> Result<()> {
    stage.put_on(disk.path())?;
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    for cut in 0..cuts {
        let agent = stage.agent("data", &receiver.url, &[])?;
        let mut left = Duration::from_micros(stage.random.below(LIFE_MAX.as_micros() as u64));
        for _ in 0..stage.random.below(FILES_MAX) {
            let pause = left.mul_f64(stage.random.below(1000) as f64 / 3000.0);
            thread::sleep(pause);
            left -= pause;
            // The producer makes sure of its file before the power can go, or nobody could say that it has to arrive.
            stage.drop_file()?;
        }
        thread::sleep(left);
        let how = match stage.random.below(2) {
            0 => Cut::Journal,
            _ => Cut::Nothing,
        };
        disk.cut(how)?;
        agent.kill()?;
        disk.remount()
            .with_context(|| format!("after cut {cut}, {how:?}"))?;
    }
    stage.finish("data", &receiver.url)
}
