//! An HTTP destination: method, credentials, certificates, proxy.

use super::Check;
use crate::config::document::{self, Compress};
use crate::config::secret::SecretRef;
use crate::config::settings::{Auth, Connection, Http, Proxy, SYSTEM, TIMEOUT};
use mainstay_lookup::holds_a_secret;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Spanned;

impl Check<'_> {
    pub(super) fn http(
        &mut self,
        url: Spanned<String>,
        destination: document::Destination,
    ) -> Http {
        self.refuse_impossible(&destination);
        let headers = destination.headers.into_iter();
        let connection = self.connection(destination.tls.as_ref(), destination.proxy);
        Http {
            url: url.into_inner(),
            method: destination
                .method
                .map_or_else(|| "POST".to_owned(), Spanned::into_inner),
            headers: headers
                .map(|(name, value)| (name.into_inner(), value.into_inner()))
                .collect(),
            auth: destination.auth.and_then(|auth| self.auth(auth)),
            connection,
            if_none_match: destination.if_none_match.is_some_and(Spanned::into_inner),
            timeout: destination
                .timeout
                .map_or(TIMEOUT, |timeout| timeout.get_ref().0),
            compress: destination
                .compress
                .map_or(Compress::None, Spanned::into_inner),
        }
    }

    fn refuse_impossible(&mut self, destination: &document::Destination) {
        if let Some(name) = &destination.name {
            let message = "`name` belongs to a folder destination, and this one has a `url`";
            self.refuse(
                &name.span(),
                message,
                "write {name} or {id} into the url instead",
            );
        }
        let method = destination.method.as_ref();
        if let Some(method) =
            method.filter(|method| !matches!(method.get_ref().as_str(), "POST" | "PUT"))
        {
            let message = format!(
                "the method `{}` does not hand over a document",
                method.get_ref()
            );
            self.refuse(&method.span(), message, "write \"POST\" or \"PUT\"");
        }
        let timeout = destination.timeout.as_ref();
        if let Some(timeout) = timeout.filter(|timeout| timeout.get_ref().0.is_zero()) {
            let message = "a timeout of nothing lets no attempt succeed";
            self.refuse(&timeout.span(), message, "leave it out for 60s");
        }
        self.warn_of_secrets(&destination.headers);
    }

    /// Says which headers hold a secret that everybody reads who reads the configuration.
    pub(super) fn warn_of_secrets(&mut self, headers: &BTreeMap<Spanned<String>, Spanned<String>>) {
        for (name, value) in headers {
            if holds_a_secret(name.get_ref()) {
                let help = "use auth = { bearer = \"env:NAME\" }, or file: or credential:";
                self.warn(
                    &value.span(),
                    "a secret stands in the configuration itself",
                    help,
                );
            }
        }
    }

    /// How another machine is reached: the same for destinations, lookups and alerts.
    pub(super) fn connection(
        &mut self,
        tls: Option<&document::Tls>,
        proxy: Option<Spanned<document::Proxy>>,
    ) -> Connection {
        let (ca, client) = tls.map_or((None, None), |tls| self.tls(tls));
        Connection {
            ca,
            client,
            proxy: proxy.and_then(|proxy| self.proxy(proxy)),
        }
    }

    /// The authority, and our own certificate with its key.
    fn tls(&mut self, tls: &document::Tls) -> (Option<PathBuf>, Option<(PathBuf, PathBuf)>) {
        let folder = self.source.folder();
        let file = |path: &Spanned<PathBuf>| folder.join(path.get_ref());
        let ca = tls.ca.as_ref().map(file);
        match (&tls.cert, &tls.key) {
            (Some(cert), Some(key)) => (ca, Some((file(cert), file(key)))),
            (Some(alone), None) | (None, Some(alone)) => {
                let message = "a client certificate needs its key, and a key its certificate";
                self.refuse(&alone.span(), message, "give both `cert` and `key`");
                (ca, None)
            }
            (None, None) => (ca, None),
        }
    }

    pub(super) fn auth(&mut self, auth: Spanned<document::Auth>) -> Option<Auth> {
        let span = auth.span();
        match auth.into_inner() {
            document::Auth {
                bearer: Some(token),
                basic: None,
                api_key: None,
            } => Some(Auth::Bearer(self.secret(&token))),
            document::Auth {
                bearer: None,
                basic: Some(basic),
                api_key: None,
            } => Some(Auth::Basic {
                password: self.secret(&basic.password),
                user: basic.user,
            }),
            document::Auth {
                bearer: None,
                basic: None,
                api_key: Some(api),
            } => Some(Auth::ApiKey {
                key: self.secret(&api.key),
                header: api.header.into_inner(),
            }),
            _ => {
                let help = "write bearer = \"env:NAME\", basic = { user, password } or api_key = { header, key }";
                self.refuse(
                    &span,
                    "`auth` has to be exactly one of bearer, basic and api_key",
                    help,
                );
                None
            }
        }
    }

    fn proxy(&mut self, proxy: Spanned<document::Proxy>) -> Option<Proxy> {
        let span = proxy.span();
        let proxy = proxy.into_inner();
        if proxy.url == SYSTEM {
            if proxy.user.is_some() || proxy.password.is_some() || !proxy.bypass.is_empty() {
                let help = "the environment says who passes and what is bypassed: write proxy = \"system\" alone";
                self.refuse(&span, "a `system` proxy with settings of its own", help);
                return None;
            }
            return Some(Proxy::System);
        }
        let credentials = proxy.user.zip(proxy.password);
        let credentials = credentials.map(|(user, password)| (user, self.secret(&password)));
        Some(Proxy::Manual {
            url: proxy.url,
            credentials,
            bypass: proxy.bypass,
        })
    }

    /// A secret has to be there now: an agent that starts without it would hold the destination for ever, or let nobody in.
    pub(super) fn secret(&mut self, text: &Spanned<String>) -> SecretRef {
        let secret = SecretRef::parse(text.get_ref(), self.source.folder());
        if matches!(secret, SecretRef::Inline(_)) {
            let help = "write env:NAME, file:PATH or credential:NAME, and put the secret there";
            self.warn(
                &text.span(),
                "a secret stands in the configuration itself",
                help,
            );
        } else if let Err(why) = secret.fetch() {
            let help = "put it there, or write another env:, file: or credential:";
            self.refuse(&text.span(), format!("the secret is missing: {why}"), help);
        }
        secret
    }
}
