//! A disk that fills up, and empties again.

use super::Effort;
use super::stage::Stage;
use crate::mount::Tmpfs;
use crate::process::Receiver;
use crate::verdict::{Figure, Verdict};
use anyhow::{Result, ensure};
use serde_json::Value;
use std::fs;

pub(super) fn run(effort: Effort) -> Verdict {
    let stage = match Stage::new(effort.seed) {
        Ok(stage) => stage,
        Err(error) => return Verdict::from(error),
    };
    // A disk of its own for the data folder; the drop folder stays on the large one.
    let disk = match Tmpfs::mount(&stage.path("data"), "16m") {
        Ok(disk) => disk,
        Err(error) => return Verdict::NotMeasured(format!("disk_full: {error:#}")),
    };
    match fill_and_empty(stage, &disk) {
        Ok(stage) => stage
            .judge(&["data"], "a 16 MiB disk filled and emptied")
            .with(Figure::Shortages, 1),
        Err(error) => Verdict::from(error),
    }
}

fn fill_and_empty(mut stage: Stage, disk: &Tmpfs) -> Result<Stage> {
    // Nobody listens there: everything has to be kept.
    let refused = "http://127.0.0.1:9/ingest";
    let mut agent = stage.agent_that_deletes("", "data", refused, &[])?;
    let total = 300;
    for number in 0..total {
        let mut content = format!("large {number}\n").into_bytes();
        content.extend(stage.random.bytes(100_000));
        stage.drop_named(&format!("large-{number}.dat"), &content)?;
    }
    let says_full = |stage: &Stage| {
        stage
            .status("data")
            .is_ok_and(|status| status.to_string().to_lowercase().contains("full"))
    };
    agent.until("the agent says that its disk is full", || says_full(&stage))?;
    let status = stage.status("data")?;
    ensure!(
        status["ledger"]["balanced"] == Value::Bool(true),
        "the ledger of a full disk: {}",
        status["ledger"]
    );
    let accepted = status["ledger"]["accepted"].as_u64().unwrap_or(0);
    ensure!(
        0 < accepted && accepted < total,
        "{accepted} of {total} fit on the disk"
    );
    let left = fs::read_dir(stage.path("drop"))?.count();
    ensure!(
        0 < left,
        "files stay in the drop folder while the disk is full"
    );
    ensure!(agent.is_running()?, "the agent goes on with a full disk");
    agent.kill()?;

    // On the full disk it starts again, delivers what it has, and takes the rest as room comes back, by itself.
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    Stage::succeed(stage.agent_that_deletes("", "data", &receiver.url, &["--until-empty"])?)?;
    ensure!(disk.path().exists(), "the disk is still there");
    Ok(stage)
}
