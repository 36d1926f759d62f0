//! Before something is changed by hand, the person is shown what, and asked.

mod conflict;

pub(crate) use conflict::{Offer, Prompt, refuse_unasked};

use crate::exit::{Exit, Failure};
use crate::terminal;
use std::io::{BufRead, IsTerminal};

/// Goes on where the person says yes, or has said so with `--yes`.
///
/// # Errors
/// The person said no, or there is nobody to be asked: nothing is changed.
pub(crate) fn allow(yes: bool, what: &str) -> Result<(), Failure> {
    terminal::say(what);
    if yes {
        return Ok(());
    }
    if !somebody_is_there() {
        return Err(Failure::new(
            Exit::Usage,
            "nobody can be asked here, so nothing was changed",
        )
        .help("say --yes if this is wanted"));
    }
    terminal::ask("go on? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if is_yes(&answer) {
        Ok(())
    } else {
        Err(Failure::new(Exit::NothingChanged, "nothing was changed"))
    }
}

/// Whether somebody can read a question, and answer it.
fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && terminal::is_watched()
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_a_clear_yes_is_one() {
        for yes in ["y\n", "Yes", " YES \n"] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n", "no", "yesterday", "ja"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
