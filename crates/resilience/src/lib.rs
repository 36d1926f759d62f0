//! Tries again when it helps, stops when it does not.

mod class;

mod error;

mod breaker;

mod window;

mod random;

pub use breaker::{
    Breaker, BreakerSettings, BreakerState, BreakerStatus, Permit, Rate, Slow, Transition, Verdict,
    Window,
};
pub use class::{Category, Class, Classify, Severity};
pub use error::{Error, InvalidSettings, RejectedBy, Rejection};
pub use random::Random;
