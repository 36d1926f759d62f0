//! Who may depend on whom: down only, so that a crate can be read, tested and taken away without those above it.

use super::tree::Tree;
use super::{Finding, finding};

/// What every crate may use, except these two themselves.
const FOR_ALL: &[&str] = &["clock", "paths"];

/// Each library and what it may use besides `clock` and `paths`.
///
/// A new crate gets its row together with its paragraph in ARCHITECTURE.md.
const EDGES: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("paths", &[]),
    ("files", &[]),
    ("resilience", &[]),
    ("supervise", &["resilience"]),
    ("wire", &[]),
    ("work", &[]),
    ("cache", &["files"]),
    ("http", &["resilience", "files", "wire", "cache"]),
    ("queue", &["files"]),
    ("pickup", &["files"]),
    ("lookup", &["http", "resilience"]),
    ("deliver", &["queue", "files", "resilience", "wire"]),
];

/// What stands above the libraries: may use them all, and is used by none of them.
const ABOVE: &[&str] = &["agent", "testkit", "bench"];

/// Dev-dependencies are free: a test may use anything.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        let crate_name = short(&package.name);
        let manifest = format!("{}/Cargo.toml", package.folder);
        let ours = package
            .dependencies
            .iter()
            .filter(|dependency| !dependency.dev)
            .filter_map(|dependency| dependency.name.strip_prefix("mainstay-"));
        let row = EDGES.iter().find(|(name, _)| *name == crate_name);
        if row.is_none() && !ABOVE.contains(&crate_name) && crate_name != "xtask" {
            findings.push(finding(
                &manifest,
                format!("no row for `{crate_name}` in xtask/src/tidy/crate_edges.rs: say there what it may depend on"),
            ));
            continue;
        }
        for target in ours {
            if !allowed(
                crate_name,
                row.map_or(&[][..], |(_, targets)| targets),
                target,
            ) {
                findings.push(finding(
                    &manifest,
                    format!("`{crate_name}` must not depend on `{target}`: edges go down only (ARCHITECTURE.md)"),
                ));
            }
        }
    }
    findings
}

fn allowed(from: &str, row: &[&str], target: &str) -> bool {
    match from {
        "xtask" => false,
        // Neither ships inside the other, and the agent never ships the testkit.
        "agent" => !ABOVE.contains(&target),
        "testkit" => target != "bench",
        "bench" => target != "agent",
        from if FOR_ALL.contains(&from) => false,
        _ => row.contains(&target) || FOR_ALL.contains(&target),
    }
}

fn short(package: &str) -> &str {
    package.strip_prefix("mainstay-").unwrap_or(package)
}

/// A crate without `[lints] workspace = true` is checked by nobody.
pub(super) fn check_lints(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        let manifest = format!("{}/Cargo.toml", package.folder);
        let inherits = tree.texts.get(&manifest).is_none_or(|text| {
            text.split("[lints]")
                .nth(1)
                .is_some_and(|rest| rest.trim_start().starts_with("workspace = true"))
        });
        if !inherits {
            findings.push(finding(&manifest, "write `[lints]` and `workspace = true`"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(findings: &[Finding]) -> Vec<&str> {
        findings
            .iter()
            .map(|finding| finding.place.as_str())
            .collect()
    }

    #[test]
    fn an_edge_upward_is_found() {
        let tree = Tree::default()
            .with_package("crates/queue", &["mainstay-files", "mainstay-deliver"], &[])
            .with_package(
                "crates/deliver",
                &["mainstay-queue", "mainstay-clock", "tokio"],
                &[],
            );
        let findings = check(&tree);
        assert_eq!(places(&findings), ["crates/queue/Cargo.toml"]);
        assert!(
            findings[0]
                .what
                .contains("`queue` must not depend on `deliver`")
        );
    }

    #[test]
    fn the_contracts_depend_on_nothing_of_ours() {
        let tree = Tree::default().with_package("crates/clock", &["mainstay-paths"], &[]);
        assert_eq!(places(&check(&tree)), ["crates/clock/Cargo.toml"]);
    }

    #[test]
    fn tests_may_use_anything() {
        let tree = Tree::default().with_package(
            "crates/queue",
            &[],
            &["mainstay-testkit", "mainstay-deliver"],
        );
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn the_testkit_never_ships() {
        let tree =
            Tree::default().with_package("agent", &["mainstay-queue", "mainstay-testkit"], &[]);
        assert_eq!(places(&check(&tree)), ["agent/Cargo.toml"]);
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let tree = Tree::default().with_package("crates/novelty", &[], &[]);
        assert_eq!(places(&check(&tree)), ["crates/novelty/Cargo.toml"]);
    }

    #[test]
    fn a_crate_with_lints_of_its_own_is_found() {
        let tree = Tree::of(&[
            (
                "crates/queue/Cargo.toml",
                "[package]\n\n[lints.rust]\nunsafe_code = \"allow\"\n",
            ),
            (
                "crates/files/Cargo.toml",
                "[package]\n\n[lints]\nworkspace = true\n",
            ),
        ])
        .with_package("crates/queue", &[], &[])
        .with_package("crates/files", &[], &[]);
        assert_eq!(places(&check_lints(&tree)), ["crates/queue/Cargo.toml"]);
    }
}
