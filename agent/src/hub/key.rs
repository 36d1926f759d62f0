//! From the sender's key to the document's id: the same for ever, so that nothing has to be remembered for it.

use mainstay_queue::DocumentId;
use sha2::{Digest, Sha256};

/// The longest key; a UUID has 36 characters.
const KEY_MAX: usize = 255;

/// An idempotency key as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key(String);

impl Key {
    /// Reads the header: a quoted string in the draft standard, and bare in most programs.
    ///
    /// # Errors
    /// It is empty, too long, or has characters that cannot be seen.
    pub(super) fn parse(header: &[u8]) -> Result<Self, String> {
        let bare = header
            .strip_prefix(b"\"")
            .and_then(|text| text.strip_suffix(b"\""))
            .unwrap_or(header);
        let fits = (1..=KEY_MAX).contains(&bare.len()) && bare.iter().all(u8::is_ascii_graphic);
        match std::str::from_utf8(bare) {
            Ok(text) if fits => Ok(Self(text.to_owned())),
            _ => Err(format!(
                "Idempotency-Key has to be 1 to {KEY_MAX} visible characters, such as a UUID"
            )),
        }
    }

    /// The document's id on this route: the key itself where it is a UUID, so that a document keeps its id from one Mainstay
    /// to the next; else one made of route and key, so that two routes whose senders count from 1 do not meet.
    pub(super) fn document(&self, route: &str) -> DocumentId {
        // Only in its usual form: the others are too easily something else.
        let is_usual = self.0.len() == 36 && self.0.as_bytes()[8] == b'-';
        if let Some(id) = self.0.parse().ok().filter(|_| is_usual) {
            return id;
        }
        let mut hash = Sha256::new();
        hash.update((route.len() as u64).to_be_bytes());
        hash.update(route.as_bytes());
        hash.update(self.0.as_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        // UUIDv8 (RFC 9562): made in a way of our own, and never equal to one that was made by time or chance.
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        DocumentId::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(key: &str, route: &str) -> String {
        Key::parse(key.as_bytes())
            .unwrap()
            .document(route)
            .to_string()
    }

    #[test]
    fn a_uuid_stays_what_it_is_and_every_other_key_gives_the_same_id_each_time() {
        let uuid = "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6";
        assert_eq!(id(uuid, "lab"), uuid);
        assert_eq!(id(&uuid.to_uppercase(), "lab"), uuid);
        assert_eq!(id(&format!("\"{uuid}\""), "lab"), uuid);

        let order = id("order-17", "lab");
        assert_eq!(order, id("order-17", "lab"));
        // Known to senders by now: it must not change between versions.
        assert_eq!(order, "6b80f306-1d1b-8755-a9d6-993ae16dcab7");
        assert_ne!(order, id("order-18", "lab"));
        assert_ne!(order, id("order-17", "line"));
        assert_ne!(id("b1", "a"), id("1", "ab"));
        let without_hyphens = uuid.replace('-', "");
        assert_ne!(id(&without_hyphens, "lab"), uuid);
    }

    #[test]
    fn what_cannot_be_seen_or_said_again_is_no_key() {
        let long = "a".repeat(256);
        for key in ["", "\"\"", "a b", "a\tb", "ü", &long] {
            assert!(Key::parse(key.as_bytes()).is_err(), "{key}");
        }
        assert!(Key::parse(b"\xff").is_err());
        assert!(Key::parse(&long.as_bytes()[1..]).is_ok());
    }
}
