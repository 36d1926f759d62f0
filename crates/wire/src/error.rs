//! Settings that cannot be used.

use std::error::Error as StdError;
use std::fmt;

/// What caused it.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Settings that cannot be used: which, and what to do about it.
#[derive(Debug)]
pub struct Unusable {
    message: String,
    source: Option<Cause>,
}

impl Unusable {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn because(self, source: impl Into<Cause>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// The message and its cause, for an error of the caller's own.
    pub fn into_parts(self) -> (String, Option<Cause>) {
        (self.message, self.source)
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Unusable {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn StdError + 'static))
    }
}
