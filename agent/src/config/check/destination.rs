//! One destination: a URL or a folder, and what belongs to each.

use super::{Check, with_causes};
use crate::config::document;
use crate::config::settings::{
    BURY_AFTER, CONCURRENCY, Destination, Kind, RETRY_INITIAL, RETRY_MAX,
};
use mainstay_deliver::Certificates;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// More requests at once than this help nobody, and take memory for as many bodies.
const CONCURRENCY_MAX: u16 = 256;

impl Check<'_> {
    pub(super) fn destination(
        &mut self,
        route: &str,
        key: &Spanned<String>,
        destination: Spanned<document::Destination>,
    ) -> Destination {
        self.name("destination", key);
        let span = key.span();
        let mut destination = destination.into_inner();
        let limits = self.limits(&destination);
        let (url, path) = (destination.url.take(), destination.path.take());
        let kind = match (url, path) {
            (Some(url), None) => Kind::Http(Box::new(self.http(url, destination))),
            (None, Some(path)) => self.folder(path, destination),
            (Some(_), Some(path)) => {
                let help =
                    "make two destinations of it, such as [route.to.http] and [route.to.folder]";
                self.refuse(
                    &path.span(),
                    "a destination has a `url` or a `path`, not both",
                    help,
                );
                Kind::Folder {
                    path: PathBuf::new(),
                    name: None,
                }
            }
            (None, None) => {
                let message = format!(
                    "the destination `{}` has neither a `url` nor a `path`",
                    key.get_ref()
                );
                self.refuse(
                    &span,
                    message,
                    "give it a `url` (HTTP) or a `path` (a folder)",
                );
                Kind::Folder {
                    path: PathBuf::new(),
                    name: None,
                }
            }
        };
        let built = Destination {
            lane: format!("{route}/{}", key.get_ref()),
            kind,
            ..limits
        };
        self.try_out(&built, &span);
        built
    }

    fn limits(&mut self, destination: &document::Destination) -> Destination {
        let (concurrency, bury_after) = (&destination.concurrency, &destination.bury_after);
        if let Some(number) = concurrency
            .as_ref()
            .filter(|number| !(1..=CONCURRENCY_MAX).contains(number.get_ref()))
        {
            self.refuse(
                &number.span(),
                format!("`concurrency` is 1 to {CONCURRENCY_MAX}"),
                format!("leave it out for {CONCURRENCY}"),
            );
        }
        if let Some(number) = bury_after.as_ref().filter(|number| *number.get_ref() == 0) {
            self.refuse(
                &number.span(),
                "`bury_after` is at least 1",
                "leave it out for 5 attempts",
            );
        }
        let retry = &destination.retry;
        let span = |given: &Option<Spanned<crate::units::Span>>, default: Duration| {
            given.as_ref().map_or(default, |span| span.get_ref().0)
        };
        let (initial, max) = (
            span(&retry.initial, RETRY_INITIAL),
            span(&retry.max, RETRY_MAX),
        );
        if let Some(wrong) = retry
            .initial
            .as_ref()
            .or(retry.max.as_ref())
            .filter(|_| initial > max || initial.is_zero())
        {
            let message = "`retry.initial` has to be more than nothing and at most `retry.max`";
            self.refuse(&wrong.span(), message, "leave both out for 1s and 5min");
        }
        Destination {
            lane: String::new(),
            kind: Kind::Folder {
                path: PathBuf::new(),
                name: None,
            },
            concurrency: concurrency
                .as_ref()
                .map_or(CONCURRENCY, |number| *number.get_ref()),
            rate: destination.rate,
            retry_initial: initial,
            retry_max: max,
            bury_after: bury_after
                .as_ref()
                .map_or(BURY_AFTER, |number| *number.get_ref()),
        }
    }

    fn folder(&mut self, path: Spanned<PathBuf>, destination: document::Destination) -> Kind {
        let http_only: [(&str, Option<Range<usize>>); 6] = [
            ("method", destination.method.as_ref().map(Spanned::span)),
            ("auth", destination.auth.as_ref().map(Spanned::span)),
            ("proxy", destination.proxy.as_ref().map(Spanned::span)),
            ("timeout", destination.timeout.as_ref().map(Spanned::span)),
            ("compress", destination.compress.as_ref().map(Spanned::span)),
            (
                "headers",
                destination.headers.keys().next().map(Spanned::span),
            ),
        ];
        for (key, span) in http_only {
            if let Some(span) = span {
                self.refuse(
                    &span,
                    format!("`{key}` belongs to an HTTP destination, and this one is a folder"),
                    "remove it",
                );
            }
        }
        Kind::Folder {
            path: self.source.folder().join(path.into_inner()),
            name: destination.name.map(Spanned::into_inner),
        }
    }

    /// What only the destination itself knows: addresses, templates, certificates.
    fn try_out(&mut self, destination: &Destination, span: &Range<usize>) {
        if !self.problems.is_empty() {
            return;
        }
        if let Err(error) = crate::run::destination::build(
            destination,
            &Certificates::default(),
            None,
            &mainstay_clock::system(),
        ) {
            let problem = self.source.problem(span, with_causes(&*error));
            self.problems.push(problem);
        }
    }
}
