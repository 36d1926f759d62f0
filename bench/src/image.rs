//! A journaled file system of its own, as production machines have: an ext4 image on a loop device.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Enough for a run, made of zeros that are not allocated before they are used.
const SIZE: &str = "3G";

/// A mounted image; unmounted and removed when it is dropped.
pub(crate) struct Image {
    mount: PathBuf,
    file: PathBuf,
}

impl Image {
    /// Makes and mounts one below this folder.
    ///
    /// # Errors
    /// Where there is no root, no loop device or no `mkfs.ext4`.
    pub(crate) fn mount(folder: &Path) -> Result<Self> {
        let image = Self {
            mount: folder.join("journaled"),
            file: folder.join("journaled.img"),
        };
        std::fs::create_dir(&image.mount)?;
        run(Command::new("truncate").args(["-s", SIZE]).arg(&image.file))?;
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"])
            .arg(&image.file))?;
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(&image.file)
            .arg(&image.mount))?;
        Ok(image)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Where it cannot be unmounted, the image is left for whoever looks why.
        if run(Command::new("umount").arg(&self.mount)).is_ok() {
            std::fs::remove_file(&self.file).ok();
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
