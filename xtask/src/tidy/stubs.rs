//! Nothing that only looks finished: no test that does not run, no code that only says it will.

use super::source;
use super::tree::Tree;
use super::{Finding, finding};

/// What is looked for, and what to do instead.
const BANNED: &[(&str, &str)] = &[
    (
        "#[ignore",
        "make the test run everywhere, or print `NOT MEASURED: reason` and return",
    ),
    ("#[should_panic", "assert the error that is returned"),
    ("todo!", "write it, or leave the whole thing out"),
    ("unimplemented!", "write it, or leave the whole thing out"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        let code = source::code(text);
        for (word, instead) in BANNED {
            for (byte, _) in code.match_indices(word) {
                findings.push(finding(
                    format!("{path}:{}", source::line_of(&code, byte)),
                    format!("`{word}`: {instead}"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stubs_and_sleeping_tests_are_found_and_words_about_them_are_not() {
        let text = "// todo!() in a comment\n#[test]\n#[ignore]\nfn a() {}\nfn b() { todo!() }\nconst C: &str = \"todo!\";\n";
        let tree = Tree::of(&[("crates/queue/src/a.rs", text)]);
        let mut findings = check(&tree);
        findings.sort();
        assert_eq!(findings.len(), 2);
        assert_eq!(findings[0].place, "crates/queue/src/a.rs:3");
        assert_eq!(findings[1].place, "crates/queue/src/a.rs:5");
    }
}
