//! `cargo xtask`: everything that is done to this project, in Rust, so that it is the same here and in CI.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask talks to the person who called it"
)]

mod bench;
mod ci;
mod concurrency;
mod faults;
mod fuzz;
mod mutate;
mod process;
mod record;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

/// What `cargo xtask help` shows.
const HELP: &str = "\
cargo xtask VERB

  test [ARGS]    every test and every documentation test; installs what they need
                 (ARGS go to the test runner and narrow the run, e.g. `-p mainstay-queue`)
  ci             what CI runs: lock file, format, clippy, cargo deny, tidy, docs, test, faults --short,
                 fuzz where it can
  tidy           our own rules, held against code and prose
  faults [ARGS]  the fault campaign against the real binary:
                 [--short | --long] [--record] [--seed N] [--cuts COUNT] [--images COUNT] [--kill9 CYCLES] [NAME of one
                 campaign] (--record writes down what each run came to; runs with different seeds add up)
  faults table   renew the tables of what was survived, in README.md and docs/faults.md, from the record
  faults mutate [--record [--again]] [NAME…] | --write
                 take out what the promises rest on, one thing at a time; a test has to see each
  faults concurrency [--long] [--record] [--schedules COUNT] [--seed N]
                 the queue under schedules that are chosen, and given up between any two waits
  fuzz [ARGS], faults fuzz [ARGS]
                 readers and sequences of operations with made-up input, where a nightly compiler
                 and cargo-fuzz are at hand: [--long] [--record] [--seed N] [NAME of one target]
  bench [ARGS]   our workloads beside others, in release mode; --write writes bench/RESULTS.md
  help           this text";

/// The caller asked for something that does not exist.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (verb, arguments) = match words.split_first() {
        Some((verb, arguments)) => (verb.as_str(), arguments),
        None => ("help", &[][..]),
    };
    let outcome = match (verb, arguments) {
        ("help" | "--help" | "-h", _) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ("test", _) => Workspace::load().and_then(|workspace| test::verb(&workspace, arguments)),
        ("ci", []) => Workspace::load().map(|workspace| ci::verb(&workspace)),
        ("tidy", []) => Workspace::load().and_then(|workspace| tidy::verb(&workspace)),
        ("faults", [name, rest @ ..]) if name == "mutate" => {
            Workspace::load().and_then(|workspace| mutate::verb(&workspace, rest))
        }
        ("faults", [name]) if name == "table" => {
            Workspace::load().and_then(|workspace| faults::table::verb(&workspace))
        }
        ("faults", [name, ..]) if name == "table" => {
            eprintln!("error: `cargo xtask faults table` takes no arguments\n\n{HELP}");
            return ExitCode::from(USAGE);
        }
        ("faults", [name, rest @ ..]) if name == "concurrency" => {
            Workspace::load().and_then(|workspace| concurrency::verb(&workspace, rest))
        }
        // It is a campaign, too, whatever it is built with.
        ("faults", [name, rest @ ..]) if name == "fuzz" => {
            Workspace::load().and_then(|workspace| fuzz::verb(&workspace, rest))
        }
        ("faults", _) => {
            Workspace::load().and_then(|workspace| faults::verb(&workspace, arguments))
        }
        ("fuzz", _) => Workspace::load().and_then(|workspace| fuzz::verb(&workspace, arguments)),
        ("bench", _) => Workspace::load().and_then(|workspace| bench::verb(&workspace, arguments)),
        ("ci" | "tidy", _) => {
            eprintln!("error: `cargo xtask {verb}` takes no arguments\n\n{HELP}");
            return ExitCode::from(USAGE);
        }
        _ => {
            eprintln!("error: no verb `{verb}`\n\n{HELP}");
            return ExitCode::from(USAGE);
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
