//! What we depend on: used by somebody, and with its reason written down.

use std::collections::BTreeSet;

use super::tree::Tree;
use super::{Finding, finding};

const REASONS: &str = "docs/decisions/0002-dependencies.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let used: BTreeSet<&str> = tree
        .packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .map(|dependency| dependency.name.as_str())
        .filter(|name| !name.starts_with("mainstay-"))
        .collect();
    let mut findings = Vec::new();
    if let Some(manifest) = tree.texts.get("Cargo.toml") {
        for (line, name) in listed(manifest) {
            if !name.starts_with("mainstay-") && !used.contains(name) {
                findings.push(finding(
                    format!("Cargo.toml:{line}"),
                    format!("no crate uses `{name}`: take the line out, and add it again with the first code that needs it"),
                ));
            }
        }
    }
    let Some(reasons) = tree.texts.get(REASONS) else {
        if !used.is_empty() {
            findings.push(finding(
                REASONS,
                "the file is missing: it says why each dependency is there",
            ));
        }
        return findings;
    };
    for name in used {
        if !reasons.contains(&format!("`{name}`")) {
            findings.push(finding(
                REASONS,
                format!("`{name}` is not named: say what it is for, its licence, and what was not taken instead"),
            ));
        }
    }
    findings
}

/// Names in `[workspace.dependencies]`, each with its line from 1.
fn listed(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    manifest
        .lines()
        .enumerate()
        .filter_map(move |(index, line)| {
            if line.starts_with('[') {
                inside = line.trim() == "[workspace.dependencies]";
                return None;
            }
            let (name, _) = line.split_once('=')?;
            let name = name.trim();
            (inside && !name.starts_with('#')).then_some((index + 1, name))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_nobody_uses_is_found() {
        let manifest = "[workspace]\nmembers = []\n\n[workspace.dependencies]\n# why\nbytes = \"1\"\nleftpad = \"9\"\n\n[profile.dev]\ndebug = 1\n";
        let tree = Tree::of(&[
            ("Cargo.toml", manifest),
            (REASONS, "- `bytes`: cheap slices"),
        ])
        .with_package("crates/queue", &["bytes"], &[]);
        assert_eq!(check(&tree).len(), 1);
        assert_eq!(check(&tree)[0].place, "Cargo.toml:7");
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let tree = Tree::of(&[(REASONS, "nothing")]).with_package(
            "crates/queue",
            &["bytes"],
            &["tempfile"],
        );
        let findings = check(&tree);
        assert_eq!(findings.len(), 2);
        assert!(findings[0].what.starts_with("`bytes` is not named"));
    }
}
