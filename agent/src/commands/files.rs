//! `mainstay files checksum` and `verify`.

use crate::cli::{ChecksumArgs, VerifyArgs};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, GREEN, PLAIN, RED, Text, YELLOW, visible};
use mainstay_files::{Checksum, Error, Integrity};
use serde::Serialize;
use std::path::Path;

/// What is said of one file.
#[derive(Debug, Serialize)]
struct Told {
    file: String,
    /// `computed`, `verified`, `mismatch`, `unknown` or `failed`.
    state: &'static str,
    algorithm: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Prints checksums. What cannot be read is told, and the rest is done all the same.
///
/// # Errors
/// Nothing can be printed.
pub(crate) fn checksum(args: &ChecksumArgs) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    let mut told = Vec::new();
    for file in &args.files {
        let computed = if args.write {
            mainstay_files::write_sidecar(file, args.algorithm)
        } else {
            mainstay_files::checksum(file, args.algorithm)
        };
        let mut line = Told::of(file, args.algorithm.name());
        match computed {
            Ok(sum) if args.json => {
                line.state = "computed";
                line.checksum = Some(sum.to_string());
            }
            Ok(sum) => {
                terminal::print_bytes(&mainstay_files::checksum_line(&sum, file.as_os_str()))?;
            }
            Err(error) => exit = line.fail(&error),
        }
        told.push(line);
    }
    if args.json {
        terminal::print_json(&told)?;
    }
    Ok(exit)
}

/// Compares files with their remembered checksums, likewise.
///
/// # Errors
/// As [`checksum`].
pub(crate) fn verify(args: &VerifyArgs) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    let mut told = Vec::new();
    for file in &args.files {
        let mut line = Told::of(file, args.algorithm.name());
        match mainstay_files::verify_sidecar(file, args.algorithm) {
            Ok(Integrity::Verified(sum)) => line.be("verified", Some(sum), None),
            Ok(Integrity::Mismatch { expected, found }) => {
                line.be("mismatch", Some(found), Some(expected));
                exit = Exit::Damaged;
            }
            Ok(Integrity::Unknown(why)) => {
                line.reason = Some(why);
                exit = worse(exit);
            }
            Err(error) => {
                line.fail(&error);
                exit = worse(exit);
            }
        }
        told.push(line);
    }
    if args.json {
        terminal::print_json(&told)?;
    } else {
        terminal::print(&page(&told))?;
    }
    Ok(exit)
}

/// A file that is not what it was tells more than one that nobody knows of.
fn worse(exit: Exit) -> Exit {
    if exit == Exit::Damaged {
        exit
    } else {
        Exit::NoInput
    }
}

fn page(told: &[Told]) -> String {
    let mut text = Text::default();
    for line in told {
        let colour = match line.state {
            "verified" => GREEN,
            "mismatch" => RED,
            _ => YELLOW,
        };
        let (file, state) = (visible(&line.file), line.state);
        match (&line.expected, &line.checksum, &line.reason) {
            (Some(expected), Some(found), _) => text.line(format_args!(
                "{file}: {colour}{state}{PLAIN}: {found} now, {expected} was remembered"
            )),
            (_, _, Some(reason)) => {
                text.line(format_args!("{file}: {colour}{state}{PLAIN}: {reason}"));
            }
            _ => text.line(format_args!("{file}: {colour}{state}{PLAIN}")),
        }
    }
    text.finish()
}

impl Told {
    fn of(file: &Path, algorithm: &'static str) -> Self {
        Self {
            file: file.display().to_string(),
            state: "unknown",
            algorithm,
            checksum: None,
            expected: None,
            reason: None,
        }
    }

    fn be(&mut self, state: &'static str, sum: Option<Checksum>, expected: Option<Checksum>) {
        self.state = state;
        self.checksum = sum.map(|sum| sum.to_string());
        self.expected = expected.map(|sum| sum.to_string());
    }

    fn fail(&mut self, error: &Error) -> Exit {
        self.state = "failed";
        self.reason = Some(error.to_string());
        terminal::warn(&error.to_string());
        Exit::NoInput
    }
}
