//! An answer that something in between may have made: a page for people where JSON was expected.

use mainstay_http::{Answer, Url};

/// A page that came in the place of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suspicion {
    /// Scheme, host and port that were asked.
    pub(crate) asked: String,
    /// The host that it came from, where that is another one: no server of that name made it.
    pub(crate) elsewhere: Option<String>,
}

impl Suspicion {
    /// What an answer to this address makes one suspect, that is no JSON. With TLS nothing: its certificate says who made it.
    pub(crate) fn of(asked: &str, answer: &Answer) -> Option<Self> {
        let kind = answer.headers.get("content-type");
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        Self::judge(&Url::parse(asked).ok()?, &answer.url, kind)
    }

    fn judge(asked: &Url, from: &Url, kind: &str) -> Option<Self> {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let is_page = ["text/html", "application/xhtml+xml"]
            .iter()
            .any(|page| kind.eq_ignore_ascii_case(page));
        if asked.scheme() != "http" || !is_page {
            return None;
        }
        let host = asked.host_str()?;
        let port = asked.port_or_known_default()?;
        let elsewhere = from.host_str().filter(|from| *from != host);
        Some(Self {
            asked: format!("http://{host}:{port}"),
            elsewhere: elsewhere.map(str::to_owned),
        })
    }

    /// In words, with what to do.
    pub(crate) fn told(&self) -> String {
        let Self { asked, elsewhere } = self;
        let from = elsewhere.as_ref();
        let from = from.map_or_else(String::new, |host| format!(", from `{host}`"));
        format!(
            "portal suspected: `{asked}` was answered with a page for people where JSON was expected{from}, as in a network in which \
             somebody has to log in first; open it in a browser on this machine, or check the address of the lookup"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_makes_one_suspect_a_portal_only_where_nothing_vouches_for_who_made_it() {
        let judge = |asked: &str, from: &str, kind: &str| {
            let (asked, from) = (Url::parse(asked).unwrap(), Url::parse(from).unwrap());
            Suspicion::judge(&asked, &from, kind).map(|found| found.elsewhere)
        };
        let (plain, page) = ("http://h.example/a", "Text/HTML; charset=utf-8");
        assert_eq!(judge(plain, plain, page), Some(None));
        assert_eq!(
            judge(plain, "https://portal.example/login", page),
            Some(Some("portal.example".to_owned()))
        );
        // To TLS at the same host it leads by itself.
        assert_eq!(judge(plain, "https://h.example/a", page), Some(None));
        assert_eq!(
            judge("https://h.example/a", "https://h.example/a", page),
            None
        );
        for kind in ["application/json", "text/plain", "", "text/html5"] {
            assert_eq!(judge(plain, plain, kind), None, "{kind}");
        }
    }
}
