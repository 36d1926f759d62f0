//! `bench/RESULTS.md`: what was measured now, and of all else what stood there before.

use crate::options::Options;
use std::collections::BTreeMap;

const HEAD: &str = "# What it costs

Written by `cargo xtask bench --write`, never by hand; with `--only PART` that part is renewed, and the others stay.
Each round runs all candidates in turn, figures are medians, ratios are of the same round.
What the figures mean, which goals they meet and which not: [README.md](README.md).
";

fn marker(part: &str) -> String {
    format!("<!-- part: {part} -->\n")
}

/// The page with these parts renewed.
pub(crate) fn renewed(
    old: &str,
    parts: &[&str],
    measured: &BTreeMap<&str, String>,
    options: &Options,
) -> String {
    let mut page = HEAD.to_owned();
    for part in parts {
        let text = match measured.get(part) {
            Some(text) => format!(
                "{}\n`{part}`: commit {}, {} rounds.\n{text}",
                marker(part),
                options.commit,
                options.rounds
            ),
            None => kept(old, part).to_owned(),
        };
        if !text.is_empty() {
            page.push('\n');
            page.push_str(text.trim_end());
            page.push('\n');
        }
    }
    page
}

/// What stands on a page of a part, with its marker.
fn kept<'o>(old: &'o str, part: &str) -> &'o str {
    let marker = marker(part);
    let Some(begin) = old.find(&marker) else {
        return "";
    };
    let from = old.get(begin..).unwrap_or_default();
    let behind = marker.len();
    let end = from
        .get(behind..)
        .and_then(|rest| rest.find("<!-- part: "))
        .map_or(from.len(), |end| behind + end);
    from.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_was_not_measured_stays_and_the_order_is_that_of_the_parts() {
        let mut options = Options::parse(std::iter::empty()).expect("nothing is asked for");
        options.commit = "abc".to_owned();
        let parts = ["queue", "idle"];
        let first = BTreeMap::from([("idle", "\n## Idle\n\n9 ms\n".to_owned())]);
        let page = renewed("", &parts, &first, &options);
        let second = BTreeMap::from([("queue", "\n## Queue\n\n1 s\n".to_owned())]);
        options.commit = "def".to_owned();
        let page = renewed(&page, &parts, &second, &options);
        let (queue, idle) = page.split_once("<!-- part: idle -->").expect("both");
        assert!(queue.starts_with("# What it costs\n"));
        assert!(queue.contains("`queue`: commit def, 5 rounds.\n\n## Queue\n\n1 s\n"));
        assert!(idle.ends_with("`idle`: commit abc, 5 rounds.\n\n## Idle\n\n9 ms\n"));
        assert_eq!(renewed(&page, &parts, &BTreeMap::new(), &options), page);
    }
}
