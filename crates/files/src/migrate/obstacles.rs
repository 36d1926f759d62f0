//! What is in the way of a migration, found before anything is changed.

use super::survey::{LOCK, Survey};
use super::{Migration, Way, inspect_nearest};
use crate::error::{Error, ErrorKind};
use crate::facts::facts;
use crate::inspect::probe;
use crate::lock::Lock;
use crate::shown::Shown;
use crate::space::Space;
use crate::system::Dir;
use std::fmt;
use std::path::{Path, PathBuf};

/// What is in the way of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Obstacle {
    /// What kind of error a run ends with.
    pub kind: ErrorKind,
    /// Where it is.
    pub path: PathBuf,
    /// What it is, and what to do about it.
    pub reason: String,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", Shown(&self.path), self.reason)
    }
}

impl Obstacle {
    fn new(kind: ErrorKind, path: &Path, reason: impl Into<String>) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

impl Migration {
    /// All that is in the way; what an unfinished run left is none.
    pub(super) fn obstacles(
        &self,
        way: Way,
        found: &Survey,
        free: Option<Space>,
        is_unfinished: bool,
    ) -> Vec<Obstacle> {
        let mut all = self.holder().into_iter().collect::<Vec<_>>();
        if !is_unfinished {
            all.extend(self.at_new_place());
        }
        let both = [self.old.as_path(), self.new.as_path()];
        all.extend(both.into_iter().filter_map(mounted));
        all.extend(both.into_iter().filter_map(unwritable));
        if way == Way::Copy {
            all.extend(
                found
                    .uncopyable
                    .iter()
                    .map(|(path, why)| Obstacle::new(ErrorKind::NotRegular, path, *why)),
            );
            all.extend(self.shortage(found, free));
        }
        all
    }

    /// The error of a run that such an obstacle stops.
    pub(super) fn stopped_by(&self, obstacle: &Obstacle) -> Error {
        let reason = format!("{obstacle}");
        self.attempt().refused(obstacle.kind, &reason)
    }

    fn holder(&self) -> Option<Obstacle> {
        let path = self.old.join(LOCK);
        let reason = match Lock::holder(&path)? {
            pid if pid == std::process::id() => return None,
            0 => "a program uses the folder: stop it first".to_owned(),
            pid => format!("process {pid} uses the folder: stop it first"),
        };
        Some(Obstacle::new(ErrorKind::Locked, &path, reason))
    }

    /// An empty folder can be taken over, and nothing else.
    fn at_new_place(&self) -> Option<Obstacle> {
        let reason = match facts(&self.new) {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                return Some(Obstacle::new(error.kind(), &self.new, error.to_string()));
            }
            Ok(facts) if facts.is_folder() => {
                match Dir::open(&self.new).and_then(|dir| dir.names()) {
                    Ok(names) if names.is_empty() => return None,
                    Ok(_) => "there are files already; give a place that is empty or missing",
                    Err(_) => "it cannot be looked into",
                }
            }
            Ok(_) => "something that is not a folder is there already",
        };
        Some(Obstacle::new(ErrorKind::Exists, &self.new, reason))
    }

    fn shortage(&self, found: &Survey, free: Option<Space>) -> Option<Obstacle> {
        let (needed, free) = (self.needed(found), free?);
        if free.bytes >= needed.bytes && free.inodes >= needed.inodes {
            return None;
        }
        let reason = if free.bytes < needed.bytes {
            format!(
                "{} bytes are needed, and {} are left",
                needed.bytes, free.bytes
            )
        } else {
            format!(
                "room for {} files is needed, and for {} is left",
                needed.inodes, free.inodes
            )
        };
        Some(Obstacle::new(ErrorKind::DiskFull, &self.new, reason))
    }
}

/// What a file system is mounted on cannot be renamed.
fn mounted(path: &Path) -> Option<Obstacle> {
    let is_mounted = facts(path).ok()?.dev != inspect_nearest(path)?.dev;
    is_mounted.then(|| {
        let reason = "a file system is mounted there, and cannot be renamed; give a folder in it";
        Obstacle::new(ErrorKind::CrossDevice, path, reason)
    })
}

/// Whether the folder that it is in, or will be in, can be written.
fn unwritable(path: &Path) -> Option<Obstacle> {
    let nearest = path
        .ancestors()
        .skip(1)
        .find(|folder| Dir::open(folder).is_ok())?;
    let error = probe(nearest).err()?;
    Some(Obstacle::new(error.kind(), nearest, error.to_string()))
}
