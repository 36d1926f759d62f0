//! A disk that is as small as one wants it.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs of a given size; unmounted when it is dropped.
#[derive(Debug)]
pub struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    /// Mounts `size` (as `mount` takes it: `16m`) at `path`.
    ///
    /// # Errors
    /// If the machine does not allow it; then nothing is measured with it.
    pub fn mount(path: &Path, size: &str) -> Result<Self> {
        fs::create_dir_all(path)?;
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(path);
        let output = mount.output().context("no `mount` on this machine")?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        anyhow::ensure!(
            output.status.success(),
            "mounting is not allowed here: {said}"
        );
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Gives it another size while it is in use.
    ///
    /// # Errors
    /// If the machine does not allow it.
    pub fn resize(&self, size: &str) -> Result<()> {
        let options = format!("remount,size={size}");
        let status = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.path)
            .status()?;
        anyhow::ensure!(status.success(), "cannot resize {}", self.path.display());
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily, so that a process that is being killed does not keep it.
        Command::new("umount")
            .arg("-l")
            .arg(&self.path)
            .status()
            .ok();
    }
}
