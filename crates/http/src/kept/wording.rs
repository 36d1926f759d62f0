//! Requests and answers, as the client and as the cache put them.

use crate::answer::{Answer, Source};
use crate::client::Shared;
use crate::exchange::End;
use crate::hop::Hop;
use http::header::{ACCEPT, HeaderValue, LOCATION, USER_AGENT};
use http::{StatusCode, request, response};

/// The request as the cache sees it: with what the client itself says of the caller, since answers may vary with it.
pub(super) fn seen_by_the_cache(client: &Shared, hop: &Hop) -> Option<request::Parts> {
    let mut request = http::Request::new(());
    *request.method_mut() = hop.method.clone();
    *request.uri_mut() = hop.url.as_str().parse().ok()?;
    let headers = request.headers_mut();
    *headers = hop.headers.clone();
    if !headers.contains_key(ACCEPT) {
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    }
    if !headers.contains_key(USER_AGENT) {
        let name = HeaderValue::from_str(&client.settings.user_agent).ok()?;
        headers.insert(USER_AGENT, name);
    }
    Some(request.into_parts().0)
}

/// A kept answer in the place of the server's: where it leads elsewhere, it does so as that would.
pub(super) fn served(hop: &Hop, kept: mainstay_cache::Answer, source: Source) -> End<Answer> {
    let code = kept.status.as_u16();
    let location = kept.headers.get(LOCATION).cloned();
    if let (301 | 302 | 303 | 307 | 308, Some(location)) = (code, location) {
        return End::Moved(code, location);
    }
    End::Value(Answer {
        status: kept.status,
        headers: kept.headers,
        body: kept.body,
        url: hop.url.clone(),
        attempts: 0,
        source,
        is_path_secret: hop.is_path_secret,
    })
}

/// What the server answered, without the body.
pub(super) fn parts(answer: &Answer) -> response::Parts {
    let mut response = http::Response::new(());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers.clone();
    response.into_parts().0
}

/// The same, of an answer that may lead elsewhere.
pub(super) fn head(end: &End<Answer>) -> response::Parts {
    match end {
        End::Value(answer) => parts(answer),
        End::Moved(code, location) => {
            let mut response = http::Response::new(());
            *response.status_mut() = StatusCode::from_u16(*code).unwrap_or(StatusCode::FOUND);
            response.headers_mut().insert(LOCATION, location.clone());
            response.into_parts().0
        }
    }
}
