//! The date that other processes believe in.

use anyhow::Result;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the package libfaketime puts its library.
const LIBRARIES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// A date for the processes that are started with [`variables`](Self::variables), as far from the true one as one wants it, and
/// changed while they run.
#[derive(Debug)]
pub struct Dates {
    file: PathBuf,
    library: &'static str,
}

impl Dates {
    /// The true date, kept in `file`; none where libfaketime is not there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(file: PathBuf) -> Result<Option<Self>> {
        let Some(library) = LIBRARIES.iter().find(|path| Path::new(path).is_file()) else {
            return Ok(None);
        };
        let dates = Self { file, library };
        dates.set(0)?;
        Ok(Some(dates))
    }

    /// All believe from now on that it is so many seconds later.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set(&self, seconds: i64) -> Result<()> {
        // Whoever reads it meanwhile finds the old one or the new one.
        let fresh = self.file.with_extension("new");
        fs::write(&fresh, format!("{seconds:+}\n"))?;
        fs::rename(&fresh, &self.file)?;
        Ok(())
    }

    /// What a process has to be started with.
    pub fn variables(&self) -> [(&'static str, OsString); 5] {
        [
            ("LD_PRELOAD", self.library.into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            // The date alone: monotonic time does not jump, and files keep the dates that they have.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ]
    }
}
