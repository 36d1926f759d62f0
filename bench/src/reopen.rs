//! A million queued documents: what they take in memory, and how long it takes to open them again.

use crate::options::Options;
use crate::report::median;
use anyhow::{Context, Result, bail};
use mainstay_bench::{BODY, GROUP};
use mainstay_queue::{Batch, Config, NewDocument, Queue};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The default limit of the queue.
const DOCUMENTS: usize = 1_000_000;

/// What one process saw.
#[derive(Serialize, Deserialize)]
struct Seen {
    documents: u64,
    seconds: f64,
    /// Resident bytes before and after.
    before: u64,
    after: u64,
}

fn config() -> Config {
    Config {
        max_documents: 0,
        ..Config::default()
    }
}

/// `reopen fill|fill-and-die|open FOLDER`, in a process of its own.
pub(crate) fn child(words: &[String]) -> Result<()> {
    let [what, folder] = words else {
        bail!("reopen fill|fill-and-die|open FOLDER");
    };
    let before = resident()?;
    let begun = Instant::now();
    let (queue, _) = Queue::open(folder, config())?;
    let opened = begun.elapsed();
    if what != "open" {
        fill(&queue)?;
    }
    let seen = Seen {
        documents: queue.ledger().queued,
        seconds: opened.as_secs_f64(),
        before,
        after: resident()?,
    };
    println!("{}", serde_json::to_string(&seen)?);
    if what == "fill-and-die" {
        // Nothing is closed, no snapshot is written.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
    }
    queue.close_blocking();
    Ok(())
}

fn fill(queue: &Queue) -> Result<()> {
    let lane = queue.declare_lane("bench")?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        for _ in 0..DOCUMENTS / (4 * GROUP) {
            let documents = (0..4 * GROUP)
                .map(|_| NewDocument::new(vec![lane], vec![7; BODY]))
                .collect();
            let batch = Batch {
                documents,
                claims: Vec::new(),
            };
            queue.enqueue_batch(batch).await?;
        }
        Ok(())
    })
}

/// The resident memory of this process in bytes; field 2 of /proc/self/statm, in pages of 4 KiB.
fn resident() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text
        .split_whitespace()
        .nth(1)
        .context("statm has a second field")?
        .parse()?;
    Ok(pages * 4096)
}

fn run(what: &str, folder: &Path) -> Result<Seen> {
    let own = std::env::current_exe()?;
    let output = Command::new(own)
        .args(["reopen", what])
        .arg(folder)
        .output()?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("reopen {what}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Reads all segments once, with their checksum: no reopening after a kill can be faster.
fn scan(folder: &Path) -> Result<f64> {
    let begun = Instant::now();
    let mut checksum = 0;
    let mut buffer = vec![0; 1 << 20];
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("seg-") {
            let mut file = File::open(entry.path())?;
            loop {
                let len = file.read(&mut buffer)?;
                if len == 0 {
                    break;
                }
                checksum = crc32c::crc32c_append(checksum, &buffer[..len]);
            }
        }
    }
    std::hint::black_box(checksum);
    Ok(begun.elapsed().as_secs_f64())
}

pub(crate) fn measure(options: &Options) -> Result<String> {
    let (mut clean, mut killed, mut scans) = (Vec::new(), Vec::new(), Vec::new());
    let (mut filled, mut opened) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let scratch = tempfile::Builder::new()
            .prefix("mainstay-bench-")
            .tempdir_in(&options.folder)?;
        let folder = scratch.path().join("queue");
        let loaded = run("fill", &folder)?;
        filled.push((loaded.after - loaded.before) as f64 / loaded.documents as f64);
        let again = run("open", &folder)?;
        anyhow::ensure!(
            again.documents == loaded.documents,
            "{} of {} are there",
            again.documents,
            loaded.documents
        );
        clean.push(again.seconds);
        opened.push(again.after.saturating_sub(again.before) as f64 / again.documents as f64);
        std::fs::remove_dir_all(&folder)?;
        run("fill-and-die", &folder)?;
        scans.push(scan(&folder)?);
        let again = run("open", &folder)?;
        anyhow::ensure!(
            again.documents == loaded.documents,
            "{} of {} are there",
            again.documents,
            loaded.documents
        );
        killed.push(again.seconds);
        println!("reopen: round {round} of {}", options.rounds);
    }
    let ratio = median(
        killed
            .iter()
            .zip(&scans)
            .map(|(killed, scan)| killed / scan)
            .collect(),
    );
    let mut text = String::new();
    writeln!(text, "\n## {DOCUMENTS} queued documents of 1 KiB\n")?;
    writeln!(text, "| | median |\n|---|---:|")?;
    writeln!(text, "| open after a clean stop | {:.3} s |", median(clean))?;
    writeln!(text, "| open after a kill | {:.3} s |", median(killed))?;
    writeln!(
        text,
        "| reading the same segments once, with a checksum | {:.3} s |",
        median(scans)
    )?;
    writeln!(text, "| open after a kill, of that reading | {ratio:.2} |")?;
    writeln!(
        text,
        "| resident memory for each document, after they were stored | {:.0} bytes |",
        median(filled)
    )?;
    writeln!(
        text,
        "| resident memory for each document, after a clean start | {:.0} bytes |",
        median(opened)
    )?;
    Ok(text)
}
