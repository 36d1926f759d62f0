//! Text with places for what a document is called.

use crate::Error;

/// A text with the placeholders `{id}`, `{name}` and `{route}`.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

/// What a placeholder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Id,
    Name,
    Route,
}

impl Template {
    /// # Errors
    /// A brace without its partner, or a placeholder of another name.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(start);
            let place = from
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'));
            let Some((name, after)) = place else {
                return Err(Error::setting(format!(
                    "`{text}` has a brace without its partner; placeholders are {{id}}, {{name}} and {{route}}"
                )));
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Place(place_named(name).ok_or_else(|| {
                Error::setting(format!("`{text}` has the unknown placeholder {{{name}}}; known are {{id}}, {{name}} and {{route}}"))
            })?));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    pub(crate) fn has(&self, place: Place) -> bool {
        self.pieces.contains(&Piece::Place(place))
    }

    /// The text with every placeholder replaced. What is filled in need not be UTF-8, so neither is the result.
    pub(crate) fn fill(&self, mut value: impl FnMut(Place) -> Vec<u8>) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(fixed) => text.extend_from_slice(fixed.as_bytes()),
                Piece::Place(place) => text.extend_from_slice(&value(*place)),
            }
        }
        text
    }
}

fn place_named(name: &str) -> Option<Place> {
    match name {
        "id" => Some(Place::Id),
        "name" => Some(Place::Name),
        "route" => Some(Place::Route),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_where_they_stand() {
        let template = Template::parse("/in/{route}/{id}-{name}.bak").unwrap();
        let filled = template.fill(|place| match place {
            Place::Id => "7".into(),
            Place::Name => "a.json".into(),
            Place::Route => "lab".into(),
        });
        assert_eq!(filled, b"/in/lab/7-a.json.bak");
        assert!(template.has(Place::Id) && template.has(Place::Name));
        assert!(!Template::parse("/in/{route}").unwrap().has(Place::Id));
        assert_eq!(Template::parse("").unwrap().fill(|_| unreachable!()), b"");
    }

    #[test]
    fn a_wrong_template_is_refused_with_its_text() {
        for wrong in [
            "/a/{",
            "/a/}",
            "/a/{id",
            "/a/{{id}}",
            "/a/{serial}",
            "/a/{}",
            "/a/{ID}",
        ] {
            let message = Template::parse(wrong).unwrap_err().to_string();
            assert!(
                message.contains(wrong) && message.contains("{route}"),
                "{message}"
            );
        }
    }
}
