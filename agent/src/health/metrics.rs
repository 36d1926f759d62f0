//! The account in the text format of Prometheus (exposition format 0.0.4), beside that of the checks.

use crate::alerts::Counters;
use crate::panics;
use crate::status::{Status, To};
use mainstay_resilience::{Category, Severity};
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// What one lane is asked for.
type OfLane = fn(&To) -> u64;

const OF_LANES: [(&str, &str, OfLane); 10] = [
    ("mainstay_lane_queued", "gauge", |to| to.queued),
    ("mainstay_lane_oldest_seconds", "gauge", |to| {
        to.oldest_seconds.unwrap_or_default()
    }),
    // 0 where none was met.
    ("mainstay_lane_certificate_ends_seconds", "gauge", |to| {
        to.certificate_ends.unwrap_or_default()
    }),
    ("mainstay_lane_in_flight", "gauge", |to| to.in_flight),
    ("mainstay_lane_dead", "gauge", |to| to.dead),
    ("mainstay_lane_delivered_total", "counter", |to| {
        to.delivered
    }),
    ("mainstay_lane_retried_total", "counter", |to| to.retried),
    ("mainstay_lane_buried_total", "counter", |to| to.buried),
    ("mainstay_lane_breaker_open", "gauge", |to| {
        u64::from(to.breaker == "open")
    }),
    // Its own fault, as far as is known: 0 while this machine is offline.
    ("mainstay_lane_down", "gauge", |to| {
        u64::from(to.connectivity == "down")
    }),
];

/// All numbers of the account and of the lanes.
///
/// What is delivered or discarded goes down where documents are sent again, or the disk lost the word that they were settled, so
/// both are gauges: a counter that goes down is taken for one that began anew at 0. Counters of lanes do that with each start of
/// the agent.
pub(super) fn metrics(status: &Status, alerts: &Counters) -> String {
    let ledger = &status.ledger;
    let mut text = String::new();
    for (name, kind, value) in [
        (
            "mainstay_documents_accepted_total",
            "counter",
            ledger.accepted,
        ),
        (
            "mainstay_documents_unreadable_total",
            "counter",
            ledger.unreadable,
        ),
        ("mainstay_documents_delivered", "gauge", ledger.delivered),
        ("mainstay_documents_discarded", "gauge", ledger.discarded),
        ("mainstay_documents_queued", "gauge", ledger.queued),
        ("mainstay_documents_dead", "gauge", ledger.dead),
        ("mainstay_queue_bytes", "gauge", status.queue.bytes),
        ("mainstay_panics_total", "counter", panics::seen().count),
        (
            "mainstay_ledger_balanced",
            "gauge",
            u64::from(ledger.balanced),
        ),
        (
            "mainstay_alerts_sent_total",
            "counter",
            alerts.sent.load(Ordering::Relaxed),
        ),
        (
            "mainstay_alerts_failed_total",
            "counter",
            alerts.failed.load(Ordering::Relaxed),
        ),
    ] {
        write(
            &mut text,
            format_args!("# TYPE {name} {kind}\n{name} {value}\n"),
        );
    }
    write_stop(&mut text, status);
    write_errors(&mut text, status);
    write_network(&mut text, status);
    write_cache(&mut text, status);
    for (name, kind, value) in OF_LANES {
        write(&mut text, format_args!("# TYPE {name} {kind}\n"));
        for to in status.routes.iter().flat_map(|route| &route.to) {
            let lane = label(&to.lane);
            write(
                &mut text,
                format_args!("{name}{{lane=\"{lane}\"}} {}\n", value(to)),
            );
        }
    }
    text
}

/// As long as something finishes; of the phases after that, which take seconds, the log tells.
fn write_stop(text: &mut String, status: &Status) {
    let stop = status.stop.as_ref();
    let seconds = stop.map_or(0, |stop| stop.for_ms / 1_000);
    for (name, value) in [
        ("mainstay_stopping", u64::from(stop.is_some())),
        ("mainstay_stopping_seconds", seconds),
        (
            "mainstay_stopping_remaining",
            stop.map_or(0, |stop| stop.remaining.len() as u64),
        ),
    ] {
        write(text, format_args!("# TYPE {name} gauge\n{name} {value}\n"));
    }
}

/// All kinds, those that there were none of, too: what begins at 0 can be seen to rise.
fn write_errors(text: &mut String, status: &Status) {
    let Some(service) = &status.service else {
        return;
    };
    let name = "mainstay_errors_total";
    write(text, format_args!("# TYPE {name} counter\n"));
    for category in Category::ALL {
        for severity in Severity::ALL {
            let number = service.errors.of(category, severity);
            let (category, severity) = (category.name(), severity.name());
            write(
                text,
                format_args!(
                    "{name}{{category=\"{category}\",severity=\"{severity}\"}} {number}\n"
                ),
            );
        }
    }
}

fn write_network(text: &mut String, status: &Status) {
    if let Some(network) = &status.network {
        write(text, format_args!("# TYPE mainstay_network gauge\n"));
        for state in ["online", "offline", "unknown"] {
            let is_so = u64::from(network.state == state);
            write(
                text,
                format_args!("mainstay_network{{state=\"{state}\"}} {is_so}\n"),
            );
        }
    }
}

fn write_cache(text: &mut String, status: &Status) {
    if let Some(cache) = &status.cache {
        let (limit, offline) = (cache.limit_bytes, u64::from(cache.offline));
        for (name, value) in [
            ("mainstay_cache_limit_bytes", limit),
            ("mainstay_cache_offline", offline),
        ] {
            write(text, format_args!("# TYPE {name} gauge\n{name} {value}\n"));
        }
    }
}

fn write(text: &mut String, words: std::fmt::Arguments<'_>) {
    text.write_fmt(words).expect("a string takes everything");
}

/// The value of a label: a backslash, a quote and a line's end are escaped.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn no_name_of_a_lane_ends_its_line() {
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
