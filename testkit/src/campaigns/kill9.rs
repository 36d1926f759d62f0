//! SIGKILL at any moment, again and again.

use super::Effort;
use super::stage::Stage;
use crate::process::Receiver;
use crate::verdict::{Figure, Verdict};
use anyhow::Result;
use std::thread;
use std::time::Duration;

/// An agent is killed so long after its start, at most.
const LIFE_MAX: Duration = Duration::from_millis(150);

pub(super) fn run(effort: Effort) -> Verdict {
    match cycles(effort) {
        Ok(stage) => stage
            .judge(&["data"], &format!("{} kills", effort.kills))
            .with(Figure::Kills, effort.kills),
        Err(error) => Verdict::from(error),
    }
}

fn cycles(effort: Effort) -> Result<Stage> {
    let mut stage = Stage::new(effort.seed)?;
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    for cycle in 0..effort.kills {
        let agent = stage.agent("data", &receiver.url, &[])?;
        let mut left = Duration::from_micros(stage.random.below(LIFE_MAX.as_micros() as u64));
        // Files come while it starts, while it works, and while it dies.
        for _ in 0..stage.random.below(8) {
            let pause = left.mul_f64(stage.random.below(1000) as f64 / 3000.0);
            thread::sleep(pause);
            left -= pause;
            stage.drop_file()?;
        }
        thread::sleep(left);
        agent.kill()?;
        if (cycle + 1) % 100 == 0 {
            println!(
                "  {} of {} kills, {} documents offered",
                cycle + 1,
                effort.kills,
                stage.oracle.count()
            );
        }
    }
    stage.finish("data", &receiver.url)?;
    Ok(stage)
}
