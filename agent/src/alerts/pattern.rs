//! Which checks are meant.

/// Whether a name is one of a pattern: `*` stands for anything, also nothing, and `?` for one character.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star was, and up to where it has taken.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_anything_and_a_question_mark_one_character() {
        for (pattern, name) in [
            ("disk", "disk"),
            ("*", ""),
            ("to *", "to lab/server"),
            ("*/server", "to lab/server"),
            ("to */s*r", "to lab/server"),
            ("d?sk", "disk"),
            ("**", "clock"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("disk", "disks"),
            ("disks", "disk"),
            ("to *", "from lab"),
            ("?", ""),
            ("", "disk"),
            ("Disk", "disk"),
            ("*k?", "disk"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_longer_than_its_length_asks() {
        let (pattern, name) = ("*a".repeat(100) + "b", "a".repeat(1_000));
        assert!(!matches(&pattern, &name));
    }
}
