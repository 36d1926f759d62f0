//! One workload in a place of its own: run with or without a fault, then judged by a process that opens it again.

use crate::tracer::{Ending, Plan, Seen, Watch, Watched, watch};
use crate::workloads::{Place, WRONG, Workload, complaints, missed};
use anyhow::{Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A run takes milliseconds; one that takes so long hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A workload, where it works, and where what it tells is kept: outside of everything that fails.
pub(super) struct Trial<'a> {
    pub(super) workload: &'a Workload,
    pub(super) place: Place,
    pub(super) watched: Watched,
    notes: PathBuf,
}

impl<'a> Trial<'a> {
    /// A trial on these two disks, or folders; `notes` is a folder elsewhere.
    pub(super) fn new(
        workload: &'a Workload,
        folder: &Path,
        other: &Path,
        notes: &Path,
        watched: Watched,
    ) -> Result<Self> {
        fs::create_dir_all(notes)?;
        Ok(Self {
            workload,
            place: Place {
                folder: folder.to_owned(),
                other: other.to_owned(),
                round: 0,
            },
            watched,
            notes: notes.to_owned(),
        })
    }

    /// Begins anew: whatever lies in the two folders goes, and what the workload finds is laid out.
    pub(super) fn reset(&mut self) -> Result<()> {
        for folder in [&self.place.folder, &self.place.other] {
            empty(folder)?;
        }
        fs::write(self.facts(), "")?;
        self.begin(0)
    }

    /// Lays out a round.
    pub(super) fn begin(&mut self, round: u64) -> Result<()> {
        self.place.round = round;
        (self.workload.prepare)(&self.place)?;
        for folder in [&self.place.folder, &self.place.other] {
            mainstay_files::sync_filesystem(folder)?;
        }
        Ok(())
    }

    /// Runs the workload; what it tells is added to the facts. Returns what it told, too.
    pub(super) fn run(
        &self,
        plan: Option<Plan>,
        power_off: &mut dyn FnMut() -> Result<()>,
    ) -> Result<(Seen, String)> {
        let seen = self.start("run", plan, power_off)?;
        let told = fs::read_to_string(self.notes.join("told"))?;
        let mut facts = fs::read_to_string(self.facts())?;
        facts.push_str(&told);
        fs::write(self.facts(), facts)?;
        Ok((seen, told))
    }

    /// Has a process open what is left and hold it against the facts.
    pub(super) fn check(
        &self,
        plan: Option<Plan>,
        power_off: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Seen> {
        self.start("check", plan, power_off)
    }

    /// What a check that nothing happened to says is wrong.
    pub(super) fn wrong(&self) -> Result<Option<String>> {
        let seen = self.check(None, &mut || Ok(()))?;
        let text = |name: &str| fs::read_to_string(self.notes.join(name));
        Ok(match seen.ending {
            Ending::Exited(0) => None,
            Ending::Exited(WRONG) => Some(text("told")?.trim().replace('\n', "; ")),
            ending => Some(format!(
                "the next start: {ending:?}: {}",
                text("said")?.trim()
            )),
        })
    }

    /// What is wrong with how a workload ended: it panicked, hung, or died.
    pub(super) fn died(&self, seen: &Seen) -> Result<Option<String>> {
        let said = fs::read_to_string(self.notes.join("said"))?;
        let is_well = match seen.ending {
            Ending::Exited(code) => code == 0,
            Ending::PoweredOff => true,
            Ending::Signalled(_) | Ending::Hung => false,
        };
        // A disk that goes down is no reason to panic either, on whatever thread.
        Ok((!is_well || said.contains("panicked"))
            .then(|| format!("the workload ended so: {:?}: {}", seen.ending, said.trim())))
    }

    /// Runs the workload once more, on what is there, with nothing in its way.
    pub(super) fn again(&mut self) -> Result<Option<String>> {
        self.begin(self.place.round + 1)?;
        let (seen, told) = self.run(None, &mut || Ok(()))?;
        if let Some(died) = self.died(&seen)? {
            return Ok(Some(died));
        }
        let complaints = complaints(&told);
        Ok((!complaints.is_empty())
            .then(|| format!("healed, it does not finish: {}", complaints.join("; "))))
    }

    fn facts(&self) -> PathBuf {
        self.notes.join("facts")
    }

    fn start(
        &self,
        verb: &str,
        plan: Option<Plan>,
        power_off: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Seen> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["workload", verb, self.workload.name])
            .arg(&self.place.folder)
            .arg(&self.place.other)
            .arg(self.place.round.to_string());
        if verb == "check" {
            command.arg(self.facts());
        }
        let below = [self.place.folder.clone(), self.place.other.clone()];
        let wish = Watch {
            below: &below,
            watched: self.watched,
            plan,
            patience: PATIENCE,
            told: &self.notes.join("told"),
            said: &self.notes.join("said"),
        };
        watch(&mut command, &wish, power_off)
    }

    /// A run without a fault has to be without complaint, or whatever comes after means nothing. Returns how many calls it
    /// made, and how many its check.
    pub(super) fn rehearse(&mut self) -> Result<(u64, u64)> {
        self.reset()?;
        let (seen, told) = self.run(None, &mut || Ok(()))?;
        let said = fs::read_to_string(self.notes.join("said"))?;
        let complaints = complaints(&told);
        ensure!(
            seen.ending == Ending::Exited(0) && complaints.is_empty(),
            "{} fails without a fault: {:?} {complaints:?} {said}",
            self.workload.name,
            seen.ending
        );
        let missed = missed(&told);
        let name = self.workload.name;
        ensure!(missed.is_empty(), "{name} shows nothing: {missed:?}");
        ensure!(0 < seen.calls, "no call of {} was seen", self.workload.name);
        let checked = self.check(None, &mut || Ok(()))?;
        if let Some(wrong) = self.wrong()? {
            anyhow::bail!("{} leaves without a fault: {wrong}", self.workload.name);
        }
        Ok((seen.calls, checked.calls))
    }
}

/// Removes all that lies in a folder, but what the file system itself keeps there.
fn empty(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == "lost+found" {
        } else if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
