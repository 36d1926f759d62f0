//! Asking the user's own destination, when somebody wants to know now.

use super::{Fact, Network, fact_of};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::exchange::{self, Phase, Reading};
use crate::failure;
use crate::hop::Hop;
use crate::limits::Class;
use crate::{request, shown};
use bytes::Bytes;
use http::{HeaderMap, Method};
use mainstay_resilience::within;
use reqwest::{Response, Url};
use std::fmt;

/// What to ask to find out whether there is a network: a place of the user's own, and no third party's.
#[derive(Clone)]
pub struct Probe {
    /// Where to ask.
    pub url: String,
    /// What it answers when it is itself that answers.
    pub expect: Expect,
}

/// What a place answers when it is itself that answers, and not something in between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// Anything but a redirect to another host: a portal that answers in its name is not found out.
    #[default]
    Anything,
    /// This status, such as 204.
    Status(u16),
    /// This body.
    Body(Bytes),
}

impl Client {
    /// Asks a place of the user's own whether the network leads there, and answers what is known then.
    ///
    /// One request within the limits of [`Class::Quick`], past breaker and limit: it finds out what they do not let through. Run
    /// it in a task of its own: [`Connectivity::wants_probe`](crate::Connectivity::wants_probe) says when.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Url`]: nothing was asked. That nothing answers is no error, but what was to be found out.
    pub async fn probe(&self, probe: &Probe) -> Result<Network, Error> {
        let hop = Hop {
            method: Method::GET,
            url: request::parse(&probe.url)?,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            is_path_secret: false,
        };
        let shared = &self.shared;
        let limits = shared.settings.limits.of(Class::Quick);
        let reading = Reading {
            clock: &shared.clock,
            limits,
            phase: &Phase::default(),
            hop: &hop,
        };
        let asking = Box::pin(async {
            let response = reading.head(&shared.raw, |_| ()).await?;
            judge(&reading, response, &probe.expect).await
        });
        let fact = match within(&*shared.clock, limits.total, asking).await {
            Some(Ok(fact)) => Some(fact),
            Some(Err(error)) => of_error(&error),
            None => Some(Fact::Lost),
        };
        if let Some(fact) = fact {
            shared.connectivity.note(&shown::origin(&hop.url), fact);
        }
        Ok(shared.connectivity.network())
    }
}

fn of_error(error: &Error) -> Option<Fact> {
    // A portal cannot have the certificate of the place; it is then as good as gone.
    let kind = match error.kind() {
        ErrorKind::Tls => ErrorKind::Unreachable,
        kind => kind,
    };
    fact_of(kind, failure::is_without_network(error))
}

async fn judge(
    reading: &Reading<'_>,
    mut response: Response,
    expect: &Expect,
) -> Result<Fact, Error> {
    let code = response.status().as_u16();
    let here = reading.hop.url.host_str();
    let elsewhere = exchange::location(&response)
        .and_then(|location| reading.hop.url.join(location.to_str().ok()?).ok())
        .is_some_and(|url| url.host_str() != here);
    let is_itself = match code {
        // Network Authentication Required, by RFC 6585.
        511 => false,
        // Portals answer; what fails is the place itself.
        500.. => true,
        300..400 => !elsewhere,
        _ => match expect {
            Expect::Anything => true,
            Expect::Status(expected) => code == *expected,
            Expect::Body(expected) => is_body(reading, &mut response, expected).await?,
        },
    };
    Ok(if is_itself {
        Fact::Reached
    } else {
        Fact::Portal
    })
}

/// Whether the body is this one; of a longer one no more is read than that takes.
///
/// # Errors
///
/// It broke off before that could be told.
async fn is_body(
    reading: &Reading<'_>,
    response: &mut Response,
    expected: &[u8],
) -> Result<bool, Error> {
    let mut left = expected;
    while let Some(piece) = reading.piece(response).await? {
        match left.strip_prefix(&*piece) {
            Some(rest) => left = rest,
            None => return Ok(false),
        }
    }
    Ok(left.is_empty())
}

/// Without what may be secret in the address.
impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = Url::parse(&self.url).map_or_else(|_| "…".to_owned(), |url| shown::url(&url));
        f.debug_struct("Probe")
            .field("url", &url)
            .field("expect", &self.expect)
            .finish()
    }
}
