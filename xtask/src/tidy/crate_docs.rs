//! The first page of each library: what it promises, what not, its numbers, and what happens when it fails.

use super::tree::Tree;
use super::{Finding, finding};

/// In this order, after one sentence and an example that runs; in bold, or as a heading (`# Promises`).
const HEADINGS: &[&str] = &["Promises", "Does not promise", "Limits", "When it fails"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in tree
        .packages
        .iter()
        .filter(|package| package.folder.starts_with("crates/"))
    {
        let root = format!("{}/src/lib.rs", package.folder);
        match tree.texts.get(&root) {
            Some(text) => check_root(&root, text, &mut findings),
            None => findings.push(finding(&root, "the file is missing")),
        }
    }
    findings
}

fn check_root(root: &str, text: &str, findings: &mut Vec<Finding>) {
    let page: Vec<&str> = text
        .lines()
        .take_while(|line| line.starts_with("//!") || line.is_empty())
        .collect();
    let page = page.join("\n");
    if !page.starts_with("//! ") {
        findings.push(finding(
            root,
            "open with one sentence that says what the crate is",
        ));
    }
    let mut after = 0;
    if page.split_once("//! ```\n").is_none() {
        findings.push(finding(
            root,
            "show an example that runs (a plain ``` block)",
        ));
    }
    for heading in HEADINGS {
        match find_heading(&page, heading) {
            Some(at) if at >= after => after = at,
            Some(_) => findings.push(finding(
                root,
                format!("`{heading}` stands before what precedes it everywhere else"),
            )),
            None => findings.push(finding(
                root,
                format!("`{heading}` is missing from the crate's first page"),
            )),
        }
    }
}

fn find_heading(page: &str, heading: &str) -> Option<usize> {
    page.find(&format!("**{heading}**"))
        .or_else(|| page.find(&format!("//! # {heading}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(lib: &str) -> Vec<String> {
        let tree =
            Tree::of(&[("crates/queue/src/lib.rs", lib)]).with_package("crates/queue", &[], &[]);
        check(&tree)
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn a_whole_first_page_is_good() {
        let lib = "//! What was acknowledged stays.\n//!\n//! ```\n//! let a = 1;\n//! ```\n//!\n//! **Promises** x\n//!\n//! **Does not promise** y\n//!\n//! **Limits**\n//!\n//! **When it fails** z\n\nmod a;\n";
        assert_eq!(findings(lib), Vec::<String>::new());
    }

    #[test]
    fn a_page_without_its_negatives_is_found() {
        let lib = "//! A queue.\n//!\n//! ```\n//! let a = 1;\n//! ```\n//! **Promises** x\n//! **Limits**\n//! **When it fails** z\n";
        assert_eq!(
            findings(lib),
            ["`Does not promise` is missing from the crate's first page"]
        );
    }

    #[test]
    fn headings_out_of_their_order_are_found() {
        let lib = "//! A queue.\n//!\n//! ```\n//! let a = 1;\n//! ```\n//! # Promises\n//! # Limits\n//! # Does not promise\n//! # When it fails\n";
        assert_eq!(
            findings(lib),
            ["`Limits` stands before what precedes it everywhere else"]
        );
    }

    #[test]
    fn an_empty_page_is_found() {
        assert_eq!(findings("mod a;\n").len(), 6);
    }
}
