//! A text that is changed in some places, and byte for byte the same everywhere else.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// What takes the place of what.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    edits: Vec<(Range<usize>, Text)>,
    added: usize,
}

/// A text that is put in: one answer often goes to many places.
#[derive(Debug)]
pub(crate) enum Text {
    Shared(Arc<str>),
    Own(String),
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Shared(text) => text,
            Self::Own(text) => text,
        }
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Own(text)
    }
}

impl Edits {
    /// Puts `text` in the place of `range`; ranges must not overlap. Several insertions at one place stand in their order.
    pub(crate) fn put(&mut self, range: Range<usize>, text: impl Into<Text>) {
        let text = text.into();
        self.added += text.len();
        self.edits.push((range, text));
    }

    /// So many bytes are put in.
    pub(crate) fn added(&self) -> usize {
        self.added
    }

    /// The changed text.
    pub(crate) fn apply(mut self, text: &str) -> String {
        // Stable: what stands at one place keeps its order.
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut changed = String::with_capacity(text.len() + self.added);
        let mut from = 0;
        for (range, new) in &self.edits {
            changed.push_str(text.get(from..range.start).unwrap_or_default());
            changed.push_str(new);
            from = range.end;
        }
        changed.push_str(text.get(from..).unwrap_or_default());
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays_as_it_is() {
        let mut edits = Edits::default();
        edits.put(5..6, "C".to_owned());
        edits.put(2..2, "1".to_owned());
        edits.put(2..2, Arc::<str>::from("2"));
        assert_eq!(edits.added(), 3);
        assert_eq!(edits.apply("äbcdefg"), "ä12bcdCfg");
    }
}
