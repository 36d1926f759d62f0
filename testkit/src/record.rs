//! The record of the campaigns: one line of JSON for each run, whatever it came to. `cargo xtask faults table` makes the
//! tables of it that people read.

use crate::campaigns::Effort;
use crate::verdict::Verdict;
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Where the lines stand, from the root of the project.
pub const FILE: &str = "testkit/results.jsonl";

/// What is being measured, and on what; looked at before the first campaign.
#[derive(Clone, Debug)]
pub struct Subject {
    commit: String,
    /// Whether the code is that of the commit.
    is_clean: bool,
    machine: String,
    root: PathBuf,
}

impl Subject {
    /// Looks at the project that this program was built from.
    ///
    /// # Errors
    /// If it is no git repository, or there is no `git`.
    pub fn look() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("this crate lies in the project")?;
        let commit = git(root, &["rev-parse", "--short=12", "HEAD"])?;
        // What is written about the results changes none of them.
        let changed = git(
            root,
            &[
                "status",
                "--porcelain",
                "--",
                ".",
                ":!*.md",
                ":!testkit/*.jsonl",
            ],
        )?;
        let system = rustix::system::uname();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            commit,
            is_clean: changed.is_empty(),
            machine: format!(
                "{} {} {}, {cores} cores",
                system.sysname().to_string_lossy(),
                system.release().to_string_lossy(),
                system.machine().to_string_lossy(),
            ),
            root: root.to_owned(),
        })
    }

    /// Adds the line of a run to the record.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(
        &self,
        campaign: &str,
        effort: Effort,
        verdict: &Verdict,
        took: Duration,
    ) -> Result<()> {
        let line = self.line(campaign, effort, verdict, took, SystemTime::now())?;
        let path = self.root.join(FILE);
        let mut file = File::options().create(true).append(true).open(&path)?;
        file.write_all(line.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn line(
        &self,
        campaign: &str,
        effort: Effort,
        verdict: &Verdict,
        took: Duration,
        now: SystemTime,
    ) -> Result<String> {
        let figures: Map<String, Value> = verdict
            .figures()
            .into_iter()
            .map(|(figure, count)| (figure.key().to_owned(), count.into()))
            .collect();
        let line = json!({
            "campaign": campaign,
            "form": if effort.is_long { "long" } else { "short" },
            "seed": effort.seed,
            "verdict": verdict.name(),
            "figures": figures,
            "seconds": took.as_secs_f64().ceil() as u64,
            "date": date(now)?,
            "commit": self.commit,
            "clean": self.is_clean,
            "machine": self.machine,
        });
        Ok(format!("{line}\n"))
    }
}

fn git(root: &Path, words: &[&str]) -> Result<String> {
    let output = Command::new("git").arg("-C").arg(root).args(words).output();
    let output = output.context("there is no `git`")?;
    ensure!(
        output.status.success(),
        "git: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The day, as `2026-11-21`.
fn date(now: SystemTime) -> Result<String> {
    const DAY: u64 = 86_400;
    let mut days = now.duration_since(SystemTime::UNIX_EPOCH)?.as_secs() / DAY;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while 365 + u64::from(is_leap(year)) <= days {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    Ok(format!("{year}-{month:02}-{:02}", days + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Figure;

    fn effort(is_long: bool) -> Effort {
        Effort {
            kills: 1,
            cuts: None,
            images: 1,
            seeds: 1,
            sequences: 1,
            seed: 7,
            is_long,
        }
    }

    #[test]
    fn a_run_is_one_line_that_says_what_was_survived_on_what() -> Result<()> {
        let subject = Subject {
            commit: "0123456789ab".to_owned(),
            is_clean: true,
            machine: "Linux".to_owned(),
            root: PathBuf::new(),
        };
        let verdict = Verdict::Pass("kills".to_owned()).with(Figure::Kills, 500);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_253_259);
        let took = Duration::from_millis(1_200);
        let line = subject.line("kill9", effort(true), &verdict, took, now)?;
        assert_eq!(line.matches('\n').count(), 1);
        let line: Value = serde_json::from_str(&line)?;
        assert_eq!(line["figures"], json!({"kills": 500}));
        assert_eq!(line["date"], json!("2026-11-21"));
        assert_eq!((&line["seed"], &line["seconds"]), (&json!(7), &json!(2)));
        assert_eq!(
            (&line["form"], &line["clean"]),
            (&json!("long"), &json!(true))
        );
        let verdict = Verdict::NotMeasured("no root".to_owned()).with(Figure::Kills, 500);
        let line = subject.line("kill9", effort(false), &verdict, took, now)?;
        let line: Value = serde_json::from_str(&line)?;
        assert_eq!(
            (&line["verdict"], &line["figures"]),
            (&json!("not measured"), &json!({}))
        );
        Ok(())
    }

    #[test]
    fn days_are_told_as_the_calendar_has_them() -> Result<()> {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_164_800, "2024-02-29"),
            (1_709_251_200, "2024-03-01"),
            (4_107_542_400, "2100-03-01"),
        ] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(date(now)?, day);
        }
        Ok(())
    }
}
