//! The data folder: where everything lies that must not be lost.

use crate::cli::PlaceArgs;
use crate::exit::{Exit, Failure};
use std::path::{Path, PathBuf};

/// One data folder, by its names; nothing is made or opened here.
///
/// ```text
/// LOCK          whoever has it, has the folder
/// control.sock  where a running agent can be asked (mode 0600)
/// queue/        documents
/// work/ROUTE/   claimed files
/// archive/ROUTE/, quarantine/ROUTE/
/// inbox/, outbox/   where no configuration says otherwise
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// The folder at this path, made absolute, because the process may be told relative paths.
    ///
    /// # Errors
    /// The current folder is gone.
    pub(crate) fn at(path: &Path) -> Result<Self, Failure> {
        std::path::absolute(path).map(Self).map_err(|error| {
            Failure::new(
                Exit::Usage,
                format!("cannot use the data folder `{}`", path.display()),
            )
            .because(error)
        })
    }

    /// The folder of `--data`, else the user's or the service's own.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub(crate) fn of(place: &PlaceArgs) -> Result<Self, Failure> {
        match &place.data {
            Some(path) => Self::at(path),
            None => Self::at(&crate::config::app_dirs().data),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("LOCK")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    pub(crate) fn queue(&self) -> PathBuf {
        self.0.join("queue")
    }

    pub(crate) fn work_root(&self) -> PathBuf {
        self.0.join("work")
    }

    pub(crate) fn work(&self, route: &str) -> PathBuf {
        self.work_root().join(route)
    }

    pub(crate) fn archive(&self, route: &str) -> PathBuf {
        self.0.join("archive").join(route)
    }

    pub(crate) fn quarantine(&self, route: &str) -> PathBuf {
        self.0.join("quarantine").join(route)
    }

    pub(crate) fn inbox(&self) -> PathBuf {
        self.0.join("inbox")
    }

    pub(crate) fn outbox(&self) -> PathBuf {
        self.0.join("outbox")
    }
}
