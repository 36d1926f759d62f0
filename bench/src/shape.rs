//! How documents come.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The bytes of one document.
pub const BODY: usize = 1024;

/// How many documents are in a batch, are acknowledged together, and how many producers there are.
pub const GROUP: usize = 64;

/// A shape of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// One producer that waits for each.
    Single,
    /// Batches of 64, each waited for.
    Batches,
    /// 64 producers side by side, each waiting for each of its own.
    Producers,
    /// Acknowledgements in groups of 64, each group waited for, of documents that are there already.
    Acknowledge,
    /// Batches of 64 that are acknowledged at once, until several segments have been filled and given back.
    Churn,
}

impl Shape {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 5] = [
        Self::Single,
        Self::Batches,
        Self::Producers,
        Self::Acknowledge,
        Self::Churn,
    ];

    /// How many documents a run has: enough for a good part of a second each.
    pub fn documents(self) -> usize {
        match self {
            Self::Single => 8_000,
            Self::Batches => 256_000,
            Self::Producers | Self::Acknowledge => 128_000,
            // 300 MiB: more than four segments of 64 MiB.
            Self::Churn => 307_200,
        }
    }

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Batches => "batches",
            Self::Producers => "producers",
            Self::Acknowledge => "acknowledge",
            Self::Churn => "churn",
        }
    }
}

impl FromStr for Shape {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        let Some(shape) = Self::ALL.into_iter().find(|shape| shape.word() == word) else {
            bail!("there is no shape of work `{word}`");
        };
        Ok(shape)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "one producer, each waited for",
            Self::Batches => "batches of 64",
            Self::Producers => "64 producers side by side",
            Self::Acknowledge => "acknowledgements in groups of 64",
            Self::Churn => "batches of 64, acknowledged at once, 300 MiB",
        })
    }
}
