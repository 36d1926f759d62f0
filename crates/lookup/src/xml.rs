//! Documents in XML, read and changed where they lie: what is not named keeps every byte.

use crate::edits::{Edits, Text};
use crate::place::{Place, Step};
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Elements inside of each other; deeper is no document but an attack.
const DEPTH_MAX: usize = 128;

/// Attributes of one element; each is compared with all before it.
const ATTRIBUTES_MAX: usize = 1_000;

/// How much of a document is looked up at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) items: usize,
    /// Of all items together.
    pub(crate) fields: usize,
}

/// An element that is looked up, with those of its fields that were asked for.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    /// Where another attribute would stand.
    new_attributes: usize,
    fields: Vec<Field<'a>>,
}

/// All that an item says under one name: by the attribute, and by the direct children.
#[derive(Debug)]
struct Field<'a> {
    name: &'a str,
    /// What a value takes the place of: in the first of them.
    range: Range<usize>,
    /// What its value stands in.
    form: Form,
    /// Whether the first is one text; it is none where it holds something else: elements, comments, entities that only the document
    /// knows.
    is_text: bool,
    /// Whether any of them says something, be it a text or not.
    says_something: bool,
    /// The first text that says something, or else the first.
    text: Option<Cow<'a, str>>,
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

    /// The elements at `each`, of which the first step is the root; without a step it is the root itself. Of what they say only
    /// `names` are remembered: an element may have millions of children.
    pub(crate) fn items<'i>(
        &self,
        each: &Place,
        names: &[&'i str],
        most: Most,
    ) -> Result<Vec<Item<'i>>, String>
    where
        'a: 'i,
    {
        let mut walk = Walk {
            text: self.text,
            each,
            names,
            most,
            path: Vec::new(),
            child: None,
            items: Vec::new(),
            fields: 0,
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
                    walk.end(range.end)?;
                }
                Event::End(_) => walk.end(range.start)?,
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
    pub(crate) fn field<'i>(item: &'i Item<'_>, place: &Place) -> Option<&'i str> {
        let name = single(place).ok()?;
        item.field(name)?.text.as_deref()
    }

    /// Puts `value` there, whose signs are [writable](unwritable); whether it did, which it does not where something is that is to be kept.
    pub(crate) fn set(
        &mut self,
        item: &Item<'_>,
        place: &Place,
        value: &Arc<str>,
        replaces: bool,
    ) -> Result<bool, String> {
        let name = single(place)?;
        let field = item.field(name);
        if !replaces && field.is_some_and(|field| field.says_something) {
            return Ok(false);
        }
        let Some(field) = field else {
            if self.is_ascii && !name.is_ascii() {
                return Err(format!("`{name}` cannot be written in its encoding"));
            }
            let at = item.new_attributes;
            let text = self.escaped(value, Form::Attribute('"'));
            self.edits.put(at..at, format!(" {name}=\"{}\"", &*text));
            return Ok(true);
        };
        if !field.is_text {
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

impl<'a> Item<'a> {
    fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Adds what stands somewhere; whether it is the first of its name.
    fn add(&mut self, said: Field<'a>) -> bool {
        let fields = &mut self.fields;
        let Some(field) = fields.iter_mut().find(|field| field.name == said.name) else {
            fields.push(said);
            return true;
        };
        field.says_something |= said.says_something;
        let is_more = says(said.text.as_deref()) && !says(field.text.as_deref());
        if is_more || field.text.is_none() {
            field.text = said.text;
        }
        false
    }
}

impl<'a> Field<'a> {
    /// What one attribute or child says; none where it holds something else than one text.
    fn new(name: &'a str, range: Range<usize>, form: Form, text: Option<Cow<'a, str>>) -> Self {
        Self {
            name,
            range,
            form,
            is_text: text.is_some(),
            says_something: text.is_none() || says(text.as_deref()),
            text,
        }
    }
}

fn says(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.trim().is_empty())
}

struct Child<'a> {
    name: &'a str,
    /// Where its content begins.
    from: usize,
    is_empty: bool,
}

/// Through a document, from its beginning to its end.
struct Walk<'w, 'a> {
    text: &'a str,
    each: &'w Place,
    /// What is remembered of an item.
    names: &'w [&'a str],
    most: Most,
    /// The names of the elements that are open.
    path: Vec<String>,
    /// The child of an item that is open, if it is remembered.
    child: Option<Child<'a>>,
    items: Vec<Item<'a>>,
    /// Of all items.
    fields: usize,
}

impl<'a> Walk<'_, 'a> {
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
            self.child = self.wanted(&name).map(|name| Child {
                name,
                from: range.end,
                is_empty,
            });
        }
        self.path.push(name);
        if self.path.len() == depth && self.is_in_item() {
            if self.items.len() >= self.most.items {
                return Err(format!(
                    "it has more than {} elements at `{}`",
                    self.most.items, self.each
                ));
            }
            self.items.push(Item {
                new_attributes: range.end - if is_empty { 2 } else { 1 },
                fields: Vec::new(),
            });
            self.attributes(start)?;
        }
        Ok(())
    }

    /// An element ends, whose content ends at `at`.
    fn end(&mut self, at: usize) -> Result<(), String> {
        let depth = self.depth();
        self.path.pop();
        if self.path.len() != depth || !self.is_in_item() {
            return Ok(());
        }
        let Some(child) = self.child.take() else {
            return Ok(());
        };
        let content_range = child.from..at;
        self.add(if child.is_empty {
            let text = Some(Cow::Borrowed(""));
            Field::new(child.name, at - 2..at, Form::Empty, text)
        } else {
            let text = content(self.text.get(content_range.clone()));
            Field::new(child.name, content_range, Form::Element, text)
        })
    }

    /// The name, if it is one that is remembered.
    fn wanted(&self, name: &str) -> Option<&'a str> {
        self.names.iter().copied().find(|wanted| *wanted == name)
    }

    /// Remembers what the item says that is open.
    fn add(&mut self, field: Field<'a>) -> Result<(), String> {
        let is_new = self.items.last_mut().is_some_and(|item| item.add(field));
        self.fields += usize::from(is_new);
        if self.fields > self.most.fields {
            return Err(format!(
                "its elements at `{}` have more than {} of the fields that are named; take fewer",
                self.each, self.most.fields
            ));
        }
        Ok(())
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

    fn attributes(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        for (number, attribute) in start.attributes().enumerate() {
            if number >= ATTRIBUTES_MAX {
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
            let name = attribute.key.as_ref();
            let quote = from
                .checked_sub(1)
                .and_then(|at| self.text.as_bytes().get(at));
            let whole = self.text.get(range.clone()).filter(|whole| *whole == raw);
            let (Some(quote @ (b'"' | b'\'')), Some(raw)) = (quote, whole) else {
                return Err(format!("the attribute `{name}` has no quotes"));
            };
            let text = unescape(raw)
                .map_err(|_| format!("the attribute `{name}` has an entity that is not known"))?;
            let form = Form::Attribute(char::from(*quote));
            if let Some(name) = self.wanted(name) {
                self.add(Field::new(name, range, form, Some(text)))?;
            }
        }
        Ok(())
    }
}

/// The text of an element that holds nothing else: no comment, and no element.
fn content(raw: Option<&str>) -> Option<Cow<'_, str>> {
    let raw = raw?;
    if let Some(data) = raw
        .strip_prefix("<![CDATA[")
        .and_then(|data| data.strip_suffix("]]>"))
    {
        return (!data.contains("]]>")).then_some(Cow::Borrowed(data));
    }
    if raw.contains('<') {
        return None;
    }
    unescape(raw).ok()
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

    const SOME: Most = Most {
        items: 100,
        fields: 100,
    };

    fn changed(text: &str, each: &str, sets: &[(&str, &str)], replaces: bool) -> String {
        let mut xml = Xml::new(text);
        let names: Vec<&str> = sets.iter().map(|(name, _)| *name).collect();
        let items = xml.items(&place(each), &names, SOME).unwrap();
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
        let again = Xml::new(&changed).items(&place(each), &names, SOME);
        assert_eq!(again.unwrap().len(), items.len());
        changed
    }

    #[test]
    fn the_elements_at_the_place_are_found_with_what_they_say() {
        let xml = Xml::new(COLLECTION);
        let names = ["Name", "Artist", "label", "TEMPO", "Bpm"];
        let items = |each| xml.items(&place(each), &names, SOME).unwrap();
        assert_eq!(items("DJ/COLLECTION/*").len(), 3);
        assert_eq!(items("").len(), 1);
        assert_eq!(items("other").len(), 0);
        let items = items("DJ/COLLECTION/TRACK");
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
        let items = xml.items(&Place::default(), &["b"], SOME).unwrap();
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
            let items = xml.items(&Place::default(), &["b"], SOME).unwrap();
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
            let items = xml.items(&Place::default(), &["b"], SOME).unwrap();
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

    /// A root of 16 million empty children took 1.75 GB, although nobody had asked for one of them.
    #[test]
    fn of_what_an_element_says_only_what_is_asked_for_is_remembered() {
        let text = format!(
            "<a x='1'>{}<c>z</c></a>",
            "<b> </b><b/><b>y</b>".repeat(1_000)
        );
        let remembered = |names: &[&'static str]| {
            let items = Xml::new(&text).items(&Place::default(), names, SOME);
            let fields = items.unwrap().remove(0).fields.into_iter();
            fields
                .map(|field| (field.name, field.text.unwrap().into_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(remembered(&[]), []);
        let said = |name, text: &str| (name, text.to_owned());
        assert_eq!(remembered(&["b"]), [said("b", "y")]);
        assert_eq!(remembered(&["c", "x"]), [said("x", "1"), said("c", "z")]);
        assert_eq!(
            changed(&text, "", &[("b", "n")], true),
            text.replacen("<b> </b>", "<b>n</b>", 1)
        );
    }

    #[test]
    fn more_fields_than_all_elements_may_have_together_are_refused() {
        let text = format!("<a>{}</a>", "<b c='1'><d/><d/></b>".repeat(3));
        let items = |fields| {
            let most = Most { fields, ..SOME };
            Xml::new(&text).items(&place("a/b"), &["c", "d"], most)
        };
        assert_eq!(items(6).unwrap().len(), 3);
        let refused = items(5).unwrap_err();
        assert!(refused.contains("more than 5 of the fields"), "{refused}");
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
            let refused = Xml::new(text)
                .items(&Place::default(), &[], SOME)
                .unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
        let deep = "<a>".repeat(100_000);
        assert!(
            Xml::new(&deep)
                .items(&place("a"), &[], SOME)
                .unwrap_err()
                .contains("128")
        );
        assert!(
            Xml::new("<a><b/><b/></a>")
                .items(&place("a/b"), &[], Most { items: 1, ..SOME })
                .unwrap_err()
                .contains("more than 1")
        );
        let many: Vec<String> = (0..=ATTRIBUTES_MAX).map(|n| format!("a{n}=''")).collect();
        let many = many.join(" ");
        let many = format!("<a {many}/>");
        let refused = Xml::new(&many).items(&Place::default(), &[], SOME);
        assert!(refused.unwrap_err().contains("more than 1000 attributes"));
        let mut xml = Xml::new("<a/>");
        let items = xml.items(&Place::default(), &["b"], SOME).unwrap();
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
