//! The system calls this crate makes, behind one interface; nothing else in it speaks to the operating system.
//!
//! Every call passes [`faults`] first, so that a test can make any one of them fail.

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod deaf;
#[cfg(test)]
pub(crate) mod faults;
#[cfg(any(not(unix), test))]
mod held;
#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
mod windows;

#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(not(unix))]
pub(crate) use windows::*;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use deaf::Ear;

/// Where something happened, as far as the system tells; it is a hint and nothing more, what counts is found by looking.
#[derive(Debug)]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    allow(dead_code, reason = "nothing is heard there")
)]
pub(crate) enum Hint {
    /// To the name at this path.
    At(std::path::PathBuf),
    /// Anywhere: something was missed, or a folder went away.
    Lost,
}

/// Outside tests there is nothing to pass but a machine that is simulated.
#[cfg(not(test))]
pub(crate) mod faults {
    pub(crate) use crate::simulated::pass;
}

/// Stands before every write of bytes, which the standard library does for us.
pub(crate) fn pass_write() -> std::io::Result<()> {
    faults::pass("write")
}
