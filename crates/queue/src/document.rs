//! What is kept: documents, and the names by which they are known.

use crate::bodies::BodyFile;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;
use uuid::Uuid;

/// Bodies up to this many bytes lie in the log itself; larger ones in files of their own.
///
/// 256 KiB: above it one more file sync costs less than copying the bytes through the log.
pub const INLINE_BODY_MAX: usize = 256 * 1024;

macro_rules! uuid_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new one: UUIDv7, so that names sort by when they were made and are never used twice.
            #[expect(clippy::new_without_default, reason = "each is another; a default would suggest otherwise")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The name with these 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Its 16 bytes.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.0.as_hyphenated(), f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_name! {
    /// The name of a document for ever: made before the first write, sent as its idempotency key on every attempt.
    DocumentId
}

uuid_name! {
    /// The name of one claim of a file by pickup; what was stored under it is stored once.
    ClaimId
}

/// One way out of the queue: a destination, which acknowledges by itself.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LaneId(pub(crate) u16);

/// A lane and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneInfo {
    /// The number under which documents refer to it.
    pub id: LaneId,
    /// The name under which it was declared.
    pub name: String,
}

/// How urgent a document is: 1 goes first, 10 last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(NonZeroU8);

impl Priority {
    /// Before all others.
    pub const FIRST: Self = Self(NonZeroU8::new(1).expect("1 is not 0"));
    /// After all others, but never for ever.
    pub const LAST: Self = Self(NonZeroU8::new(10).expect("10 is not 0"));

    /// The priority with this number, if it is between 1 and 10.
    pub const fn new(number: u8) -> Option<Self> {
        match NonZeroU8::new(number) {
            Some(number) if number.get() <= 10 => Some(Self(number)),
            _ => None,
        }
    }

    /// Its number, from 1 to 10.
    pub const fn number(self) -> u8 {
        self.0.get()
    }
}

impl Default for Priority {
    /// 5: half-way, so that there is room on both sides.
    fn default() -> Self {
        Self(NonZeroU8::new(5).expect("5 is not 0"))
    }
}

impl TryFrom<u8> for Priority {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::new(number)
            .ok_or_else(|| format!("a priority is 1 (first) to 10 (last), not {number}"))
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.number()
    }
}

/// The content of a document that is to be stored.
#[derive(Debug)]
pub enum NewBody {
    /// Bytes in memory, at most [`INLINE_BODY_MAX`] of them.
    Inline(Bytes),
    /// A file that [`BodyWriter`](crate::BodyWriter) has made durable.
    File(BodyFile),
}

impl NewBody {
    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::File(file) => file.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A document that is to be stored.
#[derive(Debug)]
pub struct NewDocument {
    /// Its name; a document that is stored a second time under the same name is answered, not doubled.
    pub id: DocumentId,
    /// The route that it came by.
    pub route: String,
    /// The name that its producer gave it, byte for byte; it need not be UTF-8.
    pub source: Vec<u8>,
    /// What it is, as a media type.
    pub content_type: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Further facts that travel with it.
    pub headers: Vec<(String, String)>,
    /// Where it has to go; at least one.
    pub lanes: Vec<LaneId>,
    /// SHA-256 of the body, where it is known.
    pub hash: Option<[u8; 32]>,
    /// Its content.
    pub body: NewBody,
}

impl NewDocument {
    /// A document with a new name, priority 5 and no further facts.
    pub fn new(lanes: Vec<LaneId>, body: impl Into<Bytes>) -> Self {
        Self {
            id: DocumentId::new(),
            route: String::new(),
            source: Vec::new(),
            content_type: "application/octet-stream".to_owned(),
            priority: Priority::default(),
            headers: Vec::new(),
            lanes,
            hash: None,
            body: NewBody::Inline(body.into()),
        }
    }
}

/// Documents that are stored together: all of them or none.
#[derive(Debug, Default)]
pub struct Batch {
    /// The documents.
    pub documents: Vec<NewDocument>,
    /// The claims whose content they are; each is remembered until it is closed.
    pub claims: Vec<ClaimId>,
}

/// The answer to an enqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is on the disk now.
    Accepted(DocumentId),
    /// It was on the disk before; nothing was stored a second time.
    AlreadyThere(DocumentId),
}

impl Receipt {
    /// The name of the document.
    pub fn id(self) -> DocumentId {
        match self {
            Self::Accepted(id) | Self::AlreadyThere(id) => id,
        }
    }
}

/// Where a document stands on one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It can be leased now.
    Ready,
    /// Somebody is at it.
    Leased,
    /// It failed and waits for its next attempt.
    Waiting,
    /// It was acknowledged, and is kept a while.
    Sent,
    /// It was given up, and waits for a person.
    Dead,
    /// It was dropped by a named policy or person.
    Discarded,
}

impl State {
    /// Whether it still has to be delivered.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Ready | Self::Leased | Self::Waiting)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Leased => "leased",
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
        })
    }
}
