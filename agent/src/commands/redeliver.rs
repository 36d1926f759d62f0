//! `mainstay redeliver`.

use crate::cli::RedeliverArgs;
use crate::control::views::{Redeliver, Redelivered};
use crate::control::{Purpose, Reach};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Count, Text};
use crate::units::Size;

/// Sends again what was delivered since a moment and is still kept.
///
/// # Errors
/// A lane or route is not known, nothing of that time is kept, or the queue cannot be reached.
pub(crate) async fn redeliver(args: RedeliverArgs) -> Result<Exit, Failure> {
    let clock = mainstay_clock::system();
    let since = args.since.unix_ms(&*clock);
    let until = args.until.map_or(u64::MAX, |until| until.unix_ms(&*clock));
    if until <= since {
        return Err(
            Failure::new(Exit::Usage, "--until is not later than --since")
                .help("`--since 2h --until 1h` means between two hours and one hour ago"),
        );
    }
    let wish = Redeliver {
        since,
        until,
        lane: args.to,
        route: args.route,
        dry_run: args.dry_run,
        reason: args.reason,
    };
    let reach = Reach::open(&args.place, Purpose::Look).await?;
    let is_running = matches!(reach, Reach::Agent(_));
    let told = reach.redeliver(&wish).await;
    reach.done().await;
    let told = told?;
    if args.json {
        terminal::print_json(&told)?;
    } else {
        terminal::print(&page(&told, is_running))?;
    }
    Ok(Exit::Done)
}

fn page(told: &Redelivered, is_running: bool) -> String {
    let mut text = Text::default();
    let (documents, size) = (Count(told.documents, "document"), Size(told.bytes));
    if told.dry_run {
        for document in &told.named {
            text.add(format_args!("{}", super::queue::row(document)));
        }
        let more = told.documents.saturating_sub(told.named.len() as u64);
        if more > 0 {
            text.line(format_args!("and {more} more"));
        }
        text.line(format_args!(
            "{documents}, {size}, would be sent again; nothing was changed"
        ));
    } else {
        text.line(format_args!("redeliver: {documents}, {size}"));
        if !is_running {
            text.line(format_args!(
                "no agent runs: they are sent when `mainstay run` is started"
            ));
        }
    }
    if let Some(oldest) = told.oldest_kept.as_ref().filter(|_| told.is_cut_off) {
        text.line(format_args!(
            "the oldest that is kept was delivered at {oldest}; earlier ones lie in `archive` only"
        ));
    }
    text.finish()
}
