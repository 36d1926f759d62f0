//! How long a file and a function may be, and the few that are longer for a reason.

use super::source;
use super::tree::Tree;
use super::{Finding, finding};

/// Lines of a file before its unit tests.
const FILE_LINES_MAX: usize = 500;

/// Lines of a function, from its name to its closing brace: about what one screen shows.
const FUNCTION_LINES_MAX: usize = 70;

/// A file or function that may be longer, up to a number that only goes down.
struct Exception {
    /// `path` for a file, `path name` for a function.
    what: &'static str,
    lines_max: usize,
    #[expect(dead_code, reason = "read by people, who have to give one")]
    reason: &'static str,
}

const LONG_FILES: &[Exception] = &[];

const LONG_FUNCTIONS: &[Exception] = &[];

pub(super) fn check_files(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| !source::is_test(path)) {
        // Cut by the blanked text, counted in the whole one: comments are read too.
        let lines = source::before_tests(&source::code(text)).lines().count();
        let max = allowance(LONG_FILES, path).unwrap_or(FILE_LINES_MAX);
        if lines > max {
            findings.push(finding(
                path,
                format!("{lines} lines before its tests, {max} at most: are these two ideas?"),
            ));
        }
    }
    findings
}

pub(super) fn check_functions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, code) in tree.shipped_code() {
        for function in functions(&code) {
            let max = allowance(LONG_FUNCTIONS, &format!("{path} {}", function.name))
                .unwrap_or(FUNCTION_LINES_MAX);
            if function.lines > max {
                findings.push(finding(
                    format!("{path}:{}", function.line),
                    format!(
                        "`{}` has {} lines, {max} at most: name its parts",
                        function.name, function.lines
                    ),
                ));
            }
        }
    }
    findings
}

fn allowance(exceptions: &[Exception], what: &str) -> Option<usize> {
    exceptions
        .iter()
        .find(|exception| exception.what == what)
        .map(|exception| exception.lines_max)
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
}

/// Every function in blanked code, the ones inside others too.
fn functions(code: &str) -> Vec<Function<'_>> {
    let mut functions = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let free = start == 0 || code.as_bytes()[start - 1].is_ascii_whitespace();
        let rest = &code[start + 3..];
        let name = &rest[..rest
            .find(|character: char| !character.is_alphanumeric() && character != '_')
            .unwrap_or(0)];
        if !free || name.is_empty() {
            continue;
        }
        if let Some(length) = length_to_closing_brace(&code[start..]) {
            let body = &code[start..start + length];
            functions.push(Function {
                name,
                line: source::line_of(code, start),
                lines: body.lines().count(),
            });
        }
    }
    functions
}

/// From a signature to the end of its body; nothing where the signature ends with `;`.
fn length_to_closing_brace(code: &str) -> Option<usize> {
    let mut round = 0_usize;
    let mut square = 0_usize;
    let mut curly = 0_usize;
    for (index, byte) in code.bytes().enumerate() {
        match byte {
            b'(' => round += 1,
            b')' => round = round.checked_sub(1)?,
            b'[' => square += 1,
            b']' => square = square.checked_sub(1)?,
            b'{' => curly += 1,
            b'}' => {
                curly = curly.checked_sub(1)?;
                if curly == 0 {
                    return Some(index + 1);
                }
            }
            b';' if round + square + curly == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_longer_than_a_screen_is_found() {
        let tree = Tree::of(&[("crates/queue/src/a.rs", &function_of(71))]);
        let findings = check_functions(&tree);
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].what,
            "`long` has 71 lines, 70 at most: name its parts"
        );
        let tree = Tree::of(&[("crates/queue/src/a.rs", &function_of(70))]);
        assert_eq!(check_functions(&tree), []);
    }

    #[test]
    fn tests_may_be_long() {
        let text = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function_of(90));
        let tree = Tree::of(&[
            ("crates/queue/src/a.rs", &text),
            ("crates/queue/tests/it/a.rs", &function_of(90)),
        ]);
        assert_eq!(check_functions(&tree), []);
    }

    #[test]
    fn signatures_without_a_body_are_nothing() {
        let code = "trait A {\n    fn a(x: [u8; 3]);\n    fn b() {\n    }\n}\ntype F = fn (u8);\n";
        assert_eq!(
            functions(code),
            [Function {
                name: "b",
                line: 3,
                lines: 2
            }]
        );
    }

    #[test]
    fn a_file_with_two_ideas_is_found() {
        let long = "// why\n".repeat(501);
        let tested = format!(
            "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
            "// why\n".repeat(500),
            "// why\n".repeat(300)
        );
        let tree = Tree::of(&[
            ("crates/queue/src/a.rs", &long),
            ("crates/queue/src/b.rs", &tested),
        ]);
        let findings = check_files(&tree);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "crates/queue/src/a.rs");
    }
}
