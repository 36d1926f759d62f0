//! Where a file belongs on this system, decided once.
//!
//! ```
//! use mainstay_paths::{AppDirs, AppId, Environment, Platform};
//! use std::path::Path;
//!
//! let environment = Environment::injected(Platform::Linux).with("HOME", "/home/ada");
//! let dirs = AppDirs::resolve(&AppId::MAINSTAY, &environment);
//! assert_eq!(dirs.data, Path::new("/home/ada/.local/share/mainstay"));
//! assert_eq!(dirs.config, Path::new("/home/ada/.config/mainstay"));
//! ```
//!
//! **Promises**
//!
//! - [`AppDirs::resolve`] is a function of its two arguments: the same ones give the same folders, on any machine. It touches no
//!   disk and makes no folder.
//! - What the service manager says comes first, then the user's wish, then the system's custom.
//! - A value that is empty or not an absolute path counts as not set; a folder is never relative to where the process happens to
//!   stand.
//! - [`safe_file_name`] makes of any bytes a name that every supported system takes, and that stays where it is put.
//! - The two ways to write an `é` give one name (NFC), as macOS makes of them anyway.
//! - [`Boundary`] lets nothing be written where only installers write, above a folder by `..`, or through a link out of ours.
//! - Values of the environment, which may be secrets, are never shown by `Debug`.
//!
//! **Does not promise**
//!
//! - that a folder exists, or may be written to: making it tells;
//! - that two different names stay different in [`safe_file_name`]: put an id beside it where that matters;
//! - folders that a user moved in the Windows shell without a change in the environment.
//!
//! **Limits**
//!
//! # Defaults
//!
//! | what | number | why |
//! |---|---|---|
//! | length of a safe name | 200 bytes | the narrowest file system takes 255, and 55 are left for ids and suffixes |
//! | length of an extension that a long name keeps | 20 bytes | longer ones are no extensions |
//!
//! | Linux | for a user | for the system, for root, and without a home |
//! |---|---|---|
//! | config | `$CONFIGURATION_DIRECTORY`, `$XDG_CONFIG_HOME/mainstay`, `~/.config/mainstay` | `/etc/mainstay` |
//! | data | `$STATE_DIRECTORY`, `$XDG_DATA_HOME/mainstay`, `~/.local/share/mainstay` | `/var/lib/mainstay` |
//! | cache | `$CACHE_DIRECTORY`, `$XDG_CACHE_HOME/mainstay`, `~/.cache/mainstay` | `/var/cache/mainstay` |
//! | logs | `$LOGS_DIRECTORY`, `$XDG_STATE_HOME/mainstay/logs`, `~/.local/state/mainstay/logs` | `/var/log/mainstay` |
//! | runtime | `$RUNTIME_DIRECTORY`, `$XDG_RUNTIME_DIR/mainstay`, `<data>/run` | `/run/mainstay` |
//! | exports | `$XDG_DOCUMENTS_DIR/Mainstay`, `~/Documents/Mainstay` | `<data>/exports` |
//! | temp | `<cache>/temp` | `<cache>/temp` |
//!
//! Root's own wishes (`XDG_*`) are honoured as well, unless [`Scope::System`] was asked for; only the custom differs. Of several
//! folders in a service manager's variable the first is taken. [`Scope::Portable`] puts everything below one folder.
//!
//! | places that only installers write to | |
//! |---|---|
//! | Linux | `/bin`, `/boot`, `/dev` but `/dev/shm`, `/etc`, `/lib*`, `/nix/store`, `/proc`, `/sbin`, `/snap`, `/sys`, `/usr` |
//! | macOS | `*.app` anywhere, `/Applications`, `/System`, `/bin`, `/dev`, `/etc`, `/sbin`, `/usr` |
//! | Windows | `%ProgramFiles%`, `%ProgramFiles(x86)%`, `%SystemRoot%` |
//!
//! and the folder that the program was installed to. A folder of the application in one of them is its own.
//!
//! **When it fails** it says which name or path it refuses, why, and what could be given instead.
//!
//! **Platforms**: the tables of Linux, macOS and Windows are all tested on any of them; only Linux was ever run.
//!
//! **Why not just the `directories` crate?** It knows neither service managers nor root, reads the environment wherever it is
//! called, and cannot be asked on Linux what Windows would answer.

mod app_dirs;

mod app_id;

mod boundary;

mod environment;

mod file_name;

pub use app_dirs::{AppDirs, Scope};
pub use app_id::{AppId, Error};
pub use boundary::{Boundary, Follow, Reason, Refused, Restricted};
pub use environment::{Environment, Platform};
pub use file_name::safe_file_name;
