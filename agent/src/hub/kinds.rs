//! Which kinds of documents a route takes.

/// Media types, `text/*` for all of a kind; none for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kinds(Vec<String>);

impl Kinds {
    /// These and no others; none at all means everything.
    pub(crate) fn new(types: Vec<String>) -> Self {
        Self(types)
    }

    /// Whether this can be written as one of them: `type/subtype` or `type/*`.
    pub(crate) fn can_be(text: &str) -> bool {
        let is_token = |part: &str| {
            let fits = |c: u8| c.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&c);
            !part.is_empty() && part.bytes().all(fits)
        };
        text.split_once('/')
            .is_some_and(|(kind, sub)| is_token(kind) && (sub == "*" || is_token(sub)))
    }

    /// Whether a document of this type is taken; what follows a semicolon does not count.
    pub(super) fn take(&self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |wanted: &String| match wanted.strip_suffix('*') {
            Some(kind) => essence
                .get(..kind.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(kind)),
            None => essence.eq_ignore_ascii_case(wanted),
        };
        self.0.is_empty() || self.0.iter().any(is)
    }

    /// The types, as they were written.
    pub(crate) fn list(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_whatever_its_case_and_its_parameters() {
        let kinds = Kinds::new(vec!["application/json".into(), "text/*".into()]);
        for taken in ["application/json", "Application/JSON; v=1", "text/csv"] {
            assert!(kinds.take(taken), "{taken}");
        }
        for refused in ["", "application/jsonl", "texts/csv", "image/png", "tex"] {
            assert!(!kinds.take(refused), "{refused}");
        }
        assert!(Kinds::default().take("anything at all"));
    }

    #[test]
    fn what_can_be_no_type_is_told() {
        for good in ["application/json", "text/*", "application/vnd.a+json"] {
            assert!(Kinds::can_be(good), "{good}");
        }
        for bad in ["", "json", "*/*", "/json", "text/", "text/a b", "text/a;b"] {
            assert!(!Kinds::can_be(bad), "{bad}");
        }
    }
}
