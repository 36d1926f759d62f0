//! What is asked, of whom, and what is done with the answer.

use crate::error::InvalidSettings;
use crate::place::Place;
use crate::template::UrlTemplate;
use mainstay_http::{CacheSettings, Secret};
use std::time::Duration;

/// What a [`Lookup`](crate::Lookup) asks and takes.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `each` | the whole document | most documents are about one thing |
/// | `replaces` | no | what the producer wrote is worth more than what somebody else knows |
/// | `on_failure` | wait | nothing is lost by it, and what arrives is whole |
/// | `headers`, `auth` | none | |
/// | `keeps_any` | no | nobody knows whether an answer to `x-tenant` is another one's, too |
/// | `offline` | no | whoever wants nobody asked says so |
/// | `total` | 1 h | a document of 36,000 things at ten in a second; longer is a place of the queue that nothing comes out of |
/// | `concurrency` | 4 | hides the latency of a line, and is no burden; the client has its own limits besides |
#[derive(Debug, Clone)]
pub struct LookupSettings {
    /// The address that is asked for each thing.
    pub url: UrlTemplate,
    /// Where in the document the things stand that are looked up.
    pub each: Place,
    /// What is taken: the field of the thing that gets it, and where it stands in the answer, which is JSON.
    pub take: Vec<(Place, Place)>,
    /// Whether what the document says already is replaced; what is empty always is.
    pub replaces: bool,
    /// What becomes of a document when there is no answer.
    pub on_failure: OnFailure,
    /// What is sent with each request: names, and values that show nowhere here. One [whose name says so](holds_a_secret) is
    /// sent as a credential is.
    pub headers: Vec<(String, Secret)>,
    /// A credential, as the header that it is sent as: it goes to no other server, and nothing that is answered to it is kept.
    pub auth: Option<(String, Secret)>,
    /// Whether answers are kept although a header goes along that may change them. Without it, one that is not
    /// [harmless](is_harmless) is sent as a credential is, and nothing is kept. What [holds a secret](holds_a_secret) stays one.
    pub keeps_any: bool,
    /// Whether nobody is asked: what the client's cache keeps is the answer, also when its time is over. What is not kept is a failure,
    /// with which is done what [`on_failure`](Self::on_failure) says.
    pub offline: bool,
    /// A document is asked about for so long, waiting for turns included; then it waits, whatever was chosen.
    pub total: Duration,
    /// So many requests are under way at a time for each document; 1 to 64.
    pub concurrency: usize,
}

/// What becomes of a document when the server cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnFailure {
    /// It waits until the server answers.
    #[default]
    Wait,
    /// It goes on without.
    Pass,
    /// It is set aside for a person.
    Bury,
}

/// Requests for one document at a time.
const CONCURRENCY_MAX: usize = 64;

impl LookupSettings {
    /// With the defaults: asks `url` about the whole document.
    pub fn new(url: UrlTemplate, take: Vec<(Place, Place)>) -> Self {
        Self {
            url,
            each: Place::default(),
            take,
            replaces: false,
            on_failure: OnFailure::default(),
            headers: Vec::new(),
            auth: None,
            keeps_any: false,
            offline: false,
            total: Duration::from_hours(1),
            concurrency: 4,
        }
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    ///
    /// Nothing is taken; a field gets two things, or lies inside of another; a place names more than one; two headers have one
    /// name; `concurrency` is out of range; `total` is no time.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        if self.take.is_empty() {
            return Err(InvalidSettings::new(
                "`take` is empty: say which field gets what of the answer",
            ));
        }
        if self.concurrency == 0 || self.concurrency > CONCURRENCY_MAX {
            let message = format!(
                "`concurrency` is {}; set 1 to {CONCURRENCY_MAX}",
                self.concurrency
            );
            return Err(InvalidSettings::new(message));
        }
        if self.total.is_zero() {
            return Err(InvalidSettings::new(
                "`total` is 0: nothing could be asked in it",
            ));
        }
        let mut names: Vec<&str> = self.sent().map(|(name, _)| name).collect();
        names.sort_by_key(|name| name.to_ascii_lowercase());
        if let Some([name, _]) = names
            .windows(2)
            .find(|two| matches!(two, [a, b] if a.eq_ignore_ascii_case(b)))
        {
            return Err(InvalidSettings::new(format!(
                "the header `{}` would be sent twice; leave it out of `headers`, or leave out `auth`",
                name.escape_debug()
            )));
        }
        for (at, (field, found)) in self.take.iter().enumerate() {
            if field.steps.is_empty() || field.is_plural() {
                return Err(InvalidSettings::new(format!(
                    "`take`: `{field}` names no single field of the document"
                )));
            }
            if found.is_plural() {
                return Err(InvalidSettings::new(format!(
                    "`take`: `{found}` names no single field of the answer"
                )));
            }
            for (other, _) in self.take.iter().skip(at + 1) {
                if field.steps.starts_with(&other.steps) || other.steps.starts_with(&field.steps) {
                    return Err(InvalidSettings::new(format!(
                        "`take`: `{field}` and `{other}` are one field, or one lies inside of the other"
                    )));
                }
            }
        }
        Ok(())
    }

    /// What is sent besides `accept`: names and values.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let headers = self.headers.iter().chain(&self.auth);
        headers.map(|(name, value)| (name.as_str(), value))
    }

    /// Whether what is asked is asked as somebody, so that no answer is kept.
    pub fn has_credentials(&self) -> bool {
        self.auth.is_some()
            || self
                .headers
                .iter()
                .any(|(name, _)| self.is_credential(name))
    }

    /// Whether a header of this name makes an answer one caller's own.
    pub(crate) fn is_credential(&self, name: &str) -> bool {
        holds_a_secret(name) || !self.keeps_any && !is_harmless(name)
    }
}

/// Whether a header of this name only says how an answer should look, which whoever keeps answers knows.
pub fn is_harmless(name: &str) -> bool {
    const NAMES: [&str; 5] = [
        "accept",
        "accept-encoding",
        "accept-language",
        "content-type",
        "user-agent",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a header of this name holds a secret, by what servers call such ones.
///
/// One that is taken for a secret and is none costs only that answers are not kept.
pub fn holds_a_secret(name: &str) -> bool {
    const WORDS: [&str; 7] = [
        "auth",
        "cookie",
        "credential",
        "key",
        "password",
        "secret",
        "token",
    ];
    let name = name.to_ascii_lowercase();
    let is_known = CacheSettings::default()
        .credential_headers
        .iter()
        .any(|known| known.as_str() == name);
    is_known || WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_by_their_name() {
        let place = |text: &str| text.parse::<Place>().unwrap();
        let settings = |take: &[(&str, &str)]| {
            let url = UrlTemplate::parse("http://h/{a}").unwrap();
            LookupSettings::new(
                url,
                take.iter()
                    .map(|(to, from)| (place(to), place(from)))
                    .collect(),
            )
        };
        settings(&[("a/b", ""), ("a/c", "x/0")]).check().unwrap();
        for (take, why) in [
            (&[][..], "is empty"),
            (&[("", "x")], "field of the document"),
            (&[("a/*", "x")], "field of the document"),
            (&[("a", "x/*")], "field of the answer"),
            (&[("a", "x"), ("b", "y"), ("a", "z")], "one field"),
            (&[("a", "x"), ("a/b", "y")], "one field"),
        ] {
            let refused = settings(take).check().unwrap_err().to_string();
            assert!(
                refused.contains("`take`") && refused.contains(why),
                "{refused}"
            );
        }
        for concurrency in [0, 65] {
            let settings = LookupSettings {
                concurrency,
                ..settings(&[("a", "x")])
            };
            assert!(
                settings
                    .check()
                    .unwrap_err()
                    .to_string()
                    .contains("`concurrency`")
            );
        }
        let refused = LookupSettings {
            total: Duration::ZERO,
            ..settings(&[("a", "x")])
        };
        assert!(refused.check().unwrap_err().to_string().contains("`total`"));
        for (headers, auth) in [
            (&["Authorization"][..], Some("authorization")),
            (&["a", "X", "b", "x"], None),
        ] {
            let named = |name: &str| (name.to_owned(), Secret::new("s3cret"));
            let settings = LookupSettings {
                headers: headers.iter().map(|name| named(name)).collect(),
                auth: auth.map(named),
                ..settings(&[("a", "x")])
            };
            let refused = settings.check().unwrap_err().to_string();
            assert!(
                refused.contains("sent twice") && !refused.contains("s3cret"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_header_that_holds_a_secret_is_known_by_its_name() {
        for secret in [
            "Authorization",
            "cookie",
            "X-Api-Key",
            "private-token",
            "x-my-password",
        ] {
            assert!(holds_a_secret(secret), "{secret}");
        }
        for plain in ["accept", "x-site", "X-Client-Version", "accept-language"] {
            assert!(!holds_a_secret(plain), "{plain}");
        }
        assert!(is_harmless("Accept-Language") && !is_harmless("x-site"));
    }
}
