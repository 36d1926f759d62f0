//! `[health]`: where the agent tells whether it is well.

use super::Check;
use crate::config::document;
use crate::config::settings::Health;
use crate::health::{LISTEN, Limits};
use crate::hub::is_local;
use crate::units::Span;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// An age, as it is written: 0 where none is too old.
pub(in crate::config) fn or_never(age: Duration) -> String {
    let written = if age == Duration::MAX {
        Duration::ZERO
    } else {
        age
    };
    Span(written).to_string()
}

fn span_of<T>(first: Option<&Spanned<T>>, second: Option<&Spanned<T>>) -> Range<usize> {
    let given = first.or(second);
    given.map_or(0..0, Spanned::span)
}

impl Check<'_> {
    pub(super) fn health(&mut self, health: Option<document::Health>) -> Health {
        let is_wanted = health.is_some();
        let health = health.unwrap_or_default();
        let listen = match &health.listen {
            Some(listen) => self.health_address(listen),
            None => Some(LISTEN),
        };
        let default = Limits::default();
        let number = |given: &Option<Spanned<u64>>, default| {
            given.as_ref().map_or(default, |number| *number.get_ref())
        };
        let warning = number(&health.queue_warning, default.queued.0);
        let critical = number(&health.queue_critical, default.queued.1.max(warning));
        if critical < warning {
            let given = span_of(
                health.queue_critical.as_ref(),
                health.queue_warning.as_ref(),
            );
            let shown = (critical.to_string(), warning.to_string());
            self.out_of_order("queue", &given, &shown);
        }
        let queued = (warning, critical);
        let age = |given: &Option<Spanned<Span>>, default| {
            let given = given.as_ref().map_or(default, |age| age.get_ref().0);
            // Never is later than everything.
            if given.is_zero() {
                Duration::MAX
            } else {
                given
            }
        };
        let warning = age(&health.age_warning, default.age.0);
        let critical = age(&health.age_critical, default.age.1.max(warning));
        if critical < warning {
            let given = span_of(health.age_critical.as_ref(), health.age_warning.as_ref());
            let shown = (or_never(critical), or_never(warning));
            self.out_of_order("age", &given, &shown);
        }
        let age = (warning, critical);
        Health {
            listen: listen.filter(|_| is_wanted),
            limits: Limits { queued, age },
        }
    }

    fn out_of_order(&mut self, what: &str, span: &Range<usize>, shown: &(String, String)) {
        let (critical, warning) = shown;
        let message = format!("`{what}_critical` is {critical}, and `{what}_warning` {warning}");
        let help = "a queue is degraded before it is unhealthy: make the first the larger one";
        self.refuse(span, message, help);
    }

    /// Where it is written where the agent tells of its health, if it does.
    pub(super) fn health_place(&self, health: Option<&document::Health>) -> Option<String> {
        let listen = health?.listen.as_ref();
        Some(listen.map_or_else(
            || "[health], whose `listen` is left out".to_owned(),
            |listen| self.source.place(&listen.span()),
        ))
    }

    fn health_address(&mut self, listen: &Spanned<String>) -> Option<SocketAddr> {
        let text = listen.get_ref();
        let Ok(address) = text.parse::<SocketAddr>() else {
            let message = format!("`{text}` is not an address to listen on");
            let help = "write an IP address and a port, such as \"127.0.0.1:9464\"";
            self.refuse(&listen.span(), message, help);
            return None;
        };
        if !is_local(address) {
            let message =
                format!("whoever reaches {address} could read what this machine sends where");
            let help = "listen on 127.0.0.1, with a proxy in front that asks who it is";
            self.refuse(&listen.span(), message, help);
        }
        Some(address)
    }
}
