//! Where in the configuration something stands, and what is wrong with it.

use super::nearest::nearest;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration file and its text, to tell places from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    path: Arc<PathBuf>,
    text: Arc<str>,
}

/// Stands for `--from` where there is no file.
pub(crate) const FROM: Range<usize> = 0..0;

/// Stands for `--to`.
pub(crate) const TO: Range<usize> = 1..1;

/// Something in the configuration that cannot be, or should not be: where, what, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// `FILE:LINE:COLUMN`, or the flag on the command line.
    pub(crate) place: String,
    /// Where that is in the text, so that problems can be told in its order.
    pub(crate) start: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) help: Option<String>,
}

impl Source {
    /// A file with its text.
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        Self {
            path: Arc::new(path.to_owned()),
            text: text.into(),
        }
    }

    /// What the settings came from when there is no file: the command line, or nothing at all.
    pub(crate) fn none() -> Self {
        Self::new(Path::new(""), "")
    }

    /// The folder that relative paths in it start from.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// `FILE:LINE:COLUMN` of a span, both counted from 1, columns in characters.
    pub(crate) fn place(&self, span: &Range<usize>) -> String {
        if self.path.as_os_str().is_empty() {
            return if span.start == TO.start {
                "--to"
            } else {
                "--from"
            }
            .to_owned();
        }
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |start| start.chars().count())
            + 1;
        format!("{}:{line}:{column}", self.path.display())
    }

    /// A problem at a span.
    pub(crate) fn problem(&self, span: &Range<usize>, message: impl Into<String>) -> Problem {
        Problem {
            place: self.place(span),
            start: span.start,
            message: message.into(),
            help: None,
        }
    }

    /// What the TOML reader refused, as a problem with its place and the nearest word that would be known.
    pub(crate) fn refused(&self, error: &toml::de::Error) -> Problem {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim().replace('\n', "; ");
        let help = known_instead(&message);
        Problem {
            help,
            ..self.problem(&span, message)
        }
    }
}

impl Problem {
    /// Adds what to write instead.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// From "unknown field `folderr`, expected one of `folder`, `include`" to "did you mean `folder`?".
fn known_instead(message: &str) -> Option<String> {
    let rest = message
        .strip_prefix("unknown field ")
        .or_else(|| message.strip_prefix("unknown variant "))?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let written = quoted.next()?;
    nearest(written, quoted).map(|known| format!("did you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_file_line_and_column_counted_from_one() {
        let source = Source::new(Path::new("a.toml"), "x = 1\nü = 2 y\n");
        assert_eq!(source.place(&(0..1)), "a.toml:1:1");
        assert_eq!(source.place(&(13..14)), "a.toml:2:7");
        assert_eq!(source.place(&(900..901)), "a.toml:3:1");
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest_known_one() {
        let message = "unknown field `folderr`, expected one of `folder`, `include`, `exclude`";
        assert_eq!(
            known_instead(message).as_deref(),
            Some("did you mean `folder`?")
        );
        assert_eq!(
            known_instead("unknown field `zzz`, expected `folder`"),
            None
        );
        assert_eq!(known_instead("missing field `name`"), None);
    }
}
