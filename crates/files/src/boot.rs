//! Which run of the machine this is: a process number means something only during one.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

/// The kernel's identifier of this boot; empty where there is none.
pub(crate) fn id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    })
}

/// Sixteen bits of it, for names.
pub(crate) fn tag() -> u16 {
    static TAG: OnceLock<u16> = OnceLock::new();
    *TAG.get_or_init(|| {
        let mut hasher = DefaultHasher::new();
        id().hash(&mut hasher);
        hasher.finish() as u16
    })
}
