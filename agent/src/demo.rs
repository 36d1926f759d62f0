//! `mainstay demo`: an outage, two kills and the recovery, in front of your eyes and in under a minute.
//!
//! A receiver and an agent run as processes of this same program, in a temporary folder. While files are dropped, the receiver
//! is killed and comes back, and the agent is killed twice with SIGKILL. At the end the receiver's files are compared, by
//! content, with what was dropped: nothing is assumed.

mod watcher;

use crate::cli::DemoArgs;
use crate::exit::{Exit, Failure};
use crate::signals::Stop;
use crate::stage::{Sample, Stage, Verdict, samples};
use crate::terminal::{self, BOLD, GREEN, PLAIN, RED};
use mainstay_clock::SharedClock;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use watcher::Watcher;

/// Between two handfuls of files, so that the outage and the kills come in the middle of work and not after it.
const PAUSE: Duration = Duration::from_millis(100);

/// Handfuls in which the files are dropped: with the pause above, dropping takes about 8 s.
const HANDFULS: usize = 80;

/// After this the demonstration has failed: an agent that does not come to its end is a finding.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs the demonstration. To be called on the main thread, in a runtime that stays on it: see [`crate::stage`].
///
/// # Errors
/// It could not be run to its end. That something was lost is no error of the demonstration, but its exit code says so.
pub(crate) async fn demo(args: DemoArgs) -> Result<Exit, Failure> {
    let stop = Stop::default();
    let folder = tempfile::Builder::new()
        .prefix("mainstay-demo-")
        .tempdir()
        .map_err(|error| {
            Failure::new(Exit::StartFailed, "cannot make a temporary folder").because(error)
        })?;
    let played = tokio::select! {
        played = play(&args, folder.path()) => played,
        failed = stop.listen() => Err(failed),
        () = stop.asked.cancelled() => Err(Failure::new(Exit::StoppedEarly, "the demonstration was interrupted")),
    };
    let good = matches!(&played, Ok(verdict) if verdict.holds());
    let interrupted = stop.asked.is_cancelled();
    keep_or_remove(folder, args.keep || !(good || interrupted));
    let verdict = played?;
    if args.json {
        terminal::print_json(&verdict)?;
    }
    Ok(if verdict.holds() {
        Exit::Done
    } else {
        Exit::NotBalanced
    })
}

async fn play(args: &DemoArgs, folder: &Path) -> Result<Verdict, Failure> {
    let clock = mainstay_clock::system();
    let samples = samples(args.files);
    terminal::say(&format!(
        "{BOLD}{} files, one outage, two kills{PLAIN}, in {}",
        samples.len(),
        folder.display()
    ));
    let mut watcher = Watcher::new(clock.clone(), samples.len());
    let mut stage = Stage::set(folder, clock.clone()).await?;
    watcher.tell("a receiver and an agent are running; files are being dropped");
    drop_all(&samples, &mut stage, &mut watcher, &clock).await?;
    watcher.tell("all files are dropped");
    wait_until_delivered(samples.len(), &mut stage, &mut watcher, &clock).await?;
    watcher.end();
    let (store, seconds) = (stage.store(), watcher.seconds());
    let status = stage.end().await?;
    let verdict = Verdict::reach(&samples, &store, status.ledger)?;
    tell(&verdict, seconds, args.json)?;
    Ok(verdict)
}

/// Drops everything in handfuls; at set points of the way, things go wrong.
async fn drop_all(
    samples: &[Sample],
    stage: &mut Stage,
    watcher: &mut Watcher,
    clock: &SharedClock,
) -> Result<(), Failure> {
    let mut dropped = 0;
    for (handful, files) in samples.chunks(samples.len().div_ceil(HANDFULS)).enumerate() {
        for sample in files {
            stage.drop_file(sample)?;
        }
        dropped += files.len();
        match handful {
            20 => {
                stage.kill_receiver();
                watcher.tell("the receiver is killed: connections are refused");
            }
            35 => {
                stage.kill_agent();
                watcher.tell("the agent is killed (SIGKILL), in the middle of the outage");
                stage.start_agent()?;
            }
            50 => {
                stage.start_receiver().await?;
                watcher.tell("the receiver is back");
            }
            65 => {
                stage.kill_agent();
                watcher.tell("the agent is killed again, in the middle of delivering");
                stage.start_agent()?;
            }
            _ => {}
        }
        watcher.show(dropped, stage.stored());
        stage.check()?;
        clock.sleep(PAUSE).await;
    }
    Ok(())
}

async fn wait_until_delivered(
    total: usize,
    stage: &mut Stage,
    watcher: &mut Watcher,
    clock: &SharedClock,
) -> Result<(), Failure> {
    let deadline = clock.now() + PATIENCE;
    while clock.now() < deadline {
        let stored = stage.stored();
        watcher.show(total, stored);
        stage.check()?;
        // The store alone is not the end: the agent has yet to hear of it and to write it down.
        let settled = stage.status().await.is_some_and(|status| {
            status.ledger.accepted >= total as u64 && status.ledger.queued == 0
        });
        if settled && stored >= total {
            return Ok(());
        }
        clock.sleep(PAUSE).await;
    }
    watcher.end();
    let message = format!(
        "after {PATIENCE:?} only {} of {total} files had arrived",
        stage.stored()
    );
    Err(Failure::new(Exit::TimedOut, message))
}

fn tell(verdict: &Verdict, seconds: f64, json: bool) -> Result<(), Failure> {
    let colour = if verdict.holds() { GREEN } else { RED };
    let text = format!(
        "\nledger    {}\n\
         receiver  {} files, compared by SHA-256 with the {} that were dropped\n\
         time      {seconds:.1} s\n\n\
         {colour}{}{PLAIN}",
        verdict.ledger,
        verdict.stored,
        verdict.offered,
        verdict.line()
    );
    if json {
        terminal::say(&text);
        return Ok(());
    }
    terminal::print(&text)
}

fn keep_or_remove(folder: TempDir, keep: bool) {
    if keep {
        let path = folder.keep();
        terminal::say(&format!(
            "everything is kept in {}: the store, the data folder and the logs",
            path.display()
        ));
    } else if let Err(error) = folder.close() {
        terminal::warn(&format!(
            "the temporary folder could not be removed: {error}"
        ));
    }
}
