//! Where taken files go: what a pickup needs from a queue.

use crate::claim::Claim;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::path::PathBuf;
use std::time::SystemTime;

/// The longest file that is handed over in memory; a longer one is handed over open. In bytes: 256 KiB.
pub const INLINE_MAX: u64 = 256 * 1024;

/// Takes files for good. The queue of a route stands behind it.
pub trait Intake: Send + Sync + 'static {
    /// Stores all of these files, or none; `Ok` means that they are durable, each under its claim.
    ///
    /// The same claim may come again after a refusal, after a crash, or where the future was dropped; unless
    /// [`is_committed`](Self::is_committed) already says so, it has to be stored then.
    ///
    /// # Errors
    ///
    /// See [`Refusal`]; the files are kept, and offered again.
    fn commit(&self, files: Vec<Taken>) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Whether a commit of this claim has become durable, also in an earlier life of the process.
    ///
    /// It has to stay so until [`closed`](Self::closed) is called for the claim. It is asked from a blocking thread.
    fn is_committed(&self, claim: Claim) -> bool;

    /// These claims are finished: their files have left the work folder for good, and will never be asked for again.
    ///
    /// Need not be durable at once. It is called from a blocking thread.
    fn closed(&self, claims: Vec<Claim>);

    /// Whether a commit would find room now. Asked before files are taken, so that they stay where they are while there is
    /// none; it has to answer at once.
    fn has_room(&self) -> bool {
        true
    }
}

/// One file, taken and read.
#[derive(Debug)]
pub struct Taken {
    /// Its identity from now on.
    pub claim: Claim,
    /// Its name as it was dropped, byte for byte; it need not be UTF-8.
    pub name: OsString,
    /// Its path below the drop folder.
    pub relative: PathBuf,
    /// When its content was last changed, as the file system has it.
    pub modified: SystemTime,
    /// Its length in bytes.
    pub len: u64,
    /// The SHA-256 of its content.
    pub sha256: [u8; 32],
    /// Its content.
    pub content: Content,
}

/// The content of a taken file.
pub enum Content {
    /// At most [`INLINE_MAX`] bytes.
    Bytes(Vec<u8>),
    /// An open file that stands at its beginning. It is private to us: nobody else can write to it.
    File(File),
}

/// Without the content.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
        }
    }
}

/// Why files were not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no room. No more files are taken until there is; the text says what is full.
    Full(String),
    /// It failed. Each file is then offered alone, so that one that cannot be stored holds up no other.
    Failed(String),
    /// This one file will never be stored: it goes to quarantine, and the others are offered again at once.
    Rejected {
        /// Which one.
        claim: Claim,
        /// Why; people read it.
        reason: String,
    },
}
