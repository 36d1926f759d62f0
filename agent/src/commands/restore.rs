//! Putting an earlier version or a deleted file where something else is by now.

use super::backup::{failed, shown, undo};
use super::history::COMPARED_MAX;
use crate::asking::{self, Offer, Prompt};
use crate::cli::OnConflict;
use crate::exit::{Exit, Failure};
use crate::terminal;
use mainstay_files::{
    Backup, Backups, Conflict, ConflictKind, Error, Merged, Resolution, Resolver, Stamp, beside,
};
use std::path::Path;

/// A content that is kept, and can be put somewhere.
pub(super) trait Version {
    /// What it is: "deleted as 2026…".
    fn label(&self) -> String;

    /// How long it is, in bytes.
    fn len(&self) -> u64;

    fn read(&self, out: &mut Vec<u8>) -> Result<(), Error>;

    /// Puts it where nothing is.
    fn put_new(&self, to: &Path) -> Result<(), Error>;

    /// Puts it in the place of what is there, and keeps that; answers the command that undoes it.
    fn put_over(&self, to: &Path) -> Result<Option<String>, Error>;

    /// What both it and what is there were changed from, as far as is known, and where that is kept.
    fn base(&self) -> Option<(&Backups, &Backup)>;

    /// What is said when it is there.
    fn done(&self, at: &Path) -> String;

    /// What decides it where nobody can be asked.
    fn flags(&self) -> &'static str;
}

/// Both contents, where they are short enough to be compared.
struct Compared {
    stamp: Stamp,
    now: Vec<u8>,
    then: Vec<u8>,
}

/// Both changes of one text, put together.
struct Together<'v> {
    content: Vec<u8>,
    backups: &'v Backups,
    /// What was there when they were put together.
    since: Stamp,
}

/// Puts it at `to`, where something is in the way, as the flag or a person decides.
///
/// # Errors
/// Nobody can be asked; the person cancels; a file cannot be read or written.
pub(super) fn settle(
    version: &dyn Version,
    conflict: &Conflict,
    rule: Option<OnConflict>,
) -> Result<Exit, Failure> {
    if let Some(rule) = rule {
        return carry_out(version, &conflict.path, &rule.into());
    }
    let what = match conflict.kind {
        ConflictKind::Exists => "something is there already",
        _ => "it has a content that no backup has",
    };
    asking::refuse_unasked(conflict, what, version.flags())?;
    let compared = compared(version, conflict);
    let together = compared.as_ref().and_then(|both| together(version, both));
    let offer = Offer {
        what,
        new: version.label(),
        difference: compared
            .as_ref()
            .map(|both| mainstay_files::diff(("now", &both.now), ("then", &both.then))),
        merge: together.is_some(),
    };
    match (Prompt::on_terminal(offer).resolve(conflict), together) {
        (Resolution::Merge, Some(together)) => together.put(&conflict.path),
        (resolution, _) => carry_out(version, &conflict.path, &resolution),
    }
}

fn compared(version: &dyn Version, conflict: &Conflict) -> Option<Compared> {
    let present = conflict.present?;
    if present.len.max(version.len()) > COMPARED_MAX {
        return None;
    }
    let (stamp, now) = Stamp::and_content(&conflict.path).ok()?;
    let mut then = Vec::new();
    version.read(&mut then).ok()?;
    Some(Compared { stamp, now, then })
}

/// Both changes, where they do not touch each other and make something that is neither.
fn together<'v>(version: &'v dyn Version, both: &Compared) -> Option<Together<'v>> {
    let (backups, base) = version
        .base()
        .filter(|(_, base)| base.len <= COMPARED_MAX)?;
    let mut began = Vec::new();
    backups.read(base, &mut began).ok()?;
    match mainstay_files::merge(&began, &both.then, &both.now) {
        Merged::Clean(content) if content != both.now && content != both.then => Some(Together {
            content,
            backups,
            since: both.stamp,
        }),
        _ => None,
    }
}

fn carry_out(version: &dyn Version, to: &Path, resolution: &Resolution) -> Result<Exit, Failure> {
    let failed = failed(Exit::NoOutput);
    match resolution {
        Resolution::Skip => terminal::say(&format!("{} is left as it is", shown(to))),
        Resolution::Rename => {
            let at = beside(to, |at| version.put_new(at)).map_err(failed)?;
            terminal::say(&version.done(&at));
        }
        Resolution::Overwrite => put_over(version, to)?,
        Resolution::KeepBoth => {
            let kept = beside(to, |at| mainstay_files::copy_new(to, at)).map_err(failed)?;
            terminal::say(&format!("what was there is at {}, too", shown(&kept)));
            put_over(version, to)?;
        }
        _ => return Err(Failure::new(Exit::NothingChanged, "nothing was changed")),
    }
    Ok(Exit::Done)
}

/// Puts it at `to`, and says how to undo that.
pub(super) fn put_over(version: &dyn Version, to: &Path) -> Result<(), Failure> {
    let undo = version.put_over(to).map_err(failed(Exit::NoOutput))?;
    terminal::say(&version.done(to));
    say_undo(undo.as_deref());
    Ok(())
}

impl Together<'_> {
    fn put(&self, to: &Path) -> Result<Exit, Failure> {
        let failed = failed(Exit::NoOutput);
        if !self.since.is_still_at(to).map_err(&failed)? {
            let message = format!("{} was changed meanwhile, and not touched", shown(to));
            return Err(Failure::new(Exit::NothingChanged, message).help("try it again"));
        }
        let before = self.backups.replace(to, &self.content).map_err(&failed)?;
        terminal::say(&format!("{} has both changes", shown(to)));
        say_undo(before.map(|before| undo(to, &before)).as_deref());
        Ok(Exit::Done)
    }
}

fn say_undo(command: Option<&str>) {
    if let Some(command) = command {
        terminal::say(&format!("to undo it: {command}"));
    }
}
