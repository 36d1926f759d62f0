//! What we must never be: it replaces a file without syncing the folder, and says that it is done.
//!
//! Campaigns leave it out. It is there to show that a cut finds such a thing, and that an error reaches the child.

use super::content::content;
use super::{Place, files};
use std::fs::{self, File};
use std::io::{self, Write};

pub(super) fn run(place: &Place) {
    let path = files::state(place);
    for number in 1..=3 {
        let replaced = || -> io::Result<()> {
            let draft = path.with_extension("draft");
            let mut file = File::create(&draft)?;
            file.write_all(&content("state", number, 1_000))?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        println!("writing {} {number}", path.display());
        match replaced() {
            Ok(()) => println!("wrote {} {number}", path.display()),
            Err(error) => println!("refused {error}"),
        }
    }
}
