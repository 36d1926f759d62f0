//! `mainstay runbook`.

use crate::cli::RunbookArgs;
use crate::config;
use crate::control::Reach;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::runbook::{self, Names, Runbook, Told};
use crate::status::Status;
use crate::terminal::{self, BOLD, DIM, PLAIN, Text, visible};
use serde::Serialize;
use std::collections::BTreeMap;

/// Lists the runbooks, or prints one with what is so now.
///
/// # Errors
/// There is none of that name.
pub(crate) async fn runbook(args: RunbookArgs) -> Result<Exit, Failure> {
    let Some(name) = &args.name else {
        return list(args.json);
    };
    let Some(book) = runbook::find(name) else {
        let names: Vec<&str> = runbook::all().iter().map(|book| book.name).collect();
        let message = format!("there is no runbook `{}`", visible(name));
        return Err(
            Failure::new(Exit::Usage, message).help(format!("there is: {}", names.join(", ")))
        );
    };
    let data = DataDir::of(&args.place)?;
    let status = Reach::look(&args.place).await;
    let (names, now) = match &status {
        Ok(status) => {
            let tests = tests(&args, &data);
            let names = Names::of(book, status, &tests, data.path());
            let mut now = evidence(book, status, &tests);
            now.extend(names.note(book.text));
            (names, now)
        }
        // The text helps all the same.
        Err(failure) => (
            Names::of_nothing(data.path()),
            vec![format!("nothing can be said of now: {}", failure.account())],
        ),
    };
    let text = names.fill(book.text);
    if args.json {
        let book = book.told(&text);
        terminal::print_json(&Printed { book, now })?;
        return Ok(Exit::Done);
    }
    terminal::print(&page(&text, &now))?;
    Ok(Exit::Done)
}

/// A runbook for programs.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    book: Told<'a>,
    now: Vec<String>,
}

fn list(json: bool) -> Result<Exit, Failure> {
    let books = runbook::all();
    if json {
        let books: Vec<Told<'_>> = books.iter().map(|book| book.told(book.text)).collect();
        terminal::print_json(&books)?;
        return Ok(Exit::Done);
    }
    let width = books.iter().map(|book| book.name.len()).max().unwrap_or(0);
    let mut text = Text::default();
    for book in books {
        text.line(format_args!(
            "{BOLD}{:width$}{PLAIN}  {}",
            book.name, book.front.title
        ));
    }
    text.line(format_args!("\n{DIM}mainstay runbook NAME{PLAIN}"));
    terminal::print(&text.finish())?;
    Ok(Exit::Done)
}

fn evidence(book: &Runbook, status: &Status, tests: &BTreeMap<String, String>) -> Vec<String> {
    let evidence = book.front.evidence.iter();
    evidence
        .flat_map(|evidence| evidence.lines(status, tests))
        .collect()
}

/// The command that tries a route, for each in the configuration: an agent may run by flags, or by another file, and no command
/// knows its routes then.
fn tests(args: &RunbookArgs, data: &DataDir) -> BTreeMap<String, String> {
    let config = args.place.config.as_ref();
    let config = config.map_or_else(String::new, |file| {
        format!(" --config '{}'", file.display())
    });
    let settings = config::load(&args.place, data);
    let routes = settings.map_or_else(|_| Vec::new(), |settings| settings.routes);
    let test = |name: String| {
        let command = format!("mainstay route test {name}{config}");
        (name, command)
    };
    routes.into_iter().map(|route| test(route.name)).collect()
}

/// The title, what is so now, and the text.
fn page(markdown: &str, now: &[String]) -> String {
    let mut text = Text::default();
    let (title, body) = markdown.split_once('\n').unwrap_or((markdown, ""));
    text.line(format_args!(
        "{BOLD}{}{PLAIN}\n",
        title.trim_start_matches("# ")
    ));
    text.line(format_args!("{BOLD}Now{PLAIN}\n"));
    for line in now {
        text.line(format_args!("  {}", visible(line)));
    }
    for line in body.lines() {
        match line.strip_prefix("## ") {
            Some(heading) => text.line(format_args!("{BOLD}{heading}{PLAIN}")),
            None => text.line(format_args!("{line}")),
        }
    }
    text.finish()
}
