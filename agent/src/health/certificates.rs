//! How long the certificates that were met still last.

use crate::run::Agent;
use crate::status::date;
use crate::units::rounded;
use mainstay_deliver::Validity;
use mainstay_supervise::{HealthState, Observed};
use std::time::Duration;

const DAY: i64 = 86_400;

/// A certificate that lasts for months is renewed a month before its end. Two weeks before it that has failed; two days before it
/// there is no more time to wait for anybody.
const SOON: (i64, i64) = (14 * DAY, 2 * DAY);

/// One that lasts for days is renewed when a third of its time is left: half of that, and a quarter, are as late.
const PART: (i64, i64) = (6, 12);

/// The worst of them is how they are.
pub(super) fn look(agent: &Agent, wall: u64) -> Observed {
    let now = i64::try_from(wall / 1_000).unwrap_or(i64::MAX);
    let met = agent.routes.iter().flat_map(|route| {
        let lanes = route.to.iter();
        let lanes = lanes.map(|to| (format!("`{}`", to.lane), &to.certificates));
        let name = &route.template.route;
        let lookups = route.lookups.certificates();
        let lookups = lookups.map(move |(lookup, met)| {
            let user = format!("the lookup `{lookup}` of `{name}`");
            (user, met)
        });
        lanes.chain(lookups)
    });
    let alerts = agent.alert_certificates.iter();
    let alerts = alerts.map(|(whom, met)| (format!("the alert to {whom}"), met));
    let met = met.chain(alerts).flat_map(|(user, met)| {
        let met = met.met().into_iter();
        met.map(move |(whose, validity)| (user.clone(), whose, validity))
    });
    let first = met.max_by_key(|(.., validity)| (state(*validity, now), -validity.until));
    let Some((user, whose, validity)) = first else {
        return Observed::healthy();
    };
    let seconds = validity.until.saturating_sub(now);
    let words = || {
        let runs_out = validity.until.max(0).unsigned_abs().saturating_mul(1_000);
        let span = rounded(Duration::from_secs(seconds.unsigned_abs()));
        let when = if 0 < seconds {
            format!("runs out in {span}")
        } else {
            format!("ran out {span} ago")
        };
        format!(
            "the certificate {whose}, for {user}, {when}: {}",
            date(runs_out)
        )
    };
    let observed = match state(validity, now) {
        HealthState::Unhealthy => Observed::unhealthy(words()),
        HealthState::Degraded => Observed::degraded(words()),
        _ => Observed::healthy(),
    };
    observed.with("first_ends_in_seconds", seconds.max(0).unsigned_abs())
}

fn state(validity: Validity, now: i64) -> HealthState {
    let left = validity.until.saturating_sub(now);
    let whole = validity.until.saturating_sub(validity.from);
    if left <= SOON.1.min(whole / PART.1) {
        HealthState::Unhealthy
    } else if left <= SOON.0.min(whole / PART.0) {
        HealthState::Degraded
    } else {
        HealthState::Healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use HealthState::{Degraded, Healthy, Unhealthy};

    #[test]
    fn a_certificate_is_told_while_there_is_time_to_renew_it_however_long_it_lasts() {
        const HOUR: i64 = 3_600;
        let state = |whole: i64, left: i64| {
            let validity = Validity {
                from: 1_000,
                until: 1_000 + whole,
            };
            state(validity, 1_000 + whole - left)
        };
        let months = 90 * DAY;
        assert_eq!(state(months, 30 * DAY), Healthy);
        assert_eq!(state(months, 14 * DAY + 1), Healthy);
        assert_eq!(state(months, 14 * DAY), Degraded);
        assert_eq!(state(months, 2 * DAY), Unhealthy);
        assert_eq!(state(months, -DAY), Unhealthy);
        // One for a day is not always about to run out.
        assert_eq!(state(DAY, 5 * HOUR), Healthy);
        assert_eq!(state(DAY, 4 * HOUR), Degraded);
        assert_eq!(state(DAY, 2 * HOUR), Unhealthy);
        // Nonsense is no reason to panic.
        let nonsense = Validity {
            from: i64::MAX,
            until: i64::MIN,
        };
        assert_eq!(super::state(nonsense, i64::MAX), Unhealthy);
    }
}
