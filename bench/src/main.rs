//! `cargo xtask bench`: all parts, or one, and a report of their medians.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark takes time, writes files of its own and prints"
)]

mod candidate;
mod files;
mod idle;
mod image;
mod mainstay;
mod options;
mod queues;
mod raw;
mod reopen;
mod report;
mod sink;
mod sqlite;

use anyhow::{Context, Result};
use options::Options;
use std::fmt::Write as _;
use std::path::Path;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        // One run in a process of its own.
        Some("one") => {
            let [_, name, shape, folder] = &words[..] else {
                anyhow::bail!("one NAME SHAPE FOLDER");
            };
            let measured = candidate::measure_here(name, shape.parse()?, Path::new(folder))?;
            println!("{}", serde_json::to_string(&measured)?);
            Ok(())
        }
        Some("reopen") => reopen::child(&words[1..]),
        _ => all(&Options::parse(words.into_iter())?),
    }
}

/// Everything that is wanted, one part after the other.
fn all(options: &Options) -> Result<()> {
    let mut text = String::new();
    if options.wants("queue") {
        text += &queues::measure(options)?;
    }
    if options.wants("reopen") {
        text += &reopen::measure(options)?;
    }
    if options.wants("files") {
        text += &files::measure(options)?;
    }
    if options.wants("idle") {
        text += &idle::measure(options)?;
    }
    let Some(path) = &options.write else {
        println!("{text}");
        return Ok(());
    };
    let mut page = String::new();
    writeln!(page, "# What it costs\n")?;
    writeln!(
        page,
        "Written by `cargo xtask bench --write`, never by hand. Commit {}.",
        options.commit
    )?;
    writeln!(
        page,
        "{} rounds; each runs all candidates in turn, figures are medians, ratios are of the same round.",
        options.rounds
    )?;
    writeln!(
        page,
        "What the figures mean, which goals they meet and which not: [README.md](README.md)."
    )?;
    page += &text;
    std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))
}
