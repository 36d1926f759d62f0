//! Values that have to fit a JSON Schema.

use super::{Check, TOML_MAX, Utf8, parse_toml};
use crate::error::{Attempt, Error, ErrorKind};
use serde_json::Value;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// The most bytes of JSON that are looked at: a value is held in memory, and takes several times as many there.
const JSON_MAX: u64 = TOML_MAX;

/// So many faults are told at once.
const FAULTS: usize = 5;

/// A JSON Schema (draft 4 to 2020-12) that a content has to fit, be it JSON or TOML of up to 16 MiB.
///
/// A fault is told by its place in the value, without what stands there: it may be a secret. The schema may refer to itself,
/// and to nothing outside.
///
/// ```
/// use mainstay_files::{Schema, WriteOptions};
///
/// # let folder = tempfile::TempDir::new()?;
/// # let path = folder.path().join("settings.json");
/// let schema = Schema::new(br#"{"properties": {"volume": {"type": "integer", "maximum": 11}}}"#)?;
/// let options = WriteOptions::new().checking(schema);
/// assert!(options.write(&path, br#"{"volume": 11}"#).is_ok());
/// let refused = options.write(&path, br#"{"volume": 12}"#).unwrap_err();
/// assert!(refused.to_string().contains("/volume"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Schema {
    validator: Arc<jsonschema::Validator>,
    is_for_toml: bool,
}

impl Schema {
    /// One from its text, for contents that are JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: it is no JSON Schema, or refers to something outside; the message says where.
    pub fn new(schema: &[u8]) -> Result<Self, Error> {
        let refused = |reason: String| {
            let attempt = Attempt::new("use as a schema", Path::new("what was given"), "");
            attempt.refused(ErrorKind::Invalid, &reason)
        };
        let schema: Value = serde_json::from_slice(schema)
            .map_err(|error| refused(format!("it is no JSON: {error}")))?;
        let validator = jsonschema::validator_for(&schema).map_err(|error| {
            let place = place(error.instance_path().as_str());
            refused(format!("{place}: {error}"))
        })?;
        Ok(Self {
            validator: Arc::new(validator),
            is_for_toml: false,
        })
    }

    /// The same, for contents that are TOML: its tables are objects, its dates strings.
    #[must_use]
    pub fn for_toml(self) -> Self {
        Self {
            is_for_toml: true,
            ..self
        }
    }
}

impl Check for Schema {
    fn check(&self, content: &mut dyn Read) -> Result<(), String> {
        let value = if self.is_for_toml {
            value_of(toml::Value::Table(parse_toml(content)?))
        } else {
            parse_json(content)?
        };
        let mut faults = self.validator.iter_errors(&value);
        let mut told: Vec<String> = faults
            .by_ref()
            .take(FAULTS)
            .map(|fault| {
                let place = place(fault.instance_path().as_str());
                format!("{place}: {}", fault.masked())
            })
            .collect();
        if told.is_empty() {
            return Ok(());
        }
        if faults.next().is_some() {
            told.push("and more".to_owned());
        }
        Err(format!("it does not fit its schema: {}", told.join("; ")))
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("is_for_toml", &self.is_for_toml)
            .finish_non_exhaustive()
    }
}

/// A JSON pointer, or a word for the whole.
fn place(pointer: &str) -> &str {
    if pointer.is_empty() {
        "at its top"
    } else {
        pointer
    }
}

fn parse_json(content: &mut dyn Read) -> Result<Value, String> {
    let mut bytes = Vec::new();
    Utf8::new(content)
        .take(JSON_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error: io::Error| format!("it is no JSON: {error}"))?;
    if bytes.len() as u64 > JSON_MAX {
        return Err(format!("it is longer than {JSON_MAX} bytes of JSON"));
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("it is no JSON: {error}"))
}

fn value_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(values) => values.into_iter().map(value_of).collect(),
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(key, value)| (key, value_of(value)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &[u8] = br##"{
        "type": "object",
        "required": ["station"],
        "properties": {
            "station": {"type": "string", "maxLength": 8},
            "retries": {"$ref": "#/$defs/count"},
            "since": {"type": "string"}
        },
        "additionalProperties": false,
        "$defs": {"count": {"type": "integer", "minimum": 0}}
    }"##;

    fn json(content: &str) -> Result<(), String> {
        Schema::new(SCHEMA).unwrap().check(&mut content.as_bytes())
    }

    fn toml(content: &str) -> Result<(), String> {
        let schema = Schema::new(SCHEMA).unwrap().for_toml();
        schema.check(&mut content.as_bytes())
    }

    #[test]
    fn a_content_fits_or_every_fault_is_told_by_its_place_and_never_by_its_value() {
        assert_eq!(json(r#"{"station": "lab 7", "retries": 3}"#), Ok(()));
        let told = json(r#"{"station": "hunter2-hunter2", "retries": -4711}"#).unwrap_err();
        assert!(told.starts_with("it does not fit its schema: "), "{told}");
        assert!(
            told.contains("/station: ") && told.contains("/retries: "),
            "{told}"
        );
        assert!(
            !told.contains("hunter2") && !told.contains("4711"),
            "{told}"
        );
        assert!(json("{}").unwrap_err().contains("at its top: "));
        assert!(json("{").unwrap_err().starts_with("it is no JSON: "));

        assert_eq!(toml("station = \"lab 7\"\nsince = 2026-11-21\n"), Ok(()));
        assert!(toml("station = 7\n").unwrap_err().contains("/station: "));
        assert!(toml("station = \n").unwrap_err().contains("at line 1"));
    }

    #[test]
    fn of_many_faults_a_few_are_told() {
        let schema = Schema::new(br#"{"items": {"type": "string"}}"#).unwrap();
        let told = schema.check(&mut &b"[1, 2, 3, 4, 5, 6]"[..]).unwrap_err();
        assert!(told.contains("/4: ") && !told.contains("/5: "), "{told}");
        assert!(told.ends_with("; and more"), "{told}");
    }

    #[test]
    fn a_schema_that_is_none_or_leads_outside_is_refused() {
        for (schema, said) in [
            (&b"{"[..], "it is no JSON"),
            (br#"{"type": "number of things"}"#, "/type"),
            (br#"{"$ref": "file:///etc/passwd"}"#, "passwd"),
            (br#"{"$ref": "https://example.com/schema"}"#, "example.com"),
        ] {
            let error = Schema::new(schema).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_understood() {
        let schema = Schema::new(b"true").unwrap();
        let told = schema.check(&mut io::repeat(b' ')).unwrap_err();
        assert_eq!(told, "it is longer than 16777216 bytes of JSON");
    }
}
