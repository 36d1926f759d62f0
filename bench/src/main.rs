//! `cargo xtask bench`: what a durable document costs, beside the raw disk and SQLite in the same run.
//!
//! Rates of one machine do not carry over to another, and drift on a shared one: every round runs all candidates in
//! turn, and what is printed are medians and their ratio to the raw disk.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark takes time and prints it"
)]

mod candidates;
mod report;

use anyhow::{Context, Result};
use candidates::{Candidate, Shape};
use report::Report;
use std::path::PathBuf;

const ROUNDS: usize = 5;

/// The bytes of one document.
pub(crate) const BODY: usize = 1024;

fn main() -> Result<()> {
    let mut rounds = ROUNDS;
    // Beside the build, which is on a real disk; a temporary folder may be in memory.
    let mut folder = PathBuf::from("target");
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => {
                rounds = words
                    .next()
                    .and_then(|text| text.parse().ok())
                    .context("--rounds needs a number")?;
            }
            "--dir" => folder = PathBuf::from(words.next().context("--dir needs a folder")?),
            other => {
                anyhow::bail!("unknown option `{other}`; there are --rounds N and --dir FOLDER")
            }
        }
    }
    let mut report = Report::default();
    for round in 0..rounds {
        for shape in Shape::ALL {
            for candidate in Candidate::ALL {
                let scratch = tempfile::Builder::new()
                    .prefix("mainstay-bench-")
                    .tempdir_in(&folder)?;
                let measured = candidate.measure(shape, scratch.path())?;
                report.add(shape, candidate, measured);
            }
        }
        println!("round {} of {rounds} done", round + 1);
    }
    print!("{report}");
    Ok(())
}
