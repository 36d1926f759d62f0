//! What is to be known of an error once it is over.

use crate::class::{Category, Class, Classify, Severity};
use mainstay_clock::Clock;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::time::Duration;
use uuid::{NoContext, Timestamp, Uuid};

/// One error, written down: what, where, when, how bad, and from what it came.
///
/// ```
/// use mainstay_clock::ManualClock;
/// use mainstay_resilience::ErrorContext;
/// use std::io;
///
/// let error = io::Error::from(io::ErrorKind::ConnectionRefused);
/// let context = ErrorContext::of("fetch_package", &error, &ManualClock::new())
///     .with("host", "registry.example")
///     .retried(2);
/// assert!(context.to_string().starts_with(
///     "network/medium fetch_package: connection refused; host=registry.example; retried 2 times; err_0"
/// ));
/// ```
///
/// It serializes with the keys `error_id`, `category`, `severity`, `message`, `timestamp` (seconds since 1970, with a
/// fraction), `retry_count` and `context` (the fields), and with `operation`, `is_retryable`, `retry_after_s` and `chain`.
///
/// # Limits
///
/// | what | number | why |
/// |---|---|---|
/// | the operation, the message, each cause, each key and value | 1 KiB; what is cut ends with `…` | a person reads it; an answer that somebody made an error of can be megabytes |
/// | causes | 16, the outermost | real chains have three or four |
/// | fields | 32; more are left out | so that a log of a thousand has a bound: 84 MB at the very worst |
///
/// It hides nothing: a secret that an error's message holds is in here too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorContext {
    id: Uuid,
    at: u64,
    operation: String,
    class: Class,
    message: String,
    chain: Vec<String>,
    fields: BTreeMap<String, String>,
    retry_count: u32,
}

// === impl ErrorContext ===

impl ErrorContext {
    /// The bytes of each text at most.
    pub const TEXT_MAX: usize = 1_024;
    /// The causes that are kept at most.
    pub const CHAIN_MAX: usize = 16;
    /// The fields that are kept at most.
    pub const FIELDS_MAX: usize = 32;

    /// What is to be known of an error that `operation` came to just now, and how often it was tried again, where the error tells
    /// ([`Classify::retries`]): what comes out of a [`Retry`](crate::Retry) that is exhausted does.
    pub fn of<E>(operation: &str, error: &E, clock: &dyn Clock) -> Self
    where
        E: StdError + Classify,
    {
        Self::classed(operation, error, error.class(), clock).retried(error.retries())
    }

    /// As [`of`](Self::of), of an error whose class the caller knows better, or that knows none.
    pub fn classed(operation: &str, error: &dyn StdError, class: Class, clock: &dyn Clock) -> Self {
        let at = clock.wall();
        let nanoseconds = (at % 1_000) as u32 * 1_000_000;
        Self {
            id: Uuid::new_v7(Timestamp::from_unix(NoContext, at / 1_000, nanoseconds)),
            at,
            operation: cut(&operation),
            class,
            message: cut(&error),
            chain: causes(error).map(|cause| cut(&cause)).collect(),
            fields: BTreeMap::new(),
            retry_count: 0,
        }
    }

    /// The same, with something that helps to find out why; a key that is there already gets the new value.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        let key = cut(&key);
        if self.fields.len() < Self::FIELDS_MAX || self.fields.contains_key(&key) {
            self.fields.insert(key, cut(&value));
        }
        self
    }

    /// The same, of a call that was tried again so many times, where the error itself does not tell.
    #[must_use]
    pub fn retried(self, count: u32) -> Self {
        Self {
            retry_count: count,
            ..self
        }
    }

    /// Which error: a `UUIDv7`, so that ids sort by the millisecond.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// When it was written down, in milliseconds since 1970.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// What was being done.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// What kind, how bad, and whether trying again helps.
    pub fn class(&self) -> Class {
        self.class
    }

    /// What kind.
    pub fn category(&self) -> Category {
        self.class.category
    }

    /// How bad.
    pub fn severity(&self) -> Severity {
        self.class.severity
    }

    /// Whether the same call may succeed another time.
    pub fn is_retryable(&self) -> bool {
        self.class.is_retryable
    }

    /// The least that the other side asked to be waited.
    pub fn retry_after(&self) -> Option<Duration> {
        self.class.retry_after
    }

    /// What the error says of itself.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What its causes say, from the outside in.
    pub fn chain(&self) -> &[String] {
        &self.chain
    }

    /// What the caller added.
    pub fn fields(&self) -> &BTreeMap<String, String> {
        &self.fields
    }

    /// How many times the call was tried again.
    pub fn retry_count(&self) -> u32 {
        self.retry_count
    }
}

/// One line, whatever the texts hold.
impl fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let category = self.class.category.name();
        let severity = self.class.severity.name();
        let mut line = OneLine { into: f };
        write!(line, "{category}/{severity} {}: ", self.operation)?;
        line.write_str(&self.message)?;
        for cause in &self.chain {
            write!(line, ": {cause}")?;
        }
        for (key, value) in &self.fields {
            write!(line, "; {key}={value}")?;
        }
        match self.retry_count {
            0 => {}
            1 => line.write_str("; retried once")?,
            count => write!(line, "; retried {count} times")?,
        }
        write!(line, "; err_{}", self.id)
    }
}

impl Serialize for ErrorContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let retry_after_s = self.class.retry_after.map(|wait| wait.as_secs_f64());
        let mut map = serializer.serialize_struct("ErrorContext", 11)?;
        map.serialize_field("error_id", &format_args!("err_{}", self.id))?;
        map.serialize_field("category", &self.class.category)?;
        map.serialize_field("severity", &self.class.severity)?;
        map.serialize_field("message", &self.message)?;
        map.serialize_field("timestamp", &seconds(self.at))?;
        map.serialize_field("retry_count", &self.retry_count)?;
        map.serialize_field("context", &self.fields)?;
        map.serialize_field("operation", &self.operation)?;
        map.serialize_field("is_retryable", &self.class.is_retryable)?;
        map.serialize_field("retry_after_s", &retry_after_s)?;
        map.serialize_field("chain", &self.chain)?;
        map.end()
    }
}

/// Takes what fits, and lets the rest go by.
struct Cut {
    text: String,
    is_cut: bool,
}

impl fmt::Write for Cut {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = ErrorContext::TEXT_MAX - self.text.len();
        if self.is_cut {
            return Ok(());
        }
        self.is_cut = room < piece.len();
        self.text
            .push_str(&piece[..piece.floor_char_boundary(room)]);
        Ok(())
    }
}

/// Writes line breaks and other control characters as blanks.
struct OneLine<'a, 'f> {
    into: &'a mut fmt::Formatter<'f>,
}

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (index, piece) in text.split(char::is_control).enumerate() {
            if 0 < index {
                self.into.write_char(' ')?;
            }
            self.into.write_str(piece)?;
        }
        Ok(())
    }
}

/// An error and its causes in one bounded text.
pub(crate) fn told(error: &dyn StdError) -> String {
    struct Told<'a>(&'a dyn StdError);
    impl fmt::Display for Told<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)?;
            causes(self.0).try_for_each(|cause| write!(f, ": {cause}"))
        }
    }
    cut(&Told(error))
}

/// Milliseconds as the seconds that the field `timestamp` always had.
pub(crate) fn seconds(at_ms: u64) -> f64 {
    at_ms as f64 / 1_000.0
}

fn causes(error: &dyn StdError) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
    .take(ErrorContext::CHAIN_MAX)
}

/// The text of a thing, or as much of it as may be kept.
fn cut(thing: &dyn fmt::Display) -> String {
    const MARK: char = '…';
    let mut cut = Cut {
        text: String::new(),
        is_cut: false,
    };
    // A thing that cannot say what it is has said what it could.
    let is_whole = write!(cut, "{thing}").is_ok() && !cut.is_cut;
    if !is_whole {
        let room = ErrorContext::TEXT_MAX - MARK.len_utf8();
        cut.text.truncate(cut.text.floor_char_boundary(room));
        cut.text.push(MARK);
    }
    cut.text
}

#[cfg(test)]
mod tests;
