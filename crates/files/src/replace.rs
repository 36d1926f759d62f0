//! One file, all old or all new.

use crate::error::{Attempt, Error};
use crate::options::WriteOptions;
use crate::publish::{Durability, publish_new, write_whole};
use crate::target::Target;
use crate::temp::MODE_PLAIN;
use std::io::Write;
use std::path::Path;

/// Puts `bytes` in the place of the file at `path`, or makes it.
///
/// At every instant a reader sees the complete old or the complete new content. The new content survives a power cut from
/// when this returns `Ok`. Mode and owner of the old file are kept, and so is what else stood with it (access list, attributes);
/// a new file gets 0644 less the umask. A symbolic link at `path` is followed once, and refused where others can write to the
/// folder it is in or leads to. [`WriteOptions`] has other ways.
///
/// # Errors
///
/// - [`ErrorKind::Unconfirmed`](crate::ErrorKind::Unconfirmed): the new content is in place, but a power cut may bring the old one back.
/// - Every other kind: the old content is untouched, and no temporary file is left unless removing it failed as well.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    WriteOptions::new().write(path, bytes)
}

/// Like [`replace()`], for what only the owner may read: the file has mode 0600 from its first byte on, whatever the old one had.
///
/// # Errors
///
/// As [`replace()`].
pub fn replace_secret(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    WriteOptions::new().secret().write(path, bytes)
}

/// Makes a file at `path` that holds `bytes`, where nothing is there yet.
///
/// The file appears whole or not at all, with mode 0644 less the umask, and survives a power cut from when this returns `Ok`.
/// Of several that try at once, one succeeds. A symbolic link counts as something that is there.
///
/// # Errors
///
/// - [`ErrorKind::Exists`](crate::ErrorKind::Exists): something is there, and was not touched.
/// - [`ErrorKind::Unconfirmed`](crate::ErrorKind::Unconfirmed): the file is there, but a power cut may take it away.
/// - Every other kind: nothing was made.
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let attempt = Attempt::new("create", path, "nothing was written");
    let target = Target::find_unfollowed(&attempt, path)?;
    target.refuse_existing(&attempt)?;
    let durable = Durability::Durable;
    let temp = write_whole(&attempt, &target, MODE_PLAIN, durable, |temp| {
        temp.write_all(bytes)
    })?;
    publish_new(&attempt, &target, temp, durable)
}
