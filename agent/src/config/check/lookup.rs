//! `[[route.lookup]]`: what is asked elsewhere about each document.

use super::{Check, with_causes};
use crate::config::document;
use crate::config::settings::Lookup;
use crate::run::lookups::{Lookups, Room};
use mainstay_lookup::{
    InvalidSettings, LookupSettings, OnFailure, Place, UrlTemplate, holds_a_secret, is_harmless,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

impl Check<'_> {
    /// The lookups of a route, in their order.
    pub(super) fn lookups(&mut self, lookups: Vec<Spanned<document::Lookup>>) -> Vec<Lookup> {
        let mut checked: Vec<Lookup> = Vec::new();
        for lookup in lookups {
            let (span, number) = (lookup.span(), checked.len() + 1);
            let Some(lookup) = self.lookup(&span, number, lookup.into_inner()) else {
                continue;
            };
            if checked.iter().any(|other| other.name == lookup.name) {
                let message = format!("two lookups of one route are called `{}`", lookup.name);
                self.refuse(&span, message, "give each a `name` of its own");
            }
            checked.push(lookup);
        }
        checked
    }

    fn lookup(
        &mut self,
        span: &Range<usize>,
        number: usize,
        lookup: document::Lookup,
    ) -> Option<Lookup> {
        if let Some(name) = &lookup.name {
            self.name("lookup", name);
        }
        self.warn_of_secrets(&lookup.headers);
        self.warn_of_cache(&lookup);
        let url = UrlTemplate::parse(lookup.url.get_ref());
        let url = self.or_refuse(&lookup.url.span(), url);
        let each = match &lookup.each {
            None => Some(Place::default()),
            Some(each) => self.or_refuse(&each.span(), each.get_ref().parse()),
        };
        let mut take = Vec::new();
        for (field, found) in lookup.take {
            let to = self.or_refuse(&field.span(), field.get_ref().parse());
            let from = self.or_refuse(&found.span(), found.get_ref().parse());
            take.extend(to.zip(from));
        }
        let mut settings = LookupSettings::new(url?, take);
        settings.each = each?;
        settings.replaces = lookup.replace.unwrap_or(settings.replaces);
        settings.on_failure = match lookup.on_failure {
            None | Some(document::OnFailure::Wait) => OnFailure::Wait,
            Some(document::OnFailure::Pass) => OnFailure::Pass,
            Some(document::OnFailure::Bury) => OnFailure::Bury,
        };
        // By hand: it is known that they are the same for all.
        settings.keeps_any = lookup.cache.as_ref().is_some_and(|cache| *cache.get_ref());
        let are_harmless = lookup
            .headers
            .keys()
            .all(|name| is_harmless(name.get_ref()));
        let connection = self.connection(lookup.tls.as_ref(), lookup.proxy);
        // What is answered to whom it is shown may be for them alone.
        let is_shown = lookup.auth.is_some() || connection.client.is_some();
        let cache =
            lookup.cache.map_or(are_harmless, Spanned::into_inner) && connection.client.is_none();
        if let Some(concurrency) = lookup.concurrency {
            settings.concurrency = concurrency;
        }
        self.or_refuse(span, settings.check());
        settings.offline = self.is_offline;
        self.warn_of_offline(span, cache && !is_shown, &lookup.headers);
        let headers: BTreeMap<String, String> = lookup
            .headers
            .into_iter()
            .map(|(name, value)| (name.into_inner(), value.into_inner()))
            .collect();
        let lookup = Lookup {
            name: match lookup.name {
                Some(name) => name.into_inner(),
                None if number == 1 => "lookup".to_owned(),
                None => format!("lookup-{number}"),
            },
            settings,
            headers,
            auth: lookup.auth.and_then(|auth| self.auth(auth)),
            connection,
            rate: lookup.rate,
            cache,
        };
        self.try_lookup(&lookup, span);
        Some(lookup)
    }

    /// Says that a cache that is asked for will keep nothing.
    fn warn_of_cache(&mut self, lookup: &document::Lookup) {
        let mut names = lookup.headers.keys();
        let has_credentials = lookup.auth.is_some()
            || has_certificate(lookup)
            || names.any(|name| holds_a_secret(name.get_ref()));
        let Some(cache) = lookup.cache.as_ref().filter(|cache| *cache.get_ref()) else {
            return;
        };
        if has_credentials {
            let message = "no answer is kept of what is asked with credentials: it may be for the one alone who asks";
            let help = "leave `cache` out, or write `cache = false`";
            self.warn(&cache.span(), message, help);
        }
    }

    /// Says that nothing is ever known by a lookup that keeps nothing, and asks nobody.
    fn warn_of_offline(
        &mut self,
        span: &Range<usize>,
        is_kept: bool,
        headers: &BTreeMap<Spanned<String>, Spanned<String>>,
    ) {
        let is_kept = is_kept && !headers.keys().any(|name| holds_a_secret(name.get_ref()));
        if self.is_offline && !is_kept {
            let message = "nothing is kept of what this lookup asks, and `offline` in [cache] asks nobody: it knows nothing";
            let help =
                "remove `offline`, or let its answers be kept, see docs/operating/lookups.md";
            self.warn(span, message, help);
        }
    }

    /// What only the lookup itself knows: headers and secrets.
    fn try_lookup(&mut self, lookup: &Lookup, span: &Range<usize>) {
        if !self.problems.is_empty() {
            return;
        }
        let built = Lookups::build(
            std::slice::from_ref(lookup),
            None,
            None,
            // Nothing is sent.
            &Room::new(Path::new("")),
            &mainstay_clock::system(),
        );
        if let Err(error) = built {
            self.problems
                .push(self.source.problem(span, with_causes(&*error)));
        }
    }

    fn or_refuse<T>(
        &mut self,
        span: &Range<usize>,
        result: Result<T, InvalidSettings>,
    ) -> Option<T> {
        result
            .map_err(|error| self.refuse(span, error.to_string(), "see docs/operating/lookups.md"))
            .ok()
    }
}

fn has_certificate(lookup: &document::Lookup) -> bool {
    lookup.tls.as_ref().is_some_and(|tls| tls.cert.is_some())
}
