//! `[[alert]]`: who is told when a check changes, and of what.

use super::Check;
use crate::alerts::{ALERTS_MAX, is_address, matches, try_out};
use crate::config::document::{self, AlertFrom};
use crate::config::secret::SecretRef;
use crate::config::settings::{Alert, AlertTo, Connection, Route};
use crate::health::check_names;
use mainstay_supervise::HealthState;
use std::ops::Range;
use toml::Spanned;

impl Check<'_> {
    pub(super) fn alerts(
        &mut self,
        alerts: Vec<Spanned<document::Alert>>,
        routes: &[Route],
    ) -> Vec<Alert> {
        if let Some(first) = alerts.get(ALERTS_MAX) {
            let message = format!("there are more than {ALERTS_MAX} alerts");
            let help = "let one command or one server tell all the others";
            self.refuse(&first.span(), message, help);
        }
        let names = check_names(routes);
        alerts
            .into_iter()
            .filter_map(|alert| self.alert(&alert.span(), alert.into_inner(), &names))
            .collect()
    }

    fn alert(
        &mut self,
        span: &Range<usize>,
        alert: document::Alert,
        names: &[String],
    ) -> Option<Alert> {
        for pattern in &alert.checks {
            if !names.iter().any(|name| matches(pattern.get_ref(), name)) {
                let message = format!("no check is called `{}`", pattern.get_ref());
                let help = format!("there are: {}", names.join(", "));
                self.refuse(&pattern.span(), message, help);
            }
        }
        let to = match (alert.url, alert.command) {
            (Some(url), None) => {
                let tls = alert.tls.as_ref().map(Spanned::get_ref);
                let connection = self.connection(tls, alert.proxy);
                self.alert_url(&url, alert.token.as_ref(), connection)
            }
            (None, Some(command)) => {
                let url_only = [
                    ("token", alert.token.as_ref().map(Spanned::span)),
                    ("tls", alert.tls.as_ref().map(Spanned::span)),
                    ("proxy", alert.proxy.as_ref().map(Spanned::span)),
                ];
                for (key, span) in url_only {
                    let message =
                        format!("`{key}` belongs to a `url`, and this alert is a command");
                    if let Some(span) = span {
                        self.refuse(&span, message, "remove it");
                    }
                }
                self.alert_command(command)
            }
            (Some(_), Some(command)) => {
                let message = "an alert has a `url` or a `command`, not both";
                self.refuse(&command.span(), message, "make two [[alert]] of it");
                None
            }
            (None, None) => {
                let message = "the alert has neither a `url` nor a `command`";
                let help =
                    "give it a `url` that is told by POST, or a `command` as a list of words";
                self.refuse(span, message, help);
                None
            }
        }?;
        if self.problems.is_empty()
            && let Err(why) = try_out(&to)
        {
            self.refuse(
                span,
                format!("the alert cannot work: {why}"),
                "see docs/operating/alerts.md",
            );
        }
        Some(Alert {
            to,
            checks: alert.checks.into_iter().map(Spanned::into_inner).collect(),
            from: match alert.from.unwrap_or(AlertFrom::Degraded) {
                AlertFrom::Degraded => HealthState::Degraded,
                AlertFrom::Unhealthy => HealthState::Unhealthy,
            },
        })
    }

    fn alert_url(
        &mut self,
        url: &Spanned<String>,
        token: Option<&Spanned<String>>,
        connection: Connection,
    ) -> Option<AlertTo> {
        let token = token.map(|token| self.secret(token));
        let parsed = SecretRef::parse(url.get_ref(), self.source.folder());
        let url = match parsed {
            // Its own words are not repeated: it may be a secret all the same.
            SecretRef::Inline(_) if !is_address(url.get_ref()) => {
                let help = "write it as https://host/path, without user and password; or file:PATH, env:NAME or credential:NAME, where it is a secret";
                self.refuse(&url.span(), "this is no address that can be told", help);
                return None;
            }
            SecretRef::Inline(_) => parsed,
            _ => self.secret(url),
        };
        let connection = Box::new(connection);
        Some(AlertTo::Url {
            url,
            token,
            connection,
        })
    }

    fn alert_command(&mut self, command: Spanned<Vec<String>>) -> Option<AlertTo> {
        let span = command.span();
        let mut words = command.into_inner();
        let help = "write it as a list, such as command = [\"/usr/local/bin/tell\", \"--loud\"]; there is no shell";
        let Some(program) = words.first_mut().filter(|program| !program.is_empty()) else {
            self.refuse(&span, "the command is empty", help);
            return None;
        };
        // As every path in the file; a mere name is looked for in PATH.
        if program.contains('/') {
            let path = self.source.folder().join(&*program);
            if !path.is_file() {
                let message = format!("there is no program `{}`", path.display());
                self.refuse(&span, message, "put it there, or write where it is");
            }
            *program = path.display().to_string();
        }
        if words.iter().any(|word| word.contains('\0')) {
            self.refuse(&span, "a word of a command cannot hold a zero", help);
        }
        Some(AlertTo::Command(words))
    }
}
