//! The tables of what was survived against the record of the campaigns.

use super::tree::Tree;
use super::{Finding, finding};
use crate::faults::table::{LONG, MUTANTS, RECORD, SHORT, renewed};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(record) = tree.texts.get(RECORD) else {
        return vec![finding(RECORD, "this file is missing")];
    };
    let Some(mutants) = tree.texts.get(MUTANTS) else {
        return vec![finding(MUTANTS, "this file is missing")];
    };
    let mut findings = Vec::new();
    for name in [SHORT, LONG] {
        let Some(page) = tree.texts.get(name) else {
            findings.push(finding(name, "this page is missing"));
            continue;
        };
        match renewed(name, page, record, mutants) {
            Ok(renewed) if renewed == *page => {}
            Ok(_) => findings.push(finding(
                name,
                format!(
                    "the table of faults survived does not follow from {RECORD} and {MUTANTS}: run `cargo xtask faults table`"
                ),
            )),
            Err(error) => findings.push(finding(name, format!("{error:#}"))),
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_was_changed_by_hand_is_found() {
        let record = "{\"campaign\":\"kill9\",\"form\":\"long\",\"seed\":1,\"verdict\":\"pass\",\"figures\":{\"kills\":10000},\"seconds\":60,\"date\":\"2026-11-21\",\"commit\":\"c\",\"clean\":true,\"machine\":\"Linux\"}\n";
        let place =
            "<!-- faults: written by `cargo xtask faults table` -->\n<!-- end of faults -->\n";
        let [short, long] = [SHORT, LONG].map(|name| renewed(name, place, record, "").unwrap());
        let tree = |short: &str, record: &str| {
            Tree::of(&[
                (RECORD, record),
                (MUTANTS, ""),
                (SHORT, short),
                (LONG, &long),
            ])
        };
        assert_eq!(check(&tree(&short, record)), []);
        let boasted = short.replace("10,000", "20,000");
        assert_ne!(boasted, short);
        assert_eq!(check(&tree(&boasted, record)).len(), 1);
        // A new run, and nobody renewed the table.
        let more = record.replace("\"seed\":1", "\"seed\":2");
        assert_eq!(check(&tree(&short, &(record.to_owned() + &more))).len(), 2);
        assert_eq!(check(&tree("no table", record)).len(), 1);
        assert_eq!(check(&tree(&short, "no json\n")).len(), 2);
    }
}
