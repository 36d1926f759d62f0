//! Real processes, killed again and again: the agent with SIGKILL, in the middle of whatever it does.

use super::{Ground, Verdict};
use crate::exit::Failure;
use crate::stage::{Sample, Stage, samples};
use std::time::Duration;

/// Files in a round; a round uses its own folder, which goes with it.
const FILES: u32 = 400;

/// Kills in a round.
const KILLS: usize = 20;

/// A kill comes within this time after the start: in the middle of starting, taking, storing and delivering.
const WITHIN: Duration = Duration::from_millis(150);

/// After this a round has failed: what is left is not delivered.
const PATIENCE: Duration = Duration::from_mins(1);

const LOOK: Duration = Duration::from_millis(50);

/// Tries it.
///
/// # Errors
/// The processes cannot be started.
pub(super) async fn try_out(ground: &Ground) -> Result<Verdict, Failure> {
    let start = ground.clock.now();
    let samples = samples(FILES);
    let mut chance = ground.chance();
    let mut rounds = 0;
    loop {
        let folder = match tempfile::TempDir::new_in(&ground.folder) {
            Ok(folder) => folder,
            Err(error) => return Ok(Verdict::NotMeasured(format!("no folder: {error}"))),
        };
        let mut stage = Stage::set(folder.path(), ground.clock.clone()).await?;
        for handful in samples.chunks(samples.len().div_ceil(KILLS)) {
            if ground.stop.is_cancelled() {
                break;
            }
            for sample in handful {
                stage.drop_file(sample)?;
            }
            ground.clock.sleep(chance.time_below(WITHIN)).await;
            stage.kill_agent();
            stage.start_agent()?;
        }
        if let Some(found) = check(stage, &samples, ground).await? {
            return Ok(Verdict::Failed(found));
        }
        rounds += 1;
        if !ground.goes_on(start) {
            let (kills, files) = (rounds * KILLS, rounds * samples.len());
            return Ok(Verdict::Pass(format!(
                "{kills} kills, {files} files: each arrived once, 0 lost"
            )));
        }
    }
}

/// Waits for all files; what is wrong with them, if anything is.
async fn check(
    mut stage: Stage,
    samples: &[Sample],
    ground: &Ground,
) -> Result<Option<String>, Failure> {
    let deadline = ground.clock.now() + PATIENCE;
    loop {
        stage.check()?;
        let settled = stage.status().await.is_some_and(|status| {
            status.ledger.accepted >= samples.len() as u64 && status.ledger.queued == 0
        });
        if settled && stage.stored() >= samples.len() {
            break;
        }
        if ground.stop.is_cancelled() {
            return Ok(None);
        }
        if deadline <= ground.clock.now() {
            let stored = stage.stored();
            return Ok(Some(format!(
                "after {PATIENCE:?} only {stored} of {} files had arrived",
                samples.len()
            )));
        }
        ground.clock.sleep(LOOK).await;
    }
    let store = stage.store();
    let status = stage.end().await?;
    let verdict = crate::stage::Verdict::reach(samples, &store, status.ledger)?;
    Ok((!verdict.holds()).then(|| format!("{}; ledger: {}", verdict.line(), verdict.ledger)))
}
