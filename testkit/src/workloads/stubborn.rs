//! What we must never be, either: where a sync fails it syncs again, and believes the answer.
//!
//! Campaigns leave it out. It shows that a disk which fails and heals loses what was confirmed so.

use super::content::content;
use super::{Place, files};
use anyhow::Result;
use std::fs::File;
use std::os::unix::fs::FileExt;

pub(super) fn run(place: &Place) -> Result<()> {
    let path = files::state(place);
    let file = File::options().write(true).open(&path)?;
    for number in 1..=3 {
        println!("writing {} {number}", path.display());
        // In place, and of one length: nothing but the bytes has to reach the disk.
        file.write_all_at(&content("state", number, LEN), 0)?;
        if file.sync_all().is_ok() || file.sync_all().is_ok() {
            println!("wrote {} {number}", path.display());
        }
    }
    Ok(())
}

const LEN: usize = 8_000;

pub(super) fn prepare(place: &Place) -> Result<()> {
    files::prepare(place)?;
    mainstay_files::replace(&files::state(place), &content("state", 0, LEN))?;
    Ok(())
}
