//! `faults`: runs the campaigns and says what they came to.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the program that a person runs"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "how long a campaign took is real time"
)]

use mainstay_testkit::campaigns::{ALL, Campaign, Effort, Row};
use mainstay_testkit::record::Subject;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

/// Campaigns measure how much memory is asked for.
#[global_allocator]
static ALLOCATOR: mainstay_testkit::allocation::Counting = mainstay_testkit::allocation::Counting;

const KILLS_SHORT: u64 = 500;
const KILLS_LONG: u64 = 10_000;
const SEEDS_SHORT: u64 = 100_000;
const SEEDS_LONG: u64 = 2_000_000;
const IMAGES_SHORT: u64 = 5_000;
const IMAGES_LONG: u64 = 50_000;
const SEQUENCES_SHORT: usize = 3;
const SEQUENCES_LONG: usize = 4;

struct Wanted {
    effort: Effort,
    /// Whether what comes of it is written down.
    records: bool,
    /// The row that is wanted; both without.
    row: Option<Row>,
    names: Vec<String>,
}

fn parse(words: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        effort: Effort {
            kills: KILLS_SHORT,
            cuts: None,
            seeds: SEEDS_SHORT,
            images: IMAGES_SHORT,
            sequences: SEQUENCES_SHORT,
            seed: 1,
            is_long: false,
        },
        records: false,
        row: None,
        names: Vec::new(),
    };
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let mut number = || {
            let text = words
                .next()
                .ok_or_else(|| format!("{word} needs a number"))?;
            text.parse::<u64>()
                .map_err(|_| format!("{word} needs a number, not `{text}`"))
        };
        match word.as_str() {
            "--short" => {}
            "--long" => {
                wanted.effort.is_long = true;
                wanted.effort.kills = KILLS_LONG;
                wanted.effort.seeds = SEEDS_LONG;
                wanted.effort.images = IMAGES_LONG;
                wanted.effort.sequences = SEQUENCES_LONG;
            }
            "--record" => wanted.records = true,
            "--row" => {
                wanted.row = match words.next().as_deref() {
                    Some("disks") => Some(Row::Disks),
                    Some("others") => Some(Row::Others),
                    _ => return Err("--row needs `disks` or `others`".to_owned()),
                }
            }
            "--cuts" => wanted.effort.cuts = Some(number()?),
            "--seed" => wanted.effort.seed = number()?,
            "--seeds" => wanted.effort.seeds = number()?,
            "--images" => wanted.effort.images = number()?,
            "--kill9" => {
                wanted.effort.kills = number()?;
                wanted.names.push("kill9".to_owned());
            }
            name if ALL.iter().any(|campaign| campaign.name == name) => {
                wanted.names.push(name.to_owned());
            }
            other => return Err(format!("no campaign or option `{other}`")),
        }
    }
    Ok(wanted)
}

fn usage() -> String {
    let mut text =
        "faults [--short|--long] [--record] [--row disks|others] [--seed N] [--seeds COUNT] [--cuts COUNT] [--images COUNT] [--kill9 CYCLES] [NAME …]\n\n"
            .to_owned();
    for Campaign { name, about, .. } in ALL {
        writeln!(text, "  {name:<10} {about}").expect("writing to a string does not fail");
    }
    text
}

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    // What campaigns call this program for, once for each fault.
    if words.first().is_some_and(|word| word == "workload") {
        return match mainstay_testkit::workloads::main(&words[1..]) {
            Ok(code) => ExitCode::from(code as u8),
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(2)
            }
        };
    }
    if std::env::args().any(|word| word == "--help") {
        println!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let wanted = match parse(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("error: {error}\n\n{}", usage());
            return ExitCode::from(2);
        }
    };
    let chosen = |campaign: &&Campaign| {
        let is_named = wanted.names.iter().any(|name| name == campaign.name);
        (wanted.names.is_empty() || is_named) && wanted.row.is_none_or(|row| row == campaign.row)
    };
    match run(&wanted, chosen) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was chosen; returns how many campaigns are not as they should be.
fn run(wanted: &Wanted, chosen: impl Fn(&&Campaign) -> bool) -> anyhow::Result<u64> {
    let subject = wanted.records.then(Subject::look).transpose()?;
    let (mut passed, mut failed) = (0, 0);
    for campaign in ALL.iter().filter(chosen) {
        println!("{}: {}", campaign.name, campaign.about);
        let begun = Instant::now();
        let verdict = (campaign.run)(wanted.effort);
        let seconds = begun.elapsed().as_secs();
        println!("  {verdict} ({seconds} s)");
        if let Some(subject) = &subject {
            subject.add(campaign.name, wanted.effort, &verdict, begun.elapsed())?;
        }
        // What could not be measured is no pass where everything was to be measured.
        let is_good = verdict.is_pass() || verdict.is_good() && !wanted.effort.is_long;
        if is_good { passed += 1 } else { failed += 1 }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed)
}
