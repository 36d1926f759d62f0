//! Something is in the way: the person is shown what, and decides.

use crate::cli::OnConflict;
use crate::exit::{Exit, Failure};
use crate::status::date;
use crate::terminal::{BOLD, GREEN, PLAIN, RED, Text, visible};
use crate::units::Size;
use mainstay_files::{Conflict, ConflictKind, Difference, Resolution, Resolver, Shown};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Stdin, Write};
use std::time::SystemTime;

/// How many lines of a difference are shown: with the question they fit on a screen; `mainstay history diff` shows all.
const LINES_MAX: usize = 40;

/// How many characters of such a line.
const WIDTH_MAX: usize = 200;

/// How often an answer that means nothing is asked for again.
const ANSWERS_MAX: u32 = 5;

/// Asks a person, between an input and an output that are a terminal but in tests.
#[derive(Debug)]
pub(crate) struct Prompt<R, W> {
    offer: Offer,
    input: RefCell<R>,
    output: RefCell<W>,
}

/// What is to be put where something is.
#[derive(Debug)]
pub(crate) struct Offer {
    /// What is in the way, in words.
    pub(crate) what: &'static str,
    /// What it is that should be put there: "deleted as 2026…".
    pub(crate) new: String,
    /// From what is there to what should be; none where that was not compared.
    pub(crate) difference: Option<Difference>,
    /// Whether both can be put together.
    pub(crate) merge: bool,
}

/// Refuses where nobody can be asked, with the flags that say it beforehand.
///
/// # Errors
/// There is no terminal.
pub(crate) fn refuse_unasked(conflict: &Conflict, what: &str, help: &str) -> Result<(), Failure> {
    if super::somebody_is_there() {
        return Ok(());
    }
    let exit = match conflict.kind {
        ConflictKind::Exists => Exit::NoOutput,
        _ => Exit::Usage,
    };
    let path = Shown(&conflict.path);
    let message = format!("{path}: {what}, and nobody can be asked here; it was not touched");
    Err(Failure::new(exit, message).help(help))
}

impl Prompt<BufReader<Stdin>, anstream::Stderr> {
    /// Asks whoever sits at the terminal.
    pub(crate) fn on_terminal(offer: Offer) -> Self {
        Self::between(offer, BufReader::new(std::io::stdin()), anstream::stderr())
    }
}

impl<R: BufRead, W: Write> Prompt<R, W> {
    fn between(offer: Offer, input: R, output: W) -> Self {
        Self {
            offer,
            input: RefCell::new(input),
            output: RefCell::new(output),
        }
    }

    fn answer(&self) -> Option<String> {
        let mut answer = String::new();
        let read = self.input.borrow_mut().read_line(&mut answer);
        read.is_ok_and(|read| read > 0).then_some(answer)
    }

    /// That nobody reads it is no error: then nobody answers either.
    fn write(&self, text: &str) {
        let mut output = self.output.borrow_mut();
        drop(output.write_all(text.as_bytes()));
        drop(output.flush());
    }
}

/// An end of the input, or five answers that mean nothing, cancel.
impl<R: BufRead, W: Write> Resolver for Prompt<R, W> {
    fn resolve(&self, conflict: &Conflict) -> Resolution {
        self.write(&page(conflict, &self.offer));
        for _ in 0..ANSWERS_MAX {
            self.write(question(self.offer.merge));
            let Some(answer) = self.answer() else {
                break;
            };
            if let Some(resolution) = understood(&answer, self.offer.merge) {
                return resolution;
            }
        }
        Resolution::Cancel
    }
}

impl From<OnConflict> for Resolution {
    fn from(rule: OnConflict) -> Self {
        match rule {
            OnConflict::Overwrite => Self::Overwrite,
            OnConflict::Skip => Self::Skip,
            OnConflict::Rename => Self::Rename,
            OnConflict::KeepBoth => Self::KeepBoth,
            OnConflict::Cancel => Self::Cancel,
        }
    }
}

fn question(offers_merge: bool) -> &'static str {
    if offers_merge {
        "[o]verwrite, [s]kip, [r]ename to `name (n)`, [k]eep both, [m]erge, or cancel? [C] "
    } else {
        "[o]verwrite, [s]kip, [r]ename to `name (n)`, [k]eep both, or cancel? [C] "
    }
}

fn understood(answer: &str, offers_merge: bool) -> Option<Resolution> {
    match answer.trim().to_lowercase().as_str() {
        "o" | "overwrite" => Some(Resolution::Overwrite),
        "s" | "skip" => Some(Resolution::Skip),
        "r" | "rename" => Some(Resolution::Rename),
        "k" | "keep" | "keep both" | "keep-both" => Some(Resolution::KeepBoth),
        "m" | "merge" if offers_merge => Some(Resolution::Merge),
        "" | "c" | "cancel" => Some(Resolution::Cancel),
        _ => None,
    }
}

/// What is there, what should be, and what that changes.
fn page(conflict: &Conflict, offer: &Offer) -> String {
    let mut text = Text::default();
    let path = Shown(&conflict.path);
    text.line(format_args!("{BOLD}{path}{PLAIN}: {}", offer.what));
    if let Some(present) = &conflict.present {
        let changed = present.modified.duration_since(SystemTime::UNIX_EPOCH);
        let changed = changed.map_or_else(
            |_| "before 1970".to_owned(),
            |since| date(since.as_millis() as u64),
        );
        text.line(format_args!(
            "  now  {:>10}  changed {changed}",
            Size(present.len).to_string()
        ));
    }
    text.line(format_args!(
        "  then {:>10}  {}",
        Size(conflict.new_len).to_string(),
        offer.new
    ));
    if let Some(holder) = &conflict.holder {
        text.line(format_args!("  {holder} holds a lock on it"));
    }
    match &offer.difference {
        Some(Difference::Text(patch)) => add_lines(&mut text, &String::from_utf8_lossy(patch)),
        Some(Difference::Binary) => text.line(format_args!("  they differ, and are no text")),
        Some(Difference::None) => text.line(format_args!("  the content is the same")),
        None => text.line(format_args!("  they were not compared")),
    }
    text.finish()
}

fn add_lines(text: &mut Text, patch: &str) {
    let mut lines = patch.lines();
    for line in lines.by_ref().take(LINES_MAX) {
        let colour = match line.as_bytes().first() {
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            _ => PLAIN,
        };
        let is_cut = line.chars().nth(WIDTH_MAX).is_some();
        let line: String = line.chars().take(WIDTH_MAX).collect();
        // A tab is no danger to a terminal, and many a text has some.
        let line: Vec<String> = line.split('\t').map(visible).collect();
        let end = if is_cut { "…" } else { "" };
        text.line(format_args!("{colour}{}{end}{PLAIN}", line.join("\t")));
    }
    match lines.count() {
        0 => {}
        more => text.line(format_args!(
            "  … and {more} more; `mainstay history diff` shows all"
        )),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay files out by hand")]
mod tests {
    use super::*;

    /// What a person who types this decides, and what they saw.
    fn asked(merge: bool, patch: &str, typed: &str) -> (Resolution, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x\x1b[2J");
        std::fs::write(&path, "abcd").unwrap();
        let conflict = Conflict::at(&path, ConflictKind::Changed, 2_048).unwrap();
        let offer = Offer {
            what: "it was changed",
            new: "kept as 2026".to_owned(),
            difference: Some(Difference::Text(patch.as_bytes().to_vec())),
            merge,
        };
        let prompt = Prompt::between(offer, typed.as_bytes(), Vec::new());
        let resolution = prompt.resolve(&conflict.unwrap());
        let seen = String::from_utf8(prompt.output.into_inner()).unwrap();
        (resolution, seen)
    }

    #[test]
    fn every_answer_is_understood_and_the_empty_one_is_the_safe_one() {
        let cases = [
            ("o\n", Resolution::Overwrite),
            ("SKIP\n", Resolution::Skip),
            (" r \n", Resolution::Rename),
            ("keep both\n", Resolution::KeepBoth),
            ("m\n", Resolution::Merge),
            ("c\n", Resolution::Cancel),
            ("\n", Resolution::Cancel),
            ("", Resolution::Cancel),
            ("what?\nyes\no\n", Resolution::Overwrite),
            ("1\n2\n3\n4\n5\no\n", Resolution::Cancel),
        ];
        for (typed, expected) in cases {
            assert_eq!(asked(true, "", typed).0, expected, "{typed:?}");
        }
        assert_eq!(asked(false, "", "m\nm\ns\n").0, Resolution::Skip);
        assert!(!asked(false, "", "").1.contains("merge"));
    }

    #[test]
    fn sizes_and_what_would_change_are_shown_and_cannot_move_the_cursor() {
        let (_, seen) = asked(true, "-a\tb\n+c\x1b[2J\n", "");
        assert!(seen.contains("x\\u{1b}[2J"), "{seen}");
        assert!(seen.contains("4 B  changed 2"), "{seen}");
        assert!(seen.contains("2 KiB  kept as 2026"), "{seen}");
        assert!(seen.contains("-a\tb"), "{seen}");
        assert!(
            seen.contains("+c\\u{1b}[2J") && !seen.contains("\x1b[2J"),
            "{seen}"
        );
    }

    #[test]
    fn a_long_difference_is_cut_and_says_so() {
        let (_, seen) = asked(true, &"+line\n".repeat(100), "");
        assert_eq!(seen.matches("+line").count(), LINES_MAX);
        assert!(seen.contains("… and 60 more"), "{seen}");
        // A sign that the path cannot have: the folder has a random name.
        let (_, seen) = asked(true, &"§".repeat(10_000), "");
        assert_eq!(seen.matches('§').count(), WIDTH_MAX);
    }
}
