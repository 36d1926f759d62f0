//! Which answer means what.
//!
//! | answer | outcome |
//! |---|---|
//! | 2xx | delivered |
//! | 409, 412 that name our key and say that it is there | already there |
//! | 412 to `If-None-Match: *` | already there |
//! | 408, 425, 5xx, anything that HTTP does not define | retry |
//! | 503 with `Retry-After`, 429 | retry, and send nothing else before that time; without one, `X-RateLimit-Reset`, or a second |
//! | 3xx, 401, 403, 404, 407 | hold the destination |
//! | every other 4xx | reject this document |
//!
//! The body is never interpreted beyond the question whether it names our key, and an excerpt for people.

use super::answer::Answer;
use super::headers::IDEMPOTENCY_KEY;
use crate::{Cause, Outcome};
use http::header::{HeaderName, LOCATION, RETRY_AFTER};
use http::{StatusCode, Uri};
use mainstay_resilience::Category;
use mainstay_wire::{Redactor, Told, excerpt};
use std::time::Duration;

/// A receipt that names the document it is for.
const RECEIPT: HeaderName = HeaderName::from_static("mainstay-receipt");

/// How much of an answer's body is shown to people, in characters.
const EXCERPT_MAX: usize = 200;

/// Who says that it is too much and not for how long is left alone for this long: until the first retry of a document on average,
/// so that others do not go on meanwhile as if nothing had been said.
const UNSAID: Duration = Duration::from_secs(1);

/// What has to be known of the question to understand the answer.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) address: &'a str,
    pub(super) id: &'a str,
    /// `If-None-Match: *` was sent.
    pub(super) if_none_match: bool,
    /// Whether the answer's body may be asked for our key. It may not where the address holds the key, because then every
    /// error page that quotes the address does too.
    pub(super) body_may_name_key: bool,
    /// The time of day in milliseconds since 1970, for a `Retry-After` with a date.
    pub(super) wall: u64,
    pub(super) redactor: &'a Redactor,
}

/// What to do after this answer.
pub(super) fn sort(answer: &Answer, question: &Question<'_>) -> Outcome {
    let told = Told::read(&answer.headers, || question.wall);
    let after = told.retry_after;
    let said = || said(answer, question);
    match answer.status.as_u16() {
        200..=299 => Outcome::Delivered,
        300..=399 => hold(redirected(answer, question), after, Cause::Unclear),
        401 | 407 => hold(
            format!("{}; check the credentials of this destination", said()),
            after,
            Cause::Credentials,
        ),
        403 => hold(
            format!("{}; check what these credentials may do there", said()),
            after,
            Cause::Forbidden,
        ),
        404 => hold(
            format!("{}; check the address of this destination", said()),
            after,
            Cause::Unclear,
        ),
        409 | 412 if is_already_there(answer, question) => Outcome::AlreadyThere,
        409 if answer.headers.contains_key(RETRY_AFTER) => Outcome::Retry {
            category: Category::Resource,
            reason: said(),
            after,
        },
        429 => Outcome::Busy {
            reason: said(),
            after: after.or(reset_of(&told)).unwrap_or(UNSAID),
        },
        503 => match after {
            Some(after) => Outcome::Busy {
                reason: said(),
                after,
            },
            None => Outcome::retry(Category::Resource, said()),
        },
        code @ (408 | 425 | 500..=599) => Outcome::Retry {
            category: match code {
                408 | 504 => Category::Timeout,
                425 => Category::Network,
                _ => Category::Internal,
            },
            reason: said(),
            after,
        },
        400..=499 => Outcome::reject(said()),
        _ => Outcome::retry(Category::Internal, said()),
    }
}

/// When there is more again, where the server says that nothing is left.
fn reset_of(told: &Told) -> Option<Duration> {
    told.reset_in.filter(|_| told.remaining == Some(0))
}

fn hold(reason: String, after: Option<Duration>, cause: Cause) -> Outcome {
    Outcome::Hold {
        reason,
        after,
        cause,
    }
}

/// Whether the server says that it has this very document.
///
/// A wrong yes loses the document, a wrong no only delays it; so a conflict alone is never enough, and neither is a body that
/// speaks of an attempt which is still in progress.
fn is_already_there(answer: &Answer, question: &Question<'_>) -> bool {
    if answer.status == StatusCode::PRECONDITION_FAILED && question.if_none_match {
        return true;
    }
    // A conflict that is worth asking again about is not settled.
    if answer.headers.contains_key(RETRY_AFTER) {
        return false;
    }
    let named_in = |name: &HeaderName| {
        let value = answer
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.is_some_and(|value| {
            value
                .trim()
                .trim_matches('"')
                .eq_ignore_ascii_case(question.id)
        })
    };
    named_in(&IDEMPOTENCY_KEY)
        || named_in(&RECEIPT)
        || (question.body_may_name_key && body_says_so(answer, question.id))
}

fn body_says_so(answer: &Answer, id: &str) -> bool {
    let text = answer.text().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    text.contains(id)
        && says(&["already", "exists", "duplicate"])
        && !says(&["in progress", "processing", "being processed"])
}

/// "`https://h/in` answered 500 Internal Server Error: the disk is full"
fn said(answer: &Answer, question: &Question<'_>) -> String {
    let status = answer.status;
    let mut text = format!("`{}` answered {}", question.address, status.as_u16());
    if let Some(reason) = status.canonical_reason() {
        text.push(' ');
        text.push_str(reason);
    }
    // Struck before it is cut, so that no half of a secret is left at the end.
    let body = excerpt(&question.redactor.strike(&answer.text()), EXCERPT_MAX);
    if !body.is_empty() {
        text.push_str(": ");
        text.push_str(&body);
    }
    text
}

fn redirected(answer: &Answer, question: &Question<'_>) -> String {
    let to = answer
        .headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok());
    let to = to.map_or_else(
        || "another place".to_owned(),
        |to| format!("`{}`", without_query(to)),
    );
    let to = question.redactor.strike(&to);
    format!(
        "`{}` answered {} and points to {to}; redirects are not followed: set the address that is meant",
        question.address,
        answer.status.as_u16()
    )
}

/// A location without what may be a secret in it: user information, query and fragment.
fn without_query(location: &str) -> String {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    let bare = &location[..end];
    let shown = match bare.parse::<Uri>().ok().as_ref().and_then(Uri::authority) {
        Some(authority) => {
            let host = authority
                .as_str()
                .rsplit_once('@')
                .map_or(authority.as_str(), |(_, host)| host);
            bare.replacen(authority.as_str(), host, 1)
        }
        // What is not an address by our reading may still be one by another: then nothing before an @ is shown.
        None => bare
            .rsplit_once('@')
            .map_or(bare, |(_, rest)| rest)
            .to_owned(),
    };
    excerpt(&shown, EXCERPT_MAX)
}

#[cfg(test)]
mod tests;
