//! What to do when something is wrong: the pages of `docs/operating` that are runbooks, compiled into the program.
//!
//! A runbook begins with its front matter, TOML between two lines of `+++`: its title, other names that it is known by, what is seen
//! when it is the right one, and which evidence belongs to it. The rest is its text, for people; its causes, steps, prevention and
//! escalation stand below headings that every page has, and are fields for programs ([`Sections`]).

mod evidence;
mod names;
mod sections;

pub(crate) use evidence::Evidence;
pub(crate) use names::Names;
pub(crate) use sections::Sections;

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The line before and after the front matter.
const FENCE: &str = "+++\n";

/// A page of `docs/operating`.
macro_rules! page {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../docs/operating/", $name, ".md")),
        )
    };
}

/// Every runbook: first what goes wrong, then what is done on purpose.
const PAGES: [(&str, &str); 22] = [
    page!("destination-held"),
    page!("credentials-refused"),
    page!("rate-limited"),
    page!("disk-hangs"),
    page!("slow-responses"),
    page!("persistent-errors"),
    page!("queue-growing"),
    page!("disk-full"),
    page!("disk-fails"),
    page!("damaged-segment"),
    page!("high-memory"),
    page!("open-files"),
    page!("certificate-expires"),
    page!("clock-jumped"),
    page!("upkeep"),
    page!("stuck-shutdown"),
    page!("crash-loop"),
    page!("destination-lost"),
    page!("deployment"),
    page!("upgrade"),
    page!("rollback"),
    page!("disaster-recovery"),
];

/// What to do about one thing.
#[derive(Debug)]
pub(crate) struct Runbook {
    /// What it is called by.
    pub(crate) name: &'static str,
    pub(crate) front: Front,
    /// Markdown.
    pub(crate) text: &'static str,
}

/// A runbook for programs.
#[derive(Debug, Serialize)]
pub(crate) struct Told<'a> {
    name: &'static str,
    #[serde(flatten)]
    front: &'a Front,
    #[serde(flatten)]
    sections: Sections,
    text: &'a str,
}

impl Runbook {
    /// As programs read it, with this as its text: its own, or that with the real names in it.
    pub(crate) fn told<'a>(&'a self, text: &'a str) -> Told<'a> {
        Told {
            name: self.name,
            front: &self.front,
            sections: Sections::of(text),
            text,
        }
    }
}

/// What stands above the text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Front {
    /// In a line.
    pub(crate) title: String,
    /// Other names that people look for.
    #[serde(default)]
    pub(crate) also: Vec<String>,
    /// What is seen when this is the right one.
    pub(crate) symptoms: Vec<String>,
    /// What of the present state belongs to it.
    pub(crate) evidence: Vec<Evidence>,
}

/// All of them.
pub(crate) fn all() -> &'static [Runbook] {
    static ALL: LazyLock<Vec<Runbook>> = LazyLock::new(|| {
        let pages = PAGES.iter();
        pages.map(|(name, page)| read(name, page)).collect()
    });
    &ALL
}

/// The one that is called so, or is also known so.
pub(crate) fn find(name: &str) -> Option<&'static Runbook> {
    let is_it =
        |book: &&Runbook| book.name == name || book.front.also.iter().any(|also| also == name);
    all().iter().find(is_it)
}

fn read(name: &'static str, page: &'static str) -> Runbook {
    let parts = page
        .strip_prefix(FENCE)
        .and_then(|page| page.split_once(FENCE));
    let (front, text) = parts.expect("every page has its front matter; a test reads them all");
    Runbook {
        name,
        front: toml::from_str(front)
            .expect("every front matter can be read; a test reads them all"),
        text: text.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_runbook_says_why_what_to_do_how_to_prevent_it_and_who_else() {
        for book in all() {
            assert!(!book.front.symptoms.is_empty(), "{}", book.name);
            assert!(!book.front.evidence.is_empty(), "{}", book.name);
            let sections = Sections::of(book.text);
            for (field, said) in [
                ("causes", &sections.causes),
                ("prevention", &sections.prevention),
            ] {
                assert!(20 < said.len(), "{}: {field}: {said}", book.name);
            }
            assert!(1 < sections.steps.len(), "{}: steps", book.name);
            let levels: Vec<&str> = { sections.escalation.iter() }
                .filter(|level| !level.who.is_empty() && !level.when.is_empty())
                .map(|level| level.level.as_str())
                .collect();
            assert_eq!(levels, ["L1", "L2", "L3"], "{}", book.name);
        }
    }

    #[test]
    fn every_name_leads_to_one_runbook() {
        let mut seen = HashSet::new();
        for book in all() {
            let also = book.front.also.iter().map(String::as_str);
            for name in also.chain([book.name]) {
                assert!(seen.insert(name), "{name}");
                assert_eq!(find(name).map(|found| found.name), Some(book.name));
            }
        }
        assert!(find("nonsense").is_none());
    }

    /// A page with front matter that is not in the list would be a runbook that nobody finds.
    #[test]
    fn every_page_that_is_a_runbook_is_compiled_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_runbook = std::fs::read_to_string(&path).unwrap().starts_with(FENCE);
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert_eq!(find(name).is_some(), is_runbook, "{name}");
        }
    }
}
