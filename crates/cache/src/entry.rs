//! One stored answer, as a row of the index: complete, and sealed.

use crate::head;
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

/// What SHA-256 makes of something.
pub(crate) type Hash = [u8; 32];

/// How many request headers an answer may vary with: none that is meant for machines names more than a few.
const VARY_MAX: usize = 16;

/// One stored answer without its body.
///
/// `seal` is a hash over all that is served or decided from: a row whose bytes rotted, or that belongs to another address, is
/// found out before it is used. When it was last used is not in it, since that decides about nothing but eviction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) url: String,
    pub(crate) host: String,
    /// Names of the request headers that it varies with: in lower case, in order, each once.
    pub(crate) vary: String,
    /// What the request had in these headers, as a hash: values may be secrets.
    pub(crate) variant: Hash,
    pub(crate) status: u16,
    /// As [`head::encode`] writes them.
    pub(crate) headers: Vec<u8>,
    pub(crate) body: Hash,
    pub(crate) body_len: u64,
    /// When it came or was confirmed, in milliseconds since 1970.
    pub(crate) stored_at: u64,
    /// When it ends, in milliseconds since 1970, by the rules of when it was stored; decides about nothing but eviction.
    pub(crate) ends_at: u64,
}

impl Entry {
    /// What it counts, to the byte: body, headers, and the texts that it is found by.
    pub(crate) fn bytes(&self) -> u64 {
        self.body_len + (self.headers.len() + self.url.len() + self.vary.len()) as u64
    }

    pub(crate) fn seal(&self) -> Hash {
        let mut hasher = Sha256::new();
        let numbers = [
            u64::from(self.status),
            self.body_len,
            self.stored_at,
            self.ends_at,
            self.url.len() as u64,
            self.host.len() as u64,
            self.vary.len() as u64,
            self.headers.len() as u64,
        ];
        for number in numbers {
            hasher.update(number.to_le_bytes());
        }
        // The lengths stand before: no two rows write the same bytes.
        hasher.update(&self.url);
        hasher.update(&self.host);
        hasher.update(&self.vary);
        hasher.update(self.variant);
        hasher.update(self.body);
        hasher.update(&self.headers);
        hasher.finalize().into()
    }

    /// Status and headers; none where they are no such.
    pub(crate) fn head(&self) -> Option<(StatusCode, HeaderMap)> {
        let status = StatusCode::from_u16(self.status).ok()?;
        Some((status, head::decode(&self.headers)?))
    }

    /// Whether the request has in the headers that it varies with what the first one had.
    pub(crate) fn fits(&self, request: &HeaderMap) -> bool {
        variant(&self.vary, request) == self.variant
    }
}

pub(crate) fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The names in `Vary`; none where it is `*`, no text, or too much.
pub(crate) fn vary(headers: &HeaderMap) -> Option<String> {
    let mut names = Vec::new();
    for value in headers.get_all(http::header::VARY) {
        let text = value.to_str().ok()?.to_ascii_lowercase();
        for name in text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            if name == "*" {
                return None;
            }
            names.push(
                http::HeaderName::from_bytes(name.as_bytes())
                    .ok()?
                    .to_string(),
            );
        }
    }
    names.sort_unstable();
    names.dedup();
    (names.len() <= VARY_MAX).then(|| names.join(","))
}

/// What a request has in the headers of `vary`: each value of each, and whether there is none.
pub(crate) fn variant(vary: &str, request: &HeaderMap) -> Hash {
    let mut hasher = Sha256::new();
    for name in vary.split(',').filter(|name| !name.is_empty()) {
        let values: Vec<_> = request.get_all(name).iter().collect();
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((values.len() as u64).to_le_bytes());
        for value in values {
            hasher.update((value.len() as u64).to_le_bytes());
            hasher.update(value.as_bytes());
        }
    }
    hasher.finalize().into()
}
