//! What is asked, of whom, and what is done with the answer.

use crate::error::InvalidSettings;
use crate::place::Place;
use crate::template::UrlTemplate;
use mainstay_http::Secret;

/// What a [`Lookup`](crate::Lookup) asks and takes.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `each` | the whole document | most documents are about one thing |
/// | `replaces` | no | what the producer wrote is worth more than what somebody else knows |
/// | `on_failure` | wait | nothing is lost by it, and what arrives is whole |
/// | `headers` | none | |
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
    /// What is sent with each request: names, and values that show nowhere.
    pub headers: Vec<(String, Secret)>,
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
            concurrency: 4,
        }
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    ///
    /// Nothing is taken; a field gets two things, or lies inside of another; a place names more than one; a header
    /// cannot be sent; `concurrency` is out of range.
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
        for (name, value) in &self.headers {
            let is_name = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
            if !is_name || http::HeaderValue::from_str(value.expose()).is_err() {
                return Err(InvalidSettings::new(format!(
                    "`headers`: `{}` cannot be sent, its name or its value has signs that no header may have",
                    name.escape_debug()
                )));
            }
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
        for (name, value) in [("a b", "c"), ("", "c"), ("x", "s3cret\r\ny: z")] {
            let headers = vec![(name.to_owned(), Secret::new(value))];
            let settings = LookupSettings {
                headers,
                ..settings(&[("a", "x")])
            };
            let refused = settings.check().unwrap_err().to_string();
            assert!(
                refused.contains("`headers`") && !refused.contains("s3cret"),
                "{refused}"
            );
        }
    }
}
