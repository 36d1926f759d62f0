//! A receiver that fails in every way that it can, and an agent that is killed meanwhile.

use super::Effort;
use super::stage::Stage;
use crate::process::Receiver;
use crate::verdict::{Figure, Verdict};
use anyhow::Result;
use std::thread;
use std::time::Duration;

/// Each life of the receiver fails in another way.
pub(super) const LIVES: &[&[&str]] = &[
    &["--fail", "500:0.3"],
    &["--fail", "429:0.3", "--retry-after", "1s"],
    &["--reset", "0.3"],
    &["--hang", "0.05", "--delay", "20ms"],
    &["--down-for", "1s", "--fail", "503:0.2"],
    &["--fail", "401:0.1"],
];

pub(super) fn run(effort: Effort) -> Verdict {
    match lives(effort) {
        Ok(stage) => stage
            .judge(
                &["data"],
                &format!("{} lives of a faulty receiver", LIVES.len()),
            )
            .with(Figure::Kills, LIVES.len() as u64),
        Err(error) => Verdict::from(error),
    }
}

fn lives(effort: Effort) -> Result<Stage> {
    let mut stage = Stage::new(effort.seed)?;
    let first = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    let address = first.address().to_owned();
    let url = first.url.clone();
    first.kill()?;
    for (life, faults) in LIVES.iter().enumerate() {
        let agent = stage.agent("data", &url, &[])?;
        let seed = (effort.seed + life as u64).to_string();
        let faults: Vec<&str> = faults.iter().copied().chain(["--seed", &seed]).collect();
        for _ in 0..30 {
            stage.drop_file()?;
        }
        let receiver = Receiver::start(&stage.binary, &stage.path(""), &address, &faults)?;
        thread::sleep(Duration::from_millis(2_000 + stage.random.below(1_000)));
        agent.kill()?;
        receiver.kill()?;
    }
    let well = Receiver::start(&stage.binary, &stage.path(""), &address, &[])?;
    stage.finish("data", &well.url)?;
    Ok(stage)
}
