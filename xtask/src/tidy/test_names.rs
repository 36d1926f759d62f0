//! Which tests there are, and whether a page that names one tells the truth.

use std::collections::BTreeSet;

use super::page::quoted;
use super::source;
use super::tree::Tree;

/// Where the fault campaigns are listed, each as `name: "…"`.
const CAMPAIGNS: &str = "testkit/src/campaigns.rs";

/// Names of every function that a test runner runs, and of every fault campaign.
pub(super) struct TestNames(BTreeSet<String>);

impl TestNames {
    pub(super) fn of(tree: &Tree) -> Self {
        let mut names = BTreeSet::new();
        for (_, text) in tree.rust() {
            let code = source::code(text);
            let lines: Vec<&str> = code.lines().collect();
            for (index, line) in lines.iter().enumerate() {
                if let Some(name) = function_name(line)
                    && has_test_attribute(&lines[..index])
                {
                    names.insert(name.to_owned());
                }
            }
        }
        if let Some(list) = tree.texts.get(CAMPAIGNS) {
            names.extend(list.lines().filter_map(campaign_name).map(str::to_owned));
        }
        Self(names)
    }

    /// The tests that a cell names (`name` or `module::name`), and those of them that do not exist.
    pub(super) fn look_up<'a>(&self, cell: &'a str) -> Named<'a> {
        let all = quoted(cell).filter(|name| is_name(name));
        let (known, missing) = all.partition(|name| {
            let (_, function) = name.rsplit_once("::").unwrap_or(("", name));
            self.0.contains(function)
        });
        Named { known, missing }
    }
}

/// What a cell of a table names.
pub(super) struct Named<'a> {
    pub(super) known: Vec<&'a str>,
    pub(super) missing: Vec<&'a str>,
}

/// Whether the attributes right above a function make it a test.
fn has_test_attribute(above: &[&str]) -> bool {
    above
        .iter()
        .rev()
        .map(|line| line.trim())
        .take_while(|line| line.is_empty() || line.starts_with('#') || line.ends_with(']'))
        .any(|line| line.starts_with("#[") && line.contains("test"))
}

/// The name in a line that declares a function.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let declares = before
        .split_whitespace()
        .all(|word| matches!(word, "pub" | "async" | "pub(crate)" | "pub(super)"));
    let end = after.find(['(', '<'])?;
    declares.then_some(&after[..end])
}

fn campaign_name(line: &str) -> Option<&str> {
    line.trim().strip_prefix("name: \"")?.strip_suffix("\",")
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|character| character.is_alphanumeric() || "_:".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_every_kind_are_known_and_other_functions_are_not() {
        let tree = Tree::of(&[
            (
                "crates/queue/tests/it/durable.rs",
                "#[test]\nfn a() {}\n\n#[tokio::test(flavor = \"multi_thread\")]\n#[expect(x, reason = \"y\")]\nasync fn b() {}\n\nfn setup() {}\n",
            ),
            (CAMPAIGNS, "    Campaign {\n        name: \"kill9\",\n"),
        ]);
        let names = TestNames::of(&tree);
        let named = names.look_up("`a`, `durable::b`, `kill9`, `setup`, `no name`, none");
        assert_eq!(named.known, ["a", "durable::b", "kill9"]);
        assert_eq!(named.missing, ["setup"]);
    }
}
