//! Takes every finished file out of a folder, once, and loses none: whatever is killed, full, slow or away meanwhile.
//!
//! ```
//! use mainstay_pickup::{Claim, Config, Intake, Pickup, Refusal, Taken};
//! use std::sync::{Arc, Mutex};
//! use tokio_util::sync::CancellationToken;
//!
//! /// Keeps files in memory; a real intake has stored them for good when `commit` answers `Ok`.
//! #[derive(Default)]
//! struct Memory(Mutex<Vec<Taken>>);
//!
//! impl Intake for Memory {
//!     async fn commit(&self, files: Vec<Taken>) -> Result<(), Refusal> {
//!         self.0.lock().unwrap().extend(files);
//!         Ok(())
//!     }
//!     fn is_committed(&self, claim: Claim) -> bool {
//!         self.0.lock().unwrap().iter().any(|file| file.claim == claim)
//!     }
//!     fn closed(&self, _claims: Vec<Claim>) {}
//! }
//!
//! # let root = tempfile::tempdir()?;
//! # let at = |name: &str| root.path().join(name);
//! # std::fs::create_dir(at("drop"))?;
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! std::fs::copy("Cargo.toml", at("drop/report.toml"))?;
//!
//! let config = Config::new(at("drop"), at("work"), at("archive"), at("quarantine"));
//! let intake = Arc::new(Memory::default());
//! let mut pickup = Pickup::open(config, Arc::clone(&intake), mainstay_clock::system())?;
//! pickup.recover().await?;
//! let handle = pickup.handle();
//! let stop = CancellationToken::new();
//! let running = tokio::spawn(pickup.run(stop.clone()));
//!
//! handle.idle().await; // everything that lay there is taken
//! assert_eq!(intake.0.lock().unwrap()[0].name, "report.toml");
//! assert_eq!(handle.status().taken, 1);
//! stop.cancel();
//! running.await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Promises**
//!
//! - **F1** Each file is, at every instant, in exactly one of: the drop folder, the work folder, the intake (committed) and then
//!   the archive or wherever it was to go, or quarantine; or on the way with the earlier one still complete. No crash and no
//!   power cut loses one. Of one name dropped a thousand times, all thousand are taken, and none replaces another, in the
//!   archive and in quarantine neither.
//! - **F2** A file is committed once for each claim. A crash between the commit and the end of a file makes no second document:
//!   at the next start the intake is asked, and what it has is finished, not offered.
//! - **F3** A file that is still being written is not taken, and one that changes while it is read goes back, under its own name.
//! - **F4** What is not taken is never removed, opened or followed, and holds up nothing: it goes to quarantine with
//!   `NAME.reason.json`, or stays where it is and stands in the [`Status`] with what to do.
//! - **F5** Save before send, commit before remove: a file leaves the work folder only after [`Intake::commit`] answered `Ok`,
//!   and its claim is closed only after the disk confirmed that it left.
//! - Of those known, the oldest file goes first, by its time of modification. Files that were dropped while nobody watched are
//!   taken at the start. Of several agents on one drop folder one takes a file, and the others go on (but see
//!   [`After::Keep`]).
//!
//! **Does not promise**
//!
//! - That a program which closes a file, and opens it again to go on writing, is waited for: let it use a marker, or write under
//!   a name ending in `.tmp` and rename.
//! - Order between files of one modification time, or between those taken at once and those that have to settle.
//! - With [`After::Keep`], that a file is taken once by several agents: each has a memory of its own.
//! - What a network server does with a rename that it has answered.
//!
//! **Limits**
//!
//! | what | number | why |
//! |---|---|---|
//! | files remembered as ready, and as settling | 32,768 each | 4 MiB; of more, the folder is looked through again |
//! | bytes in memory for content | `batch_bytes`, 4 MiB | one batch is in flight |
//! | a file in memory | 256 KiB ([`INLINE_MAX`]) | longer ones are handed over open |
//! | files taken and not committed | twice `batch_files` | more are not taken while the intake refuses |
//! | files committed and not archived | about 1,024 | more are not taken while the archive cannot be written |
//! | folders watched | 4,096 | the system's own limit is 8,192; others are found by the rescan |
//! | depth of folders | 32 | a path has 4,096 bytes |
//! | files kept in place ([`After::Keep`]) | 1,000,000 | 150 bytes of memory each |
//! | complaints remembered | 10,000, shown 100 ([`WAITING_MAX`]) | people read the first ones |
//! | wait between tries | 1 s to 10 s | |
//!
//! # Defaults
//!
//! Those of the settings stand at [`Config`].
//!
//! # How a file is taken
//!
//! 1. It is **complete** when it was closed after writing or moved in, its marker is there, or it was last changed longer than
//!    `settle` ago; and a read lease of the kernel proves that no program has it open for writing. Where there is no such
//!    proof (network shares, files of other users without privileges), size and time have to stay as they are for `settle`,
//!    measured by the monotonic clock. A time of modification in the future delays nothing but that.
//! 2. It is **claimed** by one rename, `drop/x` to `work/<claim>.x`, that fails rather than replaces; its marker moves with it.
//!    Up to 512 claims share one sync: of the file system where originals are kept, so that these are whole whatever happens
//!    later; else of the work folder and of each folder that they left.
//! 3. It is **read** from where nobody else can open it: a regular file, with one name, not too large, still not open for
//!    writing, and the same after reading as before.
//! 4. It is **committed** together with the others.
//! 5. It is **archived**, moved or removed; one sync for each folder. The marker goes.
//! 6. Its claim is **closed**.
//!
//! ## Across file systems
//!
//! Where the drop folder is on another file system than the work folder (a network share, a stick), no rename can lead from one
//! to the other. The claim is then a rename **within** the drop folder, and what is committed is a copy:
//!
//! ```text
//! 1  drop/x  ->  drop/.mainstay-claimed-<name of the work folder>/<claim>.x        one of all agents wins; folders synced
//! 2  copy to work/<claim>=x                 appears whole, on the disk; refused if the file changed meanwhile
//! 3  commit the copy
//! 4  remove drop/.mainstay-claimed-…/<claim>.x                                     folder synced
//! 5  archive, move or remove work/<claim>=x                                        synced
//! 6  close the claim
//! ```
//!
//! A crash after 1 finds the claimed file, and goes on with 2 under the same claim; after 2 or 3, the copy, and the intake says
//! whether to go on with 3 or 4; after 4, the copy alone, which is committed, and goes on with 5. The copy leaves only after the
//! disk confirmed that its source has, so a committed source is never taken for a new file: the claim in its name is the durable
//! record of who it is. A share that is away in 4 is waited for. An agent that is gone for good leaves its files in its claimed
//! folder; the others say so in their status when they are an hour old.
//!
//! ## Files that stay
//!
//! With [`After::Keep`] nothing is moved. Path, size, time and inode of each file are written down, with its claim, before the
//! commit; after a crash the intake says which of them count, and the others are
//! offered again, under the same claims. A file that differs in any of them is a new document.
//!
//! **When it fails**
//!
//! - The drop folder is missing: [`State::Missing`], and it is looked for at each rescan. Nothing else changes.
//! - The intake is full: [`State::Full`]; files stay where they are, at most `batch_files` in the work folder. It goes on by
//!   itself after 1 s to 10 s, or at once when told ([`Handle::wake`]).
//! - The intake fails: [`State::Failed`]; files that were taken are offered again one by one, so that one which cannot be stored
//!   holds up no other. What it rejects for good goes to quarantine.
//! - The disk is full: a claim needs no space as a rule; where it does, the file stays where it was.
//! - The archive cannot be written: the file stays in the work folder, committed, and it is tried again at each rescan.
//! - It is killed: see [`Recovered`].
//! - It dies of a panic, its own or the intake's: [`State::Failed`] says so, and [`Pickup::reopen`] goes on under the same handle.
//! - Its folder hangs: [`Handle::is_away`] says since when, and [`Handle::turned`] whether its loop still turns at all.
//!
//! **Platforms**: Linux. inotify, leases, `renameat2` and `/proc` are used; it is measured on ext4 and tmpfs.
//!
//! **Why not just `notify` and `rename`?** Events get lost, and come before the writer is done; a rename over a name that is taken
//! destroys a document; and without syncs in the right order a power cut makes two documents of one, or none.

mod batch;
mod calendar;
mod candidates;
mod claim;
mod claiming;
mod collector;
mod config;
mod ear;
mod entry;
mod error;
mod examine;
mod filter;
mod finish;
mod folder;
mod free_name;
mod intake;
mod kept;
mod layout;
mod lease;
mod load;
mod look;
mod pickup;
mod pulse;
mod quarantine;
mod read;
mod recovery;
mod refuse;
mod round;
mod status;
mod stray;

mod targets;
mod watch;

pub use claim::{Claim, NotAClaim};
pub use config::{After, Config};
pub use error::{Error, ErrorKind};
pub use intake::{Content, INLINE_MAX, Intake, Refusal, Taken};
pub use pickup::Pickup;
pub use recovery::Recovered;
pub use status::{Handle, State, Status, WAITING_MAX, Waiting};
