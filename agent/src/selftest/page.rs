//! The verdicts as a table.

use super::{Report, Verdict};
use crate::terminal::{BOLD, DIM, GREEN, PLAIN, RED, Text, YELLOW, visible};

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut text = Text::default();
    for outcome in &report.parts {
        let (colour, word, account) = match &outcome.verdict {
            Verdict::Pass(account) => (GREEN, "pass", account),
            Verdict::Failed(found) => (RED, "FAILED", found),
            Verdict::NotMeasured(why) => (YELLOW, "not measured", why),
        };
        text.line(format_args!(
            "{BOLD}{:<18}{PLAIN}{colour}{word:<14}{PLAIN}{}",
            outcome.part,
            visible(account)
        ));
    }
    text.line(format_args!(
        "{DIM}{:.0} s in `{}` ({}), seed {}{PLAIN}",
        report.seconds,
        report.folder.display(),
        report.file_system,
        report.seed
    ));
    let failed = |verdict: &Verdict| matches!(verdict, Verdict::Failed(_));
    let is_left_out = |verdict: &Verdict| matches!(verdict, Verdict::NotMeasured(_));
    if report.parts.iter().any(|outcome| failed(&outcome.verdict)) {
        text.line(format_args!(
            "{RED}what must not be was found{PLAIN}: look after the disk and the memory, repeat it with --seed {}, and report it",
            report.seed
        ));
    } else if report
        .parts
        .iter()
        .any(|outcome| is_left_out(&outcome.verdict))
    {
        text.line(format_args!(
            "all that could be tried here held; what was not measured is not shown"
        ));
    } else {
        text.line(format_args!("{GREEN}all of it held{PLAIN}"));
    }
    text.finish()
}
