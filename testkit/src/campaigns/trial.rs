//! One workload in a place of its own: run with or without a fault, then judged by a process that opens it again.

use crate::tracer::{Ending, Fault, Lasts, Plan, Seen, Watch, Watched, watch};
use crate::workloads::{
    CHECK_ALONE, CHECK_BRIEFLY, Place, RUN_ALONE, RUN_HEALING, WRONG, Workload, complaints, missed,
    stuck,
};
use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

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
        let verb = match plan {
            Some(plan) if heals(plan.fault) => RUN_HEALING,
            _ => "run",
        };
        let seen = self.start(verb, plan, power_off)?;
        let told = self.take_in()?;
        Ok((seen, told))
    }

    /// Adds what a run told to the facts.
    fn take_in(&self) -> Result<String> {
        let told = self.told()?;
        let mut facts = fs::read_to_string(self.facts())?;
        facts.push_str(&told);
        fs::write(self.facts(), facts)?;
        Ok(told)
    }

    /// Keeps all that lies in the two folders now, and what was told of it.
    pub(super) fn save(&self) -> Result<Saved> {
        let saved = Saved {
            folder: tempfile::tempdir()?,
            round: self.place.round,
        };
        for (from, to) in self.kept_in(&saved) {
            copy_all(from, &to)?;
        }
        fs::copy(self.facts(), saved.folder.path().join("facts"))?;
        Ok(saved)
    }

    /// Lays out what was kept, in place of what lies there now.
    pub(super) fn restore(&mut self, saved: &Saved) -> Result<()> {
        self.place.round = saved.round;
        for (to, from) in self.kept_in(saved) {
            empty(to)?;
            copy_all(&from, to)?;
        }
        fs::copy(saved.folder.path().join("facts"), self.facts())?;
        Ok(())
    }

    fn kept_in(&self, saved: &Saved) -> [(&Path, PathBuf); 2] {
        [
            (&*self.place.folder, saved.folder.path().join("near")),
            (&*self.place.other, saved.folder.path().join("far")),
        ]
    }

    /// Has a process open what is left and hold it against the facts.
    pub(super) fn check(
        &self,
        plan: Option<Plan>,
        power_off: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Seen> {
        self.start("check", plan, power_off)
    }

    /// The same with a fault that may last: it is not waited for as long as for a check that has to succeed.
    pub(super) fn check_briefly(&self, plan: Plan) -> Result<Seen> {
        self.start(CHECK_BRIEFLY, Some(plan), &mut || Ok(()))
    }

    /// What a check that nothing happened to says is wrong.
    pub(super) fn wrong(&self) -> Result<Option<String>> {
        let ending = self.start_alone(CHECK_ALONE)?;
        let text = |name: &str| fs::read_to_string(self.notes.join(name));
        Ok(match ending {
            Ending::Exited(0) => None,
            Ending::Exited(WRONG) => Some(text("told")?.trim().replace('\n', "; ")),
            ending => Some(format!(
                "the next start: {ending:?}: {}",
                text("said")?.trim()
            )),
        })
    }

    /// What a process wrote on standard output last.
    pub(super) fn told(&self) -> Result<String> {
        Ok(fs::read_to_string(self.notes.join("told"))?)
    }

    /// What is wrong with how a check ended that was met by a fault: it may give up, and no more.
    pub(super) fn gave_up_badly(&self, seen: &Seen) -> Result<Option<String>> {
        let said = fs::read_to_string(self.notes.join("said"))?;
        let is_well = matches!(seen.ending, Ending::Exited(0..=2)) && !said.contains("panicked");
        Ok((!is_well).then(|| format!("the start ended so: {:?}: {}", seen.ending, said.trim())))
    }

    /// What is wrong with how a workload ended: it panicked, hung, or died.
    pub(super) fn died(&self, seen: &Seen) -> Result<Option<String>> {
        self.ended_badly(seen.ending)
    }

    fn ended_badly(&self, ending: Ending) -> Result<Option<String>> {
        let said = fs::read_to_string(self.notes.join("said"))?;
        let is_well = match ending {
            Ending::Exited(code) => code == 0,
            Ending::PoweredOff => true,
            Ending::Signalled(_) | Ending::Hung => false,
        };
        // A disk that goes down is no reason to panic either, on whatever thread.
        Ok((!is_well || said.contains("panicked"))
            .then(|| format!("the workload ended so: {ending:?}: {}", said.trim())))
    }

    /// What is wrong with how a workload ended that a fault was in the way of, or with what it came to in that process.
    pub(super) fn died_or_stuck(&self, seen: &Seen, told: &str) -> Result<Option<String>> {
        if let Some(died) = self.died(seen)? {
            return Ok(Some(died));
        }
        let stuck = stuck(told);
        Ok((!stuck.is_empty()).then(|| stuck.join("; ")))
    }

    /// What is wrong after a run that a fault met: how it ended (`died`), what it left, or what comes of the next run on that, which nothing
    /// is in the way of.
    pub(super) fn judged(&mut self, died: Option<String>) -> Result<Option<String>> {
        let mut wrong = died;
        if wrong.is_none() {
            wrong = self.wrong()?;
        }
        if wrong.is_none() {
            wrong = self.again()?;
        }
        if wrong.is_none() {
            wrong = self.wrong()?;
        }
        Ok(wrong)
    }

    /// Runs the workload once more, on what is there, with nothing in its way.
    pub(super) fn again(&mut self) -> Result<Option<String>> {
        self.begin(self.place.round + 1)?;
        let ending = self.start_alone(RUN_ALONE)?;
        let told = self.take_in()?;
        if let Some(died) = self.ended_badly(ending)? {
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
        let mut command = self.command(verb)?;
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

    /// Runs the workload as the child of another program, whose last words the workload's become; what it tells is added to
    /// the facts. Returns what it told, too.
    pub(super) fn run_below(&self, program: &mut Command) -> Result<(Ending, String)> {
        let alone = self.command(RUN_ALONE)?;
        program.arg(alone.get_program()).args(alone.get_args());
        let ending = self.end_of(program)?;
        Ok((ending, self.take_in()?))
    }

    /// What is wrong with how a workload ended that ran below another program.
    pub(super) fn died_below(&self, ending: Ending) -> Result<Option<String>> {
        self.ended_badly(ending)
    }

    /// The same with nobody watching: nothing is to fail, and it takes half the time.
    fn start_alone(&self, verb: &str) -> Result<Ending> {
        self.end_of(&mut self.command(verb)?)
    }

    /// Starts a program that nobody here watches, and waits for its end; one that hangs is killed with its children.
    fn end_of(&self, command: &mut Command) -> Result<Ending> {
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(File::create(self.notes.join("told"))?)
            .stderr(File::create(self.notes.join("said"))?);
        let mut child = command.spawn().context("cannot start a workload")?;
        let pid = Pid::from_raw(child.id() as i32).context("a process id is not 0")?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        let mut ends = [PollFd::new(&descriptor, PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE)?;
        if poll(&mut ends, Some(&patience))? == 0 {
            kill_process_group(pid, Signal::KILL)?;
            child.wait()?;
            return Ok(Ending::Hung);
        }
        let status = child.wait()?;
        let signal = status.signal().unwrap_or_default();
        Ok(status
            .code()
            .map_or(Ending::Signalled(signal), Ending::Exited))
    }

    fn command(&self, verb: &str) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["workload", verb, self.workload.name])
            .arg(&self.place.folder)
            .arg(&self.place.other)
            .arg(self.place.round.to_string());
        if matches!(verb, "check" | CHECK_ALONE | CHECK_BRIEFLY) {
            command.arg(self.facts());
        }
        Ok(command)
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

/// Whether what fails works again by itself.
fn heals(fault: Fault) -> bool {
    match fault {
        Fault::Fails { lasts, .. } => lasts != Lasts::ForGood,
        Fault::Short(_) => true,
        Fault::PowerOff | Fault::Disturbed { .. } => false,
    }
}

/// What lay in the folders of a trial at one moment.
pub(super) struct Saved {
    folder: TempDir,
    round: u64,
}

/// Copies all of a folder with the times and rights of its files.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let copied = Command::new("cp")
        .arg("-a")
        .arg(from.join("."))
        .arg(to)
        .status()?;
    ensure!(copied.success(), "cannot copy {}", from.display());
    Ok(())
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
