//! Documents and answers in JSON, read and changed where they lie: what is not named keeps every byte.

use crate::edits::Edits;
use crate::place::{Place, Step};
use serde::de::{self, Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// An object of the document that is looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a>(&'a RawValue);

/// A document in JSON.
#[derive(Debug)]
pub(crate) struct Json<'a> {
    text: &'a str,
    root: &'a RawValue,
    /// What comes to each object, by where the object begins.
    added: BTreeMap<usize, Added>,
    /// What takes the place of each null, by where that begins.
    filled: BTreeMap<usize, (&'a RawValue, Node)>,
    edits: Edits,
    put_in: usize,
}

#[derive(Debug)]
struct Added {
    /// Behind the last value, or behind the brace.
    at: usize,
    is_first: bool,
    members: BTreeMap<String, Node>,
}

/// Something new: a value as it was answered, or an object around some.
#[derive(Debug)]
enum Node {
    Value(Arc<str>),
    Object(BTreeMap<String, Node>),
}

/// What stands at one place in JSON.
#[derive(PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    Scalar,
}

/// Of the members of an object, or the values of a list, the wanted one and the last; the others are passed by, however many.
#[derive(Default)]
struct Named<'a> {
    wanted: Option<&'a RawValue>,
    last: Option<&'a RawValue>,
}

impl<'a> Json<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, String> {
        let root: &RawValue = serde_json::from_str(text).map_err(|error| told(&error))?;
        Ok(Self {
            text,
            root,
            added: BTreeMap::new(),
            filled: BTreeMap::new(),
            edits: Edits::default(),
            put_in: 0,
        })
    }

    /// What stands at `each`: everything, one thing, or nothing.
    pub(crate) fn items(&self, each: &Place, most: usize) -> Result<Vec<Item<'a>>, String> {
        let mut found = vec![self.root];
        for step in &each.steps {
            let mut next = Vec::new();
            for value in found {
                match step {
                    Step::Every => every(value, &mut next, most).map_err(|error| match error {
                        Unread::TooMany => format!("it has more than {most} things at `{each}`"),
                        Unread::NoJson(told) => told,
                    })?,
                    Step::Name(name) => next.extend(named(value, name)?.wanted),
                }
            }
            found = next;
        }
        Ok(found.into_iter().map(Item).collect())
    }

    /// What the item says there, if that is one text, number or truth value.
    pub(crate) fn field(item: Item<'a>, place: &Place) -> Result<Option<String>, String> {
        Ok(find(item.0, place)?.and_then(scalar))
    }

    /// Puts `value` there, which is JSON; whether it did, which it does not where something is that is to be kept.
    pub(crate) fn set(
        &mut self,
        item: Item<'a>,
        place: &Place,
        value: &Arc<str>,
        replaces: bool,
    ) -> Result<bool, String> {
        let is_set = self.set_one(item, place, value, replaces)?;
        if is_set {
            // With its name, quotes, colons, commas and braces.
            let names = place.names().map(|name| name.len() + 6);
            self.put_in += value.len() + names.sum::<usize>();
        }
        Ok(is_set)
    }

    /// About so many bytes are put in, and not more.
    pub(crate) fn put_in(&self) -> usize {
        self.put_in
    }

    fn set_one(
        &mut self,
        item: Item<'a>,
        place: &Place,
        value: &Arc<str>,
        replaces: bool,
    ) -> Result<bool, String> {
        let mut object = item.0;
        let mut names = place.names();
        loop {
            if kind(object) != Kind::Object {
                return Err(format!("what stands on the way to `{place}` is no object"));
            }
            let Some(name) = names.next() else {
                return Err("a field without a name".to_owned());
            };
            let members = named(object, name)?;
            match members.wanted {
                Some(there) if names.len() == 0 => {
                    let is_empty = matches!(there.get(), "null" | "\"\"");
                    if replaces || is_empty {
                        self.edits.put(self.range(there), Arc::clone(value));
                    }
                    return Ok(replaces || is_empty);
                }
                // What is null holds nothing that could be lost.
                Some(there) if there.get() == "null" => {
                    let at = self.range(there).start;
                    let new = nested(names, value);
                    match self.filled.get_mut(&at) {
                        Some((_, node)) => node.merge(new),
                        None => drop(self.filled.insert(at, (there, new))),
                    }
                    return Ok(true);
                }
                Some(there) => object = there,
                None => {
                    let start = self.range(object).start;
                    let last = members.last.map(|value| self.range(value).end);
                    let entry = self.added.entry(start).or_insert_with(|| Added {
                        at: last.unwrap_or(start + 1),
                        is_first: last.is_none(),
                        members: BTreeMap::new(),
                    });
                    merge(&mut entry.members, name, nested(names, value));
                    return Ok(true);
                }
            }
        }
    }

    /// The document with all that was put into it.
    pub(crate) fn finish(mut self) -> String {
        for added in std::mem::take(&mut self.added).into_values() {
            let comma = if added.is_first { "" } else { "," };
            self.edits.put(
                added.at..added.at,
                format!("{comma}{}", Listed(&added.members)),
            );
        }
        for (there, node) in std::mem::take(&mut self.filled).into_values() {
            self.edits.put(self.range(there), node.to_string());
        }
        self.edits.apply(self.text)
    }

    /// Where it stands in the text, of which it is a part.
    fn range(&self, value: &RawValue) -> std::ops::Range<usize> {
        let start = value.get().as_ptr().addr() - self.text.as_ptr().addr();
        start..start + value.get().len()
    }
}

/// What stands at a place of an answer or an object.
pub(crate) fn find<'a>(value: &'a RawValue, place: &Place) -> Result<Option<&'a RawValue>, String> {
    let mut found = value;
    for name in place.names() {
        match named(found, name)?.wanted {
            Some(next) => found = next,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// A text, a number or a truth value, as people write it.
pub(crate) fn scalar(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(value.get().to_owned()),
    }
}

/// The texts of a list of single values, joined; a single one alone.
pub(crate) fn flat(value: &RawValue) -> Option<String> {
    if !value.get().starts_with('[') {
        return scalar(value);
    }
    let values: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
    let texts: Option<Vec<String>> = values.into_iter().map(scalar).collect();
    texts
        .filter(|texts| !texts.is_empty())
        .map(|texts| texts.join(", "))
}

/// Whether a text in it has half a sign: an escaped surrogate without its partner, which no encoding of Unicode can write.
pub(crate) fn has_half_a_sign(value: &RawValue) -> bool {
    let mut rest = value.get();
    // A backslash stands in texts alone, and never last.
    while let Some((_, escape)) = rest.split_once('\\') {
        let skip = escape.chars().next().map_or(0, char::len_utf8);
        rest = escape.get(skip..).unwrap_or_default();
        match unit(escape) {
            Some(0xd800..=0xdbff) => {
                let partner = escape.get(5..).and_then(|next| next.strip_prefix('\\'));
                match partner.map(|partner| (partner, unit(partner))) {
                    Some((partner, Some(0xdc00..=0xdfff))) => {
                        rest = partner.get(5..).unwrap_or_default();
                    }
                    _ => return true,
                }
            }
            Some(0xdc00..=0xdfff) => return true,
            _ => {}
        }
    }
    false
}

/// The number of an escape like `u00e4`.
fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()
}

/// What an answer is, as JSON.
pub(crate) fn answer(body: &[u8]) -> Result<&RawValue, String> {
    serde_json::from_slice(body).map_err(|error| told(&error))
}

fn kind(value: &RawValue) -> Kind {
    match value.get().as_bytes().first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        _ => Kind::Scalar,
    }
}

fn named<'a>(value: &'a RawValue, name: &str) -> Result<Named<'a>, String> {
    if kind(value) == Kind::Scalar {
        return Ok(Named::default());
    }
    let mut reader = serde_json::Deserializer::from_str(value.get());
    let named = reader.deserialize_any(ByName(name));
    named.map_err(|error| told(&error))
}

/// Looks for a member by its name, or for a value by its number.
struct ByName<'n>(&'n str);

impl<'de> Visitor<'de> for ByName<'_> {
    type Value = Named<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Named<'de>, A::Error> {
        let mut named = Named::default();
        while let Some((name, value)) = members.next_entry::<String, &RawValue>()? {
            named.last = Some(value);
            // Of two with one name the later counts.
            if name == self.0 {
                named.wanted = Some(value);
            }
        }
        Ok(named)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Named<'de>, A::Error> {
        let wanted = self.0.parse::<usize>().ok();
        let mut named = Named::default();
        let mut number = 0;
        while let Some(value) = values.next_element::<&RawValue>()? {
            named.last = Some(value);
            if wanted == Some(number) {
                named.wanted = Some(value);
            }
            number += 1;
        }
        Ok(named)
    }
}

/// Why not all of something was read.
enum Unread {
    TooMany,
    NoJson(String),
}

/// Adds all that stands in there, unless it would be more than `most` then, which ends it at once.
fn every<'a>(
    value: &'a RawValue,
    found: &mut Vec<&'a RawValue>,
    most: usize,
) -> Result<(), Unread> {
    if kind(value) == Kind::Scalar {
        return Ok(());
    }
    let mut reader = serde_json::Deserializer::from_str(value.get());
    let read = reader.deserialize_any(Every { found, most });
    read.map_err(|error| match error.classify() {
        Category::Data => Unread::TooMany,
        _ => Unread::NoJson(told(&error)),
    })
}

struct Every<'f, 'a> {
    found: &'f mut Vec<&'a RawValue>,
    most: usize,
}

impl<'de> Visitor<'de> for Every<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut named = BTreeMap::new();
        while let Some((name, value)) = members.next_entry::<String, &RawValue>()? {
            named.insert(name, value);
            if self.found.len() + named.len() > self.most {
                return Err(de::Error::custom("too many"));
            }
        }
        self.found.extend(named.into_values());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while let Some(value) = values.next_element()? {
            if self.found.len() >= self.most {
                return Err(de::Error::custom("too many"));
            }
            self.found.push(value);
        }
        Ok(())
    }
}

/// Objects for the names that are left, around the value.
fn nested<'n>(names: impl Iterator<Item = &'n str>, value: &Arc<str>) -> Node {
    let names: Vec<&str> = names.collect();
    let value = Node::Value(Arc::clone(value));
    names.into_iter().rev().fold(value, |inner, name| {
        Node::Object(BTreeMap::from([(name.to_owned(), inner)]))
    })
}

fn merge(into: &mut BTreeMap<String, Node>, name: &str, node: Node) {
    match into.get_mut(name) {
        Some(there) => there.merge(node),
        None => drop(into.insert(name.to_owned(), node)),
    }
}

impl Node {
    fn merge(&mut self, node: Self) {
        match (self, node) {
            (Self::Object(there), Self::Object(more)) => {
                for (name, node) in more {
                    merge(there, &name, node);
                }
            }
            (there, node) => *there = node,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.write_str(value),
            Self::Object(members) => write!(f, "{{{}}}", Listed(members)),
        }
    }
}

/// The members of an object, without its braces.
struct Listed<'n>(&'n BTreeMap<String, Node>);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, node)) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let name = serde_json::Value::from(name.as_str());
            write!(f, "{comma}{name}:{node}")?;
        }
        Ok(())
    }
}

/// Not its own words: they quote the document.
fn told(error: &serde_json::Error) -> String {
    format!(
        "it is no JSON, at line {} column {}",
        error.line(),
        error.column()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        text.parse().unwrap()
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn changed(text: &str, each: &str, sets: &[(&str, &str)], replaces: bool) -> String {
        let mut json = Json::read(text).unwrap();
        for item in json.items(&place(each), 100).unwrap() {
            for (at, value) in sets {
                json.set(item, &place(at), &Arc::from(*value), replaces)
                    .unwrap();
            }
        }
        let most = text.len() + json.put_in();
        let changed = json.finish();
        assert!(changed.len() <= most, "{changed}");
        serde_json::from_str::<&RawValue>(&changed).unwrap();
        changed
    }

    #[test]
    fn what_is_put_in_changes_no_other_byte() {
        let text = "{ \"big\": 12345678901234567890123, \"a\" : [ {\"n\":1e400} ,\n{ } ], \"z\": {\"y\":\"\\u00e4\"} }\n";
        assert_eq!(
            changed(
                text,
                "a/*",
                &[
                    ("genre", "\"House\""),
                    ("r/year", "1999"),
                    ("r/label", "\"X\"")
                ],
                false
            ),
            text.replace(
                "1e400",
                "1e400,\"genre\":\"House\",\"r\":{\"label\":\"X\",\"year\":1999}"
            )
            .replace(
                "{ }",
                "{\"genre\":\"House\",\"r\":{\"label\":\"X\",\"year\":1999} }"
            )
        );
        assert_eq!(
            changed(text, "", &[("z/y", "2")], true),
            text.replace("\"\\u00e4\"", "2")
        );
    }

    #[test]
    fn what_is_there_is_kept_unless_it_says_nothing_or_is_to_be_replaced() {
        let text = r#"{"a":"x","b":"","c":null,"d":0}"#;
        let sets = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
        assert_eq!(
            changed(text, "", &sets, false),
            r#"{"a":"x","b":2,"c":3,"d":0}"#
        );
        assert_eq!(
            changed(text, "", &sets, true),
            r#"{"a":1,"b":2,"c":3,"d":4}"#
        );
        let under_null = [("c/e", "5"), ("c/f", "1e999")];
        assert_eq!(
            changed(text, "", &under_null[..1], false),
            r#"{"a":"x","b":"","c":{"e":5},"d":0}"#
        );
        let mut json = Json::read(text).unwrap();
        let item = json.items(&Place::default(), 1).unwrap()[0];
        for (at, value) in under_null {
            assert!(
                json.set(item, &place(at), &Arc::from(value), false)
                    .unwrap()
            );
        }
        assert_eq!(
            json.finish(),
            r#"{"a":"x","b":"","c":{"e":5,"f":1e999},"d":0}"#
        );
    }

    #[test]
    fn a_field_is_what_a_person_would_write() {
        let json =
            Json::read(r#"{"t":"a\u00e4\n","n":1.50,"b":true,"z":null,"l":[{"x":7}]}"#).unwrap();
        let item = json.items(&Place::default(), 1).unwrap()[0];
        let field = |at| Json::field(item, &place(at)).unwrap();
        assert_eq!(field("t").unwrap(), "aä\n");
        assert_eq!(field("n").unwrap(), "1.50");
        assert_eq!(field("b").unwrap(), "true");
        assert_eq!(field("l/0/x").unwrap(), "7");
        assert_eq!(
            (field("z"), field("l"), field("l/1/x"), field("no")),
            (None, None, None, None)
        );
    }

    #[test]
    fn what_has_no_place_for_it_is_refused_and_what_is_too_much_too() {
        let mut json = Json::read(r#"{"a":"x","l":[1,2,3]}"#).unwrap();
        let item = json.items(&Place::default(), 1).unwrap()[0];
        let refused = json
            .set(item, &place("a/b"), &Arc::from("1"), true)
            .unwrap_err();
        assert!(refused.contains("no object"), "{refused}");
        assert!(
            json.items(&place("l/*"), 2)
                .unwrap_err()
                .contains("more than 2")
        );
        assert!(
            Json::read("{\"secret\": oops}")
                .unwrap_err()
                .starts_with("it is no JSON, at line 1 column 1")
        );
        let deep = "[".repeat(100_000);
        assert!(Json::read(&deep).is_err());
    }

    /// A list of 64 MiB was a gigabyte of parts before it was refused.
    #[test]
    fn what_is_too_much_is_refused_where_it_becomes_so() {
        for text in ["[1,2,3,4]", r#"{"a":1,"b":2,"c":3,"d":4}"#] {
            let value = raw(text);
            let mut found = Vec::new();
            let read = every(&value, &mut found, 2);
            assert!(matches!(read, Err(Unread::TooMany)), "{text}");
            assert!(found.len() <= 2, "{text}");
        }
        let (list, mut found) = (raw("[1,2]"), Vec::new());
        every(&list, &mut found, 4).ok().unwrap();
        every(&list, &mut found, 4).ok().unwrap();
        assert_eq!(found.len(), 4);
        assert!(every(&list, &mut found, 4).is_err(), "all together");
    }

    #[test]
    fn of_two_members_with_one_name_the_later_counts() {
        let text = r#"{"a":1,"b":{},"\u0061":2}"#;
        let json = Json::read(text).unwrap();
        let item = json.items(&Place::default(), 1).unwrap()[0];
        assert_eq!(Json::field(item, &place("a")).unwrap().unwrap(), "2");
        assert_eq!(json.items(&place("*"), 2).unwrap().len(), 2);
        assert_eq!(
            changed(text, "", &[("c", "3")], false),
            text.replace(":2}", ":2,\"c\":3}")
        );
    }

    #[test]
    fn half_a_sign_is_found_wherever_it_stands() {
        for whole in [
            r#""\ud83d\ude00""#,
            r#""\\ud800""#,
            r#"["\u00e4\n", {"\uD83D\uDE00": 1}]"#,
            "1e400",
        ] {
            assert!(!has_half_a_sign(&raw(whole)), "{whole}");
        }
        for half in [
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83d\ud83d\ude00""#,
            r#""\ud83d\\ude00""#,
            r#"{"a": ["\\\uDFFF"]}"#,
            r#"{"\ud800x": 1}"#,
        ] {
            assert!(has_half_a_sign(&raw(half)), "{half}");
        }
    }

    #[test]
    fn a_list_of_single_values_is_joined_and_anything_else_is_none() {
        assert_eq!(flat(&raw(r#"["a", 1, "b"]"#)).unwrap(), "a, 1, b");
        assert_eq!(flat(&raw("7")).unwrap(), "7");
        for none in ["[]", "[[1]]", "{}", "null", "[null]"] {
            assert_eq!(flat(&raw(none)), None, "{none}");
        }
    }
}
