//! Rust text, as far as the rules have to understand it: no parser, but it knows a comment and a string when it sees
//! one.

/// Whether nothing in this file ships: integration tests, benches, a test module in a file of its own, examples.
pub(super) fn is_test(path: &str) -> bool {
    path.split('/')
        .any(|part| matches!(part, "tests" | "benches" | "examples" | "fuzz"))
        || path.ends_with("/tests.rs")
}

/// The part before the unit tests at the foot of a file.
pub(super) fn before_tests(text: &str) -> &str {
    let mut from = 0;
    while let Some(found) = text[from..].find("#[cfg(test)]") {
        let start = from + found;
        let at_line_start = start == 0 || text.as_bytes()[start - 1] == b'\n';
        if at_line_start && opens_module(&text[start..]) {
            return &text[..start];
        }
        from = start + 1;
    }
    text
}

/// Whether the attributes at the start of `text` belong to `mod name {`.
fn opens_module(text: &str) -> bool {
    let mut rest = text;
    while rest.starts_with("#[") {
        let Some(end) = end_of_attribute(rest) else {
            return false;
        };
        rest = rest[end..].trim_start();
    }
    rest.starts_with("mod ")
        && rest
            .lines()
            .next()
            .is_some_and(|line| line.trim_end().ends_with('{'))
}

fn end_of_attribute(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The same text with comments and the content of strings and characters blanked; every line stays where it was.
pub(super) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => line_comment(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment(bytes, at),
            b'"' => string(bytes, at),
            b'r' | b'b' | b'c' if !continues_word(bytes, at) => raw_or_byte_string(bytes, at),
            b'\'' => character(bytes, at),
            _ => at,
        };
        if end == at {
            code.push(bytes[at]);
            at += 1;
        } else {
            code.extend(
                bytes[at..end]
                    .iter()
                    .map(|&byte| if byte == b'\n' { b'\n' } else { b' ' }),
            );
            at = end;
        }
    }
    String::from_utf8(code).expect("only whole characters were blanked, byte by byte, with blanks")
}

fn continues_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && is_word(bytes[at - 1])
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn line_comment(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(bytes.len(), |length| at + length)
}

/// Block comments nest in Rust.
fn block_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn string(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() {
        match bytes[end] {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    bytes.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `c"…"`, `b'…'`; anything else ends where it starts.
fn raw_or_byte_string(bytes: &[u8], at: usize) -> usize {
    let mut quote = at;
    while matches!(bytes.get(quote), Some(b'r' | b'b' | b'c')) && quote < at + 2 {
        quote += 1;
    }
    let raw = bytes[at..quote].contains(&b'r');
    let hashes = bytes[quote..]
        .iter()
        .take_while(|&&byte| byte == b'#')
        .count();
    match bytes.get(quote + hashes) {
        Some(b'"') if raw => {
            let close: Vec<u8> = std::iter::once(b'"')
                .chain(std::iter::repeat_n(b'#', hashes))
                .collect();
            let body = quote + hashes + 1;
            bytes[body..]
                .windows(close.len())
                .position(|window| window == close)
                .map_or(bytes.len(), |length| body + length + close.len())
        }
        Some(b'"') if hashes == 0 => string(bytes, quote),
        Some(b'\'') if hashes == 0 => character(bytes, quote),
        _ => at,
    }
}

/// `'x'` or `'\n'`; a lifetime ends where it starts.
fn character(bytes: &[u8], at: usize) -> usize {
    let Some(&first) = bytes.get(at + 1) else {
        return at;
    };
    if first == b'\\' {
        let close = bytes[(at + 3).min(bytes.len())..]
            .iter()
            .position(|&byte| byte == b'\'');
        return close.map_or(at, |length| at + 3 + length + 1);
    }
    let width = match first {
        0x00..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    if bytes.get(at + 1 + width) == Some(&b'\'') {
        at + width + 2
    } else {
        at
    }
}

/// Where `word` stands in `text` as a whole word (it may hold `::`), as line numbers from 1.
pub(super) fn lines_with_word(text: &str, word: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut lines = Vec::new();
    for (start, _) in text.match_indices(word) {
        let end = start + word.len();
        let free_before = !is_word(word.as_bytes()[0]) || start == 0 || !is_word(bytes[start - 1]);
        let free_after =
            !is_word(bytes[end - 1]) || bytes.get(end).is_none_or(|&byte| !is_word(byte));
        if free_before && free_after {
            lines.push(line_of(text, start));
        }
    }
    lines
}

/// The line, from 1, of a byte.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    text[..byte].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_and_lines_stay() {
        let text = "let a = \"fsync(\"; // fsync(\nlet b = r#\"todo!()\n\"#; /* x /* y */ z */ 'k'; &'a str; b\"q\"";
        let code = code(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(!code.contains("fsync"), "{code}");
        assert!(!code.contains("todo"), "{code}");
        assert!(!code.contains('y'), "{code}");
        assert!(!code.contains('k'), "{code}");
        assert!(!code.contains('q'), "{code}");
        assert!(code.contains("&'a str"), "{code}");
    }

    #[test]
    fn characters_that_look_like_the_start_of_something_are_not() {
        let code = code("let quote = '\"'; let tick = '\\''; let wide = 'ü'; let brace = '{'; end");
        assert!(code.ends_with("; end"), "{code}");
        assert!(!code.contains('{'), "{code}");
    }

    #[test]
    fn words_that_end_like_a_raw_string_are_not() {
        let code = code("for r in b { barr\"x\" }");
        assert!(code.contains("for r in b {"), "{code}");
        assert!(!code.contains('x'), "{code}");
    }

    #[test]
    fn the_tests_at_the_foot_are_cut() {
        let text =
            "fn a() {}\n#[cfg(test)]\n#[expect(x, reason = \"[y]\")]\nmod tests {\n fn b() {}\n}\n";
        assert_eq!(before_tests(text), "fn a() {}\n");
    }

    #[test]
    fn a_test_helper_in_the_middle_cuts_nothing() {
        let text = "#[cfg(test)]\nmod model;\nfn a() {}\n#[cfg(test)]\nfn helper() {}\nfn b() {}\n";
        assert_eq!(before_tests(text), text);
    }

    #[test]
    fn whole_words_only() {
        let text = "my_fsync();\nfsync();\nfsync_all();\nstd::env::var;\n";
        assert_eq!(lines_with_word(text, "fsync"), [2]);
        assert_eq!(lines_with_word(text, "env::var"), [4]);
        assert_eq!(lines_with_word("println!(x)", "println!"), [1]);
    }
}
