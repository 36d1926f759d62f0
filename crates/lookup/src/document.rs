//! A document in either of its forms.

use crate::json::{self, Json};
use crate::place::Place;
use crate::settings::LookupSettings;
use crate::template::Unfilled;
use crate::xml::{self, Xml};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Things in one document; a collection of a life's music has some 100,000.
const ITEMS_MAX: usize = 200_000;

/// What is to be asked about a document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Questions {
    /// Each address once.
    pub(crate) urls: Vec<String>,
    /// Which of them each thing waits for; none for what does not say what the address needs.
    pub(crate) of_items: Vec<Option<usize>>,
}

/// What was found at an address, in the order of `take`.
pub(crate) type Found = Vec<Option<Box<RawValue>>>;

impl Questions {
    fn ask(&mut self, url: Result<String, Unfilled>, known: &mut HashMap<String, usize>) {
        let number = url.ok().map(|url| {
            *known.entry(url).or_insert_with_key(|url| {
                self.urls.push(url.clone());
                self.urls.len() - 1
            })
        });
        self.of_items.push(number);
    }
}

/// The text of a document, and the mark at its beginning that is none of it.
fn text(document: &[u8]) -> Result<(&'static str, &str), String> {
    const MARK: &str = "\u{feff}";
    let text = std::str::from_utf8(document)
        .map_err(|error| format!("it is not UTF-8, from byte {} on", error.valid_up_to()))?;
    Ok(text
        .strip_prefix(MARK)
        .map_or(("", text), |text| (MARK, text)))
}

fn is_xml(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

/// What has to be asked to complete the document.
pub(crate) fn questions(document: &[u8], settings: &LookupSettings) -> Result<Questions, String> {
    let (_, text) = text(document)?;
    let (mut questions, mut known) = (Questions::default(), HashMap::new());
    if is_xml(text) {
        for (field, _) in &settings.take {
            xml::single(field)?;
        }
        for item in Xml::new(text).items(&settings.each, ITEMS_MAX)? {
            let url = settings
                .url
                .fill(|place| Xml::field(&item, place).map(str::to_owned));
            questions.ask(url, &mut known);
        }
    } else {
        for item in Json::read(text)?.items(&settings.each, ITEMS_MAX)? {
            let url = settings
                .url
                .fill(|place| Json::field(item, place).ok().flatten());
            questions.ask(url, &mut known);
        }
    }
    Ok(questions)
}

/// The document with what was found, by the number of its question; and how many fields were set.
pub(crate) fn completed(
    document: &[u8],
    settings: &LookupSettings,
    of_items: &[Option<usize>],
    found: &[Option<Found>],
) -> Result<(String, u64), String> {
    let (mark, text) = text(document)?;
    let answers = of_items
        .iter()
        .map(|number| found.get((*number)?)?.as_ref());
    let taken = |found: &'_ Found, set: Set<'_>| {
        for ((field, _), value) in settings.take.iter().zip(found) {
            if let Some(value) = value {
                set(field, value)?;
            }
        }
        Ok::<(), String>(())
    };
    let mut count = 0;
    let completed = if is_xml(text) {
        let mut xml = Xml::new(text);
        for (item, found) in xml.items(&settings.each, ITEMS_MAX)?.iter().zip(answers) {
            let Some(found) = found else { continue };
            taken(found, &mut |field, value| {
                if let Some(value) = json::flat(value) {
                    count += u64::from(xml.set(item, field, &value, settings.replaces)?);
                }
                Ok(())
            })?;
        }
        xml.finish()
    } else {
        let mut json = Json::read(text)?;
        for (item, found) in json
            .items(&settings.each, ITEMS_MAX)?
            .into_iter()
            .zip(answers)
        {
            let Some(found) = found else { continue };
            taken(found, &mut |field, value| {
                count += u64::from(json.set(item, field, value, settings.replaces)?);
                Ok(())
            })?;
        }
        json.finish()
    };
    Ok((format!("{mark}{completed}"), count))
}

/// Puts a value into a field.
type Set<'s> = &'s mut dyn FnMut(&Place, &RawValue) -> Result<(), String>;
