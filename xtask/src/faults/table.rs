//! The tables of what was survived, in `README.md` and `docs/faults.md`: made of the record of the campaigns, and refused by
//! tidy when they say anything else.
//!
//! A run counts if every promise held, all of it was measured, and the code was that of a commit. Runs of one campaign with
//! different seeds add up; of those with the same seed one counts, the long form before the short one, the newest before the
//! others.

#![expect(
    clippy::disallowed_methods,
    reason = "a page is renewed, and git has the one before"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::mutate::list;
use crate::mutate::record::{self, Tally};
use crate::workspace::Workspace;

/// The record of what was taken out of the code, a line for each.
pub(crate) const MUTANTS: &str = record::FILE;

/// The list of what is to be taken out.
pub(crate) const LIST: &str = list::FILE;

/// The record: a line for each run.
pub(crate) const RECORD: &str = "testkit/results.jsonl";

/// The page with what was survived in all.
pub(crate) const SHORT: &str = "README.md";

/// The page with what each campaign came to.
pub(crate) const LONG: &str = "docs/faults.md";

const BEGIN: &str = "<!-- faults: written by `cargo xtask faults table` -->";
const END: &str = "<!-- end of faults -->";

/// What stands in the place of a table before the first run.
const NOTHING: &str = "Nothing is recorded yet.";

/// What campaigns count: the name in the record, and in words.
const FIGURES: &[(&str, &str)] = &[
    ("power_cuts", "power cuts"),
    ("kills", "kills of the agent"),
    ("stops", "stops of the agent at a random moment"),
    ("calls_failed", "system calls that failed"),
    ("disk_failures", "failures of a disk that healed"),
    ("swaps", "files swapped by a hostile neighbour"),
    ("images", "disks as a crash may leave them"),
    ("bit_flips", "bits flipped"),
    ("damages", "other damages: blocks, lengths, files, numbers"),
    ("fill_levels", "disks filled to a level"),
    ("shortages", "shortages of the whole agent"),
    ("lives", "simulated lives"),
    ("schedules", "schedules of threads, chosen"),
    ("inputs", "made-up inputs of readers and sequences"),
];

/// The one of them that is counted by its seeds, which are taken in a row from that of the run.
const SEEDED: &str = "lives";

/// What campaigns measure: the same. They do not add up, and stand in the row of the campaign alone, as its newest run had them.
const MEASURED: &[(&str, &str)] = &[
    ("documents", "documents delivered once"),
    ("descriptors", "descriptors at rest"),
    ("threads", "threads at rest"),
    ("memory_kib_per_hour", "KiB more memory in an hour"),
];

/// What `cargo xtask faults mutate` counts.
const TAKEN_OUT: &str = "protections taken out of the code, each missed by a test";

/// A line of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    campaign: String,
    is_long: bool,
    seed: u64,
    verdict: String,
    figures: BTreeMap<String, u64>,
    seconds: u64,
    date: String,
    commit: String,
    is_clean: bool,
    machine: String,
}

impl Run {
    fn read(line: &str) -> Result<Self> {
        let line: Value = serde_json::from_str(line)?;
        let text = |name: &str| {
            let text = line[name].as_str().map(str::to_owned);
            text.with_context(|| format!("`{name}` is missing"))
        };
        let number = |name: &str| {
            let number = line[name].as_u64();
            number.with_context(|| format!("`{name}` is missing"))
        };
        let mut figures = BTreeMap::new();
        for (key, count) in line["figures"]
            .as_object()
            .context("`figures` is missing")?
        {
            ensure!(
                { FIGURES.iter().chain(MEASURED) }.any(|(known, _)| known == key),
                "`{key}` is counted, and no row of the table has it"
            );
            let count = count.as_u64().context("a figure is a number")?;
            figures.insert(key.clone(), count);
        }
        let form = text("form")?;
        ensure!(
            ["short", "long"].contains(&form.as_str()),
            "no form `{form}`"
        );
        Ok(Self {
            campaign: text("campaign")?,
            is_long: form == "long",
            seed: number("seed")?,
            verdict: text("verdict")?,
            figures,
            seconds: number("seconds")?,
            date: text("date")?,
            commit: text("commit")?,
            is_clean: line["clean"].as_bool().context("`clean` is missing")?,
            machine: text("machine")?,
        })
    }

    fn counts(&self) -> bool {
        self.verdict == "pass" && self.is_clean
    }

    fn when(&self) -> String {
        format!("{}, `{}`", self.date, self.commit)
    }
}

/// What the tables follow from, each as it stands in its file.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// [`RECORD`].
    pub(crate) runs: &'a str,
    /// [`MUTANTS`].
    pub(crate) mutants: &'a str,
    /// [`LIST`].
    pub(crate) list: &'a str,
}

/// The runs of the record, oldest first.
struct Record {
    runs: Vec<Run>,
    mutants: Tally,
}

impl Record {
    fn read(sources: &Sources<'_>) -> Result<Self> {
        let mut runs = Vec::new();
        for (number, line) in sources.runs.lines().enumerate() {
            let place = || format!("{RECORD}:{}", number + 1);
            runs.push(Run::read(line).with_context(place)?);
        }
        Ok(Self {
            runs,
            mutants: Tally::of(sources.mutants, sources.list)?,
        })
    }

    /// The runs that count, each seed of a campaign once, oldest first.
    fn counted(&self) -> Vec<&Run> {
        let mut chosen: BTreeMap<(&str, u64), (bool, usize)> = BTreeMap::new();
        for (place, run) in self.runs.iter().enumerate().filter(|(_, run)| run.counts()) {
            let best = chosen.entry((&run.campaign, run.seed)).or_default();
            *best = (*best).max((run.is_long, place));
        }
        let places: BTreeSet<usize> = chosen.into_values().map(|(_, place)| place).collect();
        places.into_iter().map(|place| &self.runs[place]).collect()
    }

    /// The newest run of each campaign that counts nothing.
    fn uncounted(&self) -> Vec<&Run> {
        let newest: BTreeMap<&str, &Run> = (self.runs.iter())
            .map(|run| (run.campaign.as_str(), run))
            .collect();
        newest.into_values().filter(|run| !run.counts()).collect()
    }

    fn in_all(&self) -> Result<String> {
        let counted = self.counted();
        let mut text = String::new();
        if counted.is_empty() {
            writeln!(text, "\n{NOTHING}")?;
        } else {
            self.sums(&counted, &mut text)?;
        }
        let broken = |run: &&&Run| run.verdict == "violation";
        let uncounted = self.uncounted();
        for run in uncounted.iter().filter(broken) {
            writeln!(
                text,
                "\n**A promise is broken**: `{}`, {}.",
                run.campaign,
                run.when()
            )?;
        }
        writeln!(text)?;
        Ok(text)
    }

    fn sums(&self, counted: &[&Run], text: &mut String) -> Result<()> {
        writeln!(
            text,
            "\n| survived, with nothing lost | times | newest run |\n|---|---:|---|"
        )?;
        for (key, words) in FIGURES {
            let with: Vec<&&Run> = (counted.iter())
                .filter(|run| run.figures.contains_key(*key))
                .collect();
            let sum = sum(key, counted);
            if let Some(newest) = with.last() {
                writeln!(text, "| {words} | {} | {} |", grouped(sum), newest.when())?;
            }
        }
        if self.mutants.seen > 0 {
            let (times, when) = (grouped(self.mutants.seen), self.taken_out());
            writeln!(text, "| {TAKEN_OUT} | {times} | {when} |")?;
        }
        if let Some(newest) = counted.last() {
            let seconds: u64 = counted.iter().map(|run| run.seconds).sum();
            writeln!(
                text,
                "| hours of all that | {} | {} |",
                hours(seconds),
                newest.when()
            )?;
        }
        Ok(())
    }

    /// When the last protection was taken out, and of which commit.
    fn taken_out(&self) -> String {
        let newest = &self.mutants.newest;
        let (commit, date) = newest.split_once(", ").unwrap_or((newest, ""));
        format!("{date}, `{commit}`")
    }

    /// What was taken out of the code, seen or not.
    fn mutated(&self, text: &mut String) -> Result<()> {
        let Tally {
            seen,
            unseen,
            untried,
            ..
        } = self.mutants;
        if seen > 0 {
            let (seen, when) = (grouped(seen), self.taken_out());
            writeln!(text, "| `mutate` | | {seen} {TAKEN_OUT} | | {when} | |")?;
        }
        if unseen > 0 {
            let unseen = grouped(unseen);
            writeln!(
                text,
                "\nNobody sees it where {unseen} others are taken out."
            )?;
        }
        if untried > 0 {
            let untried = grouped(untried);
            writeln!(
                text,
                "\n{untried} more are listed, and were not taken out yet as they stand there now."
            )?;
        }
        Ok(())
    }

    fn by_campaign(&self) -> Result<String> {
        let mut campaigns: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
        for run in self.counted() {
            campaigns.entry(&run.campaign).or_default().push(run);
        }
        let mut text = String::new();
        if campaigns.is_empty() {
            writeln!(text, "\n{NOTHING}")?;
        } else {
            writeln!(
                text,
                "\n| campaign | seeds | survived | hours | newest run | on |\n|---|---:|---|---:|---|---|"
            )?;
        }
        for (campaign, runs) in campaigns {
            let has = |key: &str| runs.iter().any(|run| run.figures.contains_key(key));
            let known = FIGURES.iter().filter(|(key, _)| has(key));
            let known = known.map(|(key, words)| format!("{} {words}", grouped(sum(key, &runs))));
            let mut known: Vec<String> = known.collect();
            let seconds: u64 = runs.iter().map(|run| run.seconds).sum();
            let Some(newest) = runs.last() else { continue };
            known.extend(measured(newest));
            writeln!(
                text,
                "| `{campaign}` | {} | {} | {} | {} | {} |",
                runs.len(),
                known.join("; "),
                hours(seconds),
                newest.when(),
                newest.machine
            )?;
        }
        self.mutated(&mut text)?;
        for run in self.uncounted() {
            let state = if run.is_clean {
                ""
            } else {
                ", on code of no commit"
            };
            writeln!(
                text,
                "\nThe newest run of `{}` counts nothing: {}{state} ({}).",
                run.campaign,
                run.verdict,
                run.when()
            )?;
        }
        writeln!(text)?;
        Ok(text)
    }
}

/// How much of it there was in all of these runs. A simulated life is told by its seed: one that was lived in two runs is one.
fn sum(key: &str, runs: &[&Run]) -> u64 {
    let counts = { runs.iter() }.filter_map(|run| Some((run.seed, *run.figures.get(key)?)));
    if key != SEEDED {
        return counts.map(|(_, count)| count).sum();
    }
    let mut spans: Vec<(u64, u64)> = counts.collect();
    spans.sort_unstable();
    let (mut sum, mut reached) = (0, 0);
    for (seed, count) in spans {
        let end = seed + count;
        sum += end.saturating_sub(seed.max(reached));
        reached = end.max(reached);
    }
    sum
}

fn hours(seconds: u64) -> String {
    let tenths = seconds.div_ceil(360);
    format!("{}.{}", grouped(tenths / 10), tenths % 10)
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place != 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The page with the table that follows from the record, and from that of what was taken out.
///
/// # Errors
///
/// When the record cannot be understood, or the page has no place for the table.
pub(crate) fn renewed(name: &str, page: &str, sources: &Sources<'_>) -> Result<String> {
    let record = Record::read(sources)?;
    let table = if name == SHORT {
        record.in_all()?
    } else {
        record.by_campaign()?
    };
    let Some((before, rest)) = page.split_once(BEGIN) else {
        bail!("the place for the faults survived is missing: `{BEGIN}`");
    };
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("the end of the faults survived is missing: `{END}`"))?;
    Ok(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

/// What a run measured, in words; none where it measured nothing.
fn measured(run: &Run) -> Option<String> {
    let known = MEASURED.iter().filter_map(|(key, words)| {
        let count = run.figures.get(*key)?;
        Some(format!("{} {words}", grouped(*count)))
    });
    let known: Vec<String> = known.collect();
    (!known.is_empty()).then(|| format!("in the newest run {}", known.join(", ")))
}

/// Renews both pages.
///
/// # Errors
///
/// As [`renewed`], and when a file cannot be read or written.
pub(crate) fn verb(workspace: &Workspace) -> Result<ExitCode> {
    let read =
        |name: &'static str| std::fs::read_to_string(workspace.root.join(name)).context(name);
    let (runs, mutants, list) = (read(RECORD)?, read(MUTANTS)?, read(LIST)?);
    let sources = Sources {
        runs: &runs,
        mutants: &mutants,
        list: &list,
    };
    for name in [SHORT, LONG] {
        let path = workspace.root.join(name);
        let page = std::fs::read_to_string(&path).context(name)?;
        let renewed = renewed(name, &page, &sources).context(name)?;
        if renewed == page {
            println!("{name} is as the record says");
        } else {
            std::fs::write(&path, renewed).context(name)?;
            println!("{name} is renewed");
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(
        campaign: &str,
        form: &str,
        seed: u64,
        verdict: &str,
        kills: u64,
        is_clean: bool,
    ) -> String {
        let figures = if verdict == "pass" {
            format!("{{\"kills\":{kills}}}")
        } else {
            "{}".to_owned()
        };
        format!(
            "{{\"campaign\":\"{campaign}\",\"form\":\"{form}\",\"seed\":{seed},\"verdict\":\"{verdict}\",\"figures\":{figures},\"seconds\":720,\"date\":\"2026-11-{:02}\",\"commit\":\"c{kills}\",\"clean\":{is_clean},\"machine\":\"Linux\"}}\n",
            seed + 1
        )
    }

    const PAGE: &str = "before\n<!-- faults: written by `cargo xtask faults table` -->\nold\n<!-- end of faults -->\nafter\n";

    /// The page of what is recorded, while nothing is taken out.
    fn with(name: &str, page: &str, runs: &str) -> Result<String> {
        let sources = Sources {
            runs,
            mutants: "",
            list: "killers = {}\nmutant = []\n",
        };
        renewed(name, page, &sources)
    }

    fn short(record: &str) -> String {
        with(SHORT, PAGE, record).unwrap()
    }

    #[test]
    fn runs_of_different_seeds_add_up_and_those_of_one_seed_do_not() {
        let record = [
            line("kill9", "short", 1, "pass", 500, true),
            line("kill9", "long", 1, "pass", 10_000, true),
            line("kill9", "short", 1, "pass", 501, true),
            line("kill9", "long", 2, "pass", 10_001, true),
            line("agentkill", "long", 2, "pass", 7, true),
        ]
        .concat();
        let page = short(&record);
        assert!(
            page.starts_with("before\n") && page.ends_with("after\n"),
            "{page}"
        );
        assert!(
            page.contains("| kills of the agent | 20,008 | 2026-11-03, `c7` |"),
            "{page}"
        );
        assert!(page.contains("| hours of all that | 0.6 |"), "{page}");
        assert!(!page.contains("old"), "{page}");
        let long = with(LONG, PAGE, &record).unwrap();
        assert!(
            long.contains(
                "| `kill9` | 2 | 20,001 kills of the agent | 0.4 | 2026-11-03, `c10001` | Linux |"
            ),
            "{long}"
        );
    }

    /// Two runs of half a million that overlap are not a million.
    #[test]
    fn a_simulated_life_that_was_lived_in_two_runs_is_counted_once() {
        let lives = |seed: u64, lives: u64| {
            let figures = format!("{{\"lives\":{lives}}}");
            let run = line("simulation", "long", 1, "pass", 1, true);
            { run.replace("{\"kills\":1}", &figures) }
                .replace("\"seed\":1", &format!("\"seed\":{seed}"))
        };
        let record = lives(101, 100) + &lives(1, 50) + &lives(100, 50) + &lives(201, 1);
        let long = with(LONG, PAGE, &record).unwrap();
        assert!(long.contains("152 simulated lives"), "{long}");
        let short = short(&record);
        assert!(short.contains("| simulated lives | 152 |"), "{short}");
    }

    /// They would add up to a memory that nobody has seen.
    #[test]
    fn what_is_measured_stands_in_the_row_of_its_campaign_as_the_newest_run_had_it() {
        let soak = |seed: u64, kib: u64| {
            let figures = format!(
                "{{\"kills\":1,\"documents\":1200,\"descriptors\":19,\"threads\":11,\"memory_kib_per_hour\":{kib}}}"
            );
            line("soak", "long", seed, "pass", 1, true).replace("{\"kills\":1}", &figures)
        };
        let record = soak(1, 40) + &soak(2, 12);
        let page = short(&record);
        assert!(page.contains("| kills of the agent | 2 |"), "{page}");
        assert!(
            !page.contains("memory") && !page.contains("documents"),
            "{page}"
        );
        let long = with(LONG, PAGE, &record).unwrap();
        let row = "| `soak` | 2 | 2 kills of the agent; in the newest run 1,200 documents delivered once, \
                   19 descriptors at rest, 11 threads at rest, 12 KiB more memory in an hour | 0.4 |";
        assert!(long.contains(row), "{long}");
    }

    #[test]
    fn nothing_but_a_pass_of_a_commit_is_survived_and_the_rest_is_told() {
        let record = [
            line("kill9", "long", 1, "pass", 100, true),
            line("kill9", "long", 2, "pass", 200, false),
            line("powercut", "long", 1, "not measured", 0, true),
            line("faulty", "long", 1, "violation", 9, true),
        ]
        .concat();
        let page = short(&record);
        assert!(page.contains("| kills of the agent | 100 |"), "{page}");
        assert!(
            page.contains("**A promise is broken**: `faulty`, 2026-11-02, `c9`."),
            "{page}"
        );
        let long = with(LONG, PAGE, &record).unwrap();
        for told in [
            "The newest run of `faulty` counts nothing: violation (",
            "The newest run of `powercut` counts nothing: not measured (",
            "The newest run of `kill9` counts nothing: pass, on code of no commit (",
        ] {
            assert!(long.contains(told), "{told}: {long}");
        }
        let mended = record + &line("faulty", "long", 2, "pass", 1, true);
        assert!(!short(&mended).contains("broken"));
    }

    #[test]
    fn what_was_taken_out_and_seen_is_counted_and_what_nobody_saw_is_told() {
        let record = line("kill9", "long", 1, "pass", 100, true);
        let mutant = |name: &str, seen: &str, commit: &str| {
            format!(
                "{{\"mutant\":\"f: {name} [1]\",\"seen\":{seen},\"commit\":\"{commit}, 2026-11-22\"}}\n"
            )
        };
        let mutants = [
            mutant("a", "null", "c1"),
            mutant("b", "null", "c1"),
            mutant("a", "\"a_test\"", "c2"),
        ]
        .concat();
        let list = ["a", "b", "c"].map(|name| {
            format!("[[mutant]]\nname = \"{name}\"\npromise = \"Q1\"\nfile = \"f\"\ntakes = \"1\"\nputs = \"\"\n")
        });
        let sources = Sources {
            runs: &record,
            mutants: &mutants,
            list: &("[killers]\n".to_owned() + &list.concat()),
        };
        let page = |name| renewed(name, PAGE, &sources).unwrap();
        let row = format!("| {TAKEN_OUT} | 1 | 2026-11-22, `c2` |");
        assert!(page(SHORT).contains(&row), "{}", page(SHORT));
        let row = format!("| `mutate` | | 1 {TAKEN_OUT} | | 2026-11-22, `c2` | |");
        assert!(page(LONG).contains(&row), "{}", page(LONG));
        assert!(page(LONG).contains("where 1 others are taken out"));
        assert!(page(LONG).contains("\n1 more are listed, and were not taken out yet"));
    }

    #[test]
    fn a_line_that_says_something_else_is_refused_with_its_place() {
        let good = line("kill9", "long", 1, "pass", 100, true);
        for bad in [
            "{}".to_owned(),
            "no json".to_owned(),
            good.replace("kills", "applause"),
            good.replace("long", "middling"),
        ] {
            let error = with(SHORT, PAGE, &(good.clone() + &bad)).unwrap_err();
            assert!(error.to_string().contains("results.jsonl:2"), "{error:#}");
        }
        assert!(with(SHORT, "no place", &good).is_err());
    }

    #[test]
    fn where_nothing_is_recorded_that_is_said() {
        for name in [SHORT, LONG] {
            let page = with(name, PAGE, "").unwrap();
            assert!(page.contains("Nothing is recorded yet."), "{page}");
            assert!(!page.contains('|'), "{page}");
        }
    }

    #[test]
    fn large_numbers_are_grouped() {
        let told = [0, 7, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(told, ["0", "7", "999", "1,000", "1,234,567"]);
    }
}
