//! Who looks whether something is wrong: the tests of a package, or a fault campaign.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Bed;
use crate::process;

/// How long one killer may take; what hangs is seen, too.
const PATIENCE: &str = "900";

/// Somebody who looks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Killer {
    /// The tests of a package.
    Tests(String),
    /// Those of them that stand in its own files: built and run in a fraction of the time.
    Units(String),
    /// A campaign, in its short form.
    Campaign(String),
}

/// What was seen.
pub(crate) struct Seen {
    /// The test or the campaign that went red.
    pub(crate) by: String,
}

impl Killer {
    pub(super) fn parse(words: &str) -> Result<Self> {
        match words.split_once(' ') {
            Some(("test", package)) => Ok(Self::Tests(package.to_owned())),
            Some(("unit", package)) => Ok(Self::Units(package.to_owned())),
            Some(("faults", campaign)) => Ok(Self::Campaign(campaign.to_owned())),
            _ => bail!("`{words}`: `test PACKAGE`, `unit PACKAGE` or `faults CAMPAIGN`"),
        }
    }

    /// Looks; says what it saw, or nothing.
    ///
    /// # Errors
    ///
    /// When what is looked at cannot be built, or a campaign breaks and judges nothing: then nothing was seen and nothing is proved.
    pub(super) fn look(&self, bed: &Bed, name: &str) -> Result<Option<Seen>> {
        self.build(bed, name)?;
        let output = self
            .command(bed)
            .stdin(Stdio::null())
            .output()
            .context("cannot run a killer")?;
        if output.status.success() {
            return Ok(None);
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        if !self.is_red(&said) {
            bail!("`{name}`: what should see it did not come to a verdict:\n{said}");
        }
        Ok(Some(Seen {
            by: self.red(&said),
        }))
    }

    fn build(&self, bed: &Bed, name: &str) -> Result<()> {
        let mut build = process::cargo(&bed.root);
        build
            .env("CARGO_TARGET_DIR", &bed.target)
            .env("RUSTFLAGS", "--cap-lints=warn");
        match self {
            Self::Tests(package) => {
                build.args(["nextest", "run", "--no-run", "--package", package])
            }
            Self::Units(package) => {
                build.args(["nextest", "run", "--no-run", "--lib", "--package", package])
            }
            Self::Campaign(_) => build.args([
                "build",
                "--package",
                "mainstay-agent",
                "--package",
                "mainstay-testkit",
                "--bins",
            ]),
        };
        let output = build.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!(
                "`{name}` does not build: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    fn command(&self, bed: &Bed) -> Command {
        let mut command = process::program("timeout", &bed.root);
        command
            .arg(PATIENCE)
            .env("CARGO_TARGET_DIR", &bed.target)
            .env("RUSTFLAGS", "--cap-lints=warn");
        match self {
            Self::Tests(package) => tests(&mut command, package),
            Self::Units(package) => tests(&mut command, package).arg("--lib"),
            Self::Campaign(campaign) => command
                .arg(bed.target.join("debug/faults"))
                .args(["--short", campaign]),
        };
        command
    }

    /// Whether what failed is a promise: a campaign can also fail by itself.
    fn is_red(&self, said: &str) -> bool {
        match self {
            Self::Tests(_) | Self::Units(_) => true,
            Self::Campaign(_) => said.contains("VIOLATION"),
        }
    }

    /// The name of the test that went red, or of the campaign.
    fn red(&self, said: &str) -> String {
        match self {
            Self::Campaign(campaign) => campaign.clone(),
            Self::Tests(package) | Self::Units(package) => {
                said.lines().find_map(failed_test).map_or_else(
                    || format!("the tests of {package} do not end"),
                    ToOwned::to_owned,
                )
            }
        }
    }
}

fn tests<'c>(command: &'c mut Command, package: &str) -> &'c mut Command {
    let run = ["cargo", "nextest", "run", "--color", "never", "--fail-fast"];
    command.args(run).args(["--package", package])
}

/// The test's own name, from a line such as `FAIL [ 0.1s] (7/8) mainstay-queue::it house::a_promise`.
fn failed_test(line: &str) -> Option<&str> {
    let words = ["FAIL [", "TIMEOUT [", "SIGABRT [", "SIGSEGV ["];
    let is_red = words.iter().any(|word| line.trim_start().starts_with(word));
    let last = line.split_whitespace().next_back()?;
    is_red.then(|| last.rsplit("::").next().unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_that_breaks_has_seen_nothing() {
        let campaign = Killer::Campaign("powercut".to_owned());
        assert!(campaign.is_red("powercut: …\n  VIOLATION (seed 1): a document is lost\n"));
        assert!(!campaign.is_red("powercut: …\n  HARNESS BROKEN: no space left\n"));
    }

    #[test]
    fn the_first_red_test_is_named() {
        let said = "  PASS [ 0.1s] (1/3) a::it house::b\n  FAIL [   0.109s] (2/3) mainstay-queue::it house::a_promise\n  FAIL [ 1s] (3/3) x y";
        let tests = Killer::Tests("mainstay-queue".to_owned());
        assert_eq!(tests.red(said), "a_promise");
        assert_eq!(
            tests.red("nothing"),
            "the tests of mainstay-queue do not end"
        );
    }

    #[test]
    fn a_killer_is_tests_some_of_them_or_a_campaign() {
        assert_eq!(
            Killer::parse("test x").unwrap(),
            Killer::Tests("x".to_owned())
        );
        assert_eq!(
            Killer::parse("unit x").unwrap(),
            Killer::Units("x".to_owned())
        );
        assert_eq!(
            Killer::parse("faults y").unwrap(),
            Killer::Campaign("y".to_owned())
        );
        assert!(Killer::parse("hope").is_err());
    }
}
