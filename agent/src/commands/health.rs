//! `mainstay health`.

use crate::cli::LookArgs;
use crate::control::Client;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::terminal::{self, BOLD, DIM, GREEN, PLAIN, RED, Text, YELLOW, visible};
use mainstay_supervise::{HealthSnapshot, HealthState};

/// Has everything looked at now, and says what is not well and which runbook helps.
///
/// # Errors
/// No agent runs, or it does not answer.
pub(crate) async fn health(args: LookArgs) -> Result<Exit, Failure> {
    let data = DataDir::of(&args.place)?;
    let agent = Client::of(&data);
    if !agent.is_there().await {
        let place = data.path().display();
        let message = format!(
            "no agent runs on the data folder `{place}`, so nothing is known of its health"
        );
        return Err(Failure::new(Exit::NotRunning, message)
            .help("start it: mainstay run; what lies there: mainstay status"));
    }
    let snapshot = agent.health().await?;
    if args.json {
        terminal::print_json(&snapshot)?;
    } else {
        terminal::print(&page(&snapshot))?;
    }
    Ok(match snapshot.state {
        HealthState::Healthy => Exit::Done,
        _ => Exit::Unwell,
    })
}

fn page(snapshot: &HealthSnapshot) -> String {
    let mut text = Text::default();
    text.line(format_args!(
        "{BOLD}the agent is {PLAIN}{}",
        word(snapshot.state)
    ));
    let width = snapshot.checks.keys().map(|name| name.chars().count());
    let width = width.max().unwrap_or(0);
    for (name, check) in &snapshot.checks {
        let message = check.last.as_ref().map_or("", |last| &last.message);
        let message = match message {
            "" => String::new(),
            message => format!("  {}", visible(message)),
        };
        let name = visible(name);
        text.line(format_args!(
            "  {name:width$}  {}{message}",
            word(check.state)
        ));
        if let (Some(book), true) = (&check.runbook, check.state != HealthState::Healthy) {
            text.line(format_args!(
                "  {:width$}  {DIM}mainstay runbook {book}{PLAIN}",
                ""
            ));
        }
    }
    text.finish()
}

fn word(state: HealthState) -> String {
    let colour = match state {
        HealthState::Healthy => GREEN,
        HealthState::Unhealthy => RED,
        HealthState::Unknown | HealthState::Degraded => YELLOW,
    };
    format!("{colour}{}{PLAIN}", state.name())
}
