//! Panics, wherever in the process they happen: counted, logged with their place, and told by `mainstay status` and `/metrics`.
//!
//! A task that panics is seen by its supervisor, and started again. What serves one connection, or runs on a thread of the
//! runtime, belongs to nobody who would tell: without this its panic would be a line on standard error.

use serde::{Deserialize, Serialize};
use std::any::Any;
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

/// More of what a panic says is nothing for a status.
const WORDS_MAX: usize = 300;

static SEEN: Mutex<Panics> = Mutex::new(Panics {
    count: 0,
    last: None,
});

/// The panics since the process began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Panics {
    pub(crate) count: u64,
    /// What the last one said, and where.
    pub(crate) last: Option<String>,
}

/// Sees every panic from now on. Where there is a log it stands there, else on standard error, as without this.
pub(crate) fn watch() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let told = told(info);
        {
            let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
            seen.count += 1;
            seen.last = Some(told.clone());
        }
        if tracing::dispatcher::has_been_set() && tracing::enabled!(tracing::Level::ERROR) {
            tracing::error!("a panic, which is a bug; report it with this log: {told}");
        } else {
            default(info);
        }
    }));
}

/// What was seen so far.
pub(crate) fn seen() -> Panics {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn told(info: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name").to_owned();
    let place = info.location().map(ToString::to_string);
    let place = place.unwrap_or_else(|| "a place unknown".to_owned());
    format!("{} at {place}, in thread {thread}", words(info.payload()))
}

fn words(payload: &(dyn Any + Send)) -> String {
    let words = payload.downcast_ref::<&str>().copied();
    let words = words.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let words = words.unwrap_or("it says nothing");
    words.chars().take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_says_is_kept_and_bounded() {
        assert_eq!(words(&"short"), "short");
        assert_eq!(words(&"long ".repeat(100)).chars().count(), WORDS_MAX);
        assert_eq!(words(&7_u8), "it says nothing");
    }
}
