//! A route that takes documents over HTTP: where it listens, and who may come.

use super::Check;
use crate::arrival::BODY_MAX;
use crate::config::document;
use crate::config::secret::SecretRef;
use crate::config::settings::{INGEST_TIMEOUT, Ingest, MAX_CONCURRENT, MAX_CONNECTIONS};
use crate::hub::{Gate, Kinds, is_local, overlap};
use crate::units::{Size, Span};
use std::net::SocketAddr;
use std::ops::Range;
use toml::Spanned;

/// More at once take more memory and more open files than a process usually has; over all routes, because each takes a thread.
pub(crate) const CONCURRENT_MAX: u16 = 1024;
const CONNECTIONS_MAX: u16 = 16 * 1024;

impl Check<'_> {
    pub(super) fn ingest(&mut self, http: Spanned<document::FromHttp>) -> Option<Ingest> {
        let http = http.into_inner();
        let listen = self.listen(&http.listen);
        let token = http.token.as_ref().map(|token| self.secret(token));
        if let (Some(fetched), Some(given)) = (&token, &http.token) {
            self.token(fetched, &given.span());
        }
        if let Some(listen) = listen {
            self.exposed(listen, &http);
        }
        let types = self.types(http.types);
        let number = |this: &mut Self, key: &str, given: &Option<Spanned<u16>>, default, max| {
            let wrong = given.as_ref();
            if let Some(wrong) = wrong.filter(|number| !(1..=max).contains(number.get_ref())) {
                let message = format!("`{key}` is 1 to {max}");
                this.refuse(
                    &wrong.span(),
                    message,
                    format!("leave it out for {default}"),
                );
            }
            given.as_ref().map_or(default, |number| *number.get_ref())
        };
        let max_concurrent = number(
            self,
            "max_concurrent",
            &http.max_concurrent,
            MAX_CONCURRENT,
            CONCURRENT_MAX,
        );
        let max_connections = number(
            self,
            "max_connections",
            &http.max_connections,
            MAX_CONNECTIONS,
            CONNECTIONS_MAX,
        );
        let max_body = self.max_body(http.max_body.as_ref());
        let timeout = self.ingest_timeout(http.timeout.as_ref());
        Some(Ingest {
            listen: listen?,
            token,
            types,
            max_body,
            max_concurrent,
            max_connections,
            timeout,
        })
    }

    fn listen(&mut self, listen: &Spanned<String>) -> Option<SocketAddr> {
        let parsed = listen.get_ref().parse().ok();
        if parsed.is_none() {
            let message = format!("`{}` is not an address to listen on", listen.get_ref());
            let help = "write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"; port 0 takes a free one";
            self.refuse(&listen.span(), message, help);
        }
        parsed
    }

    /// What nobody can send opens to nobody. One that cannot be read now may be there when the agent starts.
    fn token(&mut self, token: &SecretRef, span: &Range<usize>) {
        let Ok(token) = token.fetch() else { return };
        if let Err(why) = Gate::new(Some(&token)) {
            let message = format!("this token cannot be sent by anybody: {why}");
            let help = "make one with `openssl rand -hex 32`, and give the same to the senders";
            self.refuse(span, message, help);
        }
    }

    /// Where others can come, they have to prove who they are, and should not be overheard.
    fn exposed(&mut self, listen: SocketAddr, http: &document::FromHttp) {
        if is_local(listen) {
            return;
        }
        if http.token.is_none() {
            let message = format!("whoever reaches {listen} could hand in documents");
            let help =
                "give it a `token`, such as token = \"file:hub.token\", or listen on 127.0.0.1";
            self.refuse(&http.listen.span(), message, help);
        } else {
            let message =
                format!("what is sent to {listen}, its token too, can be read on the way");
            let help = "listen on 127.0.0.1 behind a proxy that speaks TLS, or keep to a network of your own";
            self.warn(&http.listen.span(), message, help);
        }
    }

    fn types(&mut self, types: Vec<Spanned<String>>) -> Kinds {
        for wrong in types.iter().filter(|text| !Kinds::can_be(text.get_ref())) {
            let message = format!("`{}` is not a media type", wrong.get_ref());
            let help = "write it like \"application/json\", or \"text/*\" for all of a kind";
            self.refuse(&wrong.span(), message, help);
        }
        Kinds::new(types.into_iter().map(Spanned::into_inner).collect())
    }

    fn max_body(&mut self, given: Option<&Spanned<Size>>) -> u64 {
        if let Some(wrong) = given.filter(|size| !(1..=BODY_MAX).contains(&size.get_ref().0)) {
            let message = format!("`max_body` is 1 byte to {}", Size(BODY_MAX));
            self.refuse(&wrong.span(), message, "leave it out for 256 MiB");
        }
        given.map_or(BODY_MAX, |size| size.get_ref().0)
    }

    fn ingest_timeout(&mut self, given: Option<&Spanned<Span>>) -> std::time::Duration {
        if let Some(wrong) = given.filter(|span| span.get_ref().0.is_zero()) {
            let message = "a timeout of nothing lets no document in";
            self.refuse(&wrong.span(), message, "leave it out for 5min");
        }
        given.map_or(INGEST_TIMEOUT, |span| span.get_ref().0)
    }

    /// What belongs to a folder says nothing where there is none.
    pub(super) fn refuse_folder_settings(&mut self, span: &Range<usize>, from: &document::From) {
        let first = |patterns: &[Spanned<String>]| patterns.first().map(Spanned::span);
        let unplaced = |is_given: bool| is_given.then(|| span.clone());
        let given: [(&str, Option<Range<usize>>); 6] = [
            ("include", first(&from.include)),
            ("exclude", first(&from.exclude)),
            ("recursive", unplaced(from.recursive.is_some())),
            ("settle", unplaced(from.settle.is_some())),
            ("marker", from.marker.as_ref().map(Spanned::span)),
            ("after", unplaced(from.after.is_some())),
        ];
        for (key, span) in given {
            if let Some(span) = span {
                let message = format!(
                    "`{key}` belongs to a folder, and this route takes documents over http"
                );
                self.refuse(&span, message, "remove it");
            }
        }
    }

    /// Two routes cannot listen at one place, and no route where the agent tells of its `health`.
    pub(super) fn addresses(
        &mut self,
        routes: &[Spanned<document::Route>],
        health: Option<&(SocketAddr, String)>,
    ) {
        let mut seen: Vec<(SocketAddr, String)> = Vec::new();
        let from = routes
            .iter()
            .filter_map(|route| route.get_ref().from.as_ref());
        for http in from.filter_map(|from| from.get_ref().http.as_ref()) {
            let listen = &http.get_ref().listen;
            let Ok(address) = listen.get_ref().parse::<SocketAddr>() else {
                continue;
            };
            let taken = |(other, _): &&(SocketAddr, String)| overlap(*other, address);
            let other = seen
                .iter()
                .find(taken)
                .map(|(_, place)| format!("two routes listen on {address}, see {place}"));
            let other = other.or_else(|| {
                let (_, place) = health.filter(taken)?;
                Some(format!(
                    "the agent tells of its health on {address}, see {place}"
                ))
            });
            if let Some(message) = other {
                self.refuse(&listen.span(), message, "give each a port of its own");
            }
            seen.push((address, self.source.place(&listen.span())));
        }
    }

    /// All routes share the threads that write what comes.
    pub(super) fn turns(&mut self, routes: &[Spanned<document::Route>]) {
        let mut all = 0;
        let from = routes
            .iter()
            .filter_map(|route| route.get_ref().from.as_ref());
        for http in from.filter_map(|from| from.get_ref().http.as_ref()) {
            let given = http.get_ref().max_concurrent.as_ref();
            all += u32::from(given.map_or(MAX_CONCURRENT, |number| *number.get_ref()));
            if u32::from(CONCURRENT_MAX) < all {
                let message = format!(
                    "the routes up to here take {all} documents at once; {CONCURRENT_MAX} are as many as all together may"
                );
                let help = "give `max_concurrent` less in some of them";
                self.refuse(&http.span(), message, help);
                return;
            }
        }
    }
}
