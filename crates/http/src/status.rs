//! What a status means: whether to try again, whom it speaks against, and what a person is told.

use mainstay_resilience::{Category, Class, Severity};
use std::time::Duration;

/// What to do with an answer of this status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It is the answer.
    Answer,
    /// It is the answer, and says that the caller asked for the wrong thing: that speaks neither for nor against the server.
    CallersOwn,
    /// It leads elsewhere.
    Moved,
    /// It is an error, whatever is done about it.
    Failure,
}

/// | status | meaning | tried again | counts for the breaker |
/// |---|---|---|---|
/// | 301, 302, 303, 307, 308 | moved | | as a success |
/// | 408, 425 | failure | yes | as a failure |
/// | 429 | failure | yes | not at all: the limiter holds |
/// | other 4xx | the caller's own | no | not at all |
/// | 500, 502, 503, 504 | failure | yes | as a failure |
/// | 501, 505 | failure | no | not at all: the server works, and will never do this |
/// | other 5xx | failure | no | as a failure |
/// | all others | answer | | as a success |
pub(crate) fn meaning(code: u16) -> Meaning {
    match code {
        301 | 302 | 303 | 307 | 308 => Meaning::Moved,
        408 | 425 | 429 | 500.. => Meaning::Failure,
        400..500 => Meaning::CallersOwn,
        _ => Meaning::Answer,
    }
}

/// The class of a status that is an error.
pub(crate) fn class(code: u16) -> Class {
    let is_retryable = matches!(code, 408 | 425 | 429 | 500 | 502 | 503 | 504);
    let category = match code {
        408 | 504 => Category::Timeout,
        425 => Category::Network,
        // It says that it has too much to do, which is what a limit that adapts itself has to hear.
        503 => Category::Resource,
        // Not the server's failure, so that it does not count against it.
        ..=499 | 501 | 505 => Category::Validation,
        _ => Category::Internal,
    };
    Class {
        category,
        severity: Severity::Medium,
        is_retryable,
        retry_after: None,
    }
}

/// Whether a `Retry-After` beside this status is one that we keep to.
pub(crate) fn may_ask_for_a_wait(code: u16) -> bool {
    matches!(code, 429 | 503)
}

/// What a person is told.
pub(crate) fn message(code: u16, url: &str, wait: Option<Duration>) -> String {
    let advice = match code {
        400 | 422 => "it does not understand what was asked; check the request",
        401 => "it wants to know who asks; check the credentials",
        403 => "it does not allow this; check the rights of the credentials",
        404 | 410 => "there is nothing at this address; check it",
        407 => "the proxy wants to know who asks; check its credentials",
        408 => "it waited too long for the request; try again later",
        413 => "what was sent is too large for it",
        429 => "too many requests; try again later",
        425 | 503 => "it is overloaded or under repair; try again later",
        501 | 505 => "it cannot do this; check the address and the method",
        502 | 504 => "what stands behind it does not answer; try again later",
        500.. => "it failed; try again later, and tell who runs it if that goes on",
        _ => "it refuses this; check the request",
    };
    let until = match wait {
        Some(wait) => format!("; it asks to be left alone for {:.0} s", wait.as_secs_f64()),
        None => String::new(),
    };
    format!("`{url}` answers {code}: {advice}{until}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_again_and_what_counts_against_the_server_is_as_in_the_table() {
        for code in 300..600 {
            let retried = matches!(code, 408 | 425 | 429 | 500 | 502 | 503 | 504);
            let against = matches!(code, 408 | 425) || (code >= 500 && !matches!(code, 501 | 505));
            if meaning(code) == Meaning::Failure {
                assert_eq!(class(code).is_retryable, retried, "{code}");
                assert_eq!(class(code).is_failure_of_the_service(), against, "{code}");
            } else {
                assert!(!retried && !against, "{code}");
            }
        }
        assert_eq!(meaning(204), Meaning::Answer);
        assert_eq!(meaning(304), Meaning::Answer);
        assert_eq!(meaning(404), Meaning::CallersOwn);
        assert_eq!(meaning(307), Meaning::Moved);
    }

    #[test]
    fn every_error_comes_with_advice() {
        for code in 400..600 {
            let said = message(code, "http://h:80/", Some(Duration::from_secs(7)));
            assert!(said.starts_with(&format!("`http://h:80/` answers {code}: ")));
            assert!(said.ends_with("; it asks to be left alone for 7 s"));
        }
    }
}
