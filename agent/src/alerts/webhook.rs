//! Telling by a request: POST with JSON.

use super::Untold;
use super::notice::Notice;
use crate::config::SecretRef;
use mainstay_clock::SharedClock;
use mainstay_http::{
    Client, ClientSettings, Connectivity, Error, ErrorKind, Limits, Method, Proxy, Secret,
    TimeLimits, Tls, Url,
};
use mainstay_resilience::{
    BreakerSettings, Category, Classify, RateLimiter, RetrySettings, within,
};
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

/// A request with its retries is over before the next about the same check may come.
const LONGEST: Duration = Duration::from_secs(50);

/// A server that is silent for longer is tried again.
const SILENCE: Duration = Duration::from_secs(10);

/// So long a request waits where the server wants to be left alone; there is time left then to be answered.
const PAUSE: Duration = Duration::from_secs(40);

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
        (tls, proxy): (Tls, Proxy),
        network: Option<&Arc<Connectivity>>,
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
            // Whoever asks for a pause gets it, of all requests.
            retry: RetrySettings {
                retry_after_max: PAUSE,
                ..usual.retry
            },
            limit_wait: PAUSE,
            body_max: ANSWER_MAX,
            // A redirect asks for a page, and tells nobody.
            redirects_max: 0,
            // One connection, seldom used.
            idle_connections: 1,
            connectivity: network.cloned(),
            tls,
            proxy,
            ..usual
        };
        Ok(Self {
            client: Client::new(settings, clock.clone()).map_err(|error| error.to_string())?,
            url,
            token: token.map(SecretRef::fetch).transpose()?,
        })
    }

    /// Tells it, with the retries of the client.
    pub(super) async fn tell(&self, notice: &Notice, clock: &SharedClock) -> Result<(), Untold> {
        let mut request = self
            .client
            .request(Method::POST, self.url.expose())
            .secret_path()
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
            Some(Ok(answer)) => Err(Untold::for_good(
                format!("it was answered with {}", answer.status),
                Category::Validation,
            )),
            Some(Err(error)) => Err(Untold {
                why: error.to_string(),
                class: error.class(),
                wait: wait(&error),
            }),
            None => Err(Untold::for_good("there was no answer", Category::Timeout)),
        }
    }
}

/// How long whoever did not take it now wants to be left alone; none where it said no such thing.
fn wait(error: &Error) -> Option<Duration> {
    let is_limited = |error: &Error| error.kind() == ErrorKind::LimitedUntil;
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    // The time was over while it waited for that.
    let was_limited = error.kind() == ErrorKind::TotalTimeout && cause.is_some_and(is_limited);
    let unsaid = (is_limited(error) || was_limited).then_some(Duration::ZERO);
    let wait = error.retry_after().or(unsaid)?;
    Some(wait.min(RateLimiter::OBSERVED_HOLD_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::command::tests::notice;
    use std::io::{Read, Write};
    use std::net::TcpListener;

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
    async fn a_wait_that_a_server_asks_for_is_an_hour_at_most() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // What comes before it was asked for is no answer.
            assert_ne!(stream.read(&mut [0; 1024]).unwrap(), 0);
            let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 999999999\r\n";
            write!(stream, "{head}content-length: 0\r\n\r\n").unwrap();
            // Until it hangs up.
            drop(stream.read_to_end(&mut Vec::new()));
        });
        let clock = mainstay_clock::system();
        let url = SecretRef::parse(&url, std::path::Path::new(""));
        let webhook = Webhook::new(&url, None, Default::default(), None, &clock).unwrap();
        let untold = webhook.tell(&notice(), &clock).await.unwrap_err();
        assert_eq!(untold.wait, Some(Duration::from_hours(1)), "{untold:?}");
    }

    #[tokio::test]
    async fn a_failure_does_not_tell_the_secret_path() {
        let clock = mainstay_clock::system();
        // Longer than what is shown of an address.
        let url = format!("http://127.0.0.1:1/{}", "s3cr3t/".repeat(60));
        let url = SecretRef::parse(&url, std::path::Path::new(""));
        let webhook = Webhook::new(&url, None, Default::default(), None, &clock).unwrap();
        let untold = webhook.tell(&notice(), &clock).await.unwrap_err();
        assert!(!untold.why.contains("s3cr3t"), "{untold:?}");
        let shown = "`http://127.0.0.1:1/…` refuses connections";
        assert!(untold.why.starts_with(shown), "{untold:?}");
    }
}
