//! `--until-empty`: when nothing is left to take or to deliver, and what has to be said then.

use super::agent::Agent;
use crate::exit::Exit;
use crate::terminal::{self, Count};
use mainstay_clock::SharedClock;
use mainstay_pickup::State;
use std::time::Duration;

/// How often the queue is looked at while documents are under way.
const LOOK: Duration = Duration::from_millis(50);

/// Ready when a look through all drop folders found nothing, everything that can be delivered is, and a second look agrees.
pub(super) async fn reached(agent: &Agent, clock: &SharedClock) {
    loop {
        let restarts = agent.tasks.restarts();
        all_taken(agent).await;
        while agent.pending() > 0 {
            clock.sleep(LOOK).await;
        }
        // What was dropped while the last documents were under way is seen by this second look.
        let accepted = agent.queue.ledger().accepted;
        all_taken(agent).await;
        let is_empty = agent.queue.ledger().accepted == accepted && agent.pending() == 0;
        // One that died is as idle as one that found nothing, and the one that comes after it will look.
        let has_died = agent.folders().any(|source| source.handle.has_ended());
        if is_empty && !has_died && agent.tasks.restarts() == restarts {
            return;
        }
        clock.sleep(LOOK).await;
    }
}

async fn all_taken(agent: &Agent) {
    for source in agent.folders() {
        source.handle.idle().await;
    }
}

/// Says how it ended; a drop folder that was never there is the one thing that is not a success.
pub(super) fn tell(agent: &Agent) -> Exit {
    let status = agent.status();
    terminal::say(&status.ledger.to_string());
    if status.ledger.unreadable > 0 {
        let lost = Count(status.ledger.unreadable, "document");
        terminal::warn(&format!(
            "{lost} lost to damage: `mainstay status` says more"
        ));
    }
    if status.ledger.dead > 0 {
        let dead = Count(status.ledger.dead, "dead letter");
        terminal::warn(&format!("{dead} to be looked at: `mainstay dead list`"));
    }
    for (lane, number) in agent.unassigned() {
        terminal::warn(&format!(
            "{} queued on `{lane}`, and no route leads there any more",
            Count(number, "document")
        ));
    }
    let mut exit = Exit::Done;
    for source in agent.folders() {
        let (folder, told) = (source.settings.folder.display(), source.handle.status());
        for file in &told.waiting {
            let path = terminal::visible(&file.path.display().to_string());
            terminal::warn(&format!(
                "`{path}` in `{folder}` was not taken: {}",
                terminal::visible(&file.reason)
            ));
        }
        if told.quarantined > 0 {
            let files = Count(told.quarantined, "file");
            terminal::warn(&format!(
                "{files} of `{folder}` went to quarantine, with the reason beside it"
            ));
        }
        if told.scans == 0 || told.state == State::Missing || told.state == State::Failed {
            // A pickup that has stopped has nothing to say any more: why, the folder itself tells.
            let why = match std::fs::read_dir(&source.settings.folder) {
                Err(error) if told.reason.is_empty() => error.to_string(),
                _ => told.reason.clone(),
            };
            terminal::warn(&format!(
                "the drop folder `{folder}` could not be looked through: {why}"
            ));
            exit = Exit::NoInput;
        }
    }
    exit
}
