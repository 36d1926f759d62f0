//! Two agents where one was meant.

use super::Effort;
use super::stage::Stage;
use crate::process::Receiver;
use crate::verdict::Verdict;
use anyhow::{Result, ensure};
use std::fs;

pub(super) fn run(effort: Effort) -> Verdict {
    match two(effort) {
        Ok(stage) => stage.judge(&["data", "other"], "two agents on one drop folder"),
        Err(error) => Verdict::from(error),
    }
}

fn two(effort: Effort) -> Result<Stage> {
    let mut stage = Stage::new(effort.seed)?;
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    for _ in 0..200 {
        stage.drop_file()?;
    }
    let mut first = stage.agent("data", &receiver.url, &[])?;
    let second = stage.agent("other", &receiver.url, &[])?;
    for _ in 0..200 {
        stage.drop_file()?;
    }
    first.until("the first agent runs", || stage.status("data").is_ok())?;
    let intruder = stage.agent("data", &receiver.url, &[])?;
    let pid = first.pid().to_string();
    let ended = intruder.wait()?;
    ensure!(
        ended.status.code() == Some(34),
        "a second agent on one data folder ends with 34, not {}",
        ended.status
    );
    ensure!(
        ended.said.contains(&pid),
        "it is told who has it: {}",
        ended.said
    );
    let drop = stage.path("drop");
    first.until("the drop folder is empty", || {
        fs::read_dir(&drop).is_ok_and(|mut left| left.next().is_none())
    })?;
    first.kill()?;
    second.kill()?;
    stage.finish("data", &receiver.url)?;
    stage.finish("other", &receiver.url)?;
    Ok(stage)
}
