//! Links between our own pages: the file is there, and so is the heading.

use super::source::line_of;
use super::tree::Tree;
use super::{Finding, finding};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.markdown() {
        let text = without_code(text);
        for (byte, _) in text.match_indices("](") {
            let rest = &text[byte + 2..];
            let Some(end) = rest.find([')', ' ', '\n']) else {
                continue;
            };
            let target = &rest[..end];
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if let Some(problem) = problem(tree, path, target) {
                findings.push(finding(format!("{path}:{}", line_of(&text, byte)), problem));
            }
        }
    }
    findings
}

fn problem(tree: &Tree, page: &str, target: &str) -> Option<String> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if file.is_empty() {
        page.to_owned()
    } else if let Some(file) = resolve(page, file) {
        file
    } else {
        return Some(format!("`{target}` leads out of the repository"));
    };
    if !tree.has(&file) {
        return Some(format!("`{target}` leads nowhere: there is no `{file}`"));
    }
    let has_headings = file
        .rsplit_once('.')
        .is_some_and(|(_, ending)| ending == "md");
    let text = tree.texts.get(&file)?;
    let found = anchor.is_empty() || !has_headings || anchors(text).any(|known| known == anchor);
    (!found).then(|| format!("`{target}` leads nowhere: `{file}` has no such heading"))
}

/// The path from the root that a relative link on `page` means; nothing where that lies above the root.
fn resolve(page: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Headings as a link names them: lower case, blanks as dashes, without punctuation.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .chars()
                .filter_map(|character| match character {
                    ' ' => Some('-'),
                    '-' | '_' => Some(character),
                    letter if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
                    _ => None,
                })
                .collect()
        })
}

/// The same text with fenced blocks blanked, line by line.
fn without_code(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        if !inside && !fence {
            kept.push_str(line);
        }
        inside ^= fence;
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("docs/operating/install.md", text),
            (
                "docs/guarantees.md",
                "# Guarantees\n\n## Not promised (yet)\n",
            ),
            ("README.md", ""),
        ]);
        check(&tree)
            .into_iter()
            .map(|finding| finding.place)
            .collect()
    }

    #[test]
    fn good_links_are_good() {
        let text = "[a](../guarantees.md) [b](../guarantees.md#not-promised-yet) [c](../../README.md) [d](https://example.org/x) [e](../operating)\n```\n[f](nowhere.md)\n```\n";
        assert_eq!(findings(text), Vec::<String>::new());
    }

    #[test]
    fn a_missing_page_and_a_missing_heading_are_found() {
        let text =
            "[a](gone.md)\n\n[b](../guarantees.md#promised)\n[c](../../../out.md)\n[d](#here)\n";
        assert_eq!(
            findings(text),
            [
                "docs/operating/install.md:1",
                "docs/operating/install.md:3",
                "docs/operating/install.md:4",
                "docs/operating/install.md:5"
            ]
        );
    }
}
