//! Measures others at the work of `mainstay-bench`: `list`, `one NAME SHAPE FOLDER`, `writes FOLDER LEN WRITES FILES`,
//! `calls NUMBER`, or `asking URL AT_ONCE REQUESTS FOLDER`.

mod asking;
mod calls;
mod fjall_log;
mod okay_wal;
mod raft_log;
mod writes;

use anyhow::{Result, bail};
use mainstay_bench::{Engine, drive};
use std::path::Path;

const NAMES: [&str; 3] = ["fjall (SyncData)", "okaywal", "raft-engine"];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => {
            for name in NAMES {
                println!("{name}");
            }
        }
        ["one", name, shape, folder] => {
            let measured = drive(open(name, Path::new(folder))?, shape.parse()?)?;
            println!("{}", serde_json::to_string(&measured)?);
        }
        ["writes", ref rest @ ..] => writes::run(rest)?,
        ["calls", ref rest @ ..] => calls::run(rest)?,
        ["asking", ref rest @ ..] => asking::run(rest)?,
        _ => bail!(
            "list, one NAME SHAPE FOLDER, writes FOLDER LEN WRITES FILES, calls NUMBER, or asking URL AT_ONCE REQUESTS FOLDER"
        ),
    }
    Ok(())
}

fn open(name: &str, folder: &Path) -> Result<Box<dyn Engine>> {
    Ok(match name {
        "fjall (SyncData)" => Box::new(fjall_log::Fjall::open(folder)?),
        "okaywal" => Box::new(okay_wal::Okay::open(folder)?),
        "raft-engine" => Box::new(raft_log::Raft::open(folder)?),
        other => bail!("there is no candidate `{other}`"),
    })
}
