//! Text that others wrote, as it may stand in a message: nothing in it can hide, move or end the line.

use std::path::Path;

/// At most `limit` characters of `text`; control and direction-changing characters are escaped.
pub fn excerpt(text: &str, limit: usize) -> String {
    let mut safe = String::new();
    for (count, character) in text.trim().chars().enumerate() {
        if count == limit {
            safe.push('…');
            break;
        }
        if character.is_control() || is_direction_mark(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// A path, in the same way.
pub fn path(path: &Path) -> String {
    /// No system takes longer ones.
    const PATH_MAX: usize = 4096;
    excerpt(&path.to_string_lossy(), PATH_MAX)
}

/// Characters that reorder what stands around them, and so can make a line say something else.
fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_harmless() {
        assert_eq!(excerpt("  plain \n", 200), "plain");
        assert_eq!(excerpt("a\nb\u{1b}[2J", 200), "a\\u{a}b\\u{1b}[2J");
        assert_eq!(excerpt("a\u{202e}b", 200), "a\\u{202e}b");
        assert_eq!(
            excerpt(&"x".repeat(300), 200),
            format!("{}…", "x".repeat(200))
        );
    }

    #[test]
    fn a_path_cannot_break_the_line() {
        assert_eq!(path(Path::new("/out/a\nb c")), "/out/a\\u{a}b c");
    }
}
