//! Everything that the rules look at, read once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::source;
use crate::workspace::{Package, Workspace};

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &["target", ".git"];

/// The repository: names of all files, text of those that are text.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Path from the root, with `/`, to content.
    pub(super) texts: BTreeMap<String, String>,
    /// Every file, text or not.
    pub(super) paths: BTreeSet<String>,
    pub(super) packages: Vec<Package>,
    /// Where this checkout lies: no file may name it.
    pub(super) root: String,
}

impl Tree {
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let mut tree = Self {
            packages: workspace.packages.clone(),
            root: workspace.root.to_string_lossy().into_owned(),
            ..Self::default()
        };
        tree.add_folder(&workspace.root, "")?;
        Ok(tree)
    }

    /// Rust files with their text.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.with_ending(".rs")
    }

    /// Prose with its text.
    pub(super) fn markdown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.with_ending(".md")
    }

    /// Rust files that ship, each cut before its unit tests, without comments and the content of strings.
    pub(super) fn shipped_code(&self) -> impl Iterator<Item = (&str, String)> {
        self.rust()
            .filter(|(path, _)| !source::is_test(path))
            .map(|(path, text)| (path, source::before_tests(&source::code(text)).to_owned()))
    }

    /// Whether a file or a folder of this name is there.
    pub(super) fn has(&self, path: &str) -> bool {
        let below = format!("{}/", path.trim_end_matches('/'));
        self.paths.contains(path)
            || self
                .paths
                .range(below.clone()..)
                .next()
                .is_some_and(|next| next.starts_with(&below))
    }

    fn with_ending(&self, ending: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .filter(move |(path, _)| path.ends_with(ending))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    self.add_folder(&entry.path(), &format!("{path}/"))?;
                }
            } else if kind.is_file() {
                let bytes =
                    fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
                if let Ok(text) = String::from_utf8(bytes) {
                    self.texts.insert(path.clone(), text);
                }
                self.paths.insert(path);
            }
        }
        Ok(())
    }
}

/// Trees for the tests of rules.
#[cfg(test)]
impl Tree {
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.paths.insert((*path).to_owned());
            tree.texts.insert((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    pub(super) fn with_package(
        mut self,
        folder: &str,
        dependencies: &[&str],
        dev: &[&str],
    ) -> Self {
        let (_, last) = folder.rsplit_once('/').unwrap_or(("", folder));
        let all = |names: &[&str], dev: bool| -> Vec<_> {
            names
                .iter()
                .map(|name| crate::workspace::Dependency {
                    name: (*name).to_owned(),
                    dev,
                })
                .collect()
        };
        self.packages.push(Package {
            name: if folder == "xtask" {
                "xtask".to_owned()
            } else {
                format!("mainstay-{last}")
            },
            version: "0.1.0".to_owned(),
            folder: folder.to_owned(),
            dependencies: [all(dependencies, false), all(dev, true)].concat(),
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_found_by_name() {
        let tree = Tree::of(&[
            ("docs/decisions/0001.md", ""),
            ("docs/decisions-old.md", ""),
        ]);
        assert!(tree.has("docs/decisions"));
        assert!(tree.has("docs/decisions/0001.md"));
        assert!(!tree.has("docs/decision"));
    }

    #[test]
    fn this_repository_is_read() {
        let tree = Tree::read(&Workspace::load().unwrap()).unwrap();
        assert!(tree.has("xtask/src/tidy/tree.rs"));
        assert!(!tree.has("target"));
    }
}
