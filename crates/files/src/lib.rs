//! Files that survive: all old or all new, and on the disk when the call returns.
//!
//! ```
//! # let folder = tempfile::TempDir::new()?;
//! # let path = folder.path().join("state.json");
//! mainstay_files::replace(&path, b"{\"count\": 1}")?;
//! mainstay_files::replace(&path, b"{\"count\": 2}")?;
//! assert_eq!(std::fs::read(&path)?, b"{\"count\": 2}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! We survive, without losing or corrupting anything that a call answered with `Ok`: the process being killed at any
//! instruction, the machine losing power at any moment, any single system call failing, the disk filling up. We assume that the
//! disk keeps what it confirmed after a flush, and that the file system is ext4, XFS or btrfs with barriers.
//!
//! **Promises**
//!
//! - After [`replace()`], [`replace_all`], [`create_new`], [`copy_new`] or a [`Writer`]'s commit returned `Ok`, every later open of the path, also
//!   after a power cut, yields exactly those bytes or those of a later write.
//! - At every instant a reader sees the complete old or the complete new content; never a mix, never a part, and never no file
//!   where there was one.
//! - An `Err` leaves the old content untouched and no temporary file behind. The one exception has its own name:
//!   [`ErrorKind::Unconfirmed`], where the new content is in place and only the disk's word is missing.
//! - After a failed sync the bytes are written again to a new file, twice at most, and no file is ever synced a second time:
//!   that answers Ok without writing.
//! - A [`Folder`] that is held open is the one that was opened, whatever its name leads to by now; a path below it that comes from
//!   others leads through no symbolic link.
//! - [`rename_noreplace`], [`move_file`], [`copy_new`] and [`create_new`] never replace anything, and never follow a symbolic
//!   link at the source. [`move_file`] leaves the whole file in one of the two places at least, at every instant.
//! - A symbolic link at the target of a write is followed once, and refused where others could have put it there: the folder it is
//!   in, or leads to, can be written by its group or others, or belongs to neither us nor root.
//! - Mode, owner, access list and users' attributes of a replaced file are kept; a secret is private from its first byte on.
//! - What a [`Check`] refuses never takes the place of anything; [`WriteOptions`] also has other ways with links, folders and disks.
//! - What a killed process leaves is removed by [`sweep()`], which touches nothing that is not certainly ours.
//! - What was not compared is never called verified: [`verify_sidecar`] says verified, mismatch or unknown.
//! - A [`Lock`] has one holder, and ends with its process.
//! - Before [`Backups`] overwrites, restores or deletes a file, what was there is kept, durable and with a checksum; where that
//!   fails the file is not touched. No backup goes that is another file's, the newest, or the one that is being restored.
//! - [`Backups::load`] answers the file, or its newest backup that is whole and makes sense to the caller, and says which and why.
//! - [`Backups::scrub`] repairs nothing that somebody changed or deleted, and keeps what was damaged.
//! - Files changed by one [`Transaction`] are all old or all new after a crash, and at every instant for whoever reads them with
//!   [`Transactions::read`].
//! - What is in the [`Trash`] stays there until it is restored or removed by hand, and what a restore takes the place of is there
//!   from then on.
//! - A folder that a [`Migration`] moves is complete at its old place or at its new one, after a crash at any point, and another
//!   run finishes it or begins anew. Nothing at the new place is overwritten, and what a program writes meanwhile stops it.
//! - [`Layout`] makes what is private for us alone from its first moment on, and says what is open to others; it changes no mode.
//! - [`first_fit`] tries each place, and says why those before the chosen one will not do.
//! - [`Save`] overwrites nothing that changed since it was read, unless a [`Resolver`] says so.
//! - A [`Watch`] tells of every content that a file has when it is quiet and that is neither the one told before nor our own, also
//!   where the system loses its events or has none.
//!
//! **Does not promise**
//!
//! - that hard links to a replaced file see the new content: they keep the old one;
//! - that the set-user-id and set-group-id bits, the capabilities and the security labels of a replaced file are kept, or that
//!   anything but bytes, mode and owner of one that we may not read is;
//! - that a sweep by root removes what root left when it was killed while it replaced another user's file: that file is theirs by
//!   then, and a sweep of theirs removes it;
//! - that a change by a program that does not use this crate, between the last look at a file and its rename, is noticed;
//! - that backups survive the loss of their disk, or hold access control lists and extended attributes;
//! - that a [`Migration`] changes what files say about the old place, or what other folders' links lead to; that files of several
//!   names keep sharing their bytes, or holes in them stay holes, when they are copied;
//! - an order between writers of one path: the last to rename wins;
//! - that [`rename_noreplace`], [`remove`] and [`move_file`] on one file system are on the disk: call [`sync_dir`];
//! - that a [`Watch`] tells of a content that is gone again before the file was looked at;
//! - anything against another program of the same user, or root, that means harm.
//!
//! **Limits**
//!
//! # Defaults
//!
//! | what | number | why |
//! |---|---|---|
//! | writes of one content after failed syncs | 3 | a disk that fails three times will not be persuaded by a fourth |
//! | files that [`replace_all`] has open, and syncs side by side | 64, 32 | one commit of the journal takes all that wait for it |
//! | names tried for a temporary file | 17 | they are random: two already mean that somebody puts them there |
//! | age at which a temporary file is a leftover, whoever made it | 1 h | a file that is written longer is locked meanwhile |
//! | wait for a lock while others only look at it | 2 s | each of them leaves within microseconds |
//! | symbolic links followed at a target | 1 | the folder that it leads to is checked, and held open |
//! | backups kept of a file | 5 | a working day of changes by hand; the newest always stays |
//! | a file that is loaded as a whole | 256 MiB | settings and state; larger ones are streamed |
//! | age and bytes of backups | no limit | what a person wants back is seldom the newest |
//! | wait for another process that changes the same backups, or commits | 10 s | a large file takes some seconds to copy |
//! | age at which the trash loses something | never | only a person knows what was a mistake |
//! | durability | durable | [`Durability::Atomic`] is for what can be made again |
//! | symbolic link at a target | followed | people's settings are links into a folder that they keep elsewhere |
//! | TOML that is checked | 16 MiB | it is understood as a whole; everything else is checked as it comes |
//! | quiet after which a watched file is looked at | 200 ms | an editor's truncate, write and rename are one change |
//! | longest wait for that quiet | 2 s | a file that never rests is told of all the same |
//! | how often watched files are looked at where no events come | 2 s | as quick as a person expects, and costs one call for each |
//! | how often where they do | 10 s | events get lost, and those of other machines never come |
//! | folders that are listened to | 4,096 | half of what small machines allow; files in others are looked at every 2 s |
//! | own contents expected of a watched file | 64 | more saves within 2 s are told as foreign ones |
//! | folders in each other that are migrated | 100 | two descriptors are held for each, of the 1,024 that systems allow |
//! | room that a place has to have left | 100 MiB, 1,000 files | a log, a report and a backup still fit |
//! | names `x (n).ext` tried | 9,999 | more files of one name are no accident |
//! | mode of a new file | 0644 less the umask | as any program's; 0600 for secrets and locks |
//! | length of a file | what the file system takes | a [`Writer`] holds none of it in memory |
//! | right needed on a folder | read, write and search | it is opened to be synced |
//!
//! **When it fails** it says what, on which path, and how things stand now: "cannot replace `state.json`: disk full; previous
//! version kept". [`Error::kind`] says what can be done; the system's own words are the error's source.
//!
//! **Platforms**: Linux is tested and measured. macOS (with `F_FULLFSYNC`) and Windows (with durability as far as NTFS journals
//! metadata, and without modes, owners, room and kinds of file system) are written behind the same interface, and not measured.
//!
//! **Why not just `std::fs::write`, or `tempfile`?** The first truncates before it writes: a crash in between leaves an empty
//! file. The second renames, but syncs neither the file nor its folder, and after a power cut the file may be old, empty or gone.
//!
//! All calls block; in asynchronous code they belong on a blocking thread.

#![warn(clippy::indexing_slicing)]

mod replace;

mod options;

mod batch;

mod check;

mod writer;

mod rename;

mod copy;

mod directory;

mod folder;

mod sweep;

mod lock;

mod integrity;

mod backup;

mod trash;

mod conflict;

mod watch;

mod text;

mod transaction;

mod migrate;

mod layout;

mod fallback;

mod facts;

mod space;

mod inspect;

mod error;

mod target;

mod publish;

mod temp;

mod temp_name;

mod boot;

mod sealed;

mod shown;

#[doc(hidden)]
pub mod simulated;

mod system;

#[cfg(test)]
mod tests;

pub use backup::{
    Archive, Backup, BackupId, Backups, FileState, FileStatus, FolderArchive, Listed, Loaded,
    NotABackupId, Origin, Reason, Retention, ScrubSummary, Scrubbed, Usage,
};
pub use batch::replace_all;
#[cfg(feature = "schema")]
pub use check::Schema;
pub use check::{Check, Encoding, Format};
pub use conflict::{
    Conflict, ConflictKind, Holder, Resolution, Resolver, Save, Saved, Stamp, beside,
};
pub use copy::copy_new;
pub use directory::{
    create_dir_all, remove, remove_empty_dir, sync_dir, sync_file, sync_filesystem,
};
pub use error::{Error, ErrorKind};
#[cfg(unix)]
pub use facts::open_regular_at;
pub use facts::{Facts, facts, facts_of, open_regular};
pub use fallback::{Chosen, Needs, Refused, Unfit, first_fit};
pub use folder::Folder;
pub use inspect::{Inspected, RESERVE, inspect, probe};
pub use integrity::{
    Algorithm, Checksum, Hasher, Integrity, NotAChecksum, UnknownAlgorithm, checksum,
    checksum_line, sidecar_path, verify_sidecar, write_sidecar,
};
pub use layout::{Exposure, Layout};
pub use lock::{Held, Lock};
pub use migrate::{Migrated, Migration, Obstacle, Plan, Progress, Way};
pub use options::{Symlinks, WriteOptions};
pub use publish::Durability;
pub use rename::{move_file, rename_noreplace};
pub use replace::{create_new, replace, replace_secret};
pub use shown::Shown;
pub use space::{FileSystem, Space, file_system, free_space};
pub use sweep::sweep;
pub use text::{Difference, Merged, diff, merge};
pub use transaction::{Recovered, Transaction, Transactions};
pub use trash::Trash;
pub use watch::{Change, ChangeKind, Ours, Watch, WatchOptions};
pub use writer::{Prepared, Writer};
