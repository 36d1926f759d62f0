//! Documents in XML, read and changed where they lie: what is not named keeps every byte.

use crate::edits::{Edits, Text};
use crate::place::{Place, Step};
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use std::ops::Range;
use std::sync::Arc;

/// Elements inside of each other; deeper is no document but an attack.
const DEPTH_MAX: usize = 128;

/// Attributes of one element; each is compared with all before it.
const ATTRIBUTES_MAX: usize = 1_000;

/// An element that is looked up.
#[derive(Debug)]
pub(crate) struct Item {
    /// Where another attribute would stand.
    new_attributes: usize,
    attributes: Vec<Field>,
    /// Its direct children.
    children: Vec<Field>,
}

/// A place in the document, and what it says.
#[derive(Debug)]
struct Field {
    name: String,
    /// What a value takes the place of.
    range: Range<usize>,
    /// None where it holds something else than one text: elements, comments, entities that only the document knows.
    text: Option<String>,
    /// What its value stands in.
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Attribute(char),
    Element,
    /// `<Genre/>`: of it the last two signs change.
    Empty,
}

/// A document in XML.
#[derive(Debug)]
pub(crate) struct Xml<'a> {
    text: &'a str,
    /// Whether the document says that it is in another encoding than UTF-8; so far it was in both.
    is_ascii: bool,
    edits: Edits,
}

impl<'a> Xml<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            is_ascii: has_another_encoding(text),
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
        let mut texts = item
            .fields(name)
            .filter_map(|field| field.text.as_deref())
            .peekable();
        let first = texts.peek().copied();
        texts.find(|text| !text.trim().is_empty()).or(first)
    }

    /// Puts `value` there, whose signs are [writable](unwritable); whether it did, which it does not where something is that is to be kept.
    pub(crate) fn set(
        &mut self,
        item: &Item,
        place: &Place,
        value: &Arc<str>,
        replaces: bool,
    ) -> Result<bool, String> {
        let name = single(place)?;
        let says_something = |field: &Field| {
            let text = field.text.as_deref();
            text.is_none_or(|text| !text.trim().is_empty())
        };
        if !replaces && item.fields(name).any(says_something) {
            return Ok(false);
        }
        let Some(field) = item.fields(name).next() else {
            if self.is_ascii && !name.is_ascii() {
                return Err(format!("`{name}` cannot be written in its encoding"));
            }
            let at = item.new_attributes;
            let text = self.escaped(value, Form::Attribute('"'));
            self.edits.put(at..at, format!(" {name}=\"{}\"", &*text));
            return Ok(true);
        };
        if field.text.is_none() {
            return Err(format!(
                "`{name}` holds more than a text, which cannot be replaced"
            ));
        }
        let text = self.escaped(value, field.form);
        match field.form {
            Form::Empty => {
                let text = format!(">{}</{name}>", &*text);
                self.edits.put(field.range.clone(), text);
            }
            Form::Attribute(_) | Form::Element => self.edits.put(field.range.clone(), text),
        }
        Ok(true)
    }

    /// So many bytes are put in.
    pub(crate) fn put_in(&self) -> usize {
        self.edits.added()
    }

    fn escaped(&self, value: &Arc<str>, form: Form) -> Text {
        let means_itself = |sign: char| {
            !matches!(sign, '&' | '<' | '>' | '"' | '\'' | '\t' | '\n' | '\r')
                && (sign.is_ascii() || !self.is_ascii)
        };
        if value.chars().all(means_itself) {
            return Arc::clone(value).into();
        }
        escaped(value, form, self.is_ascii).into()
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
    /// All of this name, the attribute first.
    fn fields<'i>(&'i self, name: &str) -> impl Iterator<Item = &'i Field> {
        let fields = self.attributes.iter().chain(&self.children);
        fields.filter(move |field| field.name == name)
    }
}

struct Child {
    name: String,
    /// Where its content begins.
    from: usize,
    is_empty: bool,
}

/// Through a document, from its beginning to its end.
struct Walk<'a> {
    text: &'a str,
    each: &'a Place,
    most: usize,
    /// The names of the elements that are open.
    path: Vec<String>,
    /// The child of an item that is open.
    child: Option<Child>,
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
        if self.path.len() == depth && self.is_in_item() {
            self.child = Some(Child {
                name: name.clone(),
                from: range.end,
                is_empty,
            });
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
        let (Some(child), Some(item)) = (self.child.take(), self.items.last_mut()) else {
            return;
        };
        let content_range = child.from..at;
        let (range, text, form) = if child.is_empty {
            (at - 2..at, Some(String::new()), Form::Empty)
        } else {
            let text = content(self.text.get(content_range.clone()));
            (content_range, text, Form::Element)
        };
        item.children.push(Field {
            name: child.name,
            range,
            text,
            form,
        });
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
            if fields.len() >= ATTRIBUTES_MAX {
                return Err(format!(
                    "an element `{}` has more than {ATTRIBUTES_MAX} attributes",
                    start.name().as_ref()
                ));
            }
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
                text: Some(text.into_owned()),
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

/// The first sign that XML 1.0 has no way to write.
pub(crate) fn unwritable(value: &str) -> Option<char> {
    let is_allowed =
        |sign: &char| matches!(sign, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    value.chars().find(|sign| !is_allowed(sign))
}

/// Whether a declaration says so.
fn has_another_encoding(text: &str) -> bool {
    let Ok(Event::Decl(declaration)) = Reader::from_str(text.trim_start()).read_event() else {
        return false;
    };
    let Some(Ok(encoding)) = declaration.encoding() else {
        return false;
    };
    !["utf-8", "utf8"]
        .iter()
        .any(|same| encoding.trim().eq_ignore_ascii_case(same))
}

fn escaped(value: &str, form: Form, is_ascii: bool) -> String {
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
            _ if is_ascii && !sign.is_ascii() => {
                text.extend(["&#", &u32::from(sign).to_string(), ";"]);
            }
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
                xml.set(item, &place(at), &Arc::from(*value), replaces)
                    .unwrap();
            }
        }
        let put_in = xml.put_in();
        let changed = xml.finish();
        assert!(changed.len() <= text.len() + put_in, "{changed}");
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
            (Some(""), None, None)
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

    /// `<TRACK><Genre/></TRACK>` became `<TRACK Genre="House"><Genre/></TRACK>`.
    #[test]
    fn an_empty_element_is_filled_and_no_attribute_made_beside_it() {
        for (text, expected) in [
            ("<a><b/></a>", "<a><b>&lt;x</b></a>"),
            ("<a><b  c='1' /></a>", "<a><b  c='1' >&lt;x</b></a>"),
            ("<a><b></b></a>", "<a><b>&lt;x</b></a>"),
            ("<a><b><![CDATA[]]></b></a>", "<a><b>&lt;x</b></a>"),
            ("<a><c><b/></c></a>", "<a b=\"&lt;x\"><c><b/></c></a>"),
            ("<a b=''><b>y</b></a>", "<a b=''><b>y</b></a>"),
            ("<a><b/><b>y</b></a>", "<a><b/><b>y</b></a>"),
        ] {
            assert_eq!(changed(text, "", &[("b", "<x")], false), expected);
        }
        let xml = Xml::new("<a><b/><b>y</b></a>");
        let items = xml.items(&Place::default(), 1).unwrap();
        assert_eq!(Xml::field(&items[0], &place("b")), Some("y"));
    }

    #[test]
    fn a_child_that_is_more_than_a_text_is_there_and_is_kept() {
        for child in [
            "<b><!-- none --></b>",
            "<b>x<![CDATA[y]]></b>",
            "<b>&lol;</b>",
            "<b><c/></b>",
        ] {
            let text = format!("<a>{child}</a>");
            assert_eq!(changed(&text, "", &[("b", "x")], false), text);
            let mut xml = Xml::new(&text);
            let items = xml.items(&Place::default(), 1).unwrap();
            assert_eq!(Xml::field(&items[0], &place("b")), None);
            let refused = xml.set(&items[0], &place("b"), &Arc::from("x"), true);
            assert!(refused.unwrap_err().contains("more than a text"), "{child}");
        }
    }

    /// UTF-8 stood in documents that said they were in another encoding, and nobody could read them any more.
    #[test]
    fn what_is_put_in_is_in_the_encoding_that_the_document_names() {
        for encoding in ["ISO-8859-1", "windows-1252", "US-ASCII"] {
            let text = format!("<?xml version='1.0' encoding='{encoding}'?><a c=''><b/></a>");
            let values = [("b", "ü"), ("c", "😀"), ("d", "é&")];
            assert_eq!(
                changed(&text, "", &values, false),
                text.replace("c=''", "c='&#128512;' d=\"&#233;&amp;\"")
                    .replace("<b/>", "<b>&#252;</b>")
            );
            let mut xml = Xml::new(&text);
            let items = xml.items(&Place::default(), 1).unwrap();
            let refused = xml.set(&items[0], &place("größe"), &Arc::from("x"), false);
            assert!(refused.unwrap_err().contains("its encoding"));
        }
        for declaration in [
            "",
            "<?xml version='1.0'?>",
            "<?xml version='1.0' encoding='utf-8'?>",
        ] {
            let text = format!("{declaration}<a/>");
            assert_eq!(
                changed(&text, "", &[("b", "ü")], false),
                text.replace("/>", " b=\"ü\"/>")
            );
        }
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
        let many: Vec<String> = (0..=ATTRIBUTES_MAX).map(|n| format!("a{n}=''")).collect();
        let many = many.join(" ");
        let refused = Xml::new(&format!("<a {many}/>")).items(&Place::default(), 1);
        assert!(refused.unwrap_err().contains("more than 1000 attributes"));
        let mut xml = Xml::new("<a/>");
        let items = xml.items(&Place::default(), 1).unwrap();
        assert_eq!(unwritable("a\tb\r\nü😀"), None);
        for bad in ['\u{1}', '\u{fffe}'] {
            assert_eq!(unwritable(&format!("a{bad}")), Some(bad));
        }
        for name in ["a b", "1", "x/y", ""] {
            assert!(
                xml.set(&items[0], &place(name), &Arc::from("x"), false)
                    .is_err(),
                "{name}"
            );
        }
    }
}
