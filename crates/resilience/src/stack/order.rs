//! Which protections stand around which.

use crate::error::InvalidSettings;
use std::fmt;

/// One protection in a [`Stack`](super::Stack).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// What is done instead of a call that came to nothing.
    Fallback,
    /// The limit of time over everything.
    Deadline,
    /// Load shedding.
    Shedder,
    /// Trying again.
    Retry,
    /// Further copies of an attempt that is slow.
    Hedge,
    /// The circuit breaker.
    Breaker,
    /// The rate limiter.
    Limiter,
    /// The bulkhead.
    Bulkhead,
    /// The limit of concurrency that adapts itself.
    Adaptive,
    /// The limit of time of one attempt.
    AttemptLimit,
}

/// From the outside in.
///
/// | layer | why here |
/// |---|---|
/// | fallback | sees what all below comes to, and is neither tried again, nor counted, nor cut off |
/// | deadline | covers attempts, pauses and all waiting |
/// | shedder | a call is turned away once, not once for each attempt |
/// | retry | each attempt asks everything below anew |
/// | hedge | its copies are one attempt to the retry, which pays for them; to all below each copy is a call of its own |
/// | breaker | each attempt counts by itself; what it turns away costs nothing below |
/// | limiter | a call that waits for its turn holds no place below |
/// | bulkhead, adaptive limit | a place is held only while the call is made |
/// | limit of an attempt | counts the call alone, not our own waiting |
pub(super) const DEFAULT: [Layer; 10] = [
    Layer::Fallback,
    Layer::Deadline,
    Layer::Shedder,
    Layer::Retry,
    Layer::Hedge,
    Layer::Breaker,
    Layer::Limiter,
    Layer::Bulkhead,
    Layer::Adaptive,
    Layer::AttemptLimit,
];

/// The first must stand outside of the second; otherwise this happens.
const RULES: [(Layer, Layer, &str); 32] = [
    (
        Layer::Fallback,
        Layer::Deadline,
        "what the deadline ends would have no fallback",
    ),
    (
        Layer::Fallback,
        Layer::Shedder,
        "what is shed would have no fallback",
    ),
    (
        Layer::Fallback,
        Layer::Retry,
        "the first failure would be answered, and nothing tried again",
    ),
    (
        Layer::Fallback,
        Layer::Hedge,
        "the answer of the fallback would win against a copy that is under way",
    ),
    (
        Layer::Fallback,
        Layer::Breaker,
        "a failure that was answered would count as a success",
    ),
    (
        Layer::Fallback,
        Layer::Limiter,
        "what the limiter turns away would have no fallback",
    ),
    (
        Layer::Fallback,
        Layer::Bulkhead,
        "what the bulkhead turns away would have no fallback, and others would hold a place for it",
    ),
    (
        Layer::Fallback,
        Layer::Adaptive,
        "a failure that was answered would count as a success",
    ),
    (
        Layer::Fallback,
        Layer::AttemptLimit,
        "an attempt that takes too long would have no fallback",
    ),
    (
        Layer::Deadline,
        Layer::Hedge,
        "the deadline would begin anew with each copy",
    ),
    (
        Layer::Shedder,
        Layer::Hedge,
        "a call would be shed once for each copy",
    ),
    (
        Layer::Retry,
        Layer::Hedge,
        "each copy would be tried again by itself, and copies and attempts multiply",
    ),
    (
        Layer::Hedge,
        Layer::Breaker,
        "all copies would count as one call, and those that are given up not at all",
    ),
    (
        Layer::Hedge,
        Layer::Limiter,
        "copies would pass the limit uncounted",
    ),
    (
        Layer::Hedge,
        Layer::Bulkhead,
        "copies would be made without a place of their own",
    ),
    (
        Layer::Hedge,
        Layer::Adaptive,
        "copies would be made without a place of their own",
    ),
    (
        Layer::Hedge,
        Layer::AttemptLimit,
        "all copies together would have the time of one",
    ),
    (
        Layer::Deadline,
        Layer::Shedder,
        "the deadline would not cover what it should",
    ),
    (
        Layer::Deadline,
        Layer::Retry,
        "the deadline would begin anew with each attempt",
    ),
    (
        Layer::Deadline,
        Layer::AttemptLimit,
        "a single attempt would be covered twice, and the course of them not at all",
    ),
    (
        Layer::Shedder,
        Layer::Retry,
        "a call would be shed once for each attempt, and each time be tried again",
    ),
    (
        Layer::Retry,
        Layer::Breaker,
        "a whole course of attempts would count as one call, and the breaker open far too late",
    ),
    (
        Layer::Retry,
        Layer::Limiter,
        "retries would pass the limit uncounted",
    ),
    (
        Layer::Retry,
        Layer::Bulkhead,
        "a place would be held during the pauses",
    ),
    (
        Layer::Retry,
        Layer::Adaptive,
        "the pauses would be taken for latency",
    ),
    (
        Layer::Retry,
        Layer::AttemptLimit,
        "all attempts together would have the time of one",
    ),
    (
        Layer::Breaker,
        Layer::AttemptLimit,
        "a call that times out would not count as failed",
    ),
    (
        Layer::Limiter,
        Layer::Adaptive,
        "waiting for our own limit would be taken for latency",
    ),
    (
        Layer::Bulkhead,
        Layer::Adaptive,
        "waiting for a place would be taken for latency",
    ),
    (
        Layer::Limiter,
        Layer::AttemptLimit,
        "waiting for our own limit would count as a slow answer",
    ),
    (
        Layer::Bulkhead,
        Layer::AttemptLimit,
        "waiting for a place would count as a slow answer",
    ),
    (
        Layer::Adaptive,
        Layer::AttemptLimit,
        "a call that times out would not count as overload",
    ),
];

/// Refuses an order in which a protection does not protect.
pub(super) fn check(order: &[Layer]) -> Result<(), InvalidSettings> {
    for (at, layer) in order.iter().enumerate() {
        if order.iter().skip(at + 1).any(|other| other == layer) {
            return Err(InvalidSettings::new(format!("{layer} stands twice")));
        }
    }
    let place = |layer| order.iter().position(|other| *other == layer);
    for (outer, inner, otherwise) in RULES {
        if let (Some(outer_at), Some(inner_at)) = (place(outer), place(inner))
            && inner_at < outer_at
        {
            return Err(InvalidSettings::new(format!(
                "{outer} must stand outside of {inner}: {otherwise}"
            )));
        }
    }
    Ok(())
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fallback => "the fallback",
            Self::Deadline => "the deadline",
            Self::Shedder => "the shedder",
            Self::Retry => "the retry",
            Self::Hedge => "the hedge",
            Self::Breaker => "the breaker",
            Self::Limiter => "the limiter",
            Self::Bulkhead => "the bulkhead",
            Self::Adaptive => "the adaptive limit",
            Self::AttemptLimit => "the limit of an attempt",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_order_keeps_every_rule_and_each_rule_refuses_its_opposite() {
        check(&DEFAULT).unwrap();
        for (outer, inner, _) in RULES {
            check(&[outer, inner]).unwrap();
            let refused = check(&[inner, outer]).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("{outer} must stand outside of {inner}: ")));
        }
        let twice = check(&[Layer::Retry, Layer::Breaker, Layer::Retry]).unwrap_err();
        assert_eq!(twice.to_string(), "the retry stands twice");
    }

    #[test]
    fn what_is_a_matter_of_taste_is_allowed() {
        for order in [
            [Layer::Limiter, Layer::Breaker, Layer::Bulkhead],
            [Layer::Bulkhead, Layer::Limiter, Layer::Breaker],
        ] {
            check(&order).unwrap();
        }
    }
}
