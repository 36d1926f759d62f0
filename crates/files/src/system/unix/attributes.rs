//! What a file system keeps with a file besides its bytes, mode and owner.

use super::super::faults;
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;

/// The entries for users and groups beyond owner, group and others.
const ACCESS_LIST: &CStr = c"system.posix_acl_access";

/// What programs wrote down with a file.
const OF_USERS: &[u8] = b"user.";

/// Linux takes no more for the names of a file, and no more for a value.
const LEN_MAX: usize = 64 * 1024;

/// The attributes of a file that a new version of it has, too.
///
/// Those of the kernel are left out: capabilities and checksums are about bytes that are no longer there.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    list: Vec<(CString, Vec<u8>)>,
}

impl Attributes {
    /// Those of an open file; none where the file system has no such thing.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        faults::pass("list attributes")?;
        let len = match rustix::fs::flistxattr_query(file) {
            Err(errno) if is_unknown(errno) => 0,
            len => len?,
        };
        // Most files have none.
        if len == 0 {
            return Ok(Self::default());
        }
        let mut names = vec![0; LEN_MAX];
        let len = rustix::fs::flistxattr(file, &mut names[..])?;
        let mut list = Vec::new();
        let names = names.get(..len).unwrap_or_default();
        for name in names.split_inclusive(|byte| *byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else {
                continue;
            };
            if name != ACCESS_LIST && !name.to_bytes().starts_with(OF_USERS) {
                continue;
            }
            if let Some(value) = value(file, name)? {
                list.push((name.to_owned(), value));
            }
        }
        Ok(Self { list })
    }

    /// Gives them to a file; the access list only where its owner is the one who made the list.
    ///
    /// A list that the folder gave the new file goes where the old one had none: it may let others in.
    pub(crate) fn give_to(&self, file: &File, is_owner_kept: bool) -> io::Result<()> {
        let mut has_access_list = false;
        for (name, value) in &self.list {
            let is_access_list = **name == *ACCESS_LIST;
            if is_access_list && !is_owner_kept {
                continue;
            }
            has_access_list |= is_access_list;
            faults::pass("set attribute")?;
            let flags = rustix::fs::XattrFlags::empty();
            match rustix::fs::fsetxattr(file, &**name, value, flags) {
                Err(errno) if !is_unknown(errno) => return Err(errno.into()),
                _ => {}
            }
        }
        if has_access_list {
            return Ok(());
        }
        faults::pass("remove attribute")?;
        match rustix::fs::fremovexattr(file, ACCESS_LIST) {
            Err(errno) if errno != Errno::NODATA && !is_unknown(errno) => Err(errno.into()),
            _ => Ok(()),
        }
    }
}

/// The value of one, unless somebody removed it meanwhile.
fn value(file: &File, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    faults::pass("get attribute")?;
    let mut value = vec![0; LEN_MAX];
    match rustix::fs::fgetxattr(file, name, &mut value[..]) {
        Ok(len) => {
            value.truncate(len);
            Ok(Some(value))
        }
        Err(errno) if errno == Errno::NODATA || is_unknown(errno) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The file system has no attributes, or none of this kind.
fn is_unknown(errno: Errno) -> bool {
    matches!(errno, Errno::OPNOTSUPP | Errno::NOSYS)
}
