//! Secrets by reference: the configuration says where a secret is, never what it is.

use mainstay_deliver::Secret;
use mainstay_paths::Environment;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The longest secret file; a private key in PEM has 3 KiB.
const FILE_MAX: u64 = 64 * 1024;

/// Where a secret is.
#[derive(Clone)]
pub(crate) enum SecretRef {
    /// `env:NAME`: an environment variable.
    Env(String),
    /// `file:PATH`: a file that only its owner can read.
    File(PathBuf),
    /// `credential:NAME`: a file in the folder that the service manager passes (`LoadCredential=`).
    Credential(String),
    /// The secret itself; works, but whoever reads the configuration has it.
    Inline(Secret),
}

impl SecretRef {
    /// Reads a reference; relative files start from `folder`.
    pub(crate) fn parse(text: &str, folder: &Path) -> Self {
        match text.split_once(':') {
            Some(("env", name)) => Self::Env(name.to_owned()),
            Some(("file", path)) => Self::File(folder.join(path)),
            Some(("credential", name)) => Self::Credential(name.to_owned()),
            _ => Self::Inline(Secret::new(text)),
        }
    }

    /// Whether it is the same secret, or at the same place.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Env(name), Self::Env(other))
            | (Self::Credential(name), Self::Credential(other)) => name == other,
            (Self::File(path), Self::File(other)) => path == other,
            (Self::Inline(secret), Self::Inline(other)) => secret.expose() == other.expose(),
            _ => false,
        }
    }

    /// Fetches the secret; a line end after it is not part of it.
    ///
    /// # Errors
    /// It is not there, cannot be read, is empty, or others can read its file.
    pub(crate) fn fetch(&self) -> Result<Secret, String> {
        let environment = Environment::from_process();
        match self {
            Self::Env(name) => environment
                .secret_from_env(name)
                .filter(|secret| !secret.is_empty())
                .map(Secret::new)
                .ok_or_else(|| format!("the environment variable {name} is not set")),
            Self::File(path) => from_file(path),
            Self::Credential(name) => {
                let folder = environment
                    .credentials_directory()
                    .ok_or("no credentials were passed (CREDENTIALS_DIRECTORY is not set)")?;
                if name.is_empty() || name.contains('/') || name == ".." {
                    return Err(format!("`{name}` is not the name of a credential"));
                }
                from_file(&folder.join(name))
            }
            Self::Inline(secret) => Ok(secret.clone()),
        }
    }
}

fn from_file(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let metadata =
        std::fs::metadata(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    if !metadata.is_file() || metadata.len() > FILE_MAX {
        return Err(format!(
            "`{shown}` is not a file of at most {FILE_MAX} bytes"
        ));
    }
    // Credentials of the service manager are 0440 in a folder that is closed to others; their own group may read them.
    if metadata.permissions().mode() & 0o037 != 0 {
        return Err(format!(
            "others can read or change `{shown}`; give it mode 0600 (chmod 600)"
        ));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(format!("`{shown}` is empty"));
    }
    Ok(Secret::new(secret))
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::Inline(_) => f.write_str("(hidden)"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
