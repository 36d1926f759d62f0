//! The whole agent with too little of something: it delivers everything in the end, and says what it lacks meanwhile.

use super::super::Effort;
use super::super::stage::Stage;
use crate::image::{Cut, Image, Kind};
use crate::mount::Tmpfs;
use crate::process::{Mainstay, Receiver};
use crate::verdict::Verdict;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Descriptors that a small system allows a process.
const DESCRIPTORS: u32 = 64;

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
    ("a disk that dies", dead_disk),
    ("a drop folder that is unmounted", unmounted),
];

pub(super) fn scenarios(effort: Effort) -> Verdict {
    let mut passed = Vec::new();
    let mut unmeasured = Vec::new();
    for (name, scenario) in SCENARIOS {
        let mut stage = match Stage::new(effort.seed) {
            Ok(stage) => stage,
            Err(error) => return Verdict::from(error),
        };
        match scenario(&mut stage) {
            Ok(Outcome::Done) => passed.push((*name).to_owned()),
            Ok(Outcome::Wrong(what)) => {
                return Verdict::Violation {
                    what: format!("the agent with {name}: {what}"),
                    seed: effort.seed,
                    kept: Some(stage.keep()),
                };
            }
            Ok(Outcome::NotMeasured(why)) => {
                unmeasured.push(format!("{name}: {why}"));
                continue;
            }
            Err(error) => return Verdict::from(error.context(*name)),
        }
        println!("  {name}");
        drop(stage);
    }
    let passed = format!("the agent with {}", passed.join(", "));
    if unmeasured.is_empty() {
        Verdict::Pass(passed)
    } else {
        Verdict::NotMeasured(format!("{}; measured: {passed}", unmeasured.join("; ")))
    }
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
    let group = match Group::make(MEMORY) {
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
    let join = format!("echo $$ > {}; exec \"$@\"", group.processes().display());
    deliver_by(stage, "sh", &["-c", &join, "sh"])
}

/// A group of processes that may have so much memory; removed when it is dropped.
struct Group {
    path: PathBuf,
}

impl Group {
    fn make(bytes: u64) -> Result<Self> {
        let name = format!("mainstay-faults-{}", std::process::id());
        // The old hierarchy where there is one, as in many containers, or the new one.
        let old = Path::new("/sys/fs/cgroup/memory");
        let (folder, limit) = if old.is_dir() {
            (old, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let group = Self {
            path: folder.join(name),
        };
        fs::create_dir(&group.path).context("no group of processes can be made here")?;
        fs::write(group.path.join(limit), bytes.to_string())
            .context("its memory cannot be limited here")?;
        Ok(group)
    }

    fn processes(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        fs::remove_dir(&self.path).ok();
    }
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
    let mut agent = stage.agent_that_deletes("data", REFUSED, &[])?;
    let data = stage.path("data");
    agent.until("the inodes are used up", || {
        rustix::fs::statvfs(&data).is_ok_and(|facts| facts.f_ffree < 3)
    })?;
    if !agent.is_running()? {
        return Ok(Outcome::Wrong("it ended".to_owned()));
    }
    agent.kill()?;
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    Stage::succeed(stage.agent_that_deletes("data", &receiver.url, &["--until-empty"])?)?;
    let outcome = is_exact(stage);
    drop(disk);
    outcome
}

/// The disk of everything refuses every call from one moment on, as after an error that the file system could not bear.
fn dead_disk(stage: &mut Stage) -> Result<Outcome> {
    const SIZE: u64 = 1024 * 1024 * 1024;
    let mut disk = match Image::make_of(&stage.path(""), "disk", Kind::Ext4, SIZE) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::NotMeasured(format!("{error:#}"))),
    };
    stage.put_on(disk.path())?;
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    let mut agent = running(stage, &receiver.url)?;
    for _ in 0..100 {
        stage.drop_file()?;
    }
    disk.cut(Cut::Nothing)?;
    // It is given the time to meet the dead disk in every part of it.
    thread::sleep(Duration::from_secs(2));
    let said = fs::read_to_string(stage.path("data.log"))?;
    if said.contains("panicked") || !agent.is_running()? {
        return Ok(Outcome::Wrong(format!("it ended or panicked: {said}")));
    }
    agent.kill()?;
    disk.remount()?;
    stage.finish("data", &receiver.url)?;
    is_exact(stage)
}

/// The disk of the drop folder goes away while files are taken from it, and comes back.
fn unmounted(stage: &mut Stage) -> Result<Outcome> {
    let folder = stage.path("far");
    fs::create_dir(&folder)?;
    let mut disk = match Image::make(&folder, "disk", Kind::Ext4) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::NotMeasured(format!("{error:#}"))),
    };
    stage.drop_on(disk.path())?;
    let receiver = Receiver::start(&stage.binary, &stage.path(""), "127.0.0.1:0", &[])?;
    let mut agent = running(stage, &receiver.url)?;
    for _ in 0..5 {
        for _ in 0..20 {
            stage.drop_file()?;
        }
        disk.pull()?;
        thread::sleep(Duration::from_millis(300));
        if !agent.is_running()? {
            return Ok(Outcome::Wrong("it ended".to_owned()));
        }
        disk.plug()?;
    }
    agent.kill()?;
    stage.finish("data", &receiver.url)?;
    is_exact(stage)
}
