//! From text to what stands in it, with everything that cannot be, and not only the first.

use super::document::Document;
use super::place::{Problem, Source};
use serde::Deserialize;
use std::ops::Range;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

/// So many are told; whoever has more has made one mistake many times.
const TOLD_MAX: usize = 50;

/// What was read.
pub(super) enum Read {
    /// All of it, or all but keys that mean nothing, of which the problems tell.
    Document(Box<Document>, Vec<Problem>),
    /// What cannot be read; what else is wrong might be so only for that.
    Problems(Vec<Problem>),
}

/// Reads as much as can be read: what is refused is taken out, and the rest read again.
pub(super) fn read(text: &str, source: &Source) -> Read {
    let (mut table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors.iter().map(|error| source.refused(error)).collect();
    if !problems.is_empty() {
        problems.truncate(TOLD_MAX);
        return Read::Problems(problems);
    }
    let mut hides_nothing = true;
    let mut out = Vec::new();
    for _ in 0..TOLD_MAX {
        let error = match Document::deserialize(Deserializer::from(table.clone())) {
            Ok(document) if hides_nothing => return Read::Document(document.into(), problems),
            Ok(_) => break,
            Err(error) => error,
        };
        let problem = source.refused(&error);
        // A word that means nothing is missed by nobody; one that was meant for another, or a value that cannot be, is.
        hides_nothing &= problem.message.starts_with("unknown field") && problem.help.is_none();
        // What was taken out is told already; now it is missing.
        let is_told = |key: &String| problem.message == format!("missing field `{key}`");
        if !out.iter().any(is_told) {
            problems.push(problem);
        }
        let key = error
            .span()
            .and_then(|span| take_out(table.get_mut(), &span));
        match key {
            Some(key) => out.push(key),
            None => break,
        }
    }
    Read::Problems(problems)
}

/// Takes out whatever stands at that place; answers its key, which an element of a list has not.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let found = table
        .iter()
        .find(|(key, value)| key.span() == *span || value.span() == *span);
    if let Some(key) = found.map(|(key, _)| key.clone()) {
        table.remove(&key)?;
        return Some(key.get_ref().to_string());
    }
    table
        .iter_mut()
        .find_map(|(_, value)| take_out_of(value.get_mut(), span))
}

fn take_out_of(value: &mut DeValue<'_>, span: &Range<usize>) -> Option<String> {
    match value {
        DeValue::Table(table) => take_out(table, span),
        DeValue::Array(array) => {
            if let Some(place) = array.iter().position(|value| value.span() == *span) {
                let kept = std::mem::replace(array, DeArray::new()).into_iter();
                let kept = kept.enumerate().filter(|(number, _)| *number != place);
                *array = kept.map(|(_, value)| value).collect();
                return Some(String::new());
            }
            array
                .iter_mut()
                .find_map(|value| take_out_of(value.get_mut(), span))
        }
        _ => None,
    }
}
