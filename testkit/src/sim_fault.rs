//! Calls that are refused, on whatever is simulated.

use std::io;

/// What kind of call a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Looks, lists, opens, lengths and reads.
    Looks,
    /// Writes, new lengths, and names that come, go or change.
    Changes,
    /// Syncs and commits.
    Syncs,
}

/// Calls that are refused.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Of these calls; of all if `None`.
    pub on: Option<On>,
    /// So many of them succeed first.
    pub after: u64,
    /// So many fail then; `u64::MAX` for all.
    pub count: u64,
    /// With this error of the system.
    pub code: i32,
}

/// "Input/output error" on Linux.
pub const EIO: i32 = 5;

impl Fault {
    /// What the next call of this kind is refused with, if it is.
    pub(crate) fn meet(&mut self, on: On) -> Option<io::Error> {
        if self.on.is_some_and(|wanted| wanted != on) {
            return None;
        }
        if self.after != 0 {
            self.after -= 1;
            return None;
        }
        self.count = self.count.checked_sub(1)?;
        Some(io::Error::from_raw_os_error(self.code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_calls_of_one_kind_succeed_and_so_many_fail() {
        let mut fault = Fault {
            on: Some(On::Syncs),
            after: 1,
            count: 2,
            code: EIO,
        };
        let mut meets = |on| fault.meet(on).is_some();
        assert_eq!([On::Changes; 3].map(&mut meets), [false; 3]);
        let syncs = [On::Syncs; 5].map(&mut meets);
        assert_eq!(syncs, [false, true, true, false, false]);
    }
}
