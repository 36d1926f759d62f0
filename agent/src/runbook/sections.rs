//! What stands below the headings of a runbook, as fields for programs: the text is written once, and for people.

use serde::Serialize;

/// A runbook's causes, steps, prevention and escalation.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Sections {
    /// Why it happens, in Markdown.
    pub(crate) causes: String,
    /// What to do, in order; each in Markdown.
    pub(crate) steps: Vec<String>,
    /// How to prevent it, in Markdown.
    pub(crate) prevention: String,
    /// Who else is to be asked, and when.
    pub(crate) escalation: Vec<Asked>,
}

/// Somebody who is to be asked, in the order in which they are.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Asked {
    /// `L1`, `L2` or `L3`.
    pub(crate) level: String,
    pub(crate) who: String,
    /// What is theirs.
    pub(crate) when: String,
}

impl Sections {
    /// Of a page without its front matter; what a page has not is empty, which a test allows none.
    pub(crate) fn of(text: &str) -> Self {
        let causes = section(text, "Why").or_else(|| section(text, "What it means"));
        let below = |heading| section(text, heading).unwrap_or_default();
        Self {
            causes: causes.unwrap_or_default().to_owned(),
            steps: steps(below("What to do")),
            prevention: below("How to prevent").to_owned(),
            escalation: below("Who else").lines().filter_map(level).collect(),
        }
    }
}

/// What stands below the first heading that begins so, up to the next one.
fn section<'a>(text: &'a str, heading: &str) -> Option<&'a str> {
    let mut sections = text.split("\n## ").skip(1);
    let found = sections.find(|section| section.starts_with(heading))?;
    let (_, below) = found.split_once('\n')?;
    Some(below.trim())
}

/// The items of numbered lists, with the lines that belong to each.
fn steps(section: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut is_within = false;
    for line in section.lines() {
        if let Some(step) = numbered(line) {
            steps.push(step.to_owned());
            is_within = true;
        } else if is_within && line.starts_with("   ") {
            let step = steps.last_mut().expect("one was begun");
            step.push('\n');
            step.push_str(line.get(3..).unwrap_or_default());
        } else {
            is_within = is_within && line.is_empty();
        }
    }
    steps
}

/// What stands behind `1. `.
fn numbered(line: &str) -> Option<&str> {
    let (number, step) = line.split_once(". ")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(step)
}

/// A row of the table, without its head.
fn level(row: &str) -> Option<Asked> {
    let mut cells = row.trim_matches('|').split('|').map(str::trim);
    let level = cells.next().filter(|level| level.starts_with('L'))?;
    Some(Asked {
        level: level.to_owned(),
        who: cells.next()?.to_owned(),
        when: cells.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_the_headings_is_found_and_nothing_else() {
        let page = "# Title\n\n## Why\n\nIt happens.\n\n## What to do\n\nFirst words.\n\n1. Look:\n   - here\n2. Mend.\n\n\
                    **Or else.** Not a step.\n\n3. Look again.\n\n## How to prevent surprises\n\nLook.\n\n## Who else\n\n\
                    | level | who | when |\n|---|---|---|\n| L1 | you | step 1 |\n| L2 | they | step 2 |";
        let level = |level: &str, who: &str, when: &str| Asked {
            level: level.to_owned(),
            who: who.to_owned(),
            when: when.to_owned(),
        };
        let read = Sections {
            causes: "It happens.".to_owned(),
            steps: ["Look:\n- here", "Mend.", "Look again."]
                .map(str::to_owned)
                .into(),
            prevention: "Look.".to_owned(),
            escalation: vec![level("L1", "you", "step 1"), level("L2", "they", "step 2")],
        };
        assert_eq!(Sections::of(page), read);
    }
}
