//! Of several places the first that will do, and why those before it will not: never another one in silence.

use crate::error::ErrorKind;
use crate::inspect::{Inspected, RESERVE, inspect};
use crate::shown::Shown;
use crate::space::Space;
use std::fmt;
use std::path::PathBuf;

/// What a place has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// So much room; [`RESERVE`] unless somebody asks for more.
    pub room: Space,
    /// Whether another machine may keep it.
    pub is_network_fine: bool,
}

/// The place that will do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chosen {
    /// The folder, which may still have to be made.
    pub path: PathBuf,
    /// Those before it in the order of wishes: whoever uses the folder has to say so, where there are any.
    pub refused: Vec<Refused>,
}

/// A place that will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The folder.
    pub path: PathBuf,
    /// Why.
    pub why: Unfit,
}

/// Why a place will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// No file can be made there: no right, a read-only file system, a full one.
    Unwritable(ErrorKind),
    /// Something else has the name.
    NotAFolder,
    /// So much is left, and that is too little.
    NoRoom(Space),
    /// It is on this kind of file system, and another machine keeps it.
    Network(String),
}

impl Default for Needs {
    fn default() -> Self {
        Self {
            room: RESERVE,
            is_network_fine: false,
        }
    }
}

/// The first of these folders that has what is needed; each is tried, and nothing stays behind. Nothing is made.
///
/// For what can be anywhere: a cache, temporary files. A queue that is suddenly elsewhere is a queue lost, so its folder is never
/// chosen like this.
///
/// # Errors
///
/// Why each of them will not do.
pub fn first_fit(candidates: &[PathBuf], needs: &Needs) -> Result<Chosen, Vec<Refused>> {
    let mut refused = Vec::new();
    for path in candidates {
        match unfit(&inspect(path), needs) {
            None => {
                let path = path.clone();
                return Ok(Chosen { path, refused });
            }
            Some(why) => refused.push(Refused {
                path: path.clone(),
                why,
            }),
        }
    }
    Err(refused)
}

fn unfit(found: &Inspected, needs: &Needs) -> Option<Unfit> {
    if found.path != found.nearest && found.facts.is_some_and(|facts| !facts.is_symlink()) {
        return Some(Unfit::NotAFolder);
    }
    if let Some(kind) = found.unwritable {
        return Some(Unfit::Unwritable(kind));
    }
    if let (true, Some(space)) = (found.is_short_of(needs.room), found.space) {
        return Some(Unfit::NoRoom(space));
    }
    let network = found.file_system.as_ref().filter(|system| system.network);
    network
        .filter(|_| !needs.is_network_fine)
        .map(|system| Unfit::Network(system.kind.to_string()))
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` will not do: {}", Shown(&self.path), self.why)
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritable(kind) => f.write_str(kind.reason()),
            Self::NotAFolder => f.write_str("something that is not a folder has that name"),
            Self::NoRoom(space) => write!(
                f,
                "only {} bytes and {} files are left",
                space.bytes, space.inodes
            ),
            Self::Network(kind) => write!(f, "{kind} is shared with other machines"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::FileSystem;

    #[test]
    fn a_share_is_passed_over_unless_somebody_says_that_it_will_do() {
        let folder = tempfile::tempdir().unwrap();
        let mut found = inspect(folder.path());
        found.file_system = Some(FileSystem {
            kind: "nfs".into(),
            network: true,
        });
        let room = Space {
            bytes: 1,
            inodes: 1,
        };
        let needs = |is_network_fine| Needs {
            room,
            is_network_fine,
        };
        let share = Unfit::Network("nfs".to_owned());
        assert_eq!(unfit(&found, &needs(false)), Some(share));
        assert_eq!(unfit(&found, &needs(true)), None);
    }
}
