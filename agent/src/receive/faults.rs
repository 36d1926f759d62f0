//! How the receiver misbehaves on demand: which request is answered wrongly, late or not at all.

use crate::cli::FaultArgs;
use crate::exit::{Exit, Failure};
use axum::http::StatusCode;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// `--fail STATUS:RATE`: this share of the requests is answered with this status.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FailRule {
    status: StatusCode,
    rate: f64,
}

impl FromStr for FailRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("`{text}` is not STATUS:RATE, such as `503:0.1`");
        let (status, rate) = text.split_once(':').ok_or_else(refused)?;
        let status = status
            .parse()
            .ok()
            .and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.filter(|status| (400..600).contains(&status.as_u16()));
        let rate = rate.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
        match (status, rate) {
            (Some(status), Some(rate)) => Ok(Self { status, rate }),
            _ => Err(refused()),
        }
    }
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is served.
    None,
    /// It is answered with this status, and nothing is stored.
    Refuse(StatusCode),
    /// It is never answered.
    Hang,
    /// The connection is cut before anything is stored.
    CutBefore,
    /// The connection is cut after the document was stored: the sender cannot know that it was.
    CutAfter,
}

/// The faults that were asked for, and the dice.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Vec<(f64, Fault)>,
    /// Waited before each answer.
    pub(crate) delay: Duration,
    /// Sent with 429 and 503, in whole seconds.
    pub(crate) retry_after: Option<u64>,
    seed: u64,
    dice: AtomicU64,
}

impl Faults {
    /// The faults of the command line.
    ///
    /// # Errors
    /// The shares add up to more than all requests.
    pub(crate) fn new(args: &FaultArgs) -> Result<Self, Failure> {
        let reset = args.reset.unwrap_or(0.0) / 2.0;
        let mut rules = vec![
            (args.hang.unwrap_or(0.0), Fault::Hang),
            (reset, Fault::CutBefore),
            (reset, Fault::CutAfter),
        ];
        rules.extend(
            args.fail
                .iter()
                .map(|rule| (rule.rate, Fault::Refuse(rule.status))),
        );
        if rules.iter().map(|(rate, _)| rate).sum::<f64>() > 1.0 + f64::EPSILON {
            let failure = Failure::new(
                Exit::Usage,
                "the shares of --fail, --hang and --reset add up to more than 1",
            );
            return Err(
                failure.help("give shares of all requests, such as --fail 503:0.1 --hang 0.05")
            );
        }
        let seed = match args.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(|error| {
                Failure::new(Exit::StartFailed, "cannot get randomness").because(error)
            })?,
        };
        Ok(Self {
            rules,
            delay: args.delay.map_or(Duration::ZERO, |delay| delay.0),
            // Whole seconds are all that the header can say; never less than was asked for.
            retry_after: args
                .retry_after
                .map(|after| after.0.as_millis().div_ceil(1_000) as u64),
            seed,
            dice: AtomicU64::new(seed),
        })
    }

    /// Throws the dice for one request.
    pub(crate) fn next(&self) -> Fault {
        let mut throw = self.throw();
        for (rate, fault) in &self.rules {
            if throw < *rate {
                return *fault;
            }
            throw -= rate;
        }
        Fault::None
    }

    /// What was asked for, in words, or nothing when all requests are served.
    pub(crate) fn summary(&self) -> Option<String> {
        let active: Vec<String> = self
            .rules
            .iter()
            .filter(|(rate, _)| *rate > 0.0)
            .map(|(rate, fault)| format!("{fault:?} {rate}"))
            .collect();
        let any = !active.is_empty() || !self.delay.is_zero();
        any.then(|| {
            format!(
                "misbehaving as told: {}; delay {:?}; seed {}",
                active.join(", "),
                self.delay,
                self.seed
            )
        })
    }

    /// A number in `0.0..1.0` (`SplitMix64`: one atomic addition, then mixing, so requests share it without a lock).
    fn throw(&self) -> f64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self
            .dice
            .fetch_add(GOLDEN, Ordering::Relaxed)
            .wrapping_add(GOLDEN);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> FaultArgs {
        FaultArgs {
            seed: Some(7),
            ..FaultArgs::default()
        }
    }

    #[test]
    fn the_share_asked_for_is_the_share_given() {
        let rule = "503:0.25".parse().unwrap();
        let faults = Faults::new(&FaultArgs {
            fail: vec![rule],
            reset: Some(0.5),
            ..args()
        })
        .unwrap();
        let mut counts = [0u32; 3];
        for _ in 0..10_000 {
            match faults.next() {
                Fault::Refuse(status) if status == 503 => counts[0] += 1,
                Fault::CutBefore | Fault::CutAfter => counts[1] += 1,
                Fault::None => counts[2] += 1,
                other => panic!("{other:?} was not asked for"),
            }
        }
        assert!(counts[0].abs_diff(2_500) < 200, "{counts:?}");
        assert!(counts[1].abs_diff(5_000) < 200, "{counts:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let args = FaultArgs {
            reset: Some(0.5),
            ..args()
        };
        let (one, two) = (Faults::new(&args).unwrap(), Faults::new(&args).unwrap());
        assert!((0..100).all(|_| one.next() == two.next()));
    }

    #[test]
    fn without_any_wish_nothing_goes_wrong() {
        let faults = Faults::new(&args()).unwrap();
        assert!((0..1_000).all(|_| faults.next() == Fault::None));
        assert_eq!(faults.summary(), None);
    }

    #[test]
    fn shares_of_more_than_all_requests_are_refused() {
        let args = FaultArgs {
            reset: Some(0.6),
            hang: Some(0.6),
            ..args()
        };
        assert_eq!(Faults::new(&args).unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn a_rule_is_a_failing_status_and_a_share() {
        assert!("429:1".parse::<FailRule>().is_ok());
        for text in ["503", "503:2", "200:0.5", "x:0.5", "503:-1", "99:0.1"] {
            assert!(text.parse::<FailRule>().is_err(), "{text}");
        }
    }
}
