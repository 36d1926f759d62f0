//! Telling by a request: POST with JSON.

use super::notice::Notice;
use crate::config::SecretRef;
use mainstay_clock::SharedClock;
use mainstay_http::{Client, ClientSettings, Limits, Method, Secret, TimeLimits, Url};
use mainstay_resilience::{BreakerSettings, within};
use std::time::Duration;

/// A request with its retries is over before the next about the same check may come.
const LONGEST: Duration = Duration::from_secs(50);

/// A server that is silent for longer is tried again.
const SILENCE: Duration = Duration::from_secs(10);

/// Of an answer nothing is of interest but its status.
const ANSWER_MAX: usize = 64 << 10;

/// Somebody who is told over HTTP.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    client: Client,
    url: Secret,
    token: Option<Secret>,
}

/// Whether it is an address that can be told something.
pub(crate) fn is_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

/// An address as it may be shown: many carry their secret in the path.
pub(crate) fn shown(text: &str) -> String {
    Url::parse(text).map_or_else(
        |_| "(hidden)".to_owned(),
        |url| {
            let origin = url.origin().ascii_serialization();
            let is_bare = url.path() == "/" && url.query().is_none();
            origin + if is_bare { "/" } else { "/(hidden)" }
        },
    )
}

impl Webhook {
    pub(super) fn new(
        url: &SecretRef,
        token: Option<&SecretRef>,
        clock: &SharedClock,
    ) -> Result<Self, String> {
        let url = url.fetch()?;
        if !is_address(url.expose()) {
            return Err("its address is none; write it as https://host/path".to_owned());
        }
        let usual = ClientSettings::default();
        let settings = ClientSettings {
            limits: TimeLimits {
                general: Limits {
                    read: SILENCE,
                    total: LONGEST,
                },
                ..usual.limits
            },
            // Each change is tried, however many went astray before it.
            breaker: BreakerSettings {
                consecutive: Some(u32::MAX),
                ..usual.breaker
            },
            body_max: ANSWER_MAX,
            // A redirect asks for a page, and tells nobody.
            redirects_max: 0,
            // One connection, seldom used.
            idle_connections: 1,
            ..usual
        };
        Ok(Self {
            client: Client::new(settings, clock.clone()).map_err(|error| error.to_string())?,
            url,
            token: token.map(SecretRef::fetch).transpose()?,
        })
    }

    /// Tells it, with the retries of the client.
    pub(super) async fn tell(&self, notice: &Notice, clock: &SharedClock) -> Result<(), String> {
        let mut request = self
            .client
            .request(Method::POST, self.url.expose())
            .header("content-type", "application/json")
            .idempotency_key(&notice.id)
            .body(notice.json());
        if let Some(token) = &self.token {
            let value = format!("Bearer {}", token.expose());
            request = request.secret_header("authorization", &value);
        }
        // The client keeps to its limit; this is for what it would not see.
        let answer = within(&**clock, LONGEST + SILENCE, request.send()).await;
        match answer {
            Some(Ok(answer)) if answer.status.is_success() => Ok(()),
            Some(Ok(answer)) => Err(format!("it was answered with {}", answer.status)),
            Some(Err(error)) => Err(self.without_path(&error.to_string())),
            None => Err("there was no answer".to_owned()),
        }
    }

    /// A message in which the path does not stand.
    fn without_path(&self, message: &str) -> String {
        match Url::parse(self.url.expose()) {
            Ok(url) if url.path() != "/" => message.replace(url.path(), "/(hidden)"),
            _ => message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_path_which_is_often_its_secret() {
        assert_eq!(
            shown("https://hooks.example.com/services/T0/s3cr3t?k=s3cr3t"),
            "https://hooks.example.com/(hidden)"
        );
        assert_eq!(shown("http://127.0.0.1:80/"), "http://127.0.0.1/");
        assert_eq!(shown("s3cr3t"), "(hidden)");
    }

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_no_password() {
        assert!(is_address("https://h/x") && is_address("http://[::1]:8/"));
        for none in ["", "h/x", "ftp://h/", "https://", "https://u:p@h/"] {
            assert!(!is_address(none), "{none}");
        }
    }

    #[tokio::test]
    async fn a_failure_does_not_tell_the_secret_path() {
        let clock = mainstay_clock::system();
        let url = "http://127.0.0.1:1/s3cr3t/T0";
        let url = SecretRef::parse(url, std::path::Path::new(""));
        let webhook = Webhook::new(&url, None, &clock).unwrap();
        let shown = webhook.without_path("cannot reach `http://127.0.0.1:1/s3cr3t/T0`: refused");
        assert_eq!(shown, "cannot reach `http://127.0.0.1:1/(hidden)`: refused");
    }
}
