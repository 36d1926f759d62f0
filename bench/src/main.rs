//! `cargo xtask bench`: all parts, or one, and a report of their medians.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark takes time, writes files of its own and prints"
)]

mod asking;
mod calls;
mod candidate;
mod contended;
mod files;
mod idle;
mod image;
mod mainstay;
mod options;
mod page;
mod queues;
mod raw;
mod reopen;
mod report;
mod sink;
mod sqlite;
mod supervised;
mod writes;

use anyhow::{Context, Result};
use options::Options;
use std::collections::BTreeMap;
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

type Part = fn(&Options) -> Result<String>;

/// In the order in which they stand on the page.
const PARTS: [(&str, Part); 7] = [
    ("queue", queues::measure),
    ("reopen", reopen::measure),
    ("files", files::measure),
    ("writes", writes::measure),
    ("calls", calls::measure),
    ("asking", asking::measure),
    ("idle", idle::measure),
];

/// Everything that is wanted, one part after the other.
fn all(options: &Options) -> Result<()> {
    let mut measured = BTreeMap::new();
    for (name, part) in PARTS.iter().filter(|(name, _)| options.wants(name)) {
        measured.insert(*name, part(options)?);
    }
    let Some(path) = &options.write else {
        for text in measured.values() {
            println!("{text}");
        }
        return Ok(());
    };
    let old = std::fs::read_to_string(path).unwrap_or_default();
    let page = page::renewed(&old, &PARTS.map(|(name, _)| name), &measured, options);
    std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))
}
