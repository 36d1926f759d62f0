//! `Content-Digest` (RFC 9530): what the sender says that the bytes on the wire add up to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The SHA-256 that the sender announced for the body as it was sent, encoding included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// Reads the header; algorithms other than `sha-256` are passed over, as the standard wishes.
    ///
    /// # Errors
    /// There is a `sha-256` that is not 32 bytes in base64 between colons.
    pub(crate) fn parse(header: &str) -> Result<Option<Self>, String> {
        let mut members = header
            .split(',')
            .filter_map(|member| member.trim().split_once('='));
        let Some((_, value)) = members.find(|(name, _)| name.eq_ignore_ascii_case("sha-256"))
        else {
            return Ok(None);
        };
        let refused = || "Content-Digest has to be `sha-256=:BASE64:`".to_owned();
        let text = value
            .strip_prefix(':')
            .and_then(|text| text.strip_suffix(':'))
            .ok_or_else(refused)?;
        let bytes = STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Some(Self(bytes))).ok_or_else(refused)
    }

    /// Compares with what really came.
    ///
    /// # Errors
    /// They differ.
    pub(crate) fn check(&self, sha256: &[u8; 32]) -> Result<(), String> {
        if &self.0 == sha256 {
            return Ok(());
        }
        Err("the body does not match its Content-Digest; it was damaged on the way".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_digest_of_the_same_bytes_fits_and_of_others_does_not() {
        let sha256: [u8; 32] = Sha256::digest(b"a document").into();
        let header = format!("sha-512=:AAAA:, SHA-256=:{}:", STANDARD.encode(sha256));
        let digest = ContentDigest::parse(&header).unwrap().unwrap();
        assert_eq!(digest.check(&sha256), Ok(()));
        assert!(digest.check(&[0; 32]).is_err());
    }

    #[test]
    fn what_is_no_digest_is_refused_and_what_is_unknown_is_passed_over() {
        assert_eq!(ContentDigest::parse("sha-512=:AAAA:"), Ok(None));
        assert_eq!(ContentDigest::parse(""), Ok(None));
        for header in [
            "sha-256=AAAA",
            "sha-256=:AAAA:",
            "sha-256=:not base64:",
            "sha-256=",
        ] {
            assert!(ContentDigest::parse(header).is_err(), "{header}");
        }
    }
}
