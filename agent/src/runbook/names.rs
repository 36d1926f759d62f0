//! The real names in place of the words that stand for them in a page: in its commands alone, and only where they are known.
//!
//! | word | stands for | known |
//! |---|---|---|
//! | `<data>` | the data folder | always |
//! | `PID` | the agent's process | while it runs |
//! | `ROUTE`, `DESTINATION`, `URL` | what the page is about | while it runs, and something is affected |
//! | `NAME`, `FILE` | what the certificate is of, or lies in | while the check of the certificates says it |

use super::Runbook;
use crate::status::{Status, To};
use crate::terminal::visible;
use std::collections::BTreeMap;
use std::path::Path;

/// The pages about a destination that needs attention: the first that does is meant where no check names one.
const OF_DESTINATIONS: [&str; 6] = [
    "destination-held",
    "credentials-refused",
    "rate-limited",
    "slow-responses",
    "persistent-errors",
    "queue-growing",
];

/// How the command begins that tries a route.
const TEST: &str = "mainstay route test ROUTE";

/// Of the others that are affected, so many are named.
const OTHERS_MAX: usize = 5;

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct Names {
    data: String,
    words: BTreeMap<&'static str, String>,
    /// The command that tries the route, where the configuration knows it.
    test: Option<String>,
    /// The lanes that are affected, the one that is named first.
    affected: Vec<String>,
}

impl Names {
    /// Of a status that cannot be had only the data folder is known.
    pub(crate) fn of_nothing(data: &Path) -> Self {
        Self {
            data: visible(&data.display().to_string()),
            ..Self::default()
        }
    }

    /// `tests` are the commands that try routes, by their names: of those alone that such a command finds in the configuration.
    pub(crate) fn of(
        book: &Runbook,
        status: &Status,
        tests: &BTreeMap<String, String>,
        data: &Path,
    ) -> Self {
        let mut names = Self::of_nothing(data);
        let Some(pid) = status.pid else {
            return names;
        };
        names.words.insert("PID", pid.to_string());
        names.words.extend(certificate(book, status));
        let affected = affected(book.name, status);
        if let Some(first) = affected.first() {
            let (route, destination) = first
                .lane
                .split_once('/')
                .unwrap_or((first.lane.as_str(), ""));
            names.words.insert("ROUTE", visible(route));
            names.words.insert("DESTINATION", visible(destination));
            if let Some(url) = url(&first.address) {
                names.words.insert("URL", url);
            }
        }
        names.affected = affected.iter().map(|to| visible(&to.lane)).collect();
        let route = names.words.get("ROUTE");
        names.test = route.and_then(|route| tests.get(route)).cloned();
        names
    }

    /// Which one the commands name, where they could name others, too.
    pub(crate) fn note(&self, text: &str) -> Option<String> {
        let [first, others @ ..] = &self.affected[..] else {
            return None;
        };
        if others.is_empty() || self.fill(text) == self.of_data(text) {
            return None;
        }
        let shown = &others[..others.len().min(OTHERS_MAX)];
        let more = match others.len() - shown.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Some(format!(
            "the steps name {first}, the first of {} that are affected; the others: {}{more}",
            self.affected.len(),
            shown.join(", ")
        ))
    }

    /// The text with what is known in it.
    pub(crate) fn fill(&self, text: &str) -> String {
        let text = self.of_data(text);
        let parts = text.split("```").enumerate();
        let parts = parts.map(|(number, part)| {
            if number % 2 == 1 {
                return self.fill_code(part);
            }
            let spans = part.split('`').enumerate();
            let spans = spans.map(|(number, span)| match number % 2 {
                1 => self.fill_code(span),
                _ => span.to_owned(),
            });
            spans.collect::<Vec<_>>().join("`")
        });
        parts.collect::<Vec<_>>().join("```")
    }

    fn of_data(&self, text: &str) -> String {
        text.replace("<data>", &self.data)
    }

    /// A route that no command finds is named to none.
    fn fill_code(&self, code: &str) -> String {
        let parts: Vec<String> = code.split(TEST).map(|part| self.fill_words(part)).collect();
        parts.join(self.test.as_deref().unwrap_or(TEST))
    }

    fn fill_words(&self, code: &str) -> String {
        let is_between = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let pieces = code.split_inclusive(is_between);
        pieces
            .map(|piece| {
                let word = piece.trim_end_matches(is_between);
                let known = self.words.get(word);
                known.map_or_else(|| piece.to_owned(), |known| piece.replacen(word, known, 1))
            })
            .collect()
    }
}

/// Those that a check names, which leads to this page; where none does, those that the page is about.
fn affected<'a>(book: &str, status: &'a Status) -> Vec<&'a To> {
    let leads_here = status
        .unwell
        .iter()
        .filter(|unwell| unwell.runbook.as_deref() == Some(book));
    let named: Vec<&str> = leads_here
        .filter_map(|unwell| unwell.check.strip_prefix("to "))
        .collect();
    let all = || {
        let all = status.routes.iter().flat_map(|route| &route.to);
        all.filter(|to| to.state != "unassigned")
    };
    let by_a_check: Vec<&To> = all()
        .filter(|to| named.contains(&to.lane.as_str()))
        .collect();
    if !by_a_check.is_empty() {
        return by_a_check;
    }
    if book == "certificate-expires" {
        let lane = certificate_of(status).and_then(|(_, user)| user);
        return all().filter(|to| Some(to.lane.as_str()) == lane).collect();
    }
    if !OF_DESTINATIONS.contains(&book) {
        return Vec::new();
    }
    let is_busy = |to: &&To| 0 < to.queued || 0 < to.dead || !to.reason.is_empty();
    let mut busy: Vec<&To> = all().filter(is_busy).collect();
    // Who says why comes before who only has documents.
    busy.sort_by_key(|to| to.reason.is_empty());
    busy
}

/// What the check of the certificates says of one: whose it is, and the lane that it is for, where it is for one.
fn certificate_of(status: &Status) -> Option<(&str, Option<&str>)> {
    let mut unwell = status.unwell.iter();
    let said = &unwell
        .find(|unwell| unwell.check == "certificates")?
        .message;
    let (whose, user) = said
        .strip_prefix("the certificate ")?
        .split_once(", for ")?;
    let lane = user
        .strip_prefix('`')
        .and_then(|user| user.split('`').next());
    Some((whose, lane))
}

/// `NAME` or `FILE`, on the page of the certificates.
fn certificate(book: &Runbook, status: &Status) -> Option<(&'static str, String)> {
    let (whose, _) = certificate_of(status).filter(|_| book.name == "certificate-expires")?;
    let (word, name) = match whose.split_once('`')? {
        ("of ", name) => ("NAME", name),
        ("in ", name) => ("FILE", name),
        _ => return None,
    };
    Some((word, visible(name.trim_end_matches('`'))))
}

/// An address as a shell takes it; none of what is no URL, or no shell takes in quotes.
fn url(address: &str) -> Option<String> {
    let is_url = address.starts_with("http://") || address.starts_with("https://");
    if !is_url || address.contains(['\'', '`']) {
        return None;
    }
    let address = visible(address);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/%[]@".contains(c);
    Some(if address.chars().all(is_plain) {
        address
    } else {
        format!("'{address}'")
    })
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;
    use serde_json::{Value, json};

    /// An agent with these destinations, and this to say of checks that are not well.
    fn status(to: &Value, unwell: &Value) -> Status {
        let ledger = json!({
            "accepted": 0, "delivered": 0, "queued": 0, "dead": 0, "discarded": 0, "unreadable": 0, "balanced": true
        });
        let queue =
            json!({ "mode": "writable", "reason": "", "documents": 0, "bytes": 0, "damage": [] });
        serde_json::from_value(json!({
            "state": "running", "pid": 77, "since": null, "version": "1", "data": "/d", "ledger": ledger, "queue": queue,
            "routes": [{ "name": "lab", "from": null, "to": to }], "unwell": unwell,
        }))
        .unwrap()
    }

    fn to(lane: &str, address: &str, queued: u64) -> Value {
        json!({
            "lane": lane, "address": address, "state": "delivering", "reason": "", "next_attempt_seconds": null,
            "in_flight": 0, "queued": queued, "dead": 0, "delivered": 0, "retried": 0, "buried": 0,
            "last_error": null, "last_success": null,
        })
    }

    fn names(book: &str, status: &Status, tests: &BTreeMap<String, String>) -> Names {
        Names::of(find(book).unwrap(), status, tests, Path::new("/d"))
    }

    #[test]
    fn a_check_that_names_a_destination_goes_before_one_that_only_has_documents() {
        let to = json!([to("lab/a", "http://a/", 9), to("lab/b", "http://b/", 1)]);
        let held = json!([{
            "check": "to lab/b", "state": "degraded", "since": "", "message": "", "runbook": "destination-held"
        }]);
        let none = BTreeMap::new();
        let held = status(&to, &held);
        let page = "ROUTE `curl URL` `hold ROUTE/DESTINATION/gate` `mainstay route test ROUTE` `kill PID` `MAINPID` <data>";
        let filled = names("destination-held", &held, &none).fill(page);
        let real = "ROUTE `curl http://b/` `hold lab/b/gate` `mainstay route test ROUTE` `kill 77` `MAINPID` /d";
        assert_eq!(filled, real, "no configuration knows the route");
        assert_eq!(names("destination-held", &held, &none).note(page), None);
        // Another page: no check leads there.
        let slow = names("slow-responses", &held, &none);
        let note = slow.note("`curl URL`").unwrap();
        assert!(
            note.starts_with("the steps name lab/a, the first of 2 "),
            "{note}"
        );
        assert_eq!(slow.note("no command"), None);
        assert_eq!(
            names("upgrade", &held, &none).fill("`curl URL`"),
            "`curl URL`"
        );
    }

    #[test]
    fn a_folder_is_no_url_and_what_a_shell_would_take_apart_stands_in_quotes() {
        let of = |address: &str| {
            let status = status(&json!([to("lab/a", address, 1)]), &json!([]));
            names("destination-held", &status, &BTreeMap::new()).fill("`curl URL`")
        };
        assert_eq!(of("/srv/in"), "`curl URL`");
        assert_eq!(of("https://h/?a=1&b"), "`curl 'https://h/?a=1&b'`");
        assert_eq!(of("https://h/'; reboot"), "`curl URL`");
    }

    #[test]
    fn a_certificate_that_runs_out_is_named_with_its_route() {
        let fill = |message: &str| {
            let unwell = json!([{
                "check": "certificates", "state": "degraded", "since": "", "message": message, "runbook": "certificate-expires"
            }]);
            let status = status(&json!([to("lab/a", "https://h/", 0)]), &unwell);
            let tests = BTreeMap::from([("lab".to_owned(), "mainstay route test lab".to_owned())]);
            let names = names("certificate-expires", &status, &tests);
            names.fill("\"the certificate of `NAME`\" \"in `FILE`\" `mainstay route test ROUTE`")
        };
        assert_eq!(
            fill("the certificate of `h`, for `lab/a`, runs out in 3 days: 2026"),
            "\"the certificate of `h`\" \"in `FILE`\" `mainstay route test lab`"
        );
        assert_eq!(
            fill(
                "the certificate in `/etc/our.pem`, for the alert to `x`, runs out in 3 days: 2026"
            ),
            "\"the certificate of `NAME`\" \"in `/etc/our.pem`\" `mainstay route test ROUTE`"
        );
    }
}
