//! The agent with nothing to do: how soon it is ready, what it holds and what it takes.

use crate::files::{cpu_seconds, memory_mib};
use crate::options::Options;
use crate::report::median;
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it is watched doing nothing.
const WATCHED: Duration = Duration::from_secs(10);

/// So often it is asked for its health in a round, each time after what it saw before has become old (1 s).
const LOOKS: u32 = 5;
const OLD: Duration = Duration::from_millis(1_100);

/// A running agent; killed when it is dropped.
pub(crate) struct Agent(Child);

impl Agent {
    /// Starts the `mainstay` that was built beside this program.
    pub(crate) fn start(arguments: &[&OsStr]) -> Result<Self> {
        let own = std::env::current_exe()?;
        let binary = own.with_file_name("mainstay");
        let child = Command::new(&binary)
            .args(["run", "--log-level", "warn"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        Ok(Self(child))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Stops it as the system does, and waits until it is gone.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.0.wait()?;
        ensure!(status.success(), "the agent ended with {status}");
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

pub(crate) fn measure(options: &Options) -> Result<String> {
    let (mut ready, mut memory, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    let (mut looked, mut remembered) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let scratch = tempfile::Builder::new()
            .prefix("mainstay-bench-")
            .tempdir_in(&options.folder)?;
        let folder = scratch.path().canonicalize()?;
        let (data, drop, out) = (folder.join("data"), folder.join("drop"), folder.join("out"));
        std::fs::create_dir(&drop)?;
        std::fs::create_dir(&out)?;
        let arguments = [
            "--data".as_ref(),
            data.as_ref(),
            "--from".as_ref(),
            drop.as_ref(),
            "--to".as_ref(),
            out.as_ref(),
        ];
        // The first start makes the folders and the first segment; what counts is an empty queue that is there.
        let agent = Agent::start(&arguments)?;
        until_ready(&data)?;
        agent.stop()?;
        let begun = Instant::now();
        let agent = Agent::start(&arguments)?;
        until_ready(&data)?;
        ready.push(begun.elapsed().as_secs_f64() * 1000.0);
        let pid = agent.pid().to_string();
        std::thread::sleep(Duration::from_secs(1));
        let before = cpu_seconds(&pid)?;
        std::thread::sleep(WATCHED);
        cpu.push((cpu_seconds(&pid)? - before) / WATCHED.as_secs_f64() * 100.0);
        memory.push(memory_mib(&pid, "VmRSS:")?);
        for _ in 0..LOOKS {
            std::thread::sleep(OLD);
            looked.push(look(&data)?);
            remembered.push(look(&data)?);
        }
        agent.stop()?;
        println!("idle: round {round} of {}", options.rounds);
    }
    let mut text = String::new();
    writeln!(
        text,
        "\n## The agent with nothing to do\n\n| | median |\n|---|---:|"
    )?;
    writeln!(
        text,
        "| start to ready, empty queue | {:.1} ms |",
        median(ready)
    )?;
    writeln!(text, "| resident memory | {:.1} MiB |", median(memory))?;
    writeln!(text, "| CPU | {:.2} % |", median(cpu))?;
    writeln!(
        text,
        "| a look at its health, all checks run | {:.2} ms |",
        median(looked)
    )?;
    writeln!(
        text,
        "| control: the same question a moment later, no check run | {:.2} ms |",
        median(remembered)
    )?;
    Ok(text)
}

/// How many milliseconds it takes to hear of its health, from the connection to the end of the answer.
fn look(data: &std::path::Path) -> Result<f64> {
    let begun = Instant::now();
    let mut agent = UnixStream::connect(data.join("control.sock"))?;
    agent.write_all(b"GET /health HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    agent.read_to_string(&mut answer)?;
    let took = begun.elapsed();
    ensure!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("\"checks\""),
        "the agent does not tell its health: {answer}"
    );
    Ok(took.as_secs_f64() * 1000.0)
}

/// Ready is when it answers on its control socket.
fn until_ready(data: &std::path::Path) -> Result<()> {
    let begun = Instant::now();
    while UnixStream::connect(data.join("control.sock")).is_err() {
        ensure!(
            begun.elapsed() < Duration::from_secs(30),
            "the agent is not ready after 30 s"
        );
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}
