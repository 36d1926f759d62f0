//! The system calls this crate makes, behind one interface; nothing else in it speaks to the operating system.
//!
//! Every call passes [`faults`] first, so that a test can make any one of them fail.

#[cfg(test)]
pub(crate) mod faults;
#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
mod windows;

#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(not(unix))]
pub(crate) use windows::*;

/// Outside tests there is nothing to pass.
#[cfg(not(test))]
pub(crate) mod faults {
    #[inline]
    #[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
    pub(crate) fn pass(_call: &'static str) -> std::io::Result<()> {
        Ok(())
    }
}

/// Stands before every write of bytes, which the standard library does for us.
pub(crate) fn pass_write() -> std::io::Result<()> {
    faults::pass("write")
}
