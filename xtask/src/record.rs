//! Lines of the record for the campaigns that run here, beside those of `testkit`: what was survived, on what.
//!
//! The form of a line is that of `testkit/src/record.rs`; `faults::table` reads both.

use std::fs::File;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::faults::table::RECORD;
use crate::process;
use crate::workspace::Workspace;

/// What is measured, and on what; looked at before the campaign begins, since that can change the clock and the files.
pub(crate) struct Subject {
    commit: String,
    /// Whether the code is that of the commit.
    is_clean: bool,
    machine: String,
    began: Instant,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Violation,
    NotMeasured,
    HarnessBroken,
}

/// A run that is over.
pub(crate) struct Run<'a> {
    pub(crate) campaign: &'a str,
    pub(crate) is_long: bool,
    pub(crate) seed: u64,
    pub(crate) verdict: Verdict,
    /// What was survived: nothing, unless it is a pass.
    pub(crate) figures: &'a [(&'a str, u64)],
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Violation => "violation",
            Self::NotMeasured => "not measured",
            Self::HarnessBroken => "harness broken",
        }
    }
}

impl Subject {
    /// Looks at the project and the machine, and begins to count the time.
    pub(crate) fn look(workspace: &Workspace) -> Result<Self> {
        let git =
            |words: &[&str]| process::read(process::program("git", &workspace.root).args(words));
        // What is written about the results changes none of them.
        let changed = git(&[
            "status",
            "--porcelain",
            "--",
            ".",
            ":!*.md",
            ":!testkit/*.jsonl",
        ])?;
        let system = process::read(process::program("uname", &workspace.root).arg("-srm"))?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            commit: git(&["rev-parse", "--short=12", "HEAD"])?.trim().to_owned(),
            is_clean: changed.trim().is_empty(),
            machine: format!("{}, {cores} cores", system.trim()),
            began: now(),
        })
    }

    /// Adds the line of a run, which took as long as this was looked at ago.
    pub(crate) fn add(&self, workspace: &Workspace, run: &Run<'_>) -> Result<()> {
        let date = process::read(process::program("date", &workspace.root).args(["-u", "+%F"]))?;
        let line = self.line(run, date.trim(), now().duration_since(self.began));
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(workspace.root.join(RECORD))
            .context(RECORD)?;
        file.write_all(line.as_bytes()).context(RECORD)
    }

    fn line(&self, run: &Run<'_>, date: &str, took: Duration) -> String {
        let survived = run.figures.iter().filter(|_| run.verdict == Verdict::Pass);
        let figures: Map<String, Value> = survived
            .map(|(name, count)| ((*name).to_owned(), (*count).into()))
            .collect();
        let line = json!({
            "campaign": run.campaign,
            "form": if run.is_long { "long" } else { "short" },
            "seed": run.seed,
            "verdict": run.verdict.name(),
            "figures": figures,
            "seconds": took.as_secs_f64().ceil() as u64,
            "date": date,
            "commit": self.commit,
            "clean": self.is_clean,
            "machine": self.machine,
        });
        format!("{line}\n")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a campaign took is about this machine; nothing here is simulated"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::table::{SHORT, Sources, renewed};

    #[test]
    fn what_runs_here_is_counted_in_the_table_unless_it_broke() {
        let subject = Subject {
            commit: "0123456789ab".to_owned(),
            is_clean: true,
            machine: "Linux".to_owned(),
            began: now(),
        };
        let line = |verdict| {
            let run = Run {
                campaign: "concurrency",
                is_long: true,
                seed: 7,
                verdict,
                figures: &[("schedules", 20_400)],
            };
            subject.line(&run, "2026-11-22", Duration::from_millis(1_200))
        };
        let page = "<!-- faults: written by `cargo xtask faults table` -->\n<!-- end of faults -->";
        let table = |verdict| {
            let sources = Sources {
                runs: &line(verdict),
                mutants: "",
                list: "killers = {}\nmutant = []\n",
            };
            renewed(SHORT, page, &sources).unwrap()
        };
        assert!(
            table(Verdict::Pass).contains("| 20,400 | 2026-11-22, `0123456789ab` |"),
            "{}",
            table(Verdict::Pass)
        );
        for verdict in [
            Verdict::Violation,
            Verdict::NotMeasured,
            Verdict::HarnessBroken,
        ] {
            assert!(line(verdict).contains("\"figures\":{}"));
            assert!(!table(verdict).contains("20,400"));
        }
        assert!(table(Verdict::Violation).contains("A promise is broken"));
        assert_eq!(line(Verdict::Pass).matches('\n').count(), 1);
    }
}
