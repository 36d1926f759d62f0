//! A small file system of its own, where this machine lets us mount one.

use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A mounted tmpfs; dropped it is gone.
pub(crate) struct Tmpfs {
    folder: TempDir,
}

impl Tmpfs {
    /// Mounts one with these options; `None`, and a line that says so, where it is not allowed.
    pub(crate) fn mount(options: &str) -> Option<Self> {
        let folder = TempDir::new().expect("a folder to mount on");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                not_measured(&format!("a tmpfs cannot be mounted here: {said}"))
            }
            Err(error) => not_measured(&error.to_string()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount")
            .args(["-o", &options])
            .arg(self.path())
            .status();
        assert!(
            status.expect("mount was found before").success(),
            "mount -o {options}"
        );
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily, so that it goes even while a failing test still has something open.
        let status = Command::new("umount").arg("-l").arg(self.path()).status();
        drop(status);
    }
}

#[expect(
    clippy::print_stdout,
    reason = "whoever reads the test's output has to know what was not measured"
)]
pub(crate) fn not_measured<T>(reason: &str) -> Option<T> {
    println!("NOT MEASURED: {}", reason.trim());
    None
}
