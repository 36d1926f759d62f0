//! What was measured, for people, for programs and for a monitoring system.

use super::{Level, Outcome};
use crate::bytes::Bytes;
use serde::{Serialize, Serializer};
use std::fmt::{self, Write as _};
use std::time::Duration;

/// One measurement with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Reading {
    /// A time; as JSON in milliseconds.
    #[serde(rename = "ms", serialize_with = "ms")]
    Time(Duration),
    /// An amount of memory; as JSON in bytes.
    #[serde(rename = "bytes")]
    Memory(Bytes),
}

/// Half of all, 95 and 99 in a hundred lie at or below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Percentiles<T> {
    /// The middle.
    pub p50: T,
    /// What one in twenty exceeds.
    pub p95: T,
    /// What one in a hundred exceeds.
    pub p99: T,
}

/// A measurement above its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The name of the operation.
    pub operation: &'static str,
    /// What it took.
    pub took: Reading,
    /// What it should have taken at most.
    pub target: Reading,
    /// How far above.
    pub level: Level,
    /// How it ended.
    pub outcome: Outcome,
    /// Where in the code it was measured: file, line and column.
    pub place: String,
    /// When it ended, in milliseconds since 1970, as the machine believed.
    pub wall_ms: u64,
}

/// All that is known of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperationReport {
    /// Its name.
    pub name: &'static str,
    /// Its budget: more than this is slow,
    pub target: Reading,
    /// more than this is a warning,
    pub warn: Reading,
    /// and more than this is critical.
    pub critical: Reading,
    /// How often it was measured.
    pub count: u64,
    /// All of it together, in nanoseconds or bytes.
    pub sum: u128,
    /// The most that it took.
    pub most: Reading,
    /// How often it was ok, slow, a warning, critical.
    pub levels: [u64; 4],
    /// How often it finished, failed, was left, panicked.
    pub outcomes: [u64; 4],
    /// Of the newest 1,024 measurements, exactly; none without any.
    pub recent: Option<Percentiles<Reading>>,
    /// Of all measurements, within 1 %; none without any.
    pub whole: Option<Percentiles<Reading>>,
}

/// All that was measured. As text it is a table, as JSON for programs, and [`metrics`](Self::metrics) for a monitoring system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetReport {
    /// Every operation, by name.
    pub operations: Vec<OperationReport>,
    /// The newest violations, the newest first; 256 at most.
    pub violations: Vec<Violation>,
    /// How many older ones are kept no more; they stay counted.
    pub violations_forgotten: u64,
}

// === impl Reading ===

impl Reading {
    /// In seconds or bytes, as metrics want it.
    fn base(self) -> f64 {
        match self {
            Self::Time(time) => time.as_secs_f64(),
            Self::Memory(bytes) => bytes.0 as f64,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Time(_) => "seconds",
            Self::Memory(_) => "bytes",
        }
    }
}

/// `1.25 s`, `230.0 ms`, `4.1 µs`; memory as [`Bytes`].
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Memory(bytes) => bytes.to_string(),
            Self::Time(time) if 1 <= time.as_secs() => format!("{:.2} s", time.as_secs_f64()),
            Self::Time(time) if 1 <= time.as_millis() => {
                format!("{:.1} ms", time.as_secs_f64() * 1e3)
            }
            Self::Time(time) => format!("{:.1} µs", time.as_secs_f64() * 1e6),
        };
        f.pad(&text)
    }
}

// === impl Percentiles ===

impl<T> Percentiles<T> {
    pub(super) fn map<U>(self, to: impl Fn(T) -> U) -> Percentiles<U> {
        Percentiles {
            p50: to(self.p50),
            p95: to(self.p95),
            p99: to(self.p99),
        }
    }
}

// === impl OperationReport ===

impl OperationReport {
    /// The worst that was ever measured.
    pub fn worst(&self) -> Level {
        let worst = Level::ALL.into_iter().rev();
        let mut worst = worst.filter(|level| 0 < self.levels[*level as usize]);
        worst.next().unwrap_or(Level::Ok)
    }

    /// How often it was above its target.
    pub fn above_target(&self) -> u64 {
        self.levels[Level::Slow as usize..].iter().sum()
    }
}

// === impl BudgetReport ===

impl BudgetReport {
    /// The text that Prometheus reads: a histogram of each operation with its budget as buckets, and counts of outcomes.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        for unit in ["seconds", "bytes"] {
            let of_unit = self.operations.iter();
            let mut of_unit = of_unit
                .filter(|operation| operation.target.unit() == unit)
                .peekable();
            if of_unit.peek().is_some() {
                add(
                    &mut text,
                    format_args!("# TYPE mainstay_operation_{unit} histogram"),
                );
            }
            for operation in of_unit {
                histogram(&mut text, operation, unit);
            }
        }
        add(
            &mut text,
            format_args!("# TYPE mainstay_operation_outcomes_total counter"),
        );
        for operation in &self.operations {
            for outcome in Outcome::ALL {
                add(
                    &mut text,
                    format_args!(
                        "mainstay_operation_outcomes_total{{operation=\"{}\",outcome=\"{}\"}} {}",
                        operation.name,
                        outcome.as_str(),
                        operation.outcomes[outcome as usize]
                    ),
                );
            }
        }
        text
    }
}

fn histogram(text: &mut String, operation: &OperationReport, unit: &str) {
    let name = operation.name;
    let limits = [operation.target, operation.warn, operation.critical];
    let mut below = 0;
    for (limit, count) in limits.iter().zip(operation.levels) {
        below += count;
        add(
            text,
            format_args!(
                "mainstay_operation_{unit}_bucket{{operation=\"{name}\",le=\"{}\"}} {below}",
                limit.base()
            ),
        );
    }
    let sum = match operation.target {
        Reading::Time(_) => operation.sum as f64 / 1e9,
        Reading::Memory(_) => operation.sum as f64,
    };
    let count = operation.count;
    add(
        text,
        format_args!(
            "mainstay_operation_{unit}_bucket{{operation=\"{name}\",le=\"+Inf\"}} {count}"
        ),
    );
    add(
        text,
        format_args!("mainstay_operation_{unit}_sum{{operation=\"{name}\"}} {sum}"),
    );
    add(
        text,
        format_args!("mainstay_operation_{unit}_count{{operation=\"{name}\"}} {count}"),
    );
}

fn add(text: &mut String, line: fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes everything");
}

/// A table of the operations that were measured, and the violations below it.
impl fmt::Display for BudgetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.operations.iter().map(|operation| operation.name.len());
        let width = longest.max().unwrap_or(0).max("operation".len());
        writeln!(
            f,
            "{:width$}  {:>8}  {:>10}  {:>10}  {:>10}  {:>10}  {:>6}  {:>6}  worst",
            "operation", "times", "target", "p50", "p95", "p99", "above", "failed"
        )?;
        for operation in self
            .operations
            .iter()
            .filter(|operation| 0 < operation.count)
        {
            let Some(recent) = operation.recent else {
                continue;
            };
            let failed = operation.count - operation.outcomes[Outcome::Finished as usize];
            writeln!(
                f,
                "{:width$}  {:>8}  {:>10}  {:>10}  {:>10}  {:>10}  {:>6}  {:>6}  {}",
                operation.name,
                operation.count,
                operation.target,
                recent.p50,
                recent.p95,
                recent.p99,
                operation.above_target(),
                failed,
                operation.worst().as_str(),
            )?;
        }
        for violation in &self.violations {
            let Violation {
                operation,
                took,
                target,
                level,
                outcome,
                place,
                ..
            } = violation;
            let (level, outcome) = (level.as_str(), outcome.as_str());
            writeln!(
                f,
                "{level}: `{operation}` took {took} of {target} and {outcome}, at {place}"
            )?;
        }
        if 0 < self.violations_forgotten {
            writeln!(f, "and {} earlier", self.violations_forgotten)?;
        }
        Ok(())
    }
}

fn ms<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64() * 1e3)
}
