//! A machine that is as small as one wants it.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A group of processes that may have so much of something; removed when it is dropped.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    limit: &'static str,
}

impl Group {
    /// Together they may have so many bytes of memory.
    ///
    /// # Errors
    /// If the machine does not allow it; then nothing is measured with it.
    pub fn of_memory(bytes: u64) -> Result<Self> {
        Self::make("memory", ["memory.limit_in_bytes", "memory.max"], bytes)
    }

    /// There may be so many processes and threads.
    ///
    /// # Errors
    /// As [`of_memory`](Self::of_memory).
    pub fn of_processes(most: u64) -> Result<Self> {
        Self::make("pids", ["pids.max"; 2], most)
    }

    /// `limits` are the files for the limit in the old hierarchy and in the new one.
    fn make(controller: &str, limits: [&'static str; 2], most: u64) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("mainstay-test-{}-{number}", std::process::id());
        // The old hierarchy where there is one, as in many containers, or the new one.
        let old = Path::new("/sys/fs/cgroup").join(controller);
        let (folder, limit) = if old.is_dir() {
            (old, limits[0])
        } else {
            (PathBuf::from("/sys/fs/cgroup"), limits[1])
        };
        let group = Self {
            path: folder.join(name),
            limit,
        };
        fs::create_dir(&group.path).context("no group of processes can be made here")?;
        group
            .resize(most)
            .with_context(|| format!("its {controller} cannot be limited here"))?;
        Ok(group)
    }

    /// Gives it another limit while it is in use.
    ///
    /// # Errors
    /// If the system refuses, such as less memory than cannot be taken back.
    pub fn resize(&self, most: u64) -> Result<()> {
        fs::write(self.path.join(self.limit), most.to_string())?;
        Ok(())
    }

    /// Whoever writes its own number here belongs to it.
    pub fn processes(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        fs::remove_dir(&self.path).ok();
    }
}
