//! Files that no build reads.

use super::tree::Tree;
use super::{Finding, finding, source};

/// Every Rust file is a root that the package names, or a module that the file above it declares.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests: Vec<&str> = tree
        .texts
        .iter()
        .filter(|(path, _)| path.ends_with("Cargo.toml"))
        .map(|(_, text)| text.as_str())
        .collect();
    let is_named = |path: &str| {
        let mut folder = path;
        while let Some(at) = folder.find('/') {
            folder = &folder[at + 1..];
            let quoted = format!("\"{folder}\"");
            if manifests.iter().any(|text| text.contains(&quoted)) {
                return true;
            }
        }
        false
    };
    tree.rust()
        .filter(|(path, _)| !is_root(path) && !is_declared(tree, path) && !is_named(path))
        .map(|(path, _)| {
            finding(
                path,
                "no file declares it as a module, so nothing builds it: declare it, or remove it",
            )
        })
        .collect()
}

/// Whether cargo finds it by itself.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(
        parts.as_slice(),
        [.., "src", "main.rs" | "lib.rs"]
            | [.., "build.rs"]
            | [.., "tests" | "benches" | "examples", _]
            | [.., "tests" | "benches", _, "main.rs"]
            | [.., "src", "bin", _]
    )
}

fn is_declared(tree: &Tree, path: &str) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else {
        return false;
    };
    let name = file.trim_end_matches(".rs");
    let parents = [
        format!("{folder}.rs"),
        format!("{folder}/lib.rs"),
        format!("{folder}/main.rs"),
    ];
    let mut texts = parents.iter().filter_map(|parent| tree.texts.get(parent));
    texts.any(|text| {
        source::code(text).lines().any(|line| {
            let words = line.trim().trim_end_matches(';');
            line.trim().ends_with(';')
                && words
                    .strip_suffix(name)
                    .is_some_and(|before| before.ends_with("mod "))
        })
    }) || tree.rust().any(|(_, text)| {
        let beside = path.rsplit('/').take(2).collect::<Vec<_>>();
        let ending = beside.into_iter().rev().collect::<Vec<_>>().join("/");
        text.lines().any(|line| {
            line.trim().starts_with("#[path = \"") && line.trim().ends_with(&format!("{ending}\"]"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_nothing_declares_is_found() {
        let tree = Tree::of(&[
            ("crates/queue/src/lib.rs", "mod segment;\n// mod old;\n"),
            ("crates/queue/src/segment.rs", "pub(crate) mod head;\n"),
            ("crates/queue/src/segment/head.rs", ""),
            ("crates/queue/src/segment/tail.rs", ""),
            ("crates/queue/src/old.rs", ""),
            ("crates/queue/examples/golden.rs", ""),
            ("crates/queue/tests/it/main.rs", "mod cuts;\n"),
            (
                "crates/queue/tests/it/cuts.rs",
                "#[path = \"../shared/disk.rs\"]\nmod disk;\n",
            ),
            ("crates/queue/tests/it/orphan.rs", ""),
            ("crates/queue/tests/shared/disk.rs", ""),
            ("fuzz/Cargo.toml", "path = \"targets/heads.rs\"\n"),
            ("fuzz/targets/heads.rs", ""),
            ("fuzz/targets/tails.rs", ""),
        ]);
        let places: Vec<String> = check(&tree)
            .into_iter()
            .map(|finding| finding.place)
            .collect();
        assert_eq!(
            places,
            [
                "crates/queue/src/old.rs",
                "crates/queue/src/segment/tail.rs",
                "crates/queue/tests/it/orphan.rs",
                "fuzz/targets/tails.rs",
            ]
        );
    }
}
