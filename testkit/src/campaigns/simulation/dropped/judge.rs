//! Whether everything is where it has to be.

use super::life::Life;
use super::producer::{DROP, Dropped};
use super::shelf::REJECTED;
use crate::campaigns::simulation::world::Held;
use mainstay_pickup::After;
use std::collections::BTreeMap;

/// How often each content is there.
type Count<'a> = BTreeMap<&'a [u8], usize>;

/// Holds the queue and the folders against what was dropped.
pub(super) fn everything(life: &Life) -> Held {
    let (documents, missing) = life.shelf.documents()?;
    if !missing.is_empty() {
        return Err(format!(
            "confirmed, and not in the queue as it was: {missing:?}"
        ));
    }
    let listed = |folder: &str| {
        let listed = life.tree.contents(folder);
        listed.map_err(|error| format!("{folder}: {error}"))
    };
    let producer = life.producer();
    let quarantine: Vec<_> = [listed("data/quarantine")?, listed("share/quarantine")?].concat();
    let stored = count(documents.iter());
    documents_are_right(&stored, &producer.dropped)?;
    refused_are_kept(&quarantine, &producer.dropped, &stored)?;
    let archived = [listed("data/archive")?, listed("far/archive")?].concat();
    let moved = listed("data/moved")?;
    match life.config.after {
        After::Archive => originals_are_whole(&archived, &stored, life.is_archive_far())?,
        After::Move(_) => originals_are_whole(&moved, &stored, false)?,
        After::Delete | After::Keep => {}
    }
    let keeps = life.config.after == After::Keep;
    for (name, _) in listed(DROP)? {
        // A name of ours that is being written is swept by nobody where others drop files.
        if !keeps && !name.contains(".mainstay-tmp-") {
            return Err(format!("{name} is still in the drop folder"));
        }
    }
    for (name, _) in listed("data/work")? {
        let is_ours = ["NAME", "TARGETS", ".kept", ".intent"]
            .iter()
            .any(|end| name.ends_with(end));
        // The path of a file that was not taken, where its removal was refused: the next start removes it.
        let is_path = life.has_faults && name.ends_with('!');
        let is_leftover = name.contains(".mainstay-tmp-") || name.ends_with('^') || is_path;
        if !is_ours && !is_leftover {
            return Err(format!("{name} is still in the work folder"));
        }
    }
    Ok(())
}

fn count<'a>(contents: impl Iterator<Item = &'a Vec<u8>>) -> Count<'a> {
    let mut count = Count::new();
    for content in contents {
        *count.entry(content).or_default() += 1;
    }
    count
}

fn is_wanted(content: &[u8]) -> bool {
    content.first() != Some(&REJECTED)
}

/// Every file is one document, and no document is anything else.
fn documents_are_right(stored: &Count<'_>, dropped: &[Dropped]) -> Held {
    let has_to_be = |file: &&Dropped| !file.is_withdrawn && !file.is_rejected;
    let must = dropped.iter().filter(has_to_be);
    let must = count(must.map(|file| &file.content));
    let others = dropped.iter().filter(|file| !has_to_be(file));
    let may = others.map(|file| &file.content);
    let may = count(may.chain(dropped.iter().flat_map(|file| &file.may)));
    for (content, wanted) in &must {
        let found = stored.get(content).copied().unwrap_or(0);
        if found < *wanted {
            return Err(format!(
                "{} is LOST: {found} documents, not {wanted}",
                shown(content)
            ));
        }
    }
    for (content, found) in stored {
        let must = must.get(content).copied().unwrap_or(0);
        let may = may.get(content).copied().unwrap_or(0);
        if must + may < *found {
            let allowed = must + may;
            return Err(format!(
                "{} is {found} documents, not {allowed}",
                shown(content)
            ));
        }
    }
    Ok(())
}

/// What the intake rejects is in quarantine, explained, and no document.
fn refused_are_kept(
    quarantine: &[(String, Vec<u8>)],
    dropped: &[Dropped],
    stored: &Count<'_>,
) -> Held {
    let entries = quarantine
        .iter()
        .filter(|(name, _)| !name.ends_with(".reason.json") && !name.contains(".mainstay-tmp-"));
    let mut found = Count::new();
    for (name, content) in entries {
        let is_torn = |file: &Dropped| {
            let mut contents = file.may.iter().chain([&file.content]);
            file.is_rejected && contents.any(|other| other == content)
        };
        if is_wanted(content) && !dropped.iter().any(is_torn) {
            return Err(format!("{name} is in quarantine: {}", shown(content)));
        }
        let reason = format!("{name}.reason.json");
        let reason = quarantine.iter().find(|(name, _)| *name == reason);
        if !reason.is_some_and(|(_, text)| text.ends_with(b"}\n")) {
            return Err(format!("{name} is in quarantine without a reason"));
        }
        *found.entry(content).or_default() += 1;
    }
    let rejected = dropped.iter().filter(|file| file.is_rejected);
    for file in rejected.filter(|file| !file.is_withdrawn) {
        let mut contents = file.may.iter().chain([&file.content]);
        let is_there =
            |content: &Vec<u8>| found.contains_key(&**content) || stored.contains_key(&**content);
        if !contents.any(is_there) {
            return Err(format!(
                "{} is LOST, not in quarantine",
                shown(&file.content)
            ));
        }
    }
    Ok(())
}

/// Every document has its original, whole; across file systems a cut may leave two.
fn originals_are_whole(
    originals: &[(String, Vec<u8>)],
    stored: &Count<'_>,
    is_across: bool,
) -> Held {
    let originals = originals
        .iter()
        .filter(|(name, _)| !name.contains(".mainstay-tmp-"));
    let found = count(originals.map(|(_, content)| content));
    for (content, wanted) in stored {
        let there = found.get(content).copied().unwrap_or(0);
        if there < *wanted || (*wanted < there && !is_across) {
            return Err(format!("{there} originals of {wanted} {}", shown(content)));
        }
    }
    match found.keys().find(|content| !stored.contains_key(*content)) {
        Some(content) => Err(format!(
            "an original is {}, and no document",
            shown(content)
        )),
        None => Ok(()),
    }
}

/// The beginning of a content, and its length.
fn shown(content: &[u8]) -> String {
    let head = content.get(..8).unwrap_or(content);
    format!("`{}…` of {} bytes", head.escape_ascii(), content.len())
}
