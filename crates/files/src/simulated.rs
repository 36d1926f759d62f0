//! A machine in the place of this one, for the campaign that simulates crashes: not part of the API, and only there with the
//! feature `simulated`.
//!
//! Every system call of the thread that has one is shown to it first. It refuses the call, lets it be made, or, where names or
//! what is on the disk are concerned, does it itself. Without the feature all of this is nothing.

#[cfg(feature = "simulated")]
pub use machine::{Change, Machine, Place, Started, start};

use std::io;

/// Asks the machine of this thread whether a call may be made.
///
/// # Errors
///
/// What the machine refuses it with; never without one.
#[inline]
pub fn pass(call: &'static str) -> io::Result<()> {
    #[cfg(feature = "simulated")]
    if let Some(machine) = machine::here() {
        return machine.pass(call);
    }
    let _ = call;
    Ok(())
}

/// The machine's own chance; `None` without one.
#[inline]
pub fn random() -> Option<u64> {
    #[cfg(feature = "simulated")]
    if let Some(machine) = machine::here() {
        return Some(machine.random());
    }
    None
}

/// A number above all that the machine gave before; `None` without one.
#[inline]
pub fn count() -> Option<u32> {
    #[cfg(feature = "simulated")]
    if let Some(machine) = machine::here() {
        return Some(machine.count());
    }
    None
}

/// Whether this thread has a machine, which another thread would not have.
#[inline]
pub fn is_here() -> bool {
    #[cfg(feature = "simulated")]
    if machine::here().is_some() {
        return true;
    }
    false
}

#[cfg(feature = "simulated")]
pub(crate) mod machine {
    use std::cell::RefCell;
    use std::ffi::OsStr;
    use std::io;
    use std::os::fd::BorrowedFd;
    use std::rc::Rc;

    /// A name in an open folder.
    pub type Place<'a> = (BorrowedFd<'a>, &'a OsStr);

    /// A call about names, or about what is on the disk.
    #[derive(Debug, Clone, Copy)]
    pub enum Change<'a> {
        /// A folder of this mode gets a name that nothing has.
        CreateFolder(Place<'a>, u32),
        /// From, to; something that is there is replaced.
        Replace(Place<'a>, Place<'a>),
        /// From, to, where nothing is.
        Rename(Place<'a>, Place<'a>),
        /// A second name, where nothing is.
        Link(Place<'a>, Place<'a>),
        /// A file loses a name.
        Remove(Place<'a>),
        /// An empty folder loses its name.
        RemoveFolder(Place<'a>),
        /// The content of a file is put on the disk.
        SyncFile(BorrowedFd<'a>),
        /// The names in a folder are put on the disk.
        SyncFolder(BorrowedFd<'a>),
        /// Everything on the file system of this folder is put on the disk.
        SyncAll(BorrowedFd<'a>),
    }

    /// What stands in the place of the system.
    pub trait Machine {
        /// A call is about to be made that changes no name.
        ///
        /// # Errors
        ///
        /// What the call is refused with.
        fn pass(&self, call: &'static str) -> io::Result<()>;

        /// A file was made under this name.
        fn made(&self, place: Place<'_>, file: BorrowedFd<'_>);

        /// Does this call.
        ///
        /// # Errors
        ///
        /// Those of the system, and what the machine makes up.
        fn change(&self, call: &'static str, change: Change<'_>) -> io::Result<()>;

        /// A number that comes again in the same life.
        fn random(&self) -> u64;

        /// A number above all before.
        fn count(&self) -> u32;
    }

    thread_local! {
        static MACHINE: RefCell<Option<Rc<dyn Machine>>> = const { RefCell::new(None) };
    }

    /// This thread has a machine as long as this lives.
    #[derive(Debug)]
    #[must_use = "dropped, it ends the machine"]
    pub struct Started(());

    /// Gives this thread a machine.
    pub fn start(machine: Rc<dyn Machine>) -> Started {
        MACHINE.set(Some(machine));
        Started(())
    }

    impl Drop for Started {
        fn drop(&mut self) {
            MACHINE.set(None);
        }
    }

    pub(crate) fn here() -> Option<Rc<dyn Machine>> {
        MACHINE.with_borrow(Clone::clone)
    }
}
