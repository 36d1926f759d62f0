//! The whole job: files from a drop folder to a receiver on loopback, beside a loop that only reads and posts them.

use crate::idle::Agent;
use crate::options::Options;
use crate::report::{median, range};
use crate::sink::{Poster, Sink};
use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Connections of the loop, and of the agent for this measurement.
const CONNECTIONS: usize = 16;

/// How long one run may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// One run of one candidate.
struct Run {
    files_per_second: f64,
    cpu: f64,
    peak: f64,
}

pub(crate) fn measure(options: &Options) -> Result<String> {
    let sink = Sink::start()?;
    let names = [
        "a loop that reads and posts, 16 connections",
        "curl, one kept-alive connection",
        "mainstay, after = \"archive\"",
        "mainstay, after = \"delete\"",
    ];
    let mut runs: Vec<Vec<Run>> = names.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.rounds {
        let scratch = tempfile::Builder::new()
            .prefix("mainstay-bench-")
            .tempdir_in(&options.folder)?;
        let folder = scratch.path().canonicalize()?;
        let drop = folder.join("drop");
        make_files(&drop, options.files)?;
        runs[0].push(posted(&sink, &drop, options.files)?);
        runs[1].push(curled(&sink, &drop, &folder, options.files)?);
        runs[2].push(delivered(&sink, &folder, "archive", options.files)?);
        make_files(&drop, options.files)?;
        runs[3].push(delivered(&sink, &folder, "delete", options.files)?);
        println!("files: round {round} of {}", options.rounds);
    }
    let mut text = String::new();
    writeln!(
        text,
        "\n## {} files of 1–4 KiB, drop folder to receiver on loopback, everything durable\n",
        options.files
    )?;
    writeln!(
        text,
        "| | files/s | range | of the loop | of curl | CPU s | peak memory MiB |\n|---|---:|---:|---:|---:|---:|---:|"
    )?;
    let rates: Vec<Vec<f64>> = runs
        .iter()
        .map(|runs| runs.iter().map(|run| run.files_per_second).collect())
        .collect();
    for (place, name) in names.iter().enumerate() {
        let of = |other: &[f64]| {
            median(
                rates[place]
                    .iter()
                    .zip(other)
                    .map(|(rate, other)| rate / other)
                    .collect(),
            )
        };
        let (least, most) = range(&rates[place]);
        writeln!(
            text,
            "| {name} | {:.0} | {least:.0}–{most:.0} | {:.2} | {:.2} | {} | {} |",
            median(rates[place].clone()),
            of(&rates[0]),
            of(&rates[1]),
            known(median(runs[place].iter().map(|run| run.cpu).collect()), 2),
            known(median(runs[place].iter().map(|run| run.peak).collect()), 1),
        )?;
    }
    writeln!(
        text,
        "\nThe loop and the sink share a process, so its CPU time and memory are those of both."
    )?;
    Ok(text)
}

/// A figure, or a dash where there is none.
fn known(figure: f64, digits: usize) -> String {
    if figure.is_nan() {
        "–".to_owned()
    } else {
        format!("{figure:.digits$}")
    }
}

/// Files of 1 to 4 KiB that were finished a while ago.
fn make_files(folder: &Path, files: usize) -> Result<()> {
    fs::create_dir_all(folder)?;
    let old = FileTimes::new().set_modified(SystemTime::now() - Duration::from_mins(1));
    for number in 0..files {
        // Spread evenly: 7919 is prime to 3072.
        let len = 1024 + number * 7919 % 3072;
        let mut content = format!("{{\"number\": {number}, \"text\": \"").into_bytes();
        content.resize(len - 2, b'x');
        content.extend_from_slice(b"\"}");
        let path = folder.join(format!("report-{number}.json"));
        fs::write(&path, content)?;
        File::options().write(true).open(&path)?.set_times(old)?;
    }
    Ok(())
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect()
}

fn posted(sink: &Sink, folder: &Path, wanted: usize) -> Result<Run> {
    sink.begin();
    let before = cpu_seconds("self")?;
    let begun = Instant::now();
    let files: Arc<[PathBuf]> = listed(folder)?.into();
    let next = Arc::new(AtomicUsize::new(0));
    let address = sink.address;
    sink.runtime.block_on(async {
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (files, next) = (Arc::clone(&files), Arc::clone(&next));
                tokio::spawn(async move {
                    let mut poster = Poster::connect(address).await?;
                    while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        poster.post(&fs::read(path)?).await?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        anyhow::Ok(())
    })?;
    ran(
        sink,
        wanted,
        begun,
        cpu_seconds("self")? - before,
        peak_mib("self")?,
    )
}

fn curled(sink: &Sink, folder: &Path, scratch: &Path, wanted: usize) -> Result<Run> {
    let list = scratch.join("curl.conf");
    let mut text = String::new();
    for path in listed(folder)? {
        writeln!(
            text,
            "url = \"http://{}/ingest\"\ndata-binary = \"@{}\"\noutput = \"/dev/null\"\nsilent\nnext",
            sink.address,
            path.display()
        )?;
    }
    fs::write(&list, text.trim_end().trim_end_matches("next"))?;
    sink.begin();
    let begun = Instant::now();
    let status = Command::new("curl")
        .arg("-K")
        .arg(&list)
        .status()
        .context("curl is needed for comparison")?;
    ensure!(status.success(), "curl ended with {status}");
    ran(sink, wanted, begun, f64::NAN, f64::NAN)
}

fn delivered(sink: &Sink, scratch: &Path, after: &str, wanted: usize) -> Result<Run> {
    let data = scratch.join(format!("data-{after}"));
    fs::create_dir(&data)?;
    let settings = scratch.join("mainstay.toml");
    fs::write(
        &settings,
        format!(
            "[[route]]\nname = \"bench\"\n[route.from]\nfolder = '{}'\nafter = \"{after}\"\n[route.to.http]\nurl = \
             \"http://{}/ingest\"\nconcurrency = {CONNECTIONS}\n",
            scratch.join("drop").display(),
            sink.address
        ),
    )?;
    sink.begin();
    let begun = Instant::now();
    let agent = Agent::start(&[
        "--config".as_ref(),
        settings.as_ref(),
        "--data".as_ref(),
        data.as_ref(),
    ])?;
    while sink.taken() < wanted as u64 {
        ensure!(
            begun.elapsed() < PATIENCE,
            "{} of {wanted} files arrived",
            sink.taken()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = agent.pid().to_string();
    let run = ran(sink, wanted, begun, cpu_seconds(&pid)?, peak_mib(&pid)?);
    agent.stop()?;
    fs::remove_dir_all(&data)?;
    run
}

fn ran(sink: &Sink, wanted: usize, begun: Instant, cpu: f64, peak: f64) -> Result<Run> {
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(
        sink.taken() == wanted as u64,
        "{} of {wanted} files arrived",
        sink.taken()
    );
    Ok(Run {
        files_per_second: wanted as f64 / seconds,
        cpu,
        peak,
    })
}

/// User and system time of a process: fields 14 and 15 of its stat, in hundredths of a second.
pub(crate) fn cpu_seconds(pid: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program may hold spaces, and ends with the last parenthesis.
    let (_, rest) = text.rsplit_once(')').context("a stat has a name")?;
    let ticks: u64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap_or(0u64))
        .sum();
    Ok(ticks as f64 / 100.0)
}

fn peak_mib(pid: &str) -> Result<f64> {
    memory_mib(pid, "VmHWM:")
}

/// A line of the process's status that is in KiB.
pub(crate) fn memory_mib(pid: &str, line: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = text
        .lines()
        .find_map(|found| found.strip_prefix(line))
        .context("the status has this line")?;
    let kib: f64 = value.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
