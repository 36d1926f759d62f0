//! Who a file is, from the moment it is taken.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use uuid::{ContextV7, Timestamp, Uuid};

/// The identity of one taken file: a `UUIDv7`, made before the file is touched, and kept until it is archived.
///
/// The same name dropped twice makes two claims. Claims of one process sort in the order in which they were made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim([u8; 16]);

impl Claim {
    /// The claim with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The date that it was made at, in milliseconds since 1970.
    pub(crate) fn made_ms(self) -> u64 {
        // The first 48 bits of a UUIDv7 (RFC 9562).
        (u128::from_be_bytes(self.0) >> 80) as u64
    }
}

/// With hyphens, in lower case: 36 characters.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Only the form that [`Display`](fmt::Display) writes is read.
impl FromStr for Claim {
    type Err = NotAClaim;

    fn from_str(text: &str) -> Result<Self, NotAClaim> {
        let claim = Uuid::try_parse(text)
            .map(|uuid| Self(uuid.into_bytes()))
            .map_err(|_| NotAClaim)?;
        if claim.to_string() == text {
            Ok(claim)
        } else {
            Err(NotAClaim)
        }
    }
}

/// The text is not a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAClaim;

impl fmt::Display for NotAClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a claim: 36 characters of a UUID in lower case with hyphens are expected")
    }
}

impl std::error::Error for NotAClaim {}

/// Makes claims that sort in the order in which they were made, also within one millisecond.
#[derive(Debug)]
pub(crate) struct ClaimMaker {
    context: Mutex<ContextV7>,
}

impl ClaimMaker {
    pub(crate) fn new() -> Self {
        Self {
            context: Mutex::new(ContextV7::new()),
        }
    }

    /// A new claim; `wall_ms` is the date in milliseconds since 1970.
    pub(crate) fn make(&self, wall_ms: u64) -> Claim {
        if let Some(count) = mainstay_files::simulated::count() {
            let mut rest = [0; 10];
            rest[3..7].copy_from_slice(&count.to_be_bytes());
            let made = uuid::Builder::from_unix_timestamp_millis(wall_ms, &rest);
            return Claim(made.into_uuid().into_bytes());
        }
        let nanoseconds = (wall_ms % 1_000) as u32 * 1_000_000;
        let timestamp = Timestamp::from_unix(&self.context, wall_ms / 1_000, nanoseconds);
        Claim(Uuid::new_v7(timestamp).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_one_millisecond_sort_in_the_order_in_which_they_were_made() {
        let maker = ClaimMaker::new();
        let made: Vec<Claim> = (0..1_000).map(|_| maker.make(1_577_836_800_000)).collect();
        assert!(made.is_sorted_by(|earlier, later| earlier < later));
    }

    #[test]
    fn only_the_written_form_is_read_back() {
        let claim = ClaimMaker::new().make(1);
        assert_eq!(claim.to_string().parse(), Ok(claim));
        assert_eq!(
            claim.to_string().to_uppercase().parse::<Claim>(),
            Err(NotAClaim)
        );
        assert_eq!("".parse::<Claim>(), Err(NotAClaim));
    }
}
