//! The table of promises: each one that we make has a row, and each row names tests that exist.

use std::collections::BTreeSet;

use super::page::{quoted, table_rows};
use super::test_names::TestNames;
use super::tree::Tree;
use super::{Finding, finding};

const PAGE: &str = "docs/guarantees.md";

/// The promises that this version makes; taking one away is a decision, not an omission.
const CLAIMED: &[&str] = &[
    "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "P12", "P13", "P14",
    "P15", // files
    "Q1", "Q2", "Q3", "Q4", "Q5", "Q6", "Q7", "Q8", "Q9", "Q10", "Q11", "Q12", // queue
    "F1", "F2", "F3", "F4", "F5", // pickup
    "D1", "D2", "D4", "D5", "D6", "D7", // deliver; D3 is not promised yet
    "N1", "N2", "N3", "N4", "N5", "N6", "N7", "N8", // resilience
    "H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8", "H9", // http
    "A1", "A2", "A3", "A4", "A5", "A6", "A7", // cache
    "E1", "E2", "E3", "E4", // lookup
    "W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", // work
    "I1", "I2", "I3", "I4", "I5", // the hub
    "S1", "S2", "S3", // stopping
    "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12", "S13", "S14", "S15", // supervise
    "K1", "K4", "K7", "K8", // what an attacker meets
    "L1", "L2", // the ledger, the demo
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.texts.get(PAGE) else {
        return vec![finding(PAGE, "the file is missing")];
    };
    let names = TestNames::of(tree);
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for (line, cells) in table_rows(page) {
        // `| Q1 | promise | where | tests |`; other tables are not about promises.
        let [id, _, room, tests] = cells[..] else {
            continue;
        };
        if !is_promise(id) {
            continue;
        }
        let place = format!("{PAGE}:{line}");
        if !seen.insert(id) {
            findings.push(finding(&place, format!("{id} has two rows")));
        }
        let named = names.look_up(tests);
        for test in &named.missing {
            findings.push(finding(&place, format!("{id}: there is no test `{test}`")));
        }
        if named.known.is_empty() && named.missing.is_empty() {
            let what = format!("{id} names no test: what goes red when it breaks?");
            findings.push(finding(&place, what));
        }
        for path in quoted(room).filter(|path| path.contains('/') && !tree.has(path)) {
            findings.push(finding(&place, format!("{id}: there is no `{path}`")));
        }
    }
    for id in CLAIMED.iter().filter(|id| !seen.contains(**id)) {
        findings.push(finding(
            PAGE,
            format!("no row for {id}: say the promise, where it lives and its test"),
        ));
    }
    findings
}

/// A letter and a number: `Q12`.
fn is_promise(id: &str) -> bool {
    let mut characters = id.chars();
    let letter = characters
        .next()
        .is_some_and(|first| first.is_ascii_uppercase());
    let number = characters.as_str();
    letter && !number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: (&str, &str) = (
        "crates/queue/tests/it/durable.rs",
        "#[test]\nfn an_answer_is_durable() {}\n\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn a_batch_is_whole() {}\n\nfn setup() {}\n",
    );

    /// What the page says about the rows it has, without the complaints about those it has not.
    fn complaints(page: &str) -> Vec<String> {
        let tree = Tree::of(&[TEST, (PAGE, page)]);
        check(&tree)
            .into_iter()
            .map(|finding| finding.what)
            .filter(|what| !what.starts_with("no row for"))
            .collect()
    }

    #[test]
    fn a_row_with_a_test_that_exists_is_good() {
        let page = "| id | promise | where | test |\n|---|---|---|---|\n| Q1 | kept | `crates/queue` | `an_answer_is_durable`, `durable::a_batch_is_whole` |\n";
        assert_eq!(complaints(page), Vec::<String>::new());
    }

    #[test]
    fn a_row_that_names_a_test_that_does_not_exist_is_found() {
        let page = "| Q1 | kept | `crates/queue` | `an_answer_is_durabel` |\n| Q2 | whole | here | `setup` |\n";
        assert_eq!(
            complaints(page),
            [
                "Q1: there is no test `an_answer_is_durabel`",
                "Q2: there is no test `setup`"
            ]
        );
    }

    #[test]
    fn a_row_without_a_test_or_without_its_place_is_found() {
        let page = "| Q1 | kept | `crates/cue` | to come |\n";
        assert_eq!(
            complaints(page),
            [
                "Q1 names no test: what goes red when it breaks?",
                "Q1: there is no `crates/cue`"
            ]
        );
    }

    #[test]
    fn a_promise_without_a_row_is_found() {
        let tree = Tree::of(&[
            TEST,
            (PAGE, "| Q1 | kept | here | `an_answer_is_durable` |\n"),
        ]);
        let missing: Vec<String> = check(&tree)
            .into_iter()
            .map(|finding| finding.what)
            .collect();
        assert!(
            missing.contains(
                &"no row for Q2: say the promise, where it lives and its test".to_owned()
            )
        );
        assert_eq!(missing.len(), CLAIMED.len() - 1);
    }
}
