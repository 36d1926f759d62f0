//! What a person may choose about a folder destination.

use std::path::PathBuf;

/// How documents are put into a folder.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `name` | `{name}` | the file is called what its producer called it |
/// | `mode` | 0640 | the group that owns the folder may read, others may not |
#[derive(Debug, Clone)]
pub struct FolderConfig {
    /// The folder. It is never created here: a share that is not mounted must not be mistaken for an empty folder.
    pub path: PathBuf,
    /// What a file is called, with `{name}`, `{id}` and `{route}`; a single name, without `/`.
    pub name: String,
    /// The permission bits of a delivered file; not used on Windows.
    pub mode: u32,
}

impl FolderConfig {
    /// The defaults, for this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            name: "{name}".to_owned(),
            mode: 0o640,
        }
    }
}
