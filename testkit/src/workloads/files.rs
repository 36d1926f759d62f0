//! Files that are replaced, made and moved, as the product does with its own.

use super::Place;
use super::content::{content, read};
use super::facts::{Facts, Versions};
use crate::tracer::unwatched;
use anyhow::Result;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

/// How often the file is replaced in a round.
const VERSIONS: u64 = 4;

pub(super) fn state(place: &Place) -> PathBuf {
    place.folder.join("files/state.json")
}

pub(super) fn prepare(place: &Place) -> Result<()> {
    fs::create_dir_all(place.folder.join("files/sub"))?;
    fs::create_dir_all(place.other.join("files"))?;
    if place.round == 0 {
        mainstay_files::replace(&state(place), &version(0))?;
    }
    Ok(())
}

/// Sometimes longer than the one before, sometimes shorter.
fn version(number: u64) -> Vec<u8> {
    let len = 100 + (number * 7_919) % 20_000;
    content("state", number, len as usize)
}

pub(super) fn run(place: &Place) {
    let path = state(place);
    for number in place.round * VERSIONS..(place.round + 1) * VERSIONS {
        let number = number + 1;
        tell(
            ("writing", "wrote"),
            &format!("{} {number}", path.display()),
            || mainstay_files::replace(&path, &version(number)),
        );
    }
    replace_together(place);
    let at = |name: &str| place.folder.join(format!("files/{name}-{}", place.round));
    let (near, far) = (at("near"), at("far"));
    for path in [&near, &far] {
        let bytes = content("made", place.round, 5_000);
        tell(
            ("writing", "wrote"),
            &format!("{} {}", path.display(), place.round),
            || mainstay_files::create_new(path, &bytes),
        );
    }
    let sub = at("sub/near");
    let other = place.other.join(format!("files/far-{}", place.round));
    move_to(&near, &sub);
    move_to(&far, &other);
}

/// Three at once, the first time they are made.
fn replace_together(place: &Place) {
    let paths = ["first", "second", "third"].map(|name| place.folder.join("files").join(name));
    let number = place.round + 1;
    let bytes = version(number);
    for path in &paths {
        println!("writing {} {number}", path.display());
    }
    let files = paths.each_ref().map(|path| (&**path, &*bytes));
    match mainstay_files::replace_all(&files) {
        Ok(()) => {
            for path in &paths {
                println!("wrote {} {number}", path.display());
            }
        }
        Err(error) => println!("refused three at once {number}: {error}"),
    }
}

fn move_to(from: &Path, to: &Path) {
    if !from.exists() {
        return;
    }
    let folders = [from.parent(), to.parent()];
    tell(
        ("moving", "moved"),
        &format!("{} {}", from.display(), to.display()),
        || {
            mainstay_files::move_file(from, to)?;
            // A move on one file system syncs nothing; whoever wants to be sure does.
            for folder in folders.into_iter().flatten() {
                mainstay_files::sync_dir(folder)?;
            }
            Ok::<(), mainstay_files::Error>(())
        },
    );
}

/// Tells that something is begun, does it, and tells what it came to.
pub(super) fn tell<E: Display>(
    words: (&str, &str),
    what: &str,
    work: impl FnOnce() -> Result<(), E>,
) {
    println!("{} {what}", words.0);
    match work() {
        Ok(()) => println!("{} {what}", words.1),
        Err(error) => println!("refused {what}: {error}"),
    }
}

pub(super) fn check(place: &Place, facts: &Facts) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let folder = place.folder.join("files");
    let folders = [folder.join("sub"), folder, place.other.join("files")];
    for folder in &folders {
        mainstay_files::sweep(folder)?;
    }
    unwatched(|| judge(place, facts, &folders, &mut wrong))?;
    Ok(wrong)
}

fn judge(place: &Place, facts: &Facts, folders: &[PathBuf], wrong: &mut Vec<String>) -> Result<()> {
    for folder in folders {
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            if name.to_string_lossy().contains("mainstay-tmp") {
                wrong.push(format!("{} was not swept away", name.display()));
            }
        }
    }
    for (path, versions) in &facts.files {
        let moved = facts.moves.get(path);
        wrong.extend(file_differs(Path::new(path), *versions, moved));
    }
    if !facts
        .files
        .contains_key(&state(place).display().to_string())
        && number_of(&state(place)) != Some(0)
    {
        wrong.push("the file that nobody replaced is not what it was".to_owned());
    }
    Ok(())
}

/// The number of the whole content of a file.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    read(&fs::read(path).ok()?).map(|(_, number)| number)
}

pub(super) fn file_differs(
    path: &Path,
    versions: Versions,
    moved: Option<&(String, bool)>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_state = path.ends_with("state.json");
    let newest = versions.begun.unwrap_or(0);
    // The file that is replaced was there before; a new one was not.
    let oldest = versions.confirmed.or(is_state.then_some(0));
    let mut places = vec![path];
    if let Some((to, is_confirmed)) = moved {
        if *is_confirmed {
            places.clear();
        }
        places.push(Path::new(to));
    }
    let mut is_there = false;
    for place in places {
        match number_of(place) {
            Some(number) if number <= newest && oldest.is_none_or(|oldest| oldest <= number) => {
                is_there = true;
            }
            None if !place.exists() => {}
            other => wrong.push(format!(
                "{} holds {other:?}, and may hold {oldest:?} to {newest}",
                place.display()
            )),
        }
    }
    if !is_there && oldest.is_some() {
        wrong.push(format!("{} is nowhere ({versions:?})", path.display()));
    }
    wrong
}
