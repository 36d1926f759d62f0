//! Standard output and standard error: where the program speaks, and how.
//!
//! Results go to standard output, everything about their making to standard error. Colours go away by themselves where
//! nobody sees them (a pipe, `NO_COLOR`, `TERM=dumb`), and a reader that went away (`| head`) ends the output without a word.

use crate::exit::Failure;
use serde::Serialize;
use std::fmt;
use std::io::{IsTerminal, Write};

/// Prints a result to standard output.
///
/// # Errors
/// A reader that went away is a silent [`Failure`] with exit code 0, so that callers can use `?`.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Prints a value as indented JSON to standard output.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::from(std::io::Error::other(error)))?;
    print(&text)
}

/// Prints bytes to standard output as they are.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Says something about the progress of a command on standard error; that nobody listens is no error.
pub(crate) fn say(text: &str) {
    let mut err = anstream::stderr().lock();
    drop(writeln!(err, "{text}"));
}

/// Asks a question on standard error, and leaves the line open for the answer.
pub(crate) fn ask(question: &str) {
    let mut err = anstream::stderr().lock();
    drop(write!(err, "{question}"));
    drop(err.flush());
}

/// Standard output for what comes in pieces; once a reader went away, nothing is written any more.
#[derive(Debug)]
pub(crate) struct Output {
    failed: Option<std::io::Error>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self { failed: None }
    }

    /// What became of it.
    ///
    /// # Errors
    /// As [`print()`].
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        drop(self.flush());
        self.failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn note<T>(&mut self, done: std::io::Result<T>) -> std::io::Result<T> {
        let error = match done {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => error,
            done => return done,
        };
        let kind = error.kind();
        self.failed.get_or_insert(error);
        Err(kind.into())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = std::io::stdout().lock().write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = std::io::stdout().lock().flush();
        self.note(flushed)
    }
}

/// Prints why a command failed.
pub(crate) fn report(failure: &Failure) {
    if !failure.is_silent() {
        say(&format!("{RED}error:{PLAIN} {failure}"));
    }
}

/// Prints something that deserves attention but stops nothing.
pub(crate) fn warn(text: &str) {
    say(&format!("{YELLOW}warning:{PLAIN} {text}"));
}

/// True when a person watches standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// How many characters fit into a line of standard output; none where it is no terminal.
pub(crate) fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

/// Text from outside (names, reasons) with every character that could move the cursor or turn the text around made visible.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_bidirectional(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}')
}

/// Text that grows, for pages of several lines.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    /// Goes on in the same line.
    pub(crate) fn add(&mut self, words: fmt::Arguments<'_>) {
        fmt::Write::write_fmt(&mut self.0, words).expect("a string takes everything");
    }

    /// Adds the rest of a line.
    pub(crate) fn line(&mut self, words: fmt::Arguments<'_>) {
        self.add(words);
        self.0.push('\n');
    }

    /// The text as it is now.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// A number of things: `1 file`, `2 files`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u64, pub(crate) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, thing) = self;
        let plural = if *number == 1 { "" } else { "s" };
        write!(f, "{number} {thing}{plural}")
    }
}

pub(crate) const RED: &str = "\x1b[1;31m";
pub(crate) const YELLOW: &str = "\x1b[1;33m";
pub(crate) const GREEN: &str = "\x1b[1;32m";
pub(crate) const BOLD: &str = "\x1b[1m";
pub(crate) const DIM: &str = "\x1b[2m";
pub(crate) const PLAIN: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_move_the_cursor_or_turn_the_line_around() {
        assert_eq!(visible("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(visible("a\nb"), "a\\u{a}b");
        assert_eq!(visible("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
        assert_eq!(visible("Prüfung.json"), "Prüfung.json");
    }
}
