//! What a campaign came to.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// What a campaign counts of the things that were survived, or measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// The power was cut.
    PowerCuts,
    /// A process was killed.
    Kills,
    /// A system call failed, or a write was short.
    CallsFailed,
    /// A real disk failed for some calls and healed.
    DiskFailures,
    /// An image of a disk, as a crash may leave it.
    Images,
    /// A bit was flipped.
    BitFlips,
    /// Anything else was damaged: blocks, lengths, files, numbers.
    Damages,
    /// A disk was filled up to a level.
    FillLevels,
    /// A process had too little of something.
    Shortages,
    /// A simulated life.
    Lives,
    /// A file was swapped for something else.
    Swaps,
    /// A process was asked to stop.
    Stops,
    /// A document was offered, and delivered once.
    Documents,
    /// Descriptors that are open at rest, at most.
    Descriptors,
    /// Threads that there are at rest, at most.
    Threads,
    /// By how many KiB memory rises in an hour, rounded; 0 where it falls.
    MemoryRise,
}

impl Figure {
    /// As it stands in the record.
    pub fn key(self) -> &'static str {
        match self {
            Self::PowerCuts => "power_cuts",
            Self::Kills => "kills",
            Self::CallsFailed => "calls_failed",
            Self::DiskFailures => "disk_failures",
            Self::Images => "images",
            Self::BitFlips => "bit_flips",
            Self::Damages => "damages",
            Self::FillLevels => "fill_levels",
            Self::Shortages => "shortages",
            Self::Lives => "lives",
            Self::Swaps => "swaps",
            Self::Stops => "stops",
            Self::Documents => "documents",
            Self::Descriptors => "descriptors",
            Self::Threads => "threads",
            Self::MemoryRise => "memory_kib_per_hour",
        }
    }
}

/// How many of each.
pub type Figures = BTreeMap<Figure, u64>;

/// What a campaign can say.
#[derive(Debug)]
pub enum Verdict {
    /// Every promise held; what was measured, in words.
    Pass(String),
    /// Every promise held, and so much was counted.
    Counted {
        /// What was measured, in words.
        what: String,
        /// What was survived.
        figures: Figures,
    },
    /// A promise was broken: which, and what it takes to see it again.
    Violation {
        /// What was seen.
        what: String,
        /// The seed of the run.
        seed: u64,
        /// The folder that was kept as it was.
        kept: Option<PathBuf>,
    },
    /// The machine does not allow it.
    NotMeasured(String),
    /// The campaign itself did not work.
    HarnessBroken(String),
}

impl Verdict {
    /// Whether nothing is wrong, as far as could be measured.
    pub fn is_good(&self) -> bool {
        self.is_pass() || matches!(self, Self::NotMeasured(_))
    }

    /// Whether every promise held, and all was measured.
    pub fn is_pass(&self) -> bool {
        matches!(self, Self::Pass(_) | Self::Counted { .. })
    }

    /// The same with so many of something survived. What is no pass counts nothing.
    #[must_use]
    pub fn with(self, figure: Figure, count: u64) -> Self {
        let (what, mut figures) = match self {
            Self::Pass(what) => (what, Figures::new()),
            Self::Counted { what, figures } => (what, figures),
            other => return other,
        };
        *figures.entry(figure).or_default() += count;
        Self::Counted { what, figures }
    }

    /// What was survived; nothing of what is no pass.
    pub fn figures(&self) -> Figures {
        match self {
            Self::Counted { figures, .. } => figures.clone(),
            _ => Figures::new(),
        }
    }

    /// In a word or two, as it stands in the record.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pass(_) | Self::Counted { .. } => "pass",
            Self::Violation { .. } => "violation",
            Self::NotMeasured(_) => "not measured",
            Self::HarnessBroken(_) => "harness broken",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(what) | Self::Counted { what, .. } => write!(f, "pass: {what}"),
            Self::Violation { what, seed, kept } => {
                write!(f, "VIOLATION (seed {seed}): {what}")?;
                kept.as_ref()
                    .map_or(Ok(()), |kept| write!(f, "; kept in {}", kept.display()))
            }
            Self::NotMeasured(why) => write!(f, "NOT MEASURED: {why}"),
            Self::HarnessBroken(what) => write!(f, "the harness is broken: {what}"),
        }
    }
}

impl From<anyhow::Error> for Verdict {
    fn from(error: anyhow::Error) -> Self {
        Self::HarnessBroken(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pass_counts_what_was_survived() {
        let pass = Verdict::Pass("ten kills".to_owned())
            .with(Figure::Kills, 4)
            .with(Figure::Kills, 6);
        assert_eq!(pass.figures(), Figures::from([(Figure::Kills, 10)]));
        assert_eq!((pass.name(), pass.is_pass()), ("pass", true));
        assert_eq!(pass.to_string(), "pass: ten kills");
        for other in [
            Verdict::NotMeasured("no root".to_owned()),
            Verdict::HarnessBroken("no binary".to_owned()),
            Verdict::Violation {
                what: "lost".to_owned(),
                seed: 1,
                kept: None,
            },
        ] {
            let other = other.with(Figure::Kills, 10);
            assert_eq!(other.figures(), Figures::new(), "{other}");
            assert!(!other.is_pass(), "{other}");
        }
    }
}
