//! `mainstay queue verify` and `repair`.

use crate::cli::LookArgs;
use crate::control::views::{Repaired, Verified};
use crate::control::{Purpose, Reach, verify_at_rest};
use crate::exit::{Exit, Failure};
use crate::status::Ledger;
use crate::terminal::{self, Count, GREEN, PLAIN, RED, Text, YELLOW, visible};
use crate::units::Size;

/// Reads everything and changes nothing.
///
/// # Errors
/// The queue cannot be reached. What is damaged is told, and is the exit code.
pub(crate) async fn verify(args: LookArgs) -> Result<Exit, Failure> {
    let verified = verify_at_rest(&args.place).await?;
    if args.json {
        terminal::print_json(&verified)?;
    } else {
        terminal::print(&findings(&verified))?;
    }
    let well = verified.damage.is_empty() && verified.ledger.balanced;
    Ok(if well { Exit::Done } else { Exit::Damaged })
}

/// Sets damage aside, counts what is lost with it, and gives space back.
///
/// # Errors
/// An agent runs, or the queue cannot be opened. That something was lost is no error, but its exit code says so.
pub(crate) async fn repair(args: LookArgs) -> Result<Exit, Failure> {
    let reach = Reach::open(&args.place, Purpose::Look).await?;
    let repaired = reach.repair().await;
    reach.done().await;
    let repaired = repaired?;
    if args.json {
        terminal::print_json(&repaired)?;
    } else {
        terminal::print(&report(&repaired))?;
    }
    let well = repaired.damage.is_empty() && repaired.ledger.balanced;
    Ok(if well { Exit::Done } else { Exit::Damaged })
}

fn findings(verified: &Verified) -> String {
    let mut text = Text::default();
    let (documents, size) = (Count(verified.documents, "document"), Size(verified.bytes));
    text.line(format_args!(
        "{documents}, {size}, read back and compared with their checksums"
    ));
    damage(&mut text, &verified.ledger, &verified.damage);
    if !verified.damage.is_empty() {
        text.line(format_args!(
            "nothing was changed; `mainstay queue repair` sets the damage aside, with the agent stopped"
        ));
    }
    text.finish()
}

fn report(repaired: &Repaired) -> String {
    let mut text = Text::default();
    let (documents, size) = (Count(repaired.documents, "document"), Size(repaired.bytes));
    text.line(format_args!("{documents}, {size}, can be read and stay"));
    damage(&mut text, &repaired.ledger, &repaired.damage);
    if repaired.lost > 0 {
        text.line(format_args!(
            "{RED}{} lost to damage{PLAIN}, counted as unreadable; look for the originals in `archive`",
            Count(repaired.lost, "document")
        ));
    }
    if repaired.buried > 0 {
        text.line(format_args!(
            "{YELLOW}{} whose content is damaged{PLAIN} went to the dead letters: `mainstay dead list`",
            Count(repaired.buried, "document")
        ));
    }
    if repaired.copies > 0 {
        text.line(format_args!(
            "what could not be read was copied to `{}` first",
            repaired.damaged_folder.display()
        ));
    }
    let (before, after) = (Size(repaired.log.before), Size(repaired.log.after));
    text.line(format_args!("log: {before} before, {after} now"));
    text.finish()
}

fn damage(text: &mut Text, ledger: &Ledger, damage: &[String]) {
    text.line(format_args!("ledger: {ledger}"));
    if !ledger.balanced {
        text.line(format_args!(
            "{RED}the ledger does not add up{PLAIN}: keep the queue's folder and report this"
        ));
    }
    for damage in damage {
        text.line(format_args!("{RED}damage{PLAIN}: {}", visible(damage)));
    }
    if damage.is_empty() && ledger.balanced {
        text.line(format_args!("{GREEN}all is well{PLAIN}"));
    }
}
