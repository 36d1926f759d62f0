//! How all stands, in the text format of Prometheus (0.0.4).

use crate::health::{HealthSnapshot, HealthState};
use crate::state::{ServiceState, ServiceStatus};
use crate::stopping::{RecordedStop, StopOutcome, StopRecord};
use std::fmt::Write as _;

/// Lines of metrics.
#[derive(Debug, Default)]
struct Exposition {
    text: String,
}

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // A string takes whatever is written to it.
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (place, (label, of)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            write!(self.text, "{before}{label}=\"{}\"", escaped(of)).ok();
        }
        let after = if labels.is_empty() { "" } else { "}" };
        writeln!(self.text, "{after} {value}").ok();
    }

    /// One number without labels.
    fn number(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

impl Exposition {
    /// Its phases, and what became of what was under way; nothing where an earlier version wrote it down.
    fn last_stop(&mut self, last: &RecordedStop) {
        if !last.phases.is_empty() {
            let name = "mainstay_last_stop_phase_seconds";
            self.family(name, "gauge", "How long each phase of the last stop took.");
            for phase in &last.phases {
                let labels = [("phase", phase.phase.name())];
                self.sample(name, &labels, phase.took_ms as f64 / 1e3);
            }
        }
        if let Some(drained) = last.drained {
            let (name, help) = (
                "mainstay_last_stop_work",
                "What became of what was under way at the last stop.",
            );
            self.family(name, "gauge", help);
            for (became, count) in [
                ("completed", drained.completed),
                ("cancelled", drained.cancelled),
                ("left", drained.left),
            ] {
                self.sample(name, &[("became", became)], count as f64);
            }
        }
    }
}

impl ServiceStatus {
    /// As metrics, in the text format of Prometheus.
    pub fn prometheus(&self) -> String {
        use ServiceState::{Degraded, Error, Running, Starting, Stopped, Stopping};
        let mut out = Exposition::default();
        let (name, help) = ("mainstay_service_state", "How the service stands.");
        out.family(name, "gauge", help);
        for state in [Starting, Running, Degraded, Error, Stopping, Stopped] {
            let is_so = f64::from(state == self.state);
            out.sample(name, &[("state", state.name())], is_so);
        }
        let running = self.tasks.iter().filter(|task| task.is_alive()).count();
        let (name, help) = ("mainstay_tasks_running", "Tasks that run.");
        out.number(name, "gauge", help, running as f64);
        let counts = &self.counts;
        let (name, help) = (
            "mainstay_task_failures_total",
            "Failures of tasks, by their kind.",
        );
        out.family(name, "counter", help);
        for (kind, count) in [
            ("panic", counts.panics),
            ("error", counts.errors),
            ("early_return", counts.early_returns),
            ("silence", counts.silences),
        ] {
            out.sample(name, &[("kind", kind)], count as f64);
        }
        for (name, help, count) in [
            (
                "mainstay_tasks_started_total",
                "Tasks that were started.",
                counts.spawned,
            ),
            (
                "mainstay_task_restarts_total",
                "Restarts of tasks.",
                counts.restarts,
            ),
            (
                "mainstay_tasks_failed_total",
                "Tasks that failed for good.",
                counts.given_up,
            ),
            (
                "mainstay_tasks_leaked_total",
                "Tasks that outlived their owner.",
                counts.leaks,
            ),
            (
                "mainstay_runtime_stalls_total",
                "Times at which the runtime stood still.",
                counts.stalls,
            ),
        ] {
            out.number(name, "counter", help, count as f64);
        }
        out.text
    }
}

impl HealthSnapshot {
    /// As metrics, in the text format of Prometheus.
    pub fn prometheus(&self) -> String {
        let mut out = Exposition::default();
        let (name, help) = (
            "mainstay_health_state",
            "How everything stands, the worst of all checks.",
        );
        out.family(name, "gauge", help);
        for state in HealthState::ALL {
            let is_so = f64::from(state == self.state);
            out.sample(name, &[("state", state.name())], is_so);
        }
        let name = "mainstay_health_check_state";
        out.family(name, "gauge", "How what a check looks at stands.");
        for (check, status) in &self.checks {
            for state in HealthState::ALL {
                let labels = [("check", check.as_str()), ("state", state.name())];
                out.sample(name, &labels, f64::from(state == status.state));
            }
        }
        let name = "mainstay_health_check_seconds";
        out.family(name, "gauge", "How long the last run of a check took.");
        for (check, status) in &self.checks {
            if let Some(last) = &status.last {
                out.sample(name, &[("check", check)], last.took_us as f64 / 1e6);
            }
        }
        out.text
    }
}

impl StopRecord {
    /// As metrics, in the text format of Prometheus.
    pub fn prometheus(&self) -> String {
        let mut out = Exposition::default();
        let name = "mainstay_stops";
        out.family(name, "gauge", "How the last lives of the agent ended.");
        // The newest one that was not stopped is the one that runs.
        let lives = match self.lives() {
            [before @ .., last] if last.stop.is_none() => before,
            all => all,
        };
        let ended: Vec<Option<StopOutcome>> = lives
            .iter()
            .map(|life| life.stop.as_ref().map(|stop| stop.outcome))
            .collect();
        for (word, outcome) in [
            ("clean", Some(StopOutcome::Clean)),
            ("unclean", Some(StopOutcome::Unclean)),
            ("at_once", Some(StopOutcome::AtOnce)),
            ("none", None),
        ] {
            let count = ended.iter().filter(|ended| **ended == outcome).count();
            out.sample(name, &[("outcome", word)], count as f64);
        }
        let last = self
            .lives()
            .iter()
            .rev()
            .find_map(|life| life.stop.as_ref());
        if let Some(last) = last {
            let (name, help) = ("mainstay_last_stop_seconds", "How long the last stop took.");
            out.number(name, "gauge", help, last.took_ms as f64 / 1e3);
            out.last_stop(last);
        }
        out.text
    }
}

/// A label's value, on one line.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_of_a_label_ends_its_line_or_its_quotes() {
        let mut out = Exposition::default();
        out.sample("a", &[("x", "b\"c\\d\ne"), ("y", "z")], 1.5);
        assert_eq!(out.text, "a{x=\"b\\\"c\\\\d\\ne\",y=\"z\"} 1.5\n");
    }
}
