//! One earlier version of a file, and what there is of them together.

use super::id::BackupId;
use crate::integrity::Checksum;
use crate::shown::Shown;
use std::path::PathBuf;
use std::time::SystemTime;

/// Why a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Somebody asked for it.
    Manual,
    /// The file was about to be written.
    BeforeOverwrite,
    /// An earlier version was about to take its place.
    BeforeRestore,
    /// The file was about to be removed.
    BeforeDelete,
    /// It was damaged, and an earlier version was about to take its place: nothing to go back to, and perhaps to learn from.
    Damaged,
}

/// One earlier version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Its name.
    pub id: BackupId,
    /// The file, by its whole path without symbolic links.
    pub path: PathBuf,
    /// How long the content is, in bytes.
    pub len: u64,
    /// The SHA-256 of the content.
    pub hash: Checksum,
    /// The permission bits that the file had.
    pub mode: u32,
    /// Number of the user who owned it; 0 on Windows.
    pub uid: u32,
    /// Number of the group that it belonged to; 0 on Windows.
    pub gid: u32,
    /// When the content had last been changed.
    pub modified: SystemTime,
    /// Why it was made.
    pub reason: Reason,
    /// The program that made it, with process and user.
    pub made_by: String,
}

/// What there is of one file, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// The backups, newest first.
    pub backups: Vec<Backup>,
    /// Files that should say what a backup is, and cannot be understood; nothing they may need is removed.
    pub unreadable: Vec<PathBuf>,
}

/// How much room backups take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Files that have backups.
    pub files: u64,
    /// Backups.
    pub backups: u64,
    /// Bytes on the disk, where backups that are alike, or compressed, count for what they take.
    pub bytes: u64,
}

// === impl Reason ===

impl Reason {
    const ALL: [Self; 5] = [
        Self::Manual,
        Self::BeforeOverwrite,
        Self::BeforeRestore,
        Self::BeforeDelete,
        Self::Damaged,
    ];

    /// One word: `manual`, `overwrite`, `restore`, `delete` or `damaged`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::BeforeOverwrite => "overwrite",
            Self::BeforeRestore => "restore",
            Self::BeforeDelete => "delete",
            Self::Damaged => "damaged",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

// === impl Backup ===

/// `20261121T142253.123Z-0000 of /etc/settings.json`.
impl std::fmt::Display for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.id, Shown(&self.path))
    }
}
