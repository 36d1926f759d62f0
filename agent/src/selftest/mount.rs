//! File systems of our own, mounted for a moment; only root may.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system; taken away when it is dropped.
#[derive(Debug)]
pub(super) struct Mount {
    place: PathBuf,
}

impl Mount {
    /// Mounts with these arguments at `place`, which is made.
    ///
    /// # Errors
    /// Why it cannot be done here.
    pub(super) fn new(args: &[&str], source: &str, place: &Path) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("needs root".to_owned());
        }
        mainstay_files::create_dir_all(place, 0o700).map_err(|error| error.to_string())?;
        let target = place.display().to_string();
        let mut all = args.to_vec();
        all.extend([source, &target]);
        run("mount", &all)?;
        Ok(Self {
            place: place.to_owned(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.place
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let place = self.place.display().to_string();
        // Lazily where somebody still has a file open: it goes with the last of them.
        if run("umount", &[&place]).is_err()
            && let Err(why) = run("umount", &["--lazy", &place])
        {
            tracing::warn!(place, why, "could not be unmounted");
        }
    }
}

/// Runs a program of the system to its end.
///
/// # Errors
/// It is not there, or what it said.
pub(super) fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let done = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Err(format!("`{program}` refuses: {said}"))
}
