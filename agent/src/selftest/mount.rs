//! File systems of our own, mounted for a moment; only root may.

use mainstay_files::Writer;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system; taken away when it is dropped.
#[derive(Debug)]
pub(super) struct Mount {
    place: PathBuf,
}

/// A disk in a file: an ext4, on whatever holds the file.
#[derive(Debug)]
pub(super) struct Image(String);

impl Image {
    /// Makes one of `bytes`.
    ///
    /// # Errors
    /// Why it cannot be done here.
    pub(super) fn make(file: &Path, bytes: usize) -> Result<Self, String> {
        needs_root()?;
        let written = Writer::create(file).and_then(|mut writer| {
            let zeros = vec![0; 1024 * 1024];
            for _ in 0..bytes / zeros.len() {
                // The first failure is told by the commit.
                writer.write_all(&zeros).ok();
            }
            writer.commit_new()
        });
        written.map_err(|error| error.to_string())?;
        let file = file.display().to_string();
        run("mkfs.ext4", &["-q", "-F", &file])?;
        Ok(Self(file))
    }

    /// # Errors
    /// Why it cannot be done here.
    pub(super) fn mount(&self, place: &Path) -> Result<Mount, String> {
        Mount::new(&["-t", "ext4", "-o", "loop"], &self.0, place)
    }
}

impl Mount {
    /// Mounts with these arguments at `place`, which is made.
    ///
    /// # Errors
    /// Why it cannot be done here.
    fn new(args: &[&str], source: &str, place: &Path) -> Result<Self, String> {
        needs_root()?;
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

fn needs_root() -> Result<(), String> {
    let is_root = rustix::process::geteuid().is_root();
    is_root.then_some(()).ok_or_else(|| "needs root".to_owned())
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
