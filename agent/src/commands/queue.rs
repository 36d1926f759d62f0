//! `mainstay queue …` and `mainstay dead …`.

use crate::cli::{DeadListArgs, DeadVerb, MoveArgs, QueueVerb, ShowArgs, StateArg};
use crate::control::views::{Document, Lane, List, Move, Verb};
use crate::control::{Purpose, Reach};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, BOLD, Count, DIM, PLAIN, Text, visible};
use crate::units::{Size, Span};
use mainstay_queue::State;
use std::time::Duration;

/// So far the lines below a document's first are set in.
const INDENT: usize = 4;

/// Looks at documents, and moves them by hand.
///
/// # Errors
/// A document is not known, nothing fits, or the queue cannot be reached.
pub(crate) async fn queue(verb: QueueVerb) -> Result<Exit, Failure> {
    match verb {
        QueueVerb::List(args) => list(args.common, args.state.map(State::from)).await,
        QueueVerb::Show(args) => show(args).await,
        QueueVerb::Retry(args) => change(args, Verb::Retry).await,
        QueueVerb::Bury(args) => change(args, Verb::Bury).await,
        QueueVerb::Discard(args) => change(args, Verb::Discard).await,
        QueueVerb::Verify(args) => super::repair::verify(args).await,
        QueueVerb::Repair(args) => super::repair::repair(args).await,
        QueueVerb::Export(args) => super::carry::export(args).await,
        QueueVerb::Import(args) => super::carry::import(args).await,
    }
}

/// The same for dead letters.
///
/// # Errors
/// As [`queue`].
pub(crate) async fn dead(verb: DeadVerb) -> Result<Exit, Failure> {
    match verb {
        DeadVerb::List(args) => list(args, Some(State::Dead)).await,
        DeadVerb::Show(args) => show(args).await,
        DeadVerb::Replay(args) => change(args, Verb::Replay).await,
        DeadVerb::Discard(args) => change(args, Verb::DiscardDead).await,
    }
}

async fn list(args: DeadListArgs, state: Option<State>) -> Result<Exit, Failure> {
    let wish = List {
        state,
        lane: args.lane,
        text: args.text,
        limit: args.limit,
    };
    let reach = Reach::open(&args.place, Purpose::Look).await?;
    let found = reach.list(&wish).await;
    reach.done().await;
    let found = found?;
    if args.json {
        terminal::print_json(&found)?;
        return Ok(Exit::Done);
    }
    let rows: String = found.iter().map(row).collect();
    if rows.is_empty() {
        terminal::say("no such documents");
    } else {
        terminal::print(&rows)?;
    }
    if found.len() == wish.limit {
        terminal::say(&format!(
            "the first {} only; --limit shows more",
            wish.limit
        ));
    }
    Ok(Exit::Done)
}

async fn show(args: ShowArgs) -> Result<Exit, Failure> {
    let reach = Reach::open(&args.place, Purpose::Look).await?;
    if args.body {
        let content = reach.content(&args.id).await;
        reach.done().await;
        terminal::print_bytes(&content?)?;
        return Ok(Exit::Done);
    }
    let document = reach.show(&args.id).await;
    reach.done().await;
    let document = document?;
    if args.json {
        terminal::print_json(&document)?;
    } else {
        terminal::print(&page(&document))?;
    }
    Ok(Exit::Done)
}

async fn change(args: MoveArgs, verb: Verb) -> Result<Exit, Failure> {
    let wish = Move {
        verb,
        ids: args.ids,
        lane: args.lane,
        reason: args.reason,
    };
    let reach = Reach::open(&args.place, Purpose::Look).await?;
    let moved = reach.change(&wish).await;
    reach.done().await;
    let moved = moved?;
    if args.json {
        terminal::print_json(&moved)?;
    } else {
        terminal::print(&format!(
            "{}: {}",
            verb.word(),
            Count(moved.documents, "document")
        ))?;
    }
    Ok(Exit::Done)
}

/// Id, date, size and state in a line; lane and name in the next; what there is to say of an attempt in one of its own. On a
/// terminal no line is longer than it is wide.
pub(super) fn row(document: &Document) -> String {
    let mut text = Text::default();
    let width = terminal::width().unwrap_or(usize::MAX);
    let accepted = to_the_second(&document.accepted);
    let size = Size(document.bytes).to_string();
    let state = match document.lanes.as_slice() {
        [first, others @ ..] if others.iter().all(|lane| lane.state == first.state) => {
            first.state.to_string()
        }
        _ => "mixed".to_owned(),
    };
    text.line(format_args!(
        "{}  {accepted}  {size:>9}  {state}",
        document.id
    ));
    let name = visible(&document.source);
    let is_plain = |lane: &Lane| lane.attempts == 0 && lane.error.is_none();
    match document.lanes.as_slice() {
        [lane] => {
            let lane_name = visible(&lane.lane);
            let left = width.saturating_sub(INDENT + lane_name.chars().count() + 2);
            text.line(format_args!(
                "    {lane_name}  {BOLD}{}{PLAIN}",
                shortened(&name, left)
            ));
            if !is_plain(lane) {
                text.line(format_args!("    {}", told(lane, width)));
            }
        }
        lanes => {
            text.line(format_args!(
                "    {BOLD}{}{PLAIN}",
                shortened(&name, width.saturating_sub(INDENT))
            ));
            for lane in lanes {
                text.line(format_args!("    {}", told(lane, width)));
            }
        }
    }
    text.finish()
}

/// Where a document stands on a lane, no longer than the terminal.
fn told(lane: &Lane, width: usize) -> String {
    let plain: String = standing(lane).replace(DIM, "").replace(PLAIN, "");
    format!(
        "{DIM}{}{PLAIN}",
        shortened(&plain, width.saturating_sub(INDENT))
    )
}

/// A date without fractions of a second.
fn to_the_second(date: &str) -> String {
    match date.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => date.to_owned(),
    }
}

/// The text in at most so many characters; of a longer one the beginning and the end, which tell names apart.
fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most || most < 3 {
        return text.to_owned();
    }
    let (head, tail) = (most / 2, most - most / 2 - 1);
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - tail).collect();
    format!("{start}…{end}")
}

fn page(document: &Document) -> String {
    let mut text = Text::default();
    let name = visible(&document.source);
    let Document {
        id,
        route,
        priority,
        bytes,
        accepted,
        ..
    } = document;
    text.line(format_args!("{BOLD}{name}{PLAIN}  {id}"));
    text.line(format_args!(
        "accepted  {accepted}, route {}, priority {priority}",
        visible(route)
    ));
    let content_type = visible(document.content_type.as_deref().unwrap_or_default());
    text.line(format_args!("content   {bytes} bytes, {content_type}"));
    if let Some(sha256) = &document.sha256 {
        text.line(format_args!("sha256    {sha256}"));
    }
    for (name, value) in &document.headers {
        text.line(format_args!(
            "header    {}: {}",
            visible(name),
            visible(value)
        ));
    }
    for lane in &document.lanes {
        text.line(format_args!("lane      {}", standing(lane)));
    }
    text.finish()
}

fn standing(lane: &Lane) -> String {
    let mut text = Text::default();
    text.add(format_args!("{} {}", visible(&lane.lane), lane.state));
    if lane.attempts > 0 {
        text.add(format_args!(" after {} failed attempts", lane.attempts));
    }
    if let Some(due) = lane.due_in_ms {
        text.add(format_args!(
            ", again in {}",
            Span(Duration::from_millis(due))
        ));
    }
    if let Some(sent_at) = &lane.sent_at {
        text.add(format_args!(" at {sent_at}"));
    }
    if let Some(error) = &lane.error {
        text.add(format_args!("  {DIM}{}{PLAIN}", visible(error)));
    }
    text.finish()
}

impl From<StateArg> for State {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Ready => Self::Ready,
            StateArg::Leased => Self::Leased,
            StateArg::Waiting => Self::Waiting,
            StateArg::Sent => Self::Sent,
            StateArg::Dead => Self::Dead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_beginning_and_its_end() {
        assert_eq!(shortened("report-4711.json", 40), "report-4711.json");
        assert_eq!(shortened("report-4711.json", 11), "repor….json");
        assert_eq!(shortened("Prüfung.json", 9), "Prüf…json");
        assert_eq!(
            to_the_second("2026-11-21T07:33:34.41Z"),
            "2026-11-21T07:33:34Z"
        );
        assert_eq!(
            to_the_second("2026-11-21T07:33:34Z"),
            "2026-11-21T07:33:34Z"
        );
    }
}
