//! How often which kind of thing went wrong, and how bad it was.

use mainstay_resilience::{Category, ErrorCounts, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Errors by category and severity; only those that there were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Errors(BTreeMap<String, BTreeMap<String, u64>>);

impl Errors {
    /// How many there were of one kind.
    pub(crate) fn of(&self, category: Category, severity: Severity) -> u64 {
        let of_category = self.0.get(category.name());
        let number = of_category.and_then(|counts| counts.get(severity.name()));
        number.copied().unwrap_or_default()
    }

    /// How many there were.
    pub(crate) fn total(&self) -> u64 {
        let all = self.0.values().flat_map(BTreeMap::values);
        all.copied().fold(0, u64::saturating_add)
    }
}

impl From<ErrorCounts> for Errors {
    fn from(counts: ErrorCounts) -> Self {
        let mut errors = BTreeMap::<_, BTreeMap<_, _>>::new();
        for category in Category::ALL {
            for severity in Severity::ALL {
                let number = counts.of(category, severity);
                if 0 < number {
                    let of_category = errors.entry(category.name().to_owned()).or_default();
                    of_category.insert(severity.name().to_owned(), number);
                }
            }
        }
        Self(errors)
    }
}

/// Those of which there were most, first.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<(u64, String)> = Vec::new();
        for (category, counts) in &self.0 {
            for (severity, number) in counts {
                all.push((*number, format!("{number} {category}/{severity}")));
            }
        }
        // Those that are equal stay in the order of their names.
        all.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        let words: Vec<String> = all.into_iter().map(|(_, words)| words).collect();
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_resilience::{Class, ErrorContext, ErrorLog};

    #[test]
    fn errors_are_told_by_what_they_are_the_most_frequent_first() {
        let (log, clock) = (ErrorLog::new(), mainstay_clock::system());
        let error = std::io::Error::other("no");
        for (category, severity, number) in [
            (Category::Validation, Severity::Medium, 2),
            (Category::Network, Severity::High, 11),
            (Category::Network, Severity::Medium, 2),
        ] {
            let class = Class::permanent(category, severity);
            for _ in 0..number {
                log.record(ErrorContext::classed("deliver", &error, class, &*clock));
            }
        }
        let errors = Errors::from(log.counts());
        assert_eq!(errors.total(), 15);
        assert_eq!(errors.of(Category::Network, Severity::High), 11);
        assert_eq!(errors.of(Category::Unknown, Severity::Low), 0);
        let words = "11 network/high, 2 network/medium, 2 validation/medium";
        assert_eq!(errors.to_string(), words);
        let json = serde_json::to_value(&errors).unwrap();
        assert_eq!(json["validation"], serde_json::json!({ "medium": 2 }));
        assert_eq!(serde_json::from_value::<Errors>(json).unwrap(), errors);
        assert_eq!(Errors::default().to_string(), "");
    }
}
