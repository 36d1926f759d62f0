//! What an application is called in the names of its folders.

use crate::safe_file_name;
use std::borrow::Cow;
use std::fmt;

/// The two names of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppId {
    short: Cow<'static, str>,
    title: Cow<'static, str>,
}

/// The name cannot be that of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    name: String,
}

impl AppId {
    /// Mainstay itself: `mainstay` on Linux, `Mainstay` on macOS and Windows.
    pub const MAINSTAY: Self = Self {
        short: Cow::Borrowed("mainstay"),
        title: Cow::Borrowed("Mainstay"),
    };

    /// An application whose folders are called `short` on Linux, and `title` on macOS and Windows.
    ///
    /// # Errors
    ///
    /// Where a name is not one that [`safe_file_name`] would leave as it is: empty, with a separator, reserved.
    pub fn new(short: &str, title: &str) -> Result<Self, Error> {
        for name in [short, title] {
            if safe_file_name(name.as_bytes()) != name {
                return Err(Error {
                    name: name.to_owned(),
                });
            }
        }
        Ok(Self {
            short: short.to_owned().into(),
            title: title.to_owned().into(),
        })
    }

    /// The name on Linux.
    pub fn short(&self) -> &str {
        &self.short
    }

    /// The name on macOS and Windows.
    pub fn title(&self) -> &str {
        &self.title
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.escape_debug();
        let better = safe_file_name(self.name.as_bytes());
        write!(
            f,
            "`{name}` cannot be the name of an application's folders; `{better}` can"
        )
    }
}

impl std::error::Error for Error {}
