//! The tables of what was survived against the record of the campaigns, and that of the mutants against theirs.

use super::tree::Tree;
use super::{Finding, finding};
use crate::faults::table::{LIST, LONG, MUTANTS, RECORD, SHORT, Sources, renewed};
use crate::mutate::table;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let all = [RECORD, MUTANTS, LIST, SHORT, LONG, table::PAGE];
    let missing = all.iter().filter(|name| !tree.texts.contains_key(**name));
    let missing: Vec<Finding> = { missing }
        .map(|name| finding(*name, "this file is missing"))
        .collect();
    if !missing.is_empty() {
        return missing;
    }
    let text = |name: &str| tree.texts[name].as_str();
    let sources = Sources {
        runs: text(RECORD),
        mutants: text(MUTANTS),
        list: text(LIST),
    };
    let mut findings = Vec::new();
    let mut compare = |name: &str, follows: anyhow::Result<String>, mend: &str| match follows {
        Ok(renewed) if renewed == text(name) => {}
        Ok(_) => findings.push(finding(
            name,
            format!("a table does not follow from its record: run `cargo xtask faults {mend}`"),
        )),
        Err(error) => findings.push(finding(name, format!("{error:#}"))),
    };
    for name in [SHORT, LONG] {
        compare(name, renewed(name, text(name), &sources), "table");
    }
    let page = table::renewed(text(table::PAGE), sources.list, sources.mutants);
    compare(table::PAGE, page, "mutate --write");
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
        let list = "killers = {}\nmutant = []\n";
        let sources = Sources {
            runs: record,
            mutants: "",
            list,
        };
        let [short, long] = [SHORT, LONG].map(|name| renewed(name, place, &sources).unwrap());
        let place = "<!-- mutants: written by `cargo xtask faults mutate --write` -->\n<!-- end of mutants -->\n";
        let promises = table::renewed(place, list, "").unwrap();
        let tree = |short: &str, record: &str, list: &str| {
            Tree::of(&[
                (RECORD, record),
                (MUTANTS, ""),
                (LIST, list),
                (SHORT, short),
                (LONG, &long),
                (table::PAGE, &promises),
            ])
        };
        // One is listed that nobody has tried, and the tables do not say so.
        let another = "[killers]\n[[mutant]]\nname = \"a\"\npromise = \"Q1\"\nfile = \"f\"\ntakes = \"1\"\nputs = \"\"\n";
        let found = check(&tree(&short, record, another));
        let pages: Vec<&str> = found.iter().map(|found| found.place.as_str()).collect();
        assert_eq!(pages, [LONG, table::PAGE]);
        let tree = |short: &str, record: &str| tree(short, record, list);
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
