//! Files whose earlier versions are kept, that change together, and that are deleted and come back.

use super::Place;
use super::content::{content, read};
use super::facts::{Deletion, Facts};
use super::files::{file_differs, number_of, tell};
use crate::tracer::unwatched;
use anyhow::Result;
use mainstay_files::{Backup, Backups, Retention, Transactions, Trash};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// How often the file is replaced in a round.
const VERSIONS: u64 = 3;

/// The files that change together.
const TOGETHER: [&str; 3] = ["one", "two", "three"];

fn at(place: &Place, name: &str) -> PathBuf {
    place.folder.join("kept").join(name)
}

fn together(place: &Place) -> [PathBuf; 3] {
    TOGETHER.map(|name| at(place, name))
}

/// All versions are kept, to be held against what was told.
fn backups(place: &Place) -> Result<Backups, mainstay_files::Error> {
    let all = Retention {
        keep: NonZeroUsize::MAX,
        ..Retention::default()
    };
    Ok(Backups::open(&at(place, "backups"))?.retaining(all))
}

fn version(number: u64) -> Vec<u8> {
    content("kept", number, 200 + (number as usize * 3_001) % 9_000)
}

pub(super) fn prepare(place: &Place) -> Result<()> {
    fs::create_dir_all(place.folder.join("kept"))?;
    if place.round == 0 {
        mainstay_files::replace(&at(place, "state.json"), &version(0))?;
        for path in together(place) {
            mainstay_files::replace(&path, &version(0))?;
        }
    }
    Ok(())
}

pub(super) fn run(place: &Place) {
    replace_and_restore(place);
    change_together(place);
    delete_and_undo(place);
}

fn replace_and_restore(place: &Place) {
    let path = at(place, "state.json");
    let Ok(backups) = backups(place) else {
        return;
    };
    for number in place.round * VERSIONS..(place.round + 1) * VERSIONS {
        let (before, number) = (number_of(&path), number + 1);
        tell(
            ("writing", "wrote"),
            &format!("{} {number}", path.display()),
            || backups.replace(&path, &version(number)).map(drop),
        );
        // Whatever was there is in the backups if the new one is in its place.
        if let (Some(before), Some(now)) = (before, number_of(&path))
            && now == number
        {
            println!("kept {} {before}", path.display());
        }
    }
    let restored = at(place, &format!("restored-{}", place.round));
    let Ok(listed) = backups.list(&path) else {
        return;
    };
    let Some((oldest, number)) = listed
        .backups
        .last()
        .and_then(|backup| Some((backup, number_in(&backups, backup)?)))
    else {
        return;
    };
    tell(
        ("writing", "wrote"),
        &format!("{} {number}", restored.display()),
        || backups.restore(oldest, &restored).map(drop),
    );
}

fn change_together(place: &Place) {
    let paths = together(place);
    let number = place.round + 1;
    for path in &paths {
        println!("writing {} {number}", path.display());
    }
    let committed = Transactions::open(&at(place, "transactions")).and_then(|transactions| {
        let mut all = transactions.begin()?;
        for path in &paths {
            all.replace(path, &version(number))?;
        }
        all.commit()
    });
    match committed {
        Ok(()) => {
            for path in &paths {
                println!("wrote {} {number}", path.display());
            }
        }
        Err(error) => println!("refused the transaction {number}: {error}"),
    }
}

fn delete_and_undo(place: &Place) {
    let Ok(trash) = Trash::open(&at(place, "trash")) else {
        return;
    };
    for is_undone in [false, true] {
        let path = at(place, &format!("deleted-{}-{is_undone}", place.round));
        let number = place.round + 1;
        tell(
            ("writing", "wrote"),
            &format!("{} {number}", path.display()),
            || mainstay_files::create_new(&path, &version(number)),
        );
        if !path.exists() {
            continue;
        }
        let mut deleted = None;
        let what = path.display().to_string();
        tell(("deleting", "deleted"), &what, || {
            deleted = Some(trash.put(&path)?);
            Ok::<(), mainstay_files::Error>(())
        });
        if let Some(deleted) = deleted.filter(|_| is_undone) {
            tell(("undoing", "undone"), &what, || {
                trash.restore(&deleted, &path)
            });
        }
    }
}

pub(super) fn check(place: &Place, facts: &Facts) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let folder = place.folder.join("kept");
    mainstay_files::sweep(&folder)?;
    let (path, transactions) = (at(place, "state.json"), at(place, "transactions"));
    let backups = backups(place)?;
    backups.sweep()?;
    Transactions::open(&transactions)?;
    let trash = Trash::open(&at(place, "trash"))?;
    trash.sweep()?;
    wrong.extend(unwatched(|| leftovers(&folder))?);
    if unwatched(|| fs::read_dir(&transactions))?.count() > 2 {
        wrong.push("a transaction left something behind".to_owned());
    }
    let listed = backups.list(&path)?;
    if !listed.unreadable.is_empty() {
        wrong.push(format!("{:?} cannot be understood", listed.unreadable));
    }
    let kept: Vec<Option<u64>> = listed
        .backups
        .iter()
        .map(|backup| number_in(&backups, backup))
        .collect();
    for (path, number) in &facts.kept {
        if !kept.contains(&Some(*number)) {
            wrong.push(format!(
                "version {number} of {path} was kept, and there are {kept:?}"
            ));
        }
    }
    if kept.contains(&None) {
        wrong.push("a backup is not whole".to_owned());
    }
    let numbers = unwatched(|| together(place).map(|path| number_of(&path)));
    if numbers[0].is_none() || numbers.iter().any(|number| *number != numbers[0]) {
        wrong.push(format!("what changes together is {numbers:?}"));
    }
    for (path, versions) in &facts.files {
        match facts.deletions.get(path) {
            Some(deletion) => {
                let was_confirmed = versions.confirmed.is_some();
                let path = Path::new(path);
                wrong.extend(deleted_differs(&trash, path, *deletion, was_confirmed)?);
            }
            None => wrong.extend(unwatched(|| file_differs(Path::new(path), *versions, None))),
        }
    }
    Ok(wrong)
}

/// Files of ours that should have been swept away.
fn leftovers(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(leftovers(&entry.path())?);
        } else if entry
            .file_name()
            .to_string_lossy()
            .contains(".mainstay-tmp-")
        {
            found.push(format!("{} was not swept away", entry.path().display()));
        }
    }
    Ok(found)
}

/// The number of the whole content of a backup.
fn number_in(backups: &Backups, backup: &Backup) -> Option<u64> {
    let mut bytes = Vec::new();
    backups.read(backup, &mut bytes).ok()?;
    read(&bytes).map(|(_, number)| number)
}

/// A file that was deleted is in one of two places, and where it was said to be. One that was never confirmed may be in none,
/// until the trash confirms that it has it.
fn deleted_differs(
    trash: &Trash,
    path: &Path,
    deletion: Deletion,
    was_confirmed: bool,
) -> Result<Vec<String>> {
    let (is_there, is_gone) = unwatched(|| (number_of(path).is_some(), !path.exists()));
    let folder = unwatched(|| fs::canonicalize(path.parent().unwrap_or(path)))?;
    let whole = folder.join(path.file_name().unwrap_or_default());
    let is_in_trash = trash.list()?.iter().any(|deleted| deleted.path == whole);
    let may_be = match deletion {
        Deletion::Deleting => is_there || is_in_trash || !was_confirmed,
        Deletion::Undoing => is_there || is_in_trash,
        Deletion::Deleted => is_gone && is_in_trash,
        Deletion::Undone => is_there && !is_in_trash,
    };
    Ok(if may_be {
        Vec::new()
    } else {
        vec![format!(
            "{} is {deletion:?}; whole at its place: {is_there}, in the trash: {is_in_trash}",
            path.display()
        )]
    })
}
