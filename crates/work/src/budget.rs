//! What an operation may take, in time or in memory, and what it took.

mod operation;
mod report;
mod samples;

pub use operation::{Measuring, Operation};
pub use report::{BudgetReport, OperationReport, Percentiles, Reading, Violation};

use crate::bytes::Bytes;
use crate::error::{Error, ErrorKind};
use mainstay_clock::SharedClock;
use operation::{Core, Violations};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most operations of one registry: more are names that somebody makes up as he goes.
const OPERATIONS_MAX: usize = 256;

/// The longest name of one.
const NAME_MAX: usize = 64;

/// What an operation may take: three limits of one unit.
///
/// ```compile_fail,E0308
/// # let budgets = mainstay_work::Budgets::new(mainstay_clock::system());
/// use mainstay_work::{Budget, Bytes, Outcome};
/// let memory = budgets.define("memory", Budget::MEMORY)?;
/// memory.record(std::time::Duration::from_millis(600), Outcome::Finished); // memory is no time
/// # Ok::<(), mainstay_work::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget<T> {
    /// What it should take at most; 0 means nothing at all.
    pub target: T,
    /// From here on somebody should know; not below `target`.
    pub warn: T,
    /// From here on it is broken; not below `warn`.
    pub critical: T,
}

/// How a measurement stands to its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The target or less.
    Ok,
    /// More than the target.
    Slow,
    /// More than `warn`.
    Warning,
    /// More than `critical`.
    Critical,
}

/// How what was measured ended. All of them count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It said that it is done.
    Finished,
    /// It said that it failed.
    Failed,
    /// It was left without a word: by `?`, by an early return, or as a future that was dropped.
    Left,
    /// It panicked.
    Panicked,
}

/// What is measured: a [`Duration`] or [`Bytes`].
pub trait Amount: sealed::Sealed + Copy + Ord + fmt::Debug {}

impl Amount for Duration {}
impl Amount for Bytes {}

mod sealed {
    /// As a number of nanoseconds or bytes, and back.
    pub trait Sealed {
        #[doc(hidden)]
        const UNIT: super::MeasuredIn;
        #[doc(hidden)]
        fn number(self) -> u64;
    }
}

#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasuredIn {
    Nanoseconds,
    Bytes,
}

/// The operations of a program, each with its budget; clones are the same.
///
/// # Defaults
///
/// The usual ones, as [`Budget`]'s constants and in [`with_defaults`](Self::with_defaults):
///
/// | operation | target | warn | critical | why |
/// |---|---:|---:|---:|---|
/// | `startup` | 2 s | 3 s | 5 s | until something can be done with it |
/// | `filter` | 200 ms | 500 ms | 1 s | a list follows what is typed |
/// | `item` | 250 ms | 500 ms | 1 s | one of many; four in a second look alive |
/// | `ui_response` | 100 ms | 200 ms | 500 ms | what feels immediate |
/// | `memory` | 500 MiB | 750 MiB | 1,000 MiB | a small machine has 4 GiB for everything |
#[derive(Debug, Clone)]
pub struct Budgets {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: SharedClock,
    operations: Mutex<BTreeMap<&'static str, Arc<Core>>>,
    violations: Arc<Violations>,
}

// === impl Budget ===

impl Budget<Duration> {
    /// Until a program is of use: 2, 3, 5 s.
    pub const STARTUP: Self = Self::ms(2_000, 3_000, 5_000);
    /// Filtering what is shown: 200, 500, 1,000 ms.
    pub const FILTER: Self = Self::ms(200, 500, 1_000);
    /// One of many things: 250, 500, 1,000 ms.
    pub const ITEM: Self = Self::ms(250, 500, 1_000);
    /// The answer of a user interface: 100, 200, 500 ms.
    pub const UI_RESPONSE: Self = Self::ms(100, 200, 500);

    /// In milliseconds.
    pub const fn ms(target: u64, warn: u64, critical: u64) -> Self {
        Self {
            target: Duration::from_millis(target),
            warn: Duration::from_millis(warn),
            critical: Duration::from_millis(critical),
        }
    }
}

impl Budget<Bytes> {
    /// What a program holds: 500, 750, 1,000 MiB.
    pub const MEMORY: Self = Self::mib(500, 750, 1_000);

    /// In MiB.
    pub const fn mib(target: u64, warn: u64, critical: u64) -> Self {
        Self {
            target: Bytes::mib(target),
            warn: Bytes::mib(warn),
            critical: Bytes::mib(critical),
        }
    }
}

impl<T: Amount> Budget<T> {
    /// How an amount stands to it.
    pub fn level(&self, amount: T) -> Level {
        let numbers = [self.target, self.warn, self.critical].map(sealed::Sealed::number);
        Level::of(numbers, amount.number())
    }

    fn check(&self, name: &str) -> Result<[u64; 3], Error> {
        let Self {
            target,
            warn,
            critical,
        } = *self;
        if target <= warn && warn <= critical {
            return Ok([target, warn, critical].map(sealed::Sealed::number));
        }
        Err(refused(format!(
            "the budget of `{name}` cannot be: {target:?}, {warn:?} and {critical:?} do not rise"
        )))
    }
}

// === impl Level ===

impl Level {
    pub(crate) const ALL: [Self; 4] = [Self::Ok, Self::Slow, Self::Warning, Self::Critical];

    fn of([target, warn, critical]: [u64; 3], amount: u64) -> Self {
        if amount <= target {
            Self::Ok
        } else if amount <= warn {
            Self::Slow
        } else if amount <= critical {
            Self::Warning
        } else {
            Self::Critical
        }
    }

    /// In lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Slow => "slow",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

// === impl Outcome ===

impl Outcome {
    pub(crate) const ALL: [Self; 4] = [Self::Finished, Self::Failed, Self::Left, Self::Panicked];

    /// In lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Left => "left",
            Self::Panicked => "panicked",
        }
    }
}

// === impl Amount ===

impl sealed::Sealed for Duration {
    const UNIT: MeasuredIn = MeasuredIn::Nanoseconds;

    fn number(self) -> u64 {
        u64::try_from(self.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl sealed::Sealed for Bytes {
    const UNIT: MeasuredIn = MeasuredIn::Bytes;

    fn number(self) -> u64 {
        self.0
    }
}

// === impl Budgets ===

impl Budgets {
    /// Without any operation.
    pub fn new(clock: SharedClock) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock,
                operations: Mutex::default(),
                violations: Arc::default(),
            }),
        }
    }

    /// With the usual ones, to be had by [`time`](Self::time) and [`memory`](Self::memory).
    ///
    /// # Errors
    ///
    /// As [`define`](Self::define), which takes all of them.
    pub fn with_defaults(clock: SharedClock) -> Result<Self, Error> {
        let budgets = Self::new(clock);
        budgets.define("startup", Budget::STARTUP)?;
        budgets.define("filter", Budget::FILTER)?;
        budgets.define("item", Budget::ITEM)?;
        budgets.define("ui_response", Budget::UI_RESPONSE)?;
        budgets.define("memory", Budget::MEMORY)?;
        Ok(budgets)
    }

    /// Gives an operation its budget. The answer is to be kept: it measures without looking for the name.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) where the name is taken, is not made of `a`–`z`, digits, `_` and `.`, or is longer than 64;
    /// where the limits do not rise; and where there are 256 operations already.
    pub fn define<T: Amount>(
        &self,
        name: &'static str,
        budget: Budget<T>,
    ) -> Result<Operation<T>, Error> {
        check_name(name)?;
        let limits = budget.check(name)?;
        let mut operations = self.shared.operations();
        if operations.contains_key(name) {
            return Err(refused(format!("`{name}` has a budget already")));
        }
        if OPERATIONS_MAX <= operations.len() {
            return Err(refused(format!(
                "`{name}` would be one more than {OPERATIONS_MAX} operations: name what is done, not what it is done with"
            )));
        }
        let violations = Arc::clone(&self.shared.violations);
        let clock = Arc::clone(&self.shared.clock);
        let core = Arc::new(Core::new(name, T::UNIT, limits, clock, violations)?);
        operations.insert(name, Arc::clone(&core));
        Ok(Operation {
            core,
            measures: PhantomData,
        })
    }

    /// An operation that takes time, by its name.
    pub fn time(&self, name: &str) -> Option<Operation<Duration>> {
        self.find(name)
    }

    /// An operation that takes memory, by its name.
    pub fn memory(&self, name: &str) -> Option<Operation<Bytes>> {
        self.find(name)
    }

    /// All that was measured so far.
    pub fn report(&self) -> BudgetReport {
        let operations: Vec<Arc<Core>> = self.shared.operations().values().cloned().collect();
        BudgetReport {
            operations: operations.iter().map(|core| core.report()).collect(),
            violations: self.shared.violations.newest(),
            violations_forgotten: self.shared.violations.forgotten(),
        }
    }

    /// Forgets the violations that are kept; counts and percentiles stay.
    pub fn clear_violations(&self) {
        self.shared.violations.clear();
    }

    fn find<T: Amount>(&self, name: &str) -> Option<Operation<T>> {
        let operations = self.shared.operations();
        let core = operations.get(name).filter(|core| core.unit == T::UNIT)?;
        Some(Operation {
            core: Arc::clone(core),
            measures: PhantomData,
        })
    }
}

impl Shared {
    fn operations(&self) -> MutexGuard<'_, BTreeMap<&'static str, Arc<Core>>> {
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names go into metrics and tables as they are.
fn check_name(name: &str) -> Result<(), Error> {
    let is_fit =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(&byte);
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(is_fit) {
        return Ok(());
    }
    Err(refused(format!(
        "`{name}` cannot be the name of an operation: take `a` to `z`, digits, `_` and `.`, {NAME_MAX} at most"
    )))
}

fn refused(text: String) -> Error {
    Error::new(ErrorKind::Invalid, text)
}
