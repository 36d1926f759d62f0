//! `[health]`: where the agent tells whether it is well.

use super::Check;
use crate::config::document;
use crate::config::settings::Health;
use crate::health::{LISTEN, QUEUE_CRITICAL, QUEUE_WARNING};
use crate::hub::is_local;
use std::net::SocketAddr;
use toml::Spanned;

impl Check<'_> {
    pub(super) fn health(&mut self, health: Option<document::Health>) -> Health {
        let is_wanted = health.is_some();
        let health = health.unwrap_or_default();
        let listen = match &health.listen {
            Some(listen) => self.health_address(listen),
            None => Some(LISTEN),
        };
        let number = |given: &Option<Spanned<u64>>, default| {
            given.as_ref().map_or(default, |number| *number.get_ref())
        };
        let warning = number(&health.queue_warning, QUEUE_WARNING);
        let critical = number(&health.queue_critical, QUEUE_CRITICAL.max(warning));
        if critical < warning {
            let given = health
                .queue_critical
                .as_ref()
                .or(health.queue_warning.as_ref());
            let span = given.map_or(0..0, Spanned::span);
            let message = format!("`queue_critical` is {critical}, and `queue_warning` {warning}");
            self.refuse(
                &span,
                message,
                "a queue is degraded before it is unhealthy: make the first the larger one",
            );
        }
        Health {
            listen: listen.filter(|_| is_wanted),
            queue: (warning, critical),
        }
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
