//! What came before, line by line: what stands here instead, and its test; or why there is nothing.

use super::page::table_rows;
use super::test_names::TestNames;
use super::tree::Tree;
use super::{Finding, finding};

const PAGE: &str = "docs/coverage.md";

/// What the last cell of a line begins with when nothing of it is here.
const ABSENT: &str = "not here";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.texts.get(PAGE) else {
        return vec![finding(PAGE, "the file is missing")];
    };
    let names = TestNames::of(tree);
    let mut findings = Vec::new();
    for (line, cells) in table_rows(page) {
        let place = format!("{PAGE}:{line}");
        let last = cells.last().copied().unwrap_or_default();
        if last == "test" || last.starts_with(ABSENT) {
            continue;
        }
        let named = names.look_up(last);
        for name in &named.missing {
            findings.push(finding(&place, format!("there is no test `{name}`")));
        }
        if named.known.is_empty() && named.missing.is_empty() {
            let what = format!("names no test; write one, or `{ABSENT}: why`");
            findings.push(finding(&place, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_test_that_exists_is_found() {
        let page = "| before | here | test |\n|---|---|---|\n| a | b | `real` |\n| a | b | `imagined` |\n| a | b | |\n| a | b | not here: why |\n";
        let tree = Tree::of(&[
            (PAGE, page),
            ("crates/queue/tests/it/a.rs", "#[test]\nfn real() {}\n"),
        ]);
        let found: Vec<String> = check(&tree)
            .into_iter()
            .map(|finding| finding.place)
            .collect();
        assert_eq!(found, ["docs/coverage.md:4", "docs/coverage.md:5"]);
    }
}
