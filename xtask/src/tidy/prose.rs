//! Prose that has to keep up with the code: the changelog, the map, and paths that mean something to one machine only.

use super::tree::Tree;
use super::{Finding, finding};

/// What a reader takes in at one sitting.
const ARCHITECTURE_LINES_MAX: usize = 250;

/// The changelog names the version, the map names every crate and stays short.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    match tree.texts.get("CHANGELOG.md") {
        Some(changelog) => check_changelog(tree, changelog, &mut findings),
        None => findings.push(finding("CHANGELOG.md", "the file is missing")),
    }
    match tree.texts.get("ARCHITECTURE.md") {
        Some(map) => check_map(tree, map, &mut findings),
        None => findings.push(finding("ARCHITECTURE.md", "the file is missing")),
    }
    findings
}

fn check_changelog(tree: &Tree, changelog: &str, findings: &mut Vec<Finding>) {
    let version = tree
        .packages
        .first()
        .map_or("", |package| package.version.as_str());
    let named = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .any(|heading| {
            heading.starts_with("Unreleased")
                || (!version.is_empty() && heading.starts_with(version))
        });
    if !named {
        findings.push(finding(
            "CHANGELOG.md",
            format!("has neither `## Unreleased` nor `## {version}`: say what changed for the person whose data it is"),
        ));
    }
}

fn check_map(tree: &Tree, map: &str, findings: &mut Vec<Finding>) {
    let lines = map.lines().count();
    if lines > ARCHITECTURE_LINES_MAX {
        findings.push(finding(
            "ARCHITECTURE.md",
            format!("{lines} lines, {ARCHITECTURE_LINES_MAX} at most: details belong to the crate's own page"),
        ));
    }
    for package in &tree.packages {
        let short = package
            .name
            .strip_prefix("mainstay-")
            .unwrap_or(&package.name);
        if !map.contains(&format!("`{short}`")) {
            findings.push(finding(
                "ARCHITECTURE.md",
                format!("`{short}` is not on the map"),
            ));
        }
    }
}

/// Where the names of other people's folders are the matter itself.
const MAY_NAME_HOMES: &[&str] = &[
    "xtask/src/tidy/prose.rs",
    // Decides where a person's files belong.
    "crates/paths/",
    // Imitates machines that are not ours.
    "examples/station/",
];

/// Paths that mean something on one person's machine, in a file that everybody gets.
pub(super) fn check_machine_paths(tree: &Tree) -> Vec<Finding> {
    let homes = ["/home/", "/Users/", "/root/", "C:\\Users\\"];
    let mut findings = Vec::new();
    for (path, text) in &tree.texts {
        if MAY_NAME_HOMES.iter().any(|room| path.starts_with(room)) {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            let here = !tree.root.is_empty() && line.contains(&tree.root);
            let named = homes
                .iter()
                .copied()
                .find(|home| line.contains(home))
                .or(here.then_some("the folder of this checkout"));
            if let Some(named) = named {
                findings.push(finding(
                    format!("{path}:{}", index + 1),
                    format!("names {named}, which is nothing to anybody else: use a relative path or `<data>`"),
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
    fn a_changelog_without_the_version_is_found() {
        let map = ("ARCHITECTURE.md", "`queue`");
        let old = Tree::of(&[("CHANGELOG.md", "# Changelog\n\n## 0.0.9\n"), map]).with_package(
            "crates/queue",
            &[],
            &[],
        );
        assert_eq!(check(&old).len(), 1);
        for heading in ["## Unreleased", "## 0.1.0, 2026-12-01"] {
            let good =
                Tree::of(&[("CHANGELOG.md", heading), map]).with_package("crates/queue", &[], &[]);
            assert_eq!(check(&good), []);
        }
    }

    #[test]
    fn a_crate_that_is_not_on_the_map_is_found() {
        let tree = Tree::of(&[
            ("CHANGELOG.md", "## Unreleased"),
            ("ARCHITECTURE.md", "`files` only"),
        ])
        .with_package("crates/files", &[], &[])
        .with_package("crates/queue", &[], &[]);
        assert_eq!(
            check(&tree),
            [finding("ARCHITECTURE.md", "`queue` is not on the map")]
        );
    }

    #[test]
    fn a_map_that_is_too_long_is_found() {
        let map = "line\n".repeat(251);
        let tree = Tree::of(&[("CHANGELOG.md", "## Unreleased"), ("ARCHITECTURE.md", &map)]);
        assert_eq!(check(&tree).len(), 1);
    }

    #[test]
    fn a_path_of_somebodys_machine_is_found() {
        let mut tree = Tree::of(&[
            ("README.md", "see `docs/x.md`\nor /home/anna/x\n"),
            ("agent/src/main.rs", "// in /srv/checkout/agent\n"),
        ]);
        tree.root = "/srv/checkout".to_owned();
        let places: Vec<String> = check_machine_paths(&tree)
            .into_iter()
            .map(|finding| finding.place)
            .collect();
        assert_eq!(places, ["README.md:2", "agent/src/main.rs:1"]);
    }
}
