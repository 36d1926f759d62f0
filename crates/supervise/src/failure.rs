//! What a task died of.

use mainstay_clock::Clock;
use mainstay_resilience::{Category, Class, ErrorContext, Severity};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a task, a component or a check may end with.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// What a task returns: nothing, or a result with any error.
pub trait TaskOutput {
    /// As a result.
    ///
    /// # Errors
    /// What the task failed with.
    fn into_result(self) -> Result<(), TaskError>;
}

impl TaskOutput for () {
    fn into_result(self) -> Result<(), TaskError> {
        Ok(())
    }
}

impl<E: Into<TaskError>> TaskOutput for Result<(), E> {
    fn into_result(self) -> Result<(), TaskError> {
        self.map_err(Into::into)
    }
}

/// In which way a task failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// It panicked.
    Panic,
    /// It returned an error.
    Error,
    /// It returned, and nobody had asked it to.
    EarlyReturn,
    /// It did not beat in time.
    Silence,
}

/// A failure of a task, with its whole chain of causes and an id to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In which way.
    pub kind: FailureKind,
    /// What, when, and from what it came; its fields name the task and the attempt.
    pub error: Arc<ErrorContext>,
}

/// A text that is an error.
#[derive(Debug)]
pub(crate) struct Words(pub(crate) String);

/// What an attempt came to, where it was no success.
#[derive(Debug)]
pub(crate) enum Fault {
    Panic(String),
    Error(TaskError),
    EarlyReturn,
    Silence(Duration),
}

// === impl FailureKind ===

impl FailureKind {
    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Error => "error",
            Self::EarlyReturn => "early_return",
            Self::Silence => "silence",
        }
    }
}

// === impl Failure ===

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error.message())?;
        let mut causes = self.error.chain().iter();
        causes.try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Failure", 2)?;
        map.serialize_field("kind", self.kind.name())?;
        map.serialize_field("error", &*self.error)?;
        map.end()
    }
}

// === impl Fault ===

impl Fault {
    pub(crate) fn kind(&self) -> FailureKind {
        match self {
            Self::Panic(_) => FailureKind::Panic,
            Self::Error(_) => FailureKind::Error,
            Self::EarlyReturn => FailureKind::EarlyReturn,
            Self::Silence(_) => FailureKind::Silence,
        }
    }

    /// Written down, for a task of this name.
    pub(crate) fn context(&self, name: &str, critical: bool, clock: &dyn Clock) -> ErrorContext {
        let severity = if critical {
            Severity::Critical
        } else {
            Severity::High
        };
        let class = Class::permanent(
            match self {
                Self::Silence(_) => Category::Timeout,
                Self::Panic(_) | Self::EarlyReturn => Category::Internal,
                Self::Error(_) => Category::Unknown,
            },
            severity,
        );
        let words = match self {
            Self::Error(error) => return ErrorContext::classed(name, &**error, class, clock),
            Self::Panic(words) => format!("it panicked: {words}"),
            Self::EarlyReturn => "it ended, and nobody had asked it to".to_owned(),
            Self::Silence(limit) => format!("no heartbeat for {:.1} s", limit.as_secs_f64()),
        };
        ErrorContext::classed(name, &Words(words), class, clock)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Words {}

/// The words of a panic.
pub(crate) fn words_of(panic: Box<dyn Any + Send>) -> String {
    let words = match panic.downcast::<String>() {
        Ok(text) => return *text,
        Err(words) => words,
    };
    words.downcast_ref::<&str>().map_or_else(
        || "a panic without words".to_owned(),
        |text| (*text).to_owned(),
    )
}

/// An error with its causes, in one line.
pub(crate) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    // As many causes as an `ErrorContext` keeps.
    for _ in 0..ErrorContext::CHAIN_MAX {
        let Some(cause) = next else { break };
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
