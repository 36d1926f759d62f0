//! Where something stands in a document or an answer: `release/year`, `tracks/*`.

use crate::error::InvalidSettings;
use std::fmt;
use std::str::FromStr;

/// Where something stands, from the outside in: names of fields or elements, numbers of items from 0, `*` for each of them.
///
/// Steps are parted by `/`; one at the beginning means nothing. In a name `~1` is a slash and `~0` a tilde, as in a JSON pointer
/// (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Place {
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Every,
    Name(String),
}

impl Place {
    /// Whether it names more than one thing.
    pub(crate) fn is_plural(&self) -> bool {
        self.steps.contains(&Step::Every)
    }

    /// The names alone; only for places that are not plural.
    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.steps.iter().map(|step| match step {
            Step::Every => "*",
            Step::Name(name) => name.as_str(),
        })
    }
}

impl FromStr for Place {
    type Err = InvalidSettings;

    fn from_str(text: &str) -> Result<Self, InvalidSettings> {
        let inner = text.strip_prefix('/').unwrap_or(text);
        if inner.is_empty() {
            return Ok(Self::default());
        }
        let step = |step: &str| match step {
            "" => Err(InvalidSettings::new(format!(
                "`{text}` has a step without a name; write it like `release/year`"
            ))),
            "*" => Ok(Step::Every),
            name => Ok(Step::Name(name.replace("~1", "/").replace("~0", "~"))),
        };
        let steps = inner.split('/').map(step).collect::<Result<_, _>>()?;
        Ok(Self { steps })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            f.write_str(&name.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_as_it_is_shown() {
        for text in ["", "genre", "release/year", "tracks/*", "a~1b/c~0d", "0/1"] {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.to_string(), text);
            assert_eq!(format!("/{text}").parse::<Place>().unwrap(), place);
        }
        let place: Place = "a~1b/c~0d".parse().unwrap();
        assert!(place.names().eq(["a/b", "c~d"]));
        for text in ["a//b", "a/", "//"] {
            let refused = text.parse::<Place>().unwrap_err().to_string();
            assert!(refused.contains("without a name"), "{refused}");
        }
    }
}
