//! Names of files that say nothing.

use super::tree::Tree;
use super::{Finding, finding};

/// Names under which anything could lie.
const BANNED: &[&str] = &[
    "utils", "util", "misc", "common", "imp", "helpers", "helper",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in tree.rust() {
        if path.ends_with("/mod.rs") {
            findings.push(finding(path, "name it `foo.rs` beside the folder `foo/`"));
        }
        for part in path.trim_end_matches(".rs").split('/') {
            if BANNED.contains(&part) {
                findings.push(finding(
                    path,
                    format!("`{part}` says nothing: name it for the thing that lives there"),
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
    fn names_that_say_nothing_are_found() {
        let tree = Tree::of(&[
            ("crates/queue/src/segment.rs", ""),
            ("crates/queue/src/utils.rs", ""),
            ("crates/queue/tests/common/mod.rs", ""),
        ]);
        let places: Vec<String> = check(&tree)
            .into_iter()
            .map(|finding| finding.place)
            .collect();
        assert_eq!(
            places,
            [
                "crates/queue/src/utils.rs",
                "crates/queue/tests/common/mod.rs",
                "crates/queue/tests/common/mod.rs",
            ]
        );
    }
}
