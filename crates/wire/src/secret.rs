//! A value that must not be seen: it can be used, but not printed.

use std::fmt;
use zeroize::Zeroizing;

/// A password, token or other secret text.
///
/// It has neither `Display` nor `Serialize`, its `Debug` shows nothing of it, and its memory is overwritten when it is dropped.
///
/// ```
/// use mainstay_wire::Secret;
///
/// let token = Secret::new("s3cr3t");
/// assert_eq!(format!("{token:?}"), "Secret(hidden)");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Everything secret that a destination knows, so that it can be struck out of texts which others wrote.
///
/// A server may quote our own headers in its error page, and that page's first words end up in the log.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    secrets: Vec<Secret>,
}

impl Redactor {
    /// Shorter texts are not struck out: they occur by chance, and a log full of holes helps nobody.
    const LENGTH_MIN: usize = 4;

    /// Strikes this out from now on; what is shorter than four bytes is not.
    pub fn add(&mut self, secret: &str) {
        if secret.len() >= Self::LENGTH_MIN {
            self.secrets.push(Secret::new(secret));
        }
    }

    /// The text without what is secret in it.
    pub fn strike(&self, text: &str) -> String {
        let mut struck = text.to_owned();
        for secret in &self.secrets {
            if struck.contains(secret.expose()) {
                struck = struck.replace(secret.expose(), "[hidden]");
            }
        }
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret:?} {secret:#?}"),
            "Secret(hidden) Secret(hidden)"
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_secret_quoted_by_the_server_is_struck_out() {
        let mut redactor = Redactor::default();
        redactor.add("hunter2");
        redactor.add("no");
        assert_eq!(
            redactor.strike("you sent hunter2, no?"),
            "you sent [hidden], no?"
        );
        assert!(!format!("{redactor:?}").contains("hunter2"));
    }
}
