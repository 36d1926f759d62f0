//! The date jumps under the real agent, while it runs and between two of its lives: nothing is lost, nothing stalls.

use super::Effort;
use super::stage::Stage;
use crate::dates::Dates;
use crate::process::{Mainstay, Receiver};
use crate::verdict::Verdict;
use anyhow::{Context, Result, ensure};

const DAY: i64 = 24 * 60 * 60;

/// How often all jumps are made, one round after the other on the same data.
const ROUNDS_SHORT: u64 = 1;
const ROUNDS_LONG: u64 = 20;

/// Where the date jumps to.
#[derive(Clone, Copy, Debug)]
enum Jump {
    /// So many seconds from the true date.
    By(i64),
    /// To a second since 1970, and the year that it lies in.
    To(i64, &'static str),
}

/// A second and a day either way; 1970, where a machine without a battery begins; and the days after which 31 and 32 bits
/// of seconds do not suffice.
const JUMPS: &[Jump] = &[
    Jump::By(1),
    Jump::By(-1),
    Jump::By(DAY),
    Jump::By(-DAY),
    Jump::To(5, "1970-"),
    Jump::To(1 << 31, "2038-"),
    Jump::To(1 << 32, "2106-"),
];

pub(super) fn run(effort: Effort) -> Verdict {
    let mut stage = match Stage::new(effort.seed) {
        Ok(stage) => stage,
        Err(error) => return Verdict::from(error),
    };
    let dates = match Dates::new(stage.path("date")) {
        Ok(Some(dates)) => dates,
        Ok(None) => {
            return Verdict::NotMeasured(
                "clocks: libfaketime is missing: install the package libfaketime".to_owned(),
            );
        }
        Err(error) => return Verdict::from(error),
    };
    let rounds = if effort.is_long {
        ROUNDS_LONG
    } else {
        ROUNDS_SHORT
    };
    let jumped = Jumping::new(&stage, dates).and_then(|jumping| {
        for _ in 0..rounds {
            for jump in JUMPS {
                jumping
                    .jump(&mut stage, *jump)
                    .with_context(|| format!("the date jumps: {jump:?}"))?;
            }
        }
        jumping.dates.set(0)?;
        stage.finish("data", &jumping.receiver("well", &stage, &[])?.url)
    });
    if let Err(error) = jumped {
        return Verdict::Violation {
            what: format!("{error:#}"),
            seed: effort.seed,
            kept: Some(stage.keep()),
        };
    }
    let jumps = 3 * JUMPS.len() as u64 * rounds;
    stage.judge(
        &["data"],
        &format!("{jumps} jumps of the date, a third of them while nobody ran"),
    )
}

/// Agents that believe in dates, and a receiver that comes and goes.
struct Jumping {
    dates: Dates,
    address: String,
}

impl Jumping {
    fn new(stage: &Stage, dates: Dates) -> Result<Self> {
        let first = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
        let address = first.address().to_owned();
        first.kill()?;
        Ok(Self { dates, address })
    }

    fn receiver(&self, what: &str, stage: &Stage, faults: &[&str]) -> Result<Receiver> {
        Receiver::start(&stage.binary, &stage.path(""), &self.address, faults)
            .with_context(|| format!("the receiver that is {what}"))
    }

    fn agent(&self, stage: &Stage) -> Result<Mainstay> {
        let url = format!("http://{}/ingest", self.address);
        let arguments = stage.agent_arguments("data", &url, &[]);
        let said = stage.path("data.log");
        Mainstay::start_with(&stage.binary, &arguments, &said, &self.dates.variables())
    }

    /// There and back: while documents wait for another attempt, while they are delivered, and while nobody runs.
    fn jump(&self, stage: &mut Stage, jump: Jump) -> Result<()> {
        let seconds = match jump {
            Jump::By(seconds) => seconds,
            Jump::To(second, _) => second - (mainstay_clock::system().wall() / 1000) as i64,
        };
        self.dates.set(0)?;
        let failing = self.receiver("failing", stage, &["--fail", "500:0.5"])?;
        let mut agent = self.agent(stage)?;
        drop_some(stage, 4)?;
        until(stage, &mut agent, "what lies there is taken", is_taken)?;
        self.dates.set(seconds)?;
        drop_some(stage, 4)?;
        until(
            stage,
            &mut agent,
            "files are taken after the jump",
            is_taken,
        )?;
        failing.kill()?;
        let well = self.receiver("well", stage, &[])?;
        drop_some(stage, 4)?;
        until(
            stage,
            &mut agent,
            "all is delivered after the jump",
            is_delivered,
        )?;
        if let Jump::To(_, year) = jump {
            let status = stage.status("data")?;
            let last = &status["routes"][0]["to"][0]["last_success"];
            let is_believed = last.as_str().is_some_and(|date| date.starts_with(year));
            ensure!(is_believed, "the agent does not believe in {year}: {last}");
        }
        well.kill()?;
        drop_some(stage, 4)?;
        until(stage, &mut agent, "files are taken meanwhile", is_taken)?;
        agent.kill()?;
        // What was stored at that date is delivered at the true one, and the other way round.
        self.dates.set(0)?;
        drop_some(stage, 2)?;
        let mut agent = self.agent(stage)?;
        until(stage, &mut agent, "files are taken after a start", is_taken)?;
        agent.kill()?;
        self.dates.set(seconds)?;
        drop_some(stage, 2)?;
        let well = self.receiver("well", stage, &[])?;
        let mut agent = self.agent(stage)?;
        until(
            stage,
            &mut agent,
            "all is delivered after a start",
            is_delivered,
        )?;
        agent.kill()?;
        well.kill()
    }
}

fn drop_some(stage: &mut Stage, count: u64) -> Result<()> {
    (0..count).try_for_each(|_| stage.drop_file())
}

/// Waits until so many documents were accepted and delivered as it says, of those that were offered.
fn until(
    stage: &Stage,
    agent: &mut Mainstay,
    what: &str,
    is_so: fn(offered: u64, accepted: u64, delivered: u64) -> bool,
) -> Result<()> {
    agent.until(what, || {
        stage.status("data").is_ok_and(|status| {
            let count = |name: &str| status["ledger"][name].as_u64().unwrap_or(0);
            is_so(stage.oracle.count(), count("accepted"), count("delivered"))
        })
    })
}

fn is_taken(offered: u64, accepted: u64, _: u64) -> bool {
    offered == accepted
}

fn is_delivered(offered: u64, accepted: u64, delivered: u64) -> bool {
    offered == accepted && offered == delivered
}
