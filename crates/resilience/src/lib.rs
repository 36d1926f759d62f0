//! Tries again when it helps, stops when it does not.

mod class;

mod error;

mod backoff;

mod budget;

mod retry;

mod breaker;

mod limit;

mod window;

mod random;

pub use backoff::{Backoff, Jitter, Shape};
pub use breaker::{
    Breaker, BreakerSettings, BreakerState, BreakerStatus, Permit, Rate, Slow, Transition, Verdict,
    Window,
};
pub use budget::{BudgetSettings, BudgetStatus, RetryBudget};
pub use class::{Category, Class, Classify, Severity};
pub use error::{Error, InvalidSettings, RejectedBy, Rejection};
pub use limit::within;
pub use random::Random;
pub use retry::{Attempt, Retry, RetrySettings, Retrying};
