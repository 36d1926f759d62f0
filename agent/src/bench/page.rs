//! The table, and what it means.

use super::{Measured, Row};
use crate::terminal::{BOLD, DIM, PLAIN, Text, YELLOW, visible};

/// A sync that is quicker than this, in ms, did not wait for any medium: 10 µs.
const TOO_QUICK_MS: f64 = 0.01;

/// The page.
pub(super) fn page(measured: &Measured) -> String {
    let mut text = Text::default();
    text.line(format_args!(
        "{BOLD}{:<28} {:>10} {:>10} {:>10} {:>9}{PLAIN}",
        "", "per second", "median", "p99", "flushes"
    ));
    for row in &measured.rows {
        line(&mut text, row);
    }
    text.line(format_args!(""));
    for (row, meaning) in measured.rows.iter().zip(meanings(measured)) {
        if row.per_second.is_some() {
            text.line(format_args!("{DIM}{}:{PLAIN} {meaning}", row.name));
        }
    }
    for warning in warnings(measured) {
        text.line(format_args!("{YELLOW}note:{PLAIN} {warning}"));
    }
    text.finish()
}

fn line(text: &mut Text, row: &Row) {
    let Some(rate) = row.per_second else {
        let why = row.not_measured.as_deref().unwrap_or_default();
        text.line(format_args!(
            "{:<28} not measured: {}",
            row.name,
            visible(why)
        ));
        return;
    };
    let time = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.2} ms"));
    let flushes = row
        .flushes_each
        .map_or_else(|| "-".to_owned(), |each| format!("{each:.3}"));
    text.line(format_args!(
        "{:<28} {rate:>10.0} {:>10} {:>10} {flushes:>9}",
        row.name,
        time(row.median_ms),
        time(row.p99_ms)
    ));
}

/// What each row says, in a sentence.
fn meanings(measured: &Measured) -> [String; 5] {
    let rate = |place: usize| measured.rows.get(place).and_then(|row| row.per_second);
    // What the queue itself uses: past the cache where the file system takes it.
    let bare = rate(1).or_else(|| rate(0)).unwrap_or_default();
    let share = |place: usize| match rate(place) {
        Some(rate) if bare > 0.0 => rate / bare,
        _ => 0.0,
    };
    [
        "what this disk confirms one by one through the page cache; every database lives on this"
            .to_owned(),
        "the same in one step, which is how the queue writes here".to_owned(),
        format!(
            "each waits for its own sync, at {:.0} % of what the bare disk does",
            share(2) * 100.0
        ),
        format!(
            "they share syncs: {:.1} documents for each sync that the bare disk does",
            share(3)
        ),
        format!(
            "one sync covers a batch: {:.1} documents for each sync that the bare disk does",
            share(4)
        ),
    ]
}

fn warnings(measured: &Measured) -> Vec<String> {
    let mut warnings = Vec::new();
    let bare = measured.rows.first().and_then(|row| row.median_ms);
    if bare.is_some_and(|median| median < TOO_QUICK_MS) {
        warnings.push(format!(
            "a sync takes less than 10 µs: `{}` ({}) is memory, or the disk confirms what it has not written; a power cut may lose it",
            measured.folder.display(),
            measured.file_system
        ));
    }
    if measured
        .rows
        .iter()
        .any(|row| row.per_second.is_some() && row.flushes_each.is_none())
    {
        warnings.push(format!(
            "flushes were not measured: the system does not count them for this file system ({})",
            measured.file_system
        ));
    } else {
        warnings.push(
            "flushes are those of the whole disk for each sync or document; 0 where the disk confirms single writes (FUA)"
                .to_owned(),
        );
    }
    if measured.beside_an_agent {
        warnings.push("an agent runs on this data folder: both shared the disk".to_owned());
    }
    warnings
}
