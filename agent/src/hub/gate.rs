//! Who may hand documents in.

use axum::http::{HeaderMap, header};
use mainstay_deliver::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Lets in whoever has the token; everybody, where there is none.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    token: Option<Fingerprint>,
}

/// The hash of a token: it says nothing of the token, and comparing two of them takes as long whatever they are.
#[derive(Clone)]
struct Fingerprint([u8; 32]);

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Fingerprint {
    fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Takes as long whatever they are.
    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Gate {
    /// A gate that wants this token.
    ///
    /// # Errors
    /// Nobody could send it: a header carries neither spaces at its ends nor anything but plain signs.
    pub(crate) fn new(token: Option<&Secret>) -> Result<Self, &'static str> {
        let fits = |token: &Secret| {
            let token = token.expose().as_bytes();
            !token.is_empty() && token.iter().all(u8::is_ascii_graphic)
        };
        if token.is_some_and(|token| !fits(token)) {
            return Err(
                "a token is made of letters, digits and signs of ASCII, without a space; look at its end too",
            );
        }
        Ok(Self {
            token: token.map(|token| Fingerprint::of(token.expose().as_bytes())),
        })
    }

    /// Whether a request with these headers may come in.
    pub(super) fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        // Two of them are a puzzle, and no proof.
        let (Some(given), None) = (given.next(), given.next()) else {
            return false;
        };
        bearer(given.as_bytes()).is_some_and(|given| Fingerprint::of(given).is(token))
    }
}

/// `Bearer TOKEN`, with the scheme in any case (RFC 9110, 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn lets_in(gate: &Gate, values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        gate.lets_in(&headers)
    }

    #[test]
    fn only_the_token_opens_the_gate_and_nothing_shows_it() {
        let gate = Gate::new(Some(&Secret::new("s3cret"))).unwrap();
        assert!(lets_in(&gate, &["Bearer s3cret"]) && lets_in(&gate, &["bearer s3cret"]));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer s3cre",
            "Bearer s3cret2",
            "Basic s3cret",
            "s3cret",
        ] {
            assert!(!lets_in(&gate, &[wrong]), "{wrong}");
        }
        assert!(!lets_in(&gate, &[]));
        assert!(!lets_in(&gate, &["Bearer s3cret", "Bearer s3cret"]));
        assert!(!format!("{gate:?}").contains("s3cret"));
        assert!(lets_in(&Gate::new(None).unwrap(), &[]));
    }

    #[test]
    fn a_token_that_nobody_could_send_is_refused() {
        for token in ["", "s3cret ", "\ts3cret", "geheim\u{df}", "two words"] {
            assert!(Gate::new(Some(&Secret::new(token))).is_err(), "{token:?}");
        }
    }
}
