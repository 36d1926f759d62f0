//! Documents in XML, read and changed where they lie: what is not named keeps every byte.

use crate::edits::Edits;
use crate::place::{Place, Step};
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use std::ops::Range;

/// Elements inside of each other; deeper is no document but an attack.
const DEPTH_MAX: usize = 128;

/// An element that is looked up.
#[derive(Debug)]
pub(crate) struct Item {
    /// Where another attribute would stand.
    new_attributes: usize,
    attributes: Vec<Field>,
    /// Its direct children that hold a text and nothing else.
    children: Vec<Field>,
}

/// A text in the document, and what it says.
#[derive(Debug)]
struct Field {
    name: String,
    range: Range<usize>,
    text: String,
    /// What its value stands in.
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Attribute(char),
    Element,
}

/// A document in XML.
#[derive(Debug)]
pub(crate) struct Xml<'a> {
    text: &'a str,
    edits: Edits,
}

impl<'a> Xml<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            edits: Edits::default(),
        }
    }

    /// The elements at `each`, of which the first step is the root; without a step it is the root itself.
    pub(crate) fn items(&self, each: &Place, most: usize) -> Result<Vec<Item>, String> {
        let mut walk = Walk {
            text: self.text,
            each,
            most,
            path: Vec::new(),
            child: None,
            items: Vec::new(),
        };
        let mut reader = Reader::from_str(self.text);
        reader.config_mut().check_end_names = true;
        let mut has_root = false;
        loop {
            let from = position(&reader);
            let event = reader.read_event().map_err(|error| {
                format!(
                    "it is no XML, at byte {}: {}",
                    reader.error_position(),
                    kind(&error)
                )
            })?;
            let range = from..position(&reader);
            match event {
                Event::Start(start) => {
                    has_root = true;
                    walk.start(&start, &range, false)?;
                }
                Event::Empty(start) => {
                    has_root = true;
                    walk.start(&start, &range, true)?;
                    walk.end(range.end);
                }
                Event::End(_) => walk.end(range.start),
                Event::Eof => break,
                _ => {}
            }
        }
        if !walk.path.is_empty() || !has_root {
            return Err("it is no XML: it ends too early".to_owned());
        }
        Ok(walk.items)
    }

    /// What the item says there: an attribute, or the text of a child.
    pub(crate) fn field<'i>(item: &'i Item, place: &Place) -> Option<&'i str> {
        let name = single(place).ok()?;
        item.field(name).map(|field| field.text.as_str())
    }

    /// Puts `value` there; whether it did, which it does not where something is that is to be kept.
    pub(crate) fn set(
        &mut self,
        item: &Item,
        place: &Place,
        value: &str,
        replaces: bool,
    ) -> Result<bool, String> {
        let name = single(place)?;
        if let Some(bad) = value.chars().find(|sign| !is_allowed(*sign)) {
            return Err(format!(
                "what was found for `{place}` has the sign {bad:?}, which XML has no way to write"
            ));
        }
        let Some(field) = item.field(name) else {
            let at = item.new_attributes;
            let text = format!(" {name}=\"{}\"", escaped(value, Form::Attribute('"')));
            self.edits.put(at..at, text);
            return Ok(true);
        };
        if !replaces && !field.text.trim().is_empty() {
            return Ok(false);
        }
        self.edits
            .put(field.range.clone(), escaped(value, field.form));
        Ok(true)
    }

    /// The document with all that was put into it.
    pub(crate) fn finish(self) -> String {
        self.edits.apply(self.text)
    }
}

/// That a field of XML can have this name: one step, a name.
pub(crate) fn single(place: &Place) -> Result<&str, String> {
    let mut names = place.names();
    let name = names.next().unwrap_or_default();
    let is_name = name.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && name
            .chars()
            .all(|sign| sign.is_alphanumeric() || "-_.:".contains(sign));
    if names.len() > 0 || !is_name {
        return Err(format!("`{place}` is no name of an attribute or a child"));
    }
    Ok(name)
}

impl Item {
    fn field(&self, name: &str) -> Option<&Field> {
        let fields = self.attributes.iter().chain(&self.children);
        fields.into_iter().find(|field| field.name == name)
    }
}

/// Through a document, from its beginning to its end.
struct Walk<'a> {
    text: &'a str,
    each: &'a Place,
    most: usize,
    /// The names of the elements that are open.
    path: Vec<String>,
    /// The child of an item that is open, and where its content begins.
    child: Option<(String, usize)>,
    items: Vec<Item>,
}

impl Walk<'_> {
    fn start(
        &mut self,
        start: &BytesStart<'_>,
        range: &Range<usize>,
        is_empty: bool,
    ) -> Result<(), String> {
        if self.path.len() >= DEPTH_MAX {
            return Err(format!(
                "it has more than {DEPTH_MAX} elements inside of each other"
            ));
        }
        let name = start.name().as_ref().to_owned();
        let depth = self.depth();
        if self.path.len() == depth && !is_empty && self.is_in_item() {
            self.child = Some((name.clone(), range.end));
        }
        self.path.push(name);
        if self.path.len() == depth && self.is_in_item() {
            if self.items.len() >= self.most {
                return Err(format!(
                    "it has more than {} elements at `{}`",
                    self.most, self.each
                ));
            }
            let attributes = self.attributes(start)?;
            self.items.push(Item {
                new_attributes: range.end - if is_empty { 2 } else { 1 },
                attributes,
                children: Vec::new(),
            });
        }
        Ok(())
    }

    /// An element ends, whose content ends at `at`.
    fn end(&mut self, at: usize) {
        let depth = self.depth();
        self.path.pop();
        if self.path.len() != depth || !self.is_in_item() {
            return;
        }
        let Some((name, from)) = self.child.take() else {
            return;
        };
        let range = from..at;
        if let (Some(text), Some(item)) =
            (content(self.text.get(range.clone())), self.items.last_mut())
        {
            item.children.push(Field {
                name,
                range,
                text,
                form: Form::Element,
            });
        }
    }

    /// How many elements are open inside an item, with itself.
    fn depth(&self) -> usize {
        self.each.steps.len().max(1)
    }

    fn is_in_item(&self) -> bool {
        let steps = self.each.steps.iter();
        self.path.len() >= self.depth()
            && steps.zip(&self.path).all(|(step, name)| match step {
                Step::Every => true,
                Step::Name(wanted) => wanted == name,
            })
    }

    fn attributes(&self, start: &BytesStart<'_>) -> Result<Vec<Field>, String> {
        let mut fields = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| {
                format!(
                    "an element `{}` has an attribute twice, or one without a value in quotes",
                    start.name().as_ref()
                )
            })?;
            let raw: &str = &attribute.value;
            // A part of the text, because the reader reads from it; checked all the same.
            let from = raw.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
            let range = from..from.wrapping_add(raw.len());
            let name = attribute.key.as_ref().to_owned();
            let quote = from
                .checked_sub(1)
                .and_then(|at| self.text.as_bytes().get(at));
            let is_whole = self.text.get(range.clone()) == Some(raw);
            let (Some(quote @ (b'"' | b'\'')), true) = (quote, is_whole) else {
                return Err(format!("the attribute `{name}` has no quotes"));
            };
            let text = unescape(raw)
                .map_err(|_| format!("the attribute `{name}` has an entity that is not known"))?;
            fields.push(Field {
                name,
                range,
                text: text.into_owned(),
                form: Form::Attribute(char::from(*quote)),
            });
        }
        Ok(fields)
    }
}

/// The text of an element that holds nothing else: no comment, and no element.
fn content(raw: Option<&str>) -> Option<String> {
    let raw = raw?;
    if let Some(data) = raw
        .strip_prefix("<![CDATA[")
        .and_then(|data| data.strip_suffix("]]>"))
    {
        return (!data.contains("]]>")).then(|| data.to_owned());
    }
    if raw.contains('<') {
        return None;
    }
    unescape(raw).ok().map(std::borrow::Cow::into_owned)
}

fn position(reader: &Reader<&[u8]>) -> usize {
    reader.buffer_position() as usize
}

/// Not the document's own words.
fn kind(error: &quick_xml::Error) -> &'static str {
    match error {
        quick_xml::Error::IllFormed(_) => "an end without its beginning, or the other way round",
        quick_xml::Error::InvalidAttr(_) => "an attribute that is none",
        _ => "it cannot be read",
    }
}

/// The signs that XML 1.0 can hold.
fn is_allowed(sign: char) -> bool {
    matches!(sign, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn escaped(value: &str, form: Form) -> String {
    let mut text = String::with_capacity(value.len());
    for sign in value.chars() {
        match (sign, form) {
            ('&', _) => text.push_str("&amp;"),
            ('<', _) => text.push_str("&lt;"),
            ('>', _) => text.push_str("&gt;"),
            ('"', Form::Attribute('"')) => text.push_str("&quot;"),
            ('\'', Form::Attribute('\'')) => text.push_str("&apos;"),
            // A reader would make them spaces.
            ('\t', Form::Attribute(_)) => text.push_str("&#9;"),
            ('\n', Form::Attribute(_)) => text.push_str("&#10;"),
            ('\r', _) => text.push_str("&#13;"),
            _ => text.push(sign),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLLECTION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<!-- mine -->\n<DJ><COLLECTION Entries=\"3\">\n \
        <TRACK Name=\"A &amp; B\" Artist='O&apos;N' Genre=\"\"/>\n <TRACK  Name = \"C\" ><TEMPO Bpm=\"128\"/><label> X &lt; Y </label></TRACK>\n \
        <OTHER Name=\"no\"/></COLLECTION><TRACK Name=\"outside\"/></DJ>\n";

    fn place(text: &str) -> Place {
        text.parse().unwrap()
    }

    fn changed(text: &str, each: &str, sets: &[(&str, &str)], replaces: bool) -> String {
        let mut xml = Xml::new(text);
        let items = xml.items(&place(each), 100).unwrap();
        for item in &items {
            for (at, value) in sets {
                xml.set(item, &place(at), value, replaces).unwrap();
            }
        }
        let changed = xml.finish();
        // It is XML of the same elements, and says what was put in.
        assert_eq!(
            Xml::new(&changed).items(&place(each), 100).unwrap().len(),
            items.len()
        );
        changed
    }

    #[test]
    fn the_elements_at_the_place_are_found_with_what_they_say() {
        let xml = Xml::new(COLLECTION);
        let items = xml.items(&place("DJ/COLLECTION/TRACK"), 10).unwrap();
        assert_eq!(items.len(), 2);
        let field = |item: usize, name| Xml::field(&items[item], &place(name));
        assert_eq!(
            (field(0, "Name"), field(0, "Artist")),
            (Some("A & B"), Some("O'N"))
        );
        assert_eq!(
            (field(1, "Name"), field(1, "label")),
            (Some("C"), Some(" X < Y "))
        );
        assert_eq!(
            (field(1, "TEMPO"), field(1, "Bpm"), field(0, "no/no")),
            (None, None, None)
        );
        assert_eq!(xml.items(&place("DJ/COLLECTION/*"), 10).unwrap().len(), 3);
        assert_eq!(xml.items(&Place::default(), 10).unwrap().len(), 1);
        assert_eq!(xml.items(&place("other"), 10).unwrap().len(), 0);
    }

    #[test]
    fn what_is_put_in_changes_no_other_byte() {
        let expected = COLLECTION
            .replace("Genre=\"\"", "Genre=\"D&quot;B &amp; &#10;\"")
            .replace(
                "Name = \"C\" >",
                "Name = \"C\"  Genre=\"D&quot;B &amp; &#10;\">",
            );
        assert_eq!(
            changed(
                COLLECTION,
                "DJ/COLLECTION/TRACK",
                &[("Genre", "D\"B & \n")],
                false
            ),
            expected
        );
        let expected = COLLECTION
            .replace("Genre=\"\"/", "Genre=\"\" label=\"&lt;\"/")
            .replace(" X &lt; Y ", "&lt;");
        assert_eq!(
            changed(COLLECTION, "DJ/COLLECTION/TRACK", &[("label", "<")], true),
            expected
        );
        assert_eq!(
            changed("<a b='1'/>", "", &[("b", "'\"")], true),
            "<a b='&apos;\"'/>"
        );
        assert_eq!(
            changed("<a><b></b></a>", "", &[("b", "x")], false),
            "<a><b>x</b></a>"
        );
        assert_eq!(
            changed("<a><b><![CDATA[x]]></b></a>", "", &[("b", "y")], true),
            "<a><b>y</b></a>"
        );
    }

    #[test]
    fn what_is_there_is_kept_unless_it_says_nothing_or_is_to_be_replaced() {
        assert_eq!(
            changed("<a b='x' c=' '/>", "", &[("b", "1"), ("c", "2")], false),
            "<a b='x' c='2'/>"
        );
        assert_eq!(changed("<a b='x'/>", "", &[("b", "1")], true), "<a b='1'/>");
    }

    #[test]
    fn what_is_no_xml_or_too_much_is_refused() {
        for (text, why) in [
            ("", "ends too early"),
            ("   ", "ends too early"),
            ("<a>", "ends too early"),
            ("<a></b>", "no XML"),
            ("<a", "no XML"),
            ("<a b=\"1\" b=\"2\"/>", "twice"),
            ("<a b=1/>", "in quotes"),
            ("<a b='&lol;'/>", "entity"),
        ] {
            let refused = Xml::new(text).items(&Place::default(), 10).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
        let deep = "<a>".repeat(100_000);
        assert!(
            Xml::new(&deep)
                .items(&place("a"), 10)
                .unwrap_err()
                .contains("128")
        );
        assert!(
            Xml::new("<a><b/><b/></a>")
                .items(&place("a/b"), 1)
                .unwrap_err()
                .contains("more than 1")
        );
        let mut xml = Xml::new("<a/>");
        let items = xml.items(&Place::default(), 1).unwrap();
        assert!(
            xml.set(&items[0], &place("b"), "\u{1}", false)
                .unwrap_err()
                .contains("no way to write")
        );
        for name in ["a b", "1", "x/y", ""] {
            assert!(
                xml.set(&items[0], &place(name), "x", false).is_err(),
                "{name}"
            );
        }
    }
}
