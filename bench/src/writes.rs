//! Files that are replaced as a whole: each durable, in the ways that a program may choose.

use crate::image::Image;
use crate::options::Options;
use crate::report::{median, range};
use anyhow::{Context, Result};
use mainstay_files::{Algorithm, Durability, WriteOptions};
use sha2::Digest as _;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Replacements of one run: a tenth of a second where a flush is quick.
const WRITES: usize = 640;

/// So many files are replaced together.
const TOGETHER: usize = 64;

const LENGTHS: [usize; 2] = [1024, 64 * 1024];

/// What is hashed, in bytes: longer than any cache.
const HASHED: usize = 256 * 1024 * 1024;

const RAW: &str = "raw: temporary file, sync, rename, sync of the folder";

/// A way to replace a file, as often as there are numbers; the files are `0` to `63` of the folder.
type Way = fn(&Path, &[u8]) -> Result<()>;

const WAYS: [(&str, Way); 5] = [
    (RAW, raw),
    ("mainstay_files::replace", |folder, bytes| {
        each(folder, |path| Ok(mainstay_files::replace(path, bytes)?))
    }),
    (
        "mainstay_files::replace_all, 64 together",
        |folder, bytes| {
            let paths: Vec<PathBuf> = (0..TOGETHER)
                .map(|name| folder.join(name.to_string()))
                .collect();
            let files: Vec<(&Path, &[u8])> = paths.iter().map(|path| (&**path, bytes)).collect();
            for _ in 0..WRITES / TOGETHER {
                mainstay_files::replace_all(&files)?;
            }
            Ok(())
        },
    ),
    (
        "tempfile, sync and persist (the folder is not synced)",
        |folder, bytes| {
            each(folder, |path| {
                let mut file = tempfile::NamedTempFile::new_in(folder)?;
                file.write_all(bytes)?;
                file.as_file().sync_all()?;
                file.persist(path)?;
                Ok(())
            })
        },
    ),
    (
        "mainstay_files, atomic only (nothing is synced)",
        |folder, bytes| {
            let atomic = WriteOptions::new().durability(Durability::Atomic);
            each(folder, |path| Ok(atomic.write(path, bytes)?))
        },
    ),
];

const RIVAL: &str = "atomic-write-file";

fn each(folder: &Path, mut replace: impl FnMut(&Path) -> Result<()>) -> Result<()> {
    for number in 0..WRITES {
        replace(&folder.join((number % TOGETHER).to_string()))?;
    }
    Ok(())
}

fn raw(folder: &Path, bytes: &[u8]) -> Result<()> {
    let dir = File::open(folder)?;
    let temporary = folder.join("temporary");
    each(folder, |path| {
        let mut file = File::create_new(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        dir.sync_all()?;
        Ok(())
    })
}

pub(crate) fn measure(options: &Options) -> Result<String> {
    let mut text = String::new();
    if options.wants_disk("plain") {
        writeln!(text, "\n## Files that are replaced, on the disk as it is")?;
        text += &rounds(options, &options.folder)?;
    }
    if options.wants_disk("journaled") {
        let scratch = tempfile::Builder::new()
            .prefix("mainstay-bench-")
            .tempdir_in(&options.folder)?;
        writeln!(text, "\n## The same on a journaled ext4 image")?;
        match Image::mount(scratch.path()) {
            Ok(image) => text += &rounds(options, image.path())?,
            Err(error) => writeln!(text, "\nNot measured: {error:#}.")?,
        }
    }
    text += &hashing(options)?;
    Ok(text)
}

fn rounds(options: &Options, on: &Path) -> Result<String> {
    let mut text = String::new();
    for len in LENGTHS {
        let bytes = vec![b'x'; len];
        let mut rates: Vec<(&str, Vec<f64>)> =
            WAYS.iter().map(|(name, _)| (*name, Vec::new())).collect();
        if options.rivals.is_some() {
            rates.push((RIVAL, Vec::new()));
        }
        for round in 1..=options.rounds {
            for (name, rates) in &mut rates {
                let scratch = tempfile::Builder::new()
                    .prefix("mainstay-bench-")
                    .tempdir_in(on)?;
                // All are there already: it is replacing that is measured.
                each(scratch.path(), |path| Ok(fs::write(path, b"old")?))?;
                let seconds = match WAYS.iter().find(|(known, _)| known == name) {
                    Some((_, way)) => {
                        let begun = Instant::now();
                        way(scratch.path(), &bytes)?;
                        begun.elapsed().as_secs_f64()
                    }
                    None => rival(options, scratch.path(), len)?,
                };
                rates.push(WRITES as f64 / seconds);
            }
            println!("writes of {len} bytes: round {round} of {}", options.rounds);
        }
        writeln!(
            text,
            "\n{} KiB each\n\n| | files/s | range | of raw |\n|---|---:|---:|---:|",
            len / 1024
        )?;
        let control = rates
            .first()
            .map(|(_, rates)| rates.clone())
            .unwrap_or_default();
        for (name, rates) in &rates {
            let of_raw = rates.iter().zip(&control).map(|(rate, raw)| rate / raw);
            let (least, most) = range(rates);
            writeln!(
                text,
                "| {name} | {:.0} | {least:.0}–{most:.0} | {:.2} |",
                median(rates.clone()),
                median(of_raw.collect()),
            )?;
        }
    }
    Ok(text)
}

/// How many seconds the other one takes, by its own clock.
fn rival(options: &Options, folder: &Path, len: usize) -> Result<f64> {
    let program = options.rivals.as_ref().context("there are no rivals")?;
    let output = Command::new(program)
        .arg("writes")
        .arg(folder)
        .args([len, WRITES, TOGETHER].map(|number| number.to_string()))
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim()
        .parse()
        .with_context(|| format!("{RIVAL}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The checksum of a file beside the library's own speed on the same bytes in memory.
fn hashing(options: &Options) -> Result<String> {
    let scratch = tempfile::Builder::new()
        .prefix("mainstay-bench-")
        .tempdir_in(&options.folder)?;
    let path = scratch.path().join("large");
    let bytes = vec![b'x'; HASHED];
    fs::write(&path, &bytes)?;
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let begun = Instant::now();
        std::hint::black_box(sha2::Sha256::digest(&bytes));
        let own = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        std::hint::black_box(mainstay_files::checksum(&path, Algorithm::Sha256)?);
        let ours = begun.elapsed().as_secs_f64();
        rates.push(HASHED as f64 / 1e6 / ours);
        ratios.push(own / ours);
    }
    Ok(format!(
        "\n## SHA-256 of a file of 256 MiB in memory\n\n{:.0} MB/s, {:.2} of the library's own speed on the same bytes.\n",
        median(rates),
        median(ratios)
    ))
}
