//! What was told, over all lives of the agent: a new configuration, or a task that began anew, makes nothing unheard.

use crate::config::AlertTo;
use mainstay_clock::Moment;
use mainstay_supervise::HealthState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is remembered in all: of each alert that there may be, 256 checks. Beyond that, what was told longest ago is forgotten.
const TOLD_MAX: usize = 16 * 256;

/// What was told to whom, of each check the last; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Vec<Told>>>);

/// What was told to somebody of a check.
#[derive(Debug)]
struct Told {
    /// Whoever is told by two alerts has heard of it by either.
    whom: AlertTo,
    check: String,
    state: HealthState,
    at: Moment,
}

impl Memory {
    /// What somebody was told last of each check, and when.
    pub(super) fn of(&self, whom: &AlertTo) -> Vec<(String, HealthState, Moment)> {
        let all = self.all();
        let of_it = all.iter().filter(|told| told.whom.is_same(whom));
        of_it
            .map(|told| (told.check.clone(), told.state, told.at))
            .collect()
    }

    /// Notes that somebody was told.
    pub(super) fn note(&self, whom: &AlertTo, check: &str, state: HealthState, at: Moment) {
        let mut all = self.all();
        let known = all
            .iter_mut()
            .find(|told| told.check == check && told.whom.is_same(whom));
        if let Some(told) = known {
            (told.state, told.at) = (state, at);
            return;
        }
        if TOLD_MAX <= all.len() {
            let oldest = all.iter().enumerate().min_by_key(|(_, told)| told.at);
            if let Some((place, _)) = oldest {
                all.swap_remove(place);
            }
        }
        all.push(Told {
            whom: whom.clone(),
            check: check.to_owned(),
            state,
            at,
        });
    }

    fn all(&self) -> MutexGuard<'_, Vec<Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::HealthState::{Degraded, Healthy};
    use super::*;
    use crate::config::SecretRef;
    use mainstay_clock::{Clock, ManualClock};
    use std::path::Path;
    use std::time::Duration;

    fn url(text: &str, token: Option<&str>) -> AlertTo {
        let secret = |text| SecretRef::parse(text, Path::new("/etc"));
        AlertTo::Url {
            url: secret(text),
            token: token.map(secret),
            connection: Box::default(),
        }
    }

    #[test]
    fn what_was_told_is_remembered_of_each_check_for_whom_it_was_told() {
        let (clock, memory) = (ManualClock::new(), Memory::default());
        let whom = url("https://h/s3cr3t", Some("env:OLD"));
        let command = AlertTo::Command(vec!["tell".to_owned()]);
        memory.note(&whom, "disk", Degraded, clock.now());
        memory.note(&whom, "queue", Degraded, clock.now());
        clock.advance(Duration::from_secs(1));
        let later = clock.now();
        memory.note(&whom, "disk", Healthy, later);
        // A new token is no new person.
        let told = memory.clone().of(&url("https://h/s3cr3t", Some("env:NEW")));
        assert_eq!(told.len(), 2);
        assert!(told.contains(&("disk".to_owned(), Healthy, later)));
        for other in [&command, &url("https://h/", None), &url("file:h", None)] {
            assert!(memory.of(other).is_empty());
        }
        memory.note(&command, "disk", Degraded, later);
        assert_eq!(memory.of(&command).len(), 1);
    }

    #[test]
    fn what_was_told_longest_ago_is_forgotten_first() {
        let (clock, memory) = (ManualClock::new(), Memory::default());
        let whom = url("https://h/", None);
        for number in 0..=TOLD_MAX {
            memory.note(&whom, &format!("to {number}"), Degraded, clock.now());
            clock.advance(Duration::from_millis(1));
        }
        let told = memory.of(&whom);
        assert_eq!(told.len(), TOLD_MAX);
        assert!(!told.iter().any(|(check, _, _)| check == "to 0"));
    }
}
