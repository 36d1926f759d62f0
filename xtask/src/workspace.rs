//! The workspace as cargo sees it: where it lies, its packages, and who depends on whom.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The workspace that this xtask belongs to.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One member of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Folder below the root, with `/`: `crates/queue`.
    pub(crate) folder: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependency tables.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Only tests, examples and benches of the package see it.
    pub(crate) dev: bool,
}

impl Workspace {
    /// Asks cargo, without resolving dependencies.
    pub(crate) fn load() -> Result<Self> {
        // From where the caller stands, and not from where this was compiled: checkouts may share a target folder.
        let here = Path::new(".");
        let answer = process::read(process::cargo(here).args([
            "metadata",
            "--no-deps",
            "--format-version=1",
        ]))?;
        let metadata: Value =
            serde_json::from_str(&answer).context("cannot read the answer of `cargo metadata`")?;
        let root = PathBuf::from(text(&metadata, "workspace_root")?);
        let target = PathBuf::from(text(&metadata, "target_directory")?);
        let packages = metadata["packages"]
            .as_array()
            .context("`cargo metadata` names no packages")?
            .iter()
            .map(|package| Package::from_metadata(package, &root))
            .collect::<Result<_>>()?;
        Ok(Self {
            root,
            target,
            packages,
        })
    }
}

impl Package {
    fn from_metadata(package: &Value, root: &Path) -> Result<Self> {
        let manifest = PathBuf::from(text(package, "manifest_path")?);
        let folder = manifest.parent().unwrap_or(root);
        let folder = folder.strip_prefix(root).unwrap_or(folder);
        let dependencies = package["dependencies"]
            .as_array()
            .context("a package without a list of dependencies")?
            .iter()
            .map(|dependency| {
                Ok(Dependency {
                    name: text(dependency, "name")?,
                    dev: dependency["kind"] == "dev",
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            name: text(package, "name")?,
            version: text(package, "version")?,
            folder: folder.to_string_lossy().replace('\\', "/"),
            dependencies,
        })
    }
}

fn text(value: &Value, key: &str) -> Result<String> {
    let text = value[key]
        .as_str()
        .with_context(|| format!("`cargo metadata` answers without `{key}`"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_knows_itself() {
        let workspace = Workspace::load().unwrap();
        let xtask = workspace
            .packages
            .iter()
            .find(|package| package.name == "xtask")
            .unwrap();
        assert_eq!(xtask.folder, "xtask");
        assert!(
            xtask
                .dependencies
                .iter()
                .any(|dependency| dependency.name == "anyhow" && !dependency.dev)
        );
    }
}
