//! A settings file that survives: checked before it is written, backed up before it is overwritten, and read from its newest good
//! backup when the disk lost it.
//!
//! `cargo run -p mainstay-files --features formats --example settings`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example tells what it does, and plays the disk that loses things"
)]

use mainstay_files::{Backups, Format, Origin, WriteOptions};
use std::error::Error;
use std::path::Path;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("settings.json");

    // Once, at start. Nothing is written before it is JSON; earlier versions are kept, five of them.
    let backups = Backups::open(&folder.path().join("backups"))?
        .writing(WriteOptions::new().checking(Format::Json))
        .made_by("the example");
    backups.sweep()?;

    // Save. When this returns, a power cut changes nothing any more.
    backups.replace(&path, br#"{"volume": 3}"#)?;
    backups.replace(&path, br#"{"volume": 9}"#)?;
    show("saved twice", &backups, &path)?;

    // What makes no sense never comes near the disk.
    let refused = backups.replace(&path, br#"{"volume": "#);
    println!("{}", refused.expect_err("it is no JSON"));

    // Undo: the newest backup takes the place, and what was there becomes one.
    let newest = backups.list(&path)?.backups.remove(0);
    backups.restore(&newest, &path)?;
    show("undone", &backups, &path)?;

    // The disk loses it; the next start reads the newest good backup, says so, and puts it back.
    std::fs::write(&path, "\0\0\0\0")?;
    show("lost", &backups, &path)?;
    if let Origin::Backup { backup, .. } = backups.load(&path, &Format::Json)?.origin {
        backups.restore(&backup, &path)?;
    }
    show("back", &backups, &path)
}

fn show(what: &str, backups: &Backups, path: &Path) -> Result<(), Box<dyn Error>> {
    let loaded = backups.load(path, &Format::Json)?;
    let content = String::from_utf8(loaded.bytes)?;
    match loaded.origin {
        Origin::Backup { backup, reason } => {
            println!("{what}: {content} from {}, because {reason}", backup.id);
        }
        _ => println!("{what}: {content}"),
    }
    Ok(())
}
