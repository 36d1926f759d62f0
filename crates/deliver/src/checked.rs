//! What a look at a destination came to, without a document.

use serde::Serialize;

/// What a look at a destination came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// In a word.
    pub verdict: Verdict,
    /// In a sentence: what answered, or what is wrong, where, and what to do about it. It holds no secret and no query string,
    /// and control characters in it are escaped.
    pub said: String,
}

/// Whether documents could be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As far as can be seen without a document, they could.
    Ready,
    /// Somebody answers there; whether documents are taken only a document shows.
    Answers,
    /// They could not.
    Failing,
}

impl Checked {
    pub(crate) fn ready(said: impl Into<String>) -> Self {
        Self::new(Verdict::Ready, said)
    }

    pub(crate) fn only_a_document_shows(said: impl Into<String>) -> Self {
        Self::new(Verdict::Answers, said)
    }

    pub(crate) fn failing(said: impl Into<String>) -> Self {
        Self::new(Verdict::Failing, said)
    }

    fn new(verdict: Verdict, said: impl Into<String>) -> Self {
        Self {
            verdict,
            said: said.into(),
        }
    }
}
