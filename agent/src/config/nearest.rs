//! The known word that was probably meant.

/// The word with the fewest changed letters, if they are few enough that it was probably meant.
pub(crate) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, word) = known
        .map(|word| (distance(written, word), word))
        .min_by_key(|(distance, _)| *distance)?;
    // A third of the letters wrong is a slip; more is another word.
    (distance <= written.chars().count().max(3) / 3).then_some(word)
}

/// How many letters have to be added, removed, changed or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=one.len() {
        let mut next = vec![i];
        for j in 1..=other.len() {
            let changed = row[j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut least = changed.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["folder", "include", "exclude", "after"];
        assert_eq!(nearest("fodler", known.into_iter()), Some("folder"));
        assert_eq!(nearest("includes", known.into_iter()), Some("include"));
        assert_eq!(nearest("password", known.into_iter()), None);
        assert_eq!(nearest("x", [].into_iter()), None);
    }

    #[test]
    fn a_swap_is_one_change() {
        assert_eq!(distance("form", "from"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
