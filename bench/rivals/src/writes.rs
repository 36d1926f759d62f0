//! `writes FOLDER LEN WRITES FILES`: replaces files as `atomic-write-file` does, and prints how many seconds that took.

use anyhow::{Context, Result};
use atomic_write_file::AtomicWriteFile;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

pub fn run(words: &[&str]) -> Result<()> {
    let [folder, len, writes, files] = words else {
        anyhow::bail!("writes FOLDER LEN WRITES FILES");
    };
    let (len, writes, files): (usize, usize, usize) = (
        len.parse().context("LEN")?,
        writes.parse().context("WRITES")?,
        files.parse().context("FILES")?,
    );
    let bytes = vec![b'x'; len];
    let begun = Instant::now();
    for number in 0..writes {
        let path = Path::new(folder).join((number % files).to_string());
        let mut file = AtomicWriteFile::open(path)?;
        file.write_all(&bytes)?;
        file.commit()?;
    }
    println!("{}", begun.elapsed().as_secs_f64());
    Ok(())
}
