//! Who is measured.

use crate::mainstay;
use crate::raw::{How, Raw};
use crate::sqlite::Sqlite;
use anyhow::{Context, Result, bail};
use mainstay_bench::{Measured, Shape, drive};
use mainstay_queue::Io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Somebody who makes documents durable, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    /// The program that measures it: this one, or the one with the rivals.
    program: PathBuf,
}

/// The control that all ratios are of.
pub(crate) const CONTROL: &str = "raw, synced";

/// What this program measures itself.
const OWN: [&str; 5] = [
    CONTROL,
    "raw, direct",
    "mainstay-queue",
    "mainstay-queue, through the page cache",
    "SQLite (WAL, FULL)",
];

impl Candidate {
    /// All that can be measured here; `rivals` is the program that measures the others, if it was built.
    pub(crate) fn all(rivals: Option<&Path>) -> Result<Vec<Self>> {
        let own = std::env::current_exe().context("this program does not know where it is")?;
        let mut all: Vec<Self> = OWN.iter().map(|name| Self::new(name, &own)).collect();
        if let Some(rivals) = rivals {
            let said = Command::new(rivals).arg("list").output()?;
            let names = String::from_utf8(said.stdout)?;
            all.extend(names.lines().map(|name| Self::new(name, rivals)));
        }
        Ok(all)
    }

    fn new(name: &str, program: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
        }
    }

    /// Measures it in a process of its own, so that no memory and no thread of another is in the way.
    pub(crate) fn measure(&self, shape: Shape, folder: &Path) -> Result<Measured> {
        let output = Command::new(&self.program)
            .arg("one")
            .arg(&self.name)
            .arg(shape.word())
            .arg(folder)
            .output()?;
        if !output.status.success() {
            bail!(
                "{} failed: {}",
                self.name,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Measures one of our own in this process.
pub(crate) fn measure_here(name: &str, shape: Shape, folder: &Path) -> Result<Measured> {
    match name {
        CONTROL => drive(Box::new(Raw::open(folder, How::Synced, shape)?), shape),
        "raw, direct" => drive(Box::new(Raw::open(folder, How::Direct, shape)?), shape),
        "mainstay-queue" => mainstay::measure(shape, folder, Io::default()),
        "mainstay-queue, through the page cache" => mainstay::measure(shape, folder, Io::Buffered),
        "SQLite (WAL, FULL)" => drive(Box::new(Sqlite::open(folder)?), shape),
        other => bail!("there is no candidate `{other}`"),
    }
}
