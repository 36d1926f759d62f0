//! A value that must not be seen: it can be used, but not printed.

use std::fmt;
use zeroize::Zeroizing;

/// A password or another secret text; its `Debug` shows nothing of it, and its memory is overwritten when it is dropped.
///
/// ```
/// use mainstay_http::Secret;
///
/// assert_eq!(format!("{:?}", Secret::new("s3cr3t")), "Secret(hidden)");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}
