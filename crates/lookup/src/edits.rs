//! A text that is changed in some places, and byte for byte the same everywhere else.

use std::ops::Range;

/// What takes the place of what.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    edits: Vec<(Range<usize>, String)>,
}

impl Edits {
    /// Puts `text` in the place of `range`; ranges must not overlap. Several insertions at one place stand in their order.
    pub(crate) fn put(&mut self, range: Range<usize>, text: String) {
        self.edits.push((range, text));
    }

    /// The changed text.
    pub(crate) fn apply(mut self, text: &str) -> String {
        // Stable: what stands at one place keeps its order.
        self.edits.sort_by_key(|(range, _)| range.start);
        let added: usize = self.edits.iter().map(|(_, new)| new.len()).sum();
        let mut changed = String::with_capacity(text.len() + added);
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
        edits.put(2..2, "2".to_owned());
        assert_eq!(edits.apply("äbcdefg"), "ä12bcdCfg");
    }
}
