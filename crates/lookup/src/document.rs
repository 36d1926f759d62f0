//! A document in either of its forms.

use crate::error::{Failure, FailureKind};
use crate::json::{self, Json};
use crate::place::Place;
use crate::settings::LookupSettings;
use crate::template::Unfilled;
use crate::xml::{self, Most, Xml};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;

/// The largest document, in bytes, before and after it was completed.
pub const DOCUMENT_MAX: usize = 64 << 20;

/// Things in one document; a collection of a life's music has some 100,000.
const ITEMS_MAX: usize = 200_000;

/// Fields of all things in XML that the address or `take` name: ten for each of as many as may be, and 64 bytes for each.
const FIELDS_MAX: usize = 2_000_000;

/// Bytes of all addresses that one document asks for: 335 for each of as many things as may be, and some 100 are usual.
const ADDRESSES_MAX: usize = 64 << 20;

/// Bytes of one value that is taken; what stands in a field is a few words, and a description a page.
pub(crate) const VALUE_MAX: usize = 64 << 10;

const MOST: Most = Most {
    items: ITEMS_MAX,
    fields: FIELDS_MAX,
};

/// In what a document is written, and so what is put into it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Json,
    Xml,
}

/// What is to be asked about a document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Questions {
    pub(crate) form: Form,
    /// Each address once.
    pub(crate) urls: Vec<Arc<str>>,
    /// Which of them each thing waits for; none for what does not say what the address needs.
    pub(crate) of_items: Vec<Option<usize>>,
}

/// What was found at an address, in the order of `take` and as the document's form has it: JSON as it was answered, or a text.
pub(crate) type Found = Vec<Option<Arc<str>>>;

/// Addresses that are asked already, and how long all of them are.
#[derive(Default)]
struct Known {
    numbers: HashMap<Arc<str>, usize>,
    bytes: usize,
}

impl Questions {
    fn ask(&mut self, url: Result<String, Unfilled>, known: &mut Known) -> Result<(), String> {
        let Ok(url) = url else {
            self.of_items.push(None);
            return Ok(());
        };
        if let Some(number) = known.numbers.get(url.as_str()) {
            self.of_items.push(Some(*number));
            return Ok(());
        }
        known.bytes += url.len();
        if known.bytes > ADDRESSES_MAX {
            return Err(format!(
                "its addresses are longer than {ADDRESSES_MAX} bytes together"
            ));
        }
        let (url, number) = (Arc::<str>::from(url), self.urls.len());
        known.numbers.insert(Arc::clone(&url), number);
        self.urls.push(url);
        self.of_items.push(Some(number));
        Ok(())
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

fn form(text: &str) -> Form {
    if text.trim_start().starts_with('<') {
        Form::Xml
    } else {
        Form::Json
    }
}

/// What has to be asked to complete the document.
pub(crate) fn questions(document: &[u8], settings: &LookupSettings) -> Result<Questions, String> {
    let (_, text) = text(document)?;
    let mut known = Known::default();
    let mut questions = Questions {
        form: form(text),
        ..Questions::default()
    };
    match questions.form {
        Form::Xml => {
            for (field, _) in &settings.take {
                xml::single(field)?;
            }
            let names = names(settings.url.fields());
            for item in Xml::new(text).items(&settings.each, &names, MOST)? {
                let said = |place: &Place| Xml::field(&item, place).map(str::to_owned);
                questions.ask(settings.url.fill(said), &mut known)?;
            }
        }
        Form::Json => {
            for item in Json::read(text)?.items(&settings.each, ITEMS_MAX)? {
                let said = |place: &Place| Json::field(item, place).ok().flatten();
                questions.ask(settings.url.fill(said), &mut known)?;
            }
        }
    }
    Ok(questions)
}

/// What is to be remembered of a document in XML; what is no name of a field stands nowhere in it.
fn names<'p>(places: impl Iterator<Item = &'p Place>) -> Vec<&'p str> {
    places.filter_map(|place| xml::single(place).ok()).collect()
}

/// What of an answer is put into a document of this form; nothing where it has nothing of the kind.
pub(crate) fn value(value: &RawValue, form: Form) -> Result<Option<Arc<str>>, String> {
    let raw = value.get();
    if raw.len() > VALUE_MAX {
        return Err(format!(
            "has {} bytes, and up to {VALUE_MAX} are taken",
            raw.len()
        ));
    }
    if json::has_half_a_sign(value) {
        return Err("has half a sign, which no text can hold".to_owned());
    }
    match form {
        Form::Json => Ok(Some(raw.into())),
        Form::Xml => {
            let Some(text) = json::flat(value) else {
                return Ok(None);
            };
            match xml::unwritable(&text) {
                Some(sign) => Err(format!(
                    "has the sign {sign:?}, which XML has no way to write"
                )),
                None => Ok(Some(text.into())),
            }
        }
    }
}

/// The document with what was found, by the number of its question; and how many fields were set.
///
/// # Errors
///
/// The document has no place for it, or would be longer than [`DOCUMENT_MAX`], which is the fault of what was answered.
pub(crate) fn completed(
    document: &[u8],
    settings: &LookupSettings,
    of_items: &[Option<usize>],
    found: &[Option<Found>],
) -> Result<(String, u64), Failure> {
    let (mark, text) = text(document).map_err(Failure::unreadable)?;
    let answers = of_items
        .iter()
        .map(|number| found.get((*number)?)?.as_ref());
    let mut count = 0;
    let completed = match form(text) {
        Form::Xml => {
            let mut xml = Xml::new(text);
            let names = names(settings.take.iter().map(|(field, _)| field));
            let items = xml.items(&settings.each, &names, MOST);
            let items = items.map_err(Failure::unreadable)?;
            for (item, found) in items.iter().zip(answers) {
                for (field, value) in taken(settings, found) {
                    let set = xml.set(item, field, value, settings.replaces);
                    count += u64::from(set.map_err(Failure::unreadable)?);
                }
                check_len(document.len() + xml.put_in())?;
            }
            xml.finish()
        }
        Form::Json => {
            let mut json = Json::read(text).map_err(Failure::unreadable)?;
            let items = json.items(&settings.each, ITEMS_MAX);
            let items = items.map_err(Failure::unreadable)?;
            for (item, found) in items.into_iter().zip(answers) {
                for (field, value) in taken(settings, found) {
                    let set = json.set(item, field, value, settings.replaces);
                    count += u64::from(set.map_err(Failure::unreadable)?);
                }
                check_len(document.len() + json.put_in())?;
            }
            json.finish()
        }
    };
    Ok((format!("{mark}{completed}"), count))
}

/// The fields that get something, and what.
fn taken<'f>(
    settings: &'f LookupSettings,
    found: Option<&'f Found>,
) -> impl Iterator<Item = (&'f Place, &'f Arc<str>)> {
    let values = found.into_iter().flatten();
    let fields = settings.take.iter().zip(values);
    fields.filter_map(|((field, _), value)| Some((field, value.as_ref()?)))
}

/// What is replaced is counted, too: one may be as long as the other.
fn check_len(len: usize) -> Result<(), Failure> {
    if len <= DOCUMENT_MAX {
        return Ok(());
    }
    let message = format!(
        "with what was answered the document would be longer than {DOCUMENT_MAX} bytes; take less of it"
    );
    Err(Failure::new(FailureKind::Server, message))
}
