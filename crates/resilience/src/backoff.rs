//! How long to wait before another attempt.

use crate::error::InvalidSettings;
use crate::random::Random;
use std::time::Duration;

/// How waits grow from attempt to attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// They do not; the one shape whose waits may be nothing.
    Fixed,
    /// By the first wait each time.
    Linear,
    /// By this factor each time; at least 1.
    Exponential(f64),
    /// Each is the sum of the two before it.
    Fibonacci,
}

/// What is random in a wait, so that those who failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Jitter {
    /// Nothing.
    None,
    /// All of it: anything from nothing to the whole.
    Full,
    /// The second half.
    Equal,
    /// Anything from the first wait to three times the last one (Brooker 2015, "Exponential Backoff And Jitter").
    Decorrelated,
    /// By this share more or less; 0 to 1.
    Share(f64),
    /// Up to so much on top.
    Added(Duration),
}

/// Waits between attempts: how they grow, where they end, and what is random in them.
///
/// The longest wait is never exceeded, whatever the jitter; no arithmetic overflows, whatever the attempt.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `shape` | exponential, ×2 | quick after a hiccup, quiet in an outage |
/// | `initial` | 0.5 s | a connection that was reset is back by then |
/// | `max` | 10 s | somebody waits for the answer |
/// | `jitter` | full | spreads a herd best of all (Brooker 2015) |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// How they grow.
    pub shape: Shape,
    /// The first wait, before jitter.
    pub initial: Duration,
    /// The longest, after jitter.
    pub max: Duration,
    /// What is random.
    pub jitter: Jitter,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            shape: Shape::Exponential(2.0),
            initial: Duration::from_millis(500),
            max: Duration::from_secs(10),
            jitter: Jitter::Full,
        }
    }
}

impl Backoff {
    /// Waits that double from `initial` to `max`, with full jitter.
    pub const fn doubling(initial: Duration, max: Duration) -> Self {
        Self {
            shape: Shape::Exponential(2.0),
            initial,
            max,
            jitter: Jitter::Full,
        }
    }

    /// The same, with this jitter.
    #[must_use]
    pub const fn with_jitter(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    /// The wait after so many failures (1 is the first), before jitter.
    pub fn bound(&self, failures: u32) -> Duration {
        let steps = failures.saturating_sub(1);
        let factor = match self.shape {
            Shape::Fixed => 1.0,
            Shape::Linear => f64::from(steps) + 1.0,
            Shape::Exponential(factor) => factor.powi(steps.min(10_000) as i32),
            Shape::Fibonacci => fibonacci(steps),
        };
        multiplied(self.initial, factor).min(self.max)
    }

    /// The wait after so many failures (1 is the first), of which the last was followed by `previous`.
    pub fn wait(&self, failures: u32, previous: Duration, random: &Random) -> Duration {
        let bound = self.bound(failures);
        let wait = match self.jitter {
            Jitter::None => bound,
            Jitter::Full => bound.mul_f64(random.fraction()),
            Jitter::Equal => bound.mul_f64(0.5 + random.fraction() / 2.0),
            Jitter::Decorrelated => {
                let most = multiplied(previous.max(self.initial), 3.0).min(self.max);
                let spread = most.saturating_sub(self.initial);
                self.initial + spread.mul_f64(random.fraction())
            }
            Jitter::Share(share) => {
                multiplied(bound, 1.0 + share * (2.0 * random.fraction() - 1.0))
            }
            Jitter::Added(most) => bound.saturating_add(most.mul_f64(random.fraction())),
        };
        wait.min(self.max)
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    ///
    /// A first wait of nothing that should grow, a longest one below it, a factor outside of 1 to 1,000, a share outside of 0 to 1.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        let is_none = self.initial.is_zero() && self.shape != Shape::Fixed;
        if is_none || self.max < self.initial {
            return Err(InvalidSettings::new(format!(
                "`backoff`: the first wait must be above 0 and at most the longest; they are {:?} and {:?}",
                self.initial, self.max
            )));
        }
        if let Shape::Exponential(factor) = self.shape
            && !(1.0..=1_000.0).contains(&factor)
        {
            return Err(InvalidSettings::new(
                "`backoff.shape`: the factor must lie between 1 and 1,000",
            ));
        }
        if let Jitter::Share(share) = self.jitter
            && !(0.0..=1.0).contains(&share)
        {
            return Err(InvalidSettings::new(
                "`backoff.jitter`: the share must lie between 0 and 1",
            ));
        }
        Ok(())
    }
}

/// 1, 1, 2, 3, 5 …
fn fibonacci(steps: u32) -> f64 {
    // After 100 steps every wait is at its maximum.
    (0..steps.min(100))
        .fold((1.0, 1.0), |(this, next), _| (next, this + next))
        .0
}

/// Saturates, where `mul_f64` would panic.
fn multiplied(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds(shape: Shape, initial: f64, max: f64) -> Vec<f64> {
        let backoff = Backoff {
            shape,
            initial: Duration::from_secs_f64(initial),
            max: Duration::from_secs_f64(max),
            jitter: Jitter::None,
        };
        let random = Random::from_seed(1);
        (1..=6)
            .map(|failures| {
                backoff
                    .wait(failures, Duration::ZERO, &random)
                    .as_secs_f64()
            })
            .collect()
    }

    #[test]
    fn waits_grow_by_their_shape_and_end_at_their_maximum() {
        assert_eq!(bounds(Shape::Fixed, 2.0, 10.0), [2.0; 6]);
        assert_eq!(
            bounds(Shape::Linear, 2.0, 9.0),
            [2.0, 4.0, 6.0, 8.0, 9.0, 9.0]
        );
        assert_eq!(
            bounds(Shape::Exponential(2.0), 0.1, 30.0),
            [0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
        );
        assert_eq!(
            bounds(Shape::Fibonacci, 1.0, 6.0),
            [1.0, 1.0, 2.0, 3.0, 5.0, 6.0]
        );
    }

    #[test]
    fn no_number_of_failures_overflows() {
        for shape in [
            Shape::Fixed,
            Shape::Linear,
            Shape::Exponential(2.0),
            Shape::Exponential(1_000.0),
            Shape::Fibonacci,
        ] {
            let backoff = Backoff {
                shape,
                ..Backoff::default()
            };
            for failures in [0, 1, 63, 64, 1_100, u32::MAX] {
                assert!(
                    backoff.bound(failures) <= backoff.max,
                    "{shape:?} {failures}"
                );
            }
        }
    }

    fn jitters() -> impl Strategy<Value = Jitter> {
        prop_oneof![
            Just(Jitter::None),
            Just(Jitter::Full),
            Just(Jitter::Equal),
            Just(Jitter::Decorrelated),
            (0.0..=1.0).prop_map(Jitter::Share),
            (0..100_000_u64).prop_map(|millis| Jitter::Added(Duration::from_millis(millis))),
        ]
    }

    proptest! {
        #[test]
        fn no_jitter_exceeds_the_longest_wait(
            jitter in jitters(),
            seed: u64,
            failures in 0..200_u32,
            previous in 0..1_000_000_u64,
        ) {
            let backoff = Backoff::default().with_jitter(jitter);
            let random = Random::from_seed(seed);
            let wait = backoff.wait(failures, Duration::from_millis(previous), &random);
            prop_assert!(wait <= backoff.max, "{wait:?}");
        }
    }

    #[test]
    fn jitter_reaches_all_that_it_may() {
        let random = Random::from_seed(7);
        let waits = |jitter, failures, previous| -> (f64, f64) {
            let backoff = Backoff::doubling(Duration::from_secs(1), Duration::from_mins(5))
                .with_jitter(jitter);
            let waits: Vec<f64> = (0..2_000)
                .map(|_| {
                    let previous = Duration::from_secs(previous);
                    backoff.wait(failures, previous, &random).as_secs_f64()
                })
                .collect();
            let least = waits.iter().copied().fold(f64::MAX, f64::min);
            (least, waits.iter().copied().fold(0.0, f64::max))
        };
        let near = |(least, most): (f64, f64), (from, to): (f64, f64)| {
            let slack = (to - from) / 100.0;
            assert!(least >= from && least < from + slack, "{least} {from}");
            assert!(most <= to && most > to - slack, "{most} {to}");
        };
        near(waits(Jitter::Full, 4, 0), (0.0, 8.0));
        near(waits(Jitter::Equal, 4, 0), (4.0, 8.0));
        near(waits(Jitter::Decorrelated, 4, 20), (1.0, 60.0));
        near(waits(Jitter::Share(0.2), 4, 0), (6.4, 9.6));
        near(
            waits(Jitter::Added(Duration::from_secs(1)), 4, 0),
            (8.0, 9.0),
        );
    }
}
