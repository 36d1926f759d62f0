//! The table of exit codes against the code that returns them.

use std::collections::BTreeSet;

use super::page::table_rows;
use super::tree::Tree;
use super::{Finding, finding};

const PAGE: &str = "docs/operating/exit-codes.md";
const CODE: &str = "agent/src/exit.rs";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let (Some(page), Some(code)) = (tree.texts.get(PAGE), tree.texts.get(CODE)) else {
        return vec![finding(PAGE, format!("this file or {CODE} is missing"))];
    };
    let documented: BTreeSet<u8> = table_rows(page)
        .filter_map(|(_, cells)| cells.first()?.parse().ok())
        .collect();
    let returned: BTreeSet<u8> = numbers_of_enum(code).collect();
    let undocumented = returned.difference(&documented);
    let unknown = documented.difference(&returned);
    undocumented
        .map(|number| finding(PAGE, format!("{number} is returned and has no line here")))
        .chain(unknown.map(|number| finding(PAGE, format!("{number} is never returned"))))
        .collect()
}

/// `7` of each line `Name = 7,` inside `enum Exit`.
fn numbers_of_enum(code: &str) -> impl Iterator<Item = u8> {
    code.lines()
        .skip_while(|line| !line.contains("enum Exit {"))
        .take_while(|line| !line.starts_with('}'))
        .filter_map(|line| {
            line.trim()
                .strip_suffix(',')?
                .split_once(" = ")?
                .1
                .parse()
                .ok()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_without_a_line_and_a_line_without_a_code_are_found() {
        let code = "pub(crate) enum Exit {\n    /// All well.\n    Done = 0,\n    Usage = 2,\n}\nconst A: u8 = 9;\n";
        let page = "| code | meaning |\n|---:|---|\n| 0 | done |\n| 40 | network |\n";
        let tree = Tree::of(&[(CODE, code), (PAGE, page)]);
        let found: Vec<String> = check(&tree)
            .into_iter()
            .map(|finding| finding.what)
            .collect();
        assert_eq!(
            found,
            ["2 is returned and has no line here", "40 is never returned"]
        );
    }
}
