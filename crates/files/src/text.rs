//! What changed between two texts, and what two changes of one text make together.

use diffy::{DiffOptions, MergeOptions};

/// What there is to be said of two contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// They are the same.
    None,
    /// A patch in the unified format, as `patch` reads it.
    Text(Vec<u8>),
    /// They differ, and one of them is no text.
    Binary,
}

/// What two changes of one text make together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// Both changes, which do not touch each other.
    Clean(Vec<u8>),
    /// Both changes touch the same lines: those stand there twice, between `<<<<<<<`, `=======` and `>>>>>>>`.
    Conflicts(Vec<u8>),
    /// One of the three is no text.
    Binary,
}

/// Compares two contents, each with the name that it has in the patch; memory grows with both.
///
/// What holds a zero byte is no text.
///
/// ```
/// use mainstay_files::{Difference, diff};
///
/// let Difference::Text(patch) = diff(("before", b"one\ntwo\n"), ("now", b"one\n2\n")) else {
///     unreachable!("both are text, and differ");
/// };
/// let patch = String::from_utf8_lossy(&patch);
/// assert!(patch.contains("-two\n+2\n"));
/// ```
pub fn diff(old: (&str, &[u8]), new: (&str, &[u8])) -> Difference {
    let ((old_name, old), (new_name, new)) = (old, new);
    if old == new {
        return Difference::None;
    }
    if !is_text(old) || !is_text(new) {
        return Difference::Binary;
    }
    let mut options = DiffOptions::new();
    options
        .set_original_filename(old_name.to_owned())
        .set_modified_filename(new_name.to_owned());
    Difference::Text(options.create_patch_bytes(old, new).to_bytes())
}

/// Puts two changes of one text together, line by line; memory grows with all three.
///
/// ```
/// use mainstay_files::{Merged, merge};
///
/// let (base, ours, theirs) = (b"a\nb\nc\nd\n", b"A\nb\nc\nd\n", b"a\nb\nc\nD\n");
/// assert_eq!(merge(base, ours, theirs), Merged::Clean(b"A\nb\nc\nD\n".to_vec()));
/// ```
pub fn merge(base: &[u8], ours: &[u8], theirs: &[u8]) -> Merged {
    if ![base, ours, theirs].into_iter().all(is_text) {
        return Merged::Binary;
    }
    match MergeOptions::new().merge_bytes(base, ours, theirs) {
        Ok(merged) => Merged::Clean(merged),
        Err(conflicts) => Merged::Conflicts(conflicts),
    }
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_has_no_difference_and_what_is_no_text_no_lines() {
        assert_eq!(diff(("a", b"x\0"), ("b", b"x\0")), Difference::None);
        assert_eq!(diff(("a", b"x\0"), ("b", b"y")), Difference::Binary);
        assert_eq!(diff(("a", b""), ("b", b"")), Difference::None);
    }

    #[test]
    fn a_patch_names_both_sides() {
        let Difference::Text(patch) = diff(("before", b"m\xfcll\n"), ("now", b"")) else {
            panic!("bytes that are not UTF-8 are text all the same");
        };
        let patch = String::from_utf8_lossy(&patch).into_owned();
        assert!(patch.starts_with("--- before\n+++ now\n"), "{patch}");
    }

    #[test]
    fn changes_of_the_same_line_are_a_conflict_and_both_are_kept() {
        let Merged::Conflicts(text) = merge(b"a\n", b"ours\n", b"theirs\n") else {
            panic!("both changed the line");
        };
        let text = String::from_utf8(text).expect("both were UTF-8");
        assert!(text.contains("ours\n") && text.contains("theirs\n") && text.contains("<<<<<<<"));
        assert_eq!(merge(b"\0", b"a", b"b"), Merged::Binary);
        assert_eq!(
            merge(b"a\n", b"same\n", b"same\n"),
            Merged::Clean(b"same\n".to_vec())
        );
    }
}
