//! What is asked for on the command line.

use anyhow::{Context, Result, bail};
use mainstay_bench::Shape;
use std::path::PathBuf;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// Where the scratch folders are made: on the disk that is measured.
    pub(crate) folder: PathBuf,
    /// The program that measures the rivals, if there is one.
    pub(crate) rivals: Option<PathBuf>,
    /// How many files the whole job is measured with: 10,000 are over in a quarter of a second, which is too short to compare.
    pub(crate) files: usize,
    /// The part that is wanted; all without.
    pub(crate) only: Option<String>,
    /// The shape of work that is wanted of the queue; all without.
    pub(crate) shape: Option<Shape>,
    /// Those who are wanted beside the control; all without.
    pub(crate) candidates: Vec<String>,
    /// The disk that is wanted, `plain` or `journaled`; both without.
    pub(crate) disk: Option<String>,
    /// Where the results are written to; to the terminal without.
    pub(crate) write: Option<PathBuf>,
    /// What was measured, as the version control names it.
    pub(crate) commit: String,
}

impl Options {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            rounds: 5,
            // Beside the build, which is on a real disk; a temporary folder may be in memory.
            folder: PathBuf::from("target"),
            rivals: None,
            files: 100_000,
            only: None,
            shape: None,
            candidates: Vec::new(),
            disk: None,
            write: None,
            commit: "unknown".to_owned(),
        };
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--rounds" => {
                    options.rounds = value()?.parse().context("--rounds needs a number")?;
                }
                "--files" => {
                    options.files = value()?.parse().context("--files needs a number")?;
                }
                "--dir" => options.folder = value()?.into(),
                "--rivals" => options.rivals = Some(value()?.into()),
                "--only" => options.only = Some(value()?),
                "--shape" => options.shape = Some(value()?.parse()?),
                "--candidate" => options.candidates.push(value()?),
                "--disk" => options.disk = Some(value()?),
                "--write" => options.write = Some(value()?.into()),
                "--commit" => options.commit = value()?,
                other => bail!(
                    "unknown option `{other}`; there are --rounds N, --dir FOLDER, --only PART, --shape SHAPE, --candidate NAME, --disk plain|journaled, --files N, --write FILE"
                ),
            }
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }

    pub(crate) fn wants_shape(&self, shape: Shape) -> bool {
        self.shape.is_none_or(|wanted| wanted == shape)
    }

    pub(crate) fn wants_candidate(&self, name: &str) -> bool {
        self.candidates.is_empty() || self.candidates.iter().any(|wanted| wanted == name)
    }

    pub(crate) fn wants_disk(&self, disk: &str) -> bool {
        self.disk.as_deref().is_none_or(|wanted| wanted == disk)
    }
}
