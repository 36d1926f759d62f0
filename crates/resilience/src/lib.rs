//! Tries again when it helps, stops when it does not.
//!
//! ```
//! use mainstay_resilience::{Breaker, BreakerSettings, Retry, RetrySettings};
//! use std::io::{Error, ErrorKind};
//!
//! let clock = mainstay_clock::system();
//! let breaker = Breaker::new("registry", BreakerSettings::default(), clock.clone())?;
//! let retry = Retry::new("registry", RetrySettings::generic(), clock)?;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let answer = retry
//!     .run_protected(|attempt| {
//!         breaker.run(async move {
//!             if attempt.number == 1 { Err(Error::from(ErrorKind::ConnectionReset)) } else { Ok(42) }
//!         })
//!     })
//!     .await;
//! assert_eq!(answer.ok(), Some(42));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - **N1** A [`Breaker`] is never stuck and never stampeded: half open it lets in no more calls than it may, whoever is cancelled,
//!   ignored or panics gives the place back, and a call that was let in before a change counts for nothing after it.
//! - **N2** A [`Retry`] makes no more attempts than it may, waits no longer than its longest wait and no shorter than it was asked
//!   to, ends with its deadline, and tries nothing again that trying again does not help.
//! - **N3** All who share a [`RetryBudget`] together make no more retries than it holds, those that still wait among them.
//!
//! - **N4** A [`RateLimiter`] lets no more pass in any time than its burst and its rate allow, whatever the waits, changes and
//!   threads; who waits passes in the order of arrival, and nobody passes who came later. A [`KeyedLimiter`] has one for each
//!   key, in bounded memory.
//! - **N5** A [`Bulkhead`] and an [`AdaptiveLimit`] have no more calls under way than they may, and get every place back.
//! - **N6** A [`Stack`] puts its protections in an order in which each of them protects, or is not built; dropped at any point it
//!   gives back all that it holds, and a call that waited for one of them while the breaker opened is turned away. A call through
//!   it asks for no memory where it waits for nothing. A fallback stands outside of all of it, and is not asked for a call that
//!   is given up.
//! - **N7** A [`Hedge`] starts no more copies than it may and than its budget pays for; those that lose are dropped, and give back
//!   what they held. A [`LoadShedder`] turns the least important calls away first.
//! - **N8** A [`Recovery`] does what the plan of an operation says, and keeps what it did; an [`ErrorLog`] counts every error by its
//!   kind, and both are bounded.
//!
//! Time comes from a [`Clock`](mainstay_clock::Clock), randomness from a [`Random`]: with the same two, the same happens. A date
//! that jumps changes nothing.
//!
//! # Does not promise
//!
//! - That a call is made at most once: who retries makes it again. What must happen once needs a key that the other side knows.
//! - To stop a call that blocks a thread: a limit of time drops a future, and a thread goes on.
//! - Anything across processes, or across a restart: all of it is in memory. What must survive lies in the queue.
//!
//! # Limits
//!
//! | what | number | why |
//! |---|---|---|
//! | changes that a breaker remembers | 64 | a day of a bad destination, in 10 KiB |
//! | a window of calls | 65,536 | two bytes for each |
//! | a window of time | exact to an eighth | sixteen counters, whatever the traffic |
//! | keys of a limiter | 10,000 | 3 MiB; idle ones go first, then the least recently used |
//! | what a server may ask of a limiter | 1 h | a wrong number in a header must not stop a client for a year |
//! | errors and recoveries that are remembered | 1,000 each | an hour of a bad day, in 1 MiB |
//! | parts in a [`Registry`] | 10,000 | more are a leak |
//!
//! Every number that a person may change stands in the `# Defaults` table of its settings.
//!
//! # When it fails
//!
//! Settings that cannot work are refused by [`InvalidSettings`], which names them. A call comes back with an [`Error`]: it was
//! rejected before it was made, timed out, failed, or failed in every attempt; the first of these says when to come back. A
//! rejection and an exhausted error are never retryable, so that nested retries do not multiply.
//!
//! # Platforms
//!
//! All that tokio runs on; measured on Linux.
//!
//! # Why not just tower, backon and failsafe?
//!
//! tower has no breaker; backon retries, and knows no budget; failsafe lets one late answer close what others opened, and nobody
//! can open it by hand. All take their time from the machine, so that their rules can only be tested by waiting.

mod class;

mod error;

mod backoff;

mod budget;

mod retry;

mod breaker;

mod limiter;

mod keyed;

mod bulkhead;

mod adaptive;

mod hedge;

mod shed;

mod stack;

mod registry;

#[cfg(feature = "tower")]
mod tower;

mod limit;

mod window;

mod random;

mod context;

mod recent;

mod error_log;

mod recovery;

mod sync;

#[cfg(all(test, shuttle))]
mod schedules;

pub use adaptive::{AdaptiveLimit, AdaptivePermit, AdaptiveRule, AdaptiveSettings, AdaptiveStatus};
pub use backoff::{Backoff, Jitter, Shape};
pub use breaker::{
    Breaker, BreakerSettings, BreakerState, BreakerStatus, Permit, Rate, Slow, Transition, Verdict,
    Window,
};
pub use budget::{BudgetSettings, BudgetStatus, RetryBudget};
pub use bulkhead::{Bulkhead, BulkheadPermit, BulkheadSettings, BulkheadStatus};
pub use class::{Category, Class, Classify, Severity};
pub use context::ErrorContext;
pub use error::{Error, InvalidSettings, RejectedBy, Rejection};
pub use error_log::{ErrorCounts, ErrorLog};
pub use hedge::{Hedge, HedgeDelay, HedgeSettings, HedgeStatus};
pub use keyed::{AnyKeyed, KeyedLimit, KeyedLimiter, KeyedStatus};
pub use limit::within;
pub use limiter::{LimiterStatus, RateLimit, RateLimiter};
pub use random::Random;
pub use recovery::{
    Guard, Outcome, Recovery, RecoveryEvent, RecoveryPlan, RecoveryStatus, RecoveryStrategy, Report,
};
pub use registry::{Change, Part, PartStatus, Registry, Unregistered};
pub use retry::{Attempt, Retry, RetrySettings, Retrying};
pub use shed::{LoadShedder, Priority, ShedderStatus, Shedding};
pub use stack::{Fallback, Layer, Stack, StackBuilder, WithFallback};
#[cfg(feature = "tower")]
pub use tower::{Backed, FallbackLayer, HedgeLayer, Hedged, Protected, StackLayer};
