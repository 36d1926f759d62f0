//! The whole agent with too little of something: it delivers everything in the end, and says what it lacks meanwhile.

mod disks;

use super::super::Effort;
use super::super::stage::Stage;
use crate::group::Group;
use crate::image::Image;
use crate::mount::Tmpfs;
use crate::process::{Mainstay, Receiver};
use crate::verdict::Verdict;
use anyhow::Result;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// Descriptors that a small system allows a process.
const DESCRIPTORS: u32 = 64;

/// Processes and threads that a small container allows.
const PROCESSES: u64 = 20;

/// A small container.
const MEMORY: u64 = 96 * 1024 * 1024;

/// Nobody listens there: everything has to be kept.
const REFUSED: &str = "http://127.0.0.1:9/ingest";

type Scenario = (&'static str, fn(&mut Stage) -> Result<Outcome>);

enum Outcome {
    Done,
    /// A promise was broken.
    Wrong(String),
    NotMeasured(String),
}

const SCENARIOS: &[Scenario] = &[
    ("64 descriptors", descriptors),
    ("96 MiB of memory", memory),
    ("a disk without inodes", inodes),
    ("20 processes", processes),
    ("a quota of 16 MiB", quota),
    ("a disk that dies", disks::dead),
    ("a drop folder that is unmounted", disks::unmounted),
    ("a drop folder that turns read-only", disks::read_only_drop),
    ("a data folder that turns read-only", disks::read_only_data),
    ("a data folder that is unmounted", disks::unmounted_data),
    (
        "a data folder that is gone for a while",
        disks::missing_data,
    ),
];

/// What the agent was short of.
pub(super) struct Shortages {
    pub(super) met: Vec<&'static str>,
    pub(super) unmeasured: Vec<String>,
}

pub(super) fn scenarios(effort: Effort) -> Result<Shortages, Verdict> {
    let (mut met, mut unmeasured) = (Vec::new(), Vec::new());
    for (name, scenario) in SCENARIOS {
        let mut stage = Stage::new(effort.seed)?;
        match scenario(&mut stage) {
            Ok(Outcome::Done) => met.push(*name),
            Ok(Outcome::Wrong(what)) => {
                return Err(Verdict::Violation {
                    what: format!("the agent with {name}: {what}"),
                    seed: effort.seed,
                    kept: Some(stage.keep()),
                });
            }
            Ok(Outcome::NotMeasured(why)) => {
                unmeasured.push(format!("{name}: {why}"));
                continue;
            }
            Err(error) => return Err(Verdict::from(error.context(*name))),
        }
        println!("  {name}");
    }
    Ok(Shortages { met, unmeasured })
}

/// Runs the agent by way of another program until nothing is left, and holds everything against the oracle.
fn deliver_by(stage: &Stage, program: &str, words: &[&str]) -> Result<Outcome> {
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    let mut arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
    arguments.push(stage.binary.clone().into());
    arguments.extend(stage.agent_arguments("data", &receiver.url, &["--until-empty"]));
    let log = stage.path("data.log");
    Stage::succeed(Mainstay::start(Path::new(program), &arguments, &log)?)?;
    is_exact(stage)
}

fn is_exact(stage: &Stage) -> Result<Outcome> {
    let wrong = stage.what_is_wrong(&["data"])?;
    Ok(wrong.map_or(Outcome::Done, Outcome::Wrong))
}

/// An agent that has found its folders.
fn running(stage: &Stage, url: &str) -> Result<Mainstay> {
    let mut agent = stage.agent("data", url, &[])?;
    let log = stage.path("data.log");
    agent.until("the agent runs", || {
        fs::read_to_string(&log).is_ok_and(|said| said.contains("state=Watching"))
    })?;
    Ok(agent)
}

fn descriptors(stage: &mut Stage) -> Result<Outcome> {
    for _ in 0..300 {
        stage.drop_file()?;
    }
    let limit = format!("--nofile={DESCRIPTORS}");
    deliver_by(stage, "prlimit", &[&limit])
}

fn memory(stage: &mut Stage) -> Result<Outcome> {
    let group = match Group::of_memory(MEMORY) {
        Ok(group) => group,
        Err(error) => return Ok(Outcome::NotMeasured(format!("{error:#}"))),
    };
    // More than fits at once, in small files and in large ones.
    for _ in 0..300 {
        stage.drop_file()?;
    }
    for number in 0..5 {
        let mut content = format!("large {number}\n").into_bytes();
        content.extend(stage.random.bytes(30_000_000));
        stage.drop_named(&format!("large-{number}.dat"), &content)?;
    }
    deliver_in(stage, &group)
}

fn processes(stage: &mut Stage) -> Result<Outcome> {
    let group = match Group::of_processes(PROCESSES) {
        Ok(group) => group,
        Err(error) => return Ok(Outcome::NotMeasured(format!("{error:#}"))),
    };
    for _ in 0..300 {
        stage.drop_file()?;
    }
    deliver_in(stage, &group)
}

fn deliver_in(stage: &Stage, group: &Group) -> Result<Outcome> {
    let join = format!("echo $$ > {}; exec \"$@\"", group.processes().display());
    deliver_by(stage, "sh", &["-c", &join, "sh"])
}

/// More than the quota lets in; then the limit is raised.
fn quota(stage: &mut Stage) -> Result<Outcome> {
    const MIB: u64 = 1024 * 1024;
    let folder = stage.path("near");
    fs::create_dir(&folder)?;
    let disk = Image::make_counting(&folder, "disk");
    let disk = match disk.and_then(|disk| disk.limit(16 * MIB).map(|()| disk)) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::NotMeasured(format!("{error:#}"))),
    };
    stage.data_on(disk.path());
    for number in 0..300 {
        let mut content = format!("large {number}\n").into_bytes();
        content.extend(stage.random.bytes(100_000));
        stage.drop_named(&format!("large-{number}.dat"), &content)?;
    }
    let mut agent = stage.agent("data", REFUSED, &[])?;
    agent.until("the agent says that its disk is full", || {
        let said = stage.status("data").map(|status| status.to_string());
        said.is_ok_and(|said| said.to_lowercase().contains("full"))
    })?;
    agent.kill()?;
    disk.limit(200 * MIB)?;
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    stage.finish("data", &receiver.url)?;
    is_exact(stage)
}

/// Large bodies are files of their own: there is room for their bytes and none for their names.
fn inodes(stage: &mut Stage) -> Result<Outcome> {
    const INODES: usize = 48;
    let options = format!("128m,nr_inodes={INODES}");
    let disk = match Tmpfs::mount(&stage.path("data"), &options) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::NotMeasured(format!("{error:#}"))),
    };
    for number in 0..2 * INODES {
        let mut content = format!("large {number}\n").into_bytes();
        content.extend(stage.random.bytes(300_000));
        stage.drop_named(&format!("large-{number}.dat"), &content)?;
    }
    let mut agent = stage.agent_that_deletes("", "data", REFUSED, &[])?;
    let data = stage.path("data");
    agent.until("the inodes are used up", || {
        rustix::fs::statvfs(&data).is_ok_and(|facts| facts.f_ffree < 3)
    })?;
    if !agent.is_running()? {
        return Ok(Outcome::Wrong("it ended".to_owned()));
    }
    agent.kill()?;
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    Stage::succeed(stage.agent_that_deletes("", "data", &receiver.url, &["--until-empty"])?)?;
    let outcome = is_exact(stage);
    drop(disk);
    outcome
}
