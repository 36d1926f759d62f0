//! What a campaign came to.

use std::fmt;
use std::path::PathBuf;

/// The four things that a campaign can say.
#[derive(Debug)]
pub enum Verdict {
    /// Every promise held; what was measured, in words.
    Pass(String),
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
        matches!(self, Self::Pass(_) | Self::NotMeasured(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(what) => write!(f, "pass: {what}"),
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
