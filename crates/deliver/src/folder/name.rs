//! What a delivered file is called, and what if that name is taken.

use crate::Outgoing;
use crate::template::{Place, Template};
use mainstay_paths::safe_file_name;

/// This many numbers are tried, "a (2).txt" to "a (99).txt"; then the id goes into the name, which is free for certain. So
/// the thousandth file of one name does not try a thousand names.
const NUMBERS_MAX: u32 = 99;

/// The name of a document's file by `template`, safe on every system.
pub(super) fn first(template: &Template, document: &Outgoing) -> String {
    let id = document.id.to_string();
    let name = template.fill(|place| match place {
        Place::Id => id.clone().into_bytes(),
        Place::Name if document.source.is_empty() => id.clone().into_bytes(),
        Place::Name => document.source.clone(),
        Place::Route => document.route.clone().into_bytes(),
    });
    safe_file_name(&name)
}

/// `name`, and what to try after it for as long as something is there.
pub(super) fn candidates(name: &str, id: &str) -> impl Iterator<Item = String> {
    // A dot at the beginning makes a hidden file, not an extension.
    let dot = name.rfind('.').filter(|dot| *dot > 0).unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    let numbered = (2..=NUMBERS_MAX).map(move |number| format!("{stem} ({number}){extension}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .chain(std::iter::once(format!("{stem} ({id}){extension}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Content;
    use mainstay_queue::DocumentId;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn name(template: &str, source: &[u8]) -> String {
        let document = Outgoing {
            id: ID.parse::<DocumentId>().unwrap(),
            route: "lab".into(),
            source: source.to_vec(),
            content_type: String::new(),
            headers: Vec::new(),
            hash: None,
            body: Content::Bytes(bytes::Bytes::new()),
        };
        first(&Template::parse(template).unwrap(), &document)
    }

    #[test]
    fn a_file_is_called_what_the_template_says() {
        assert_eq!(name("{name}", b"a.csv"), "a.csv");
        assert_eq!(
            name("{route}-{id}-{name}", b"a.csv"),
            format!("lab-{ID}-a.csv")
        );
        assert_eq!(name("{name}", b""), ID);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for source in [
            &b"../../etc/passwd"[..],
            b"..",
            b".",
            b"/",
            b"a/b",
            b"a\0b",
            b"\xff\xfe",
            b"con",
            &[b'x'; 4000],
        ] {
            let name = name("{name}", source);
            assert!(
                !name.is_empty() && name != "." && name != ".." && name.len() <= 200,
                "{name}"
            );
            assert!(!name.contains(['/', '\\', '\0']), "{name}");
        }
    }

    #[test]
    fn a_taken_name_is_numbered_before_its_extension() {
        let names = |name| candidates(name, "ID").take(3).collect::<Vec<_>>();
        assert_eq!(names("a.txt"), ["a.txt", "a (2).txt", "a (3).txt"]);
        assert_eq!(names("Makefile")[1], "Makefile (2)");
        assert_eq!(names(".profile")[1], ".profile (2)");
        assert_eq!(names("a.tar.gz")[1], "a.tar (2).gz");
    }

    #[test]
    fn the_search_for_a_free_name_ends_with_one_that_nobody_else_has() {
        let all: Vec<_> = candidates("a.txt", "ID").collect();
        assert_eq!(all.len(), NUMBERS_MAX as usize + 1);
        assert_eq!(all.last().unwrap(), "a (ID).txt");
    }
}
