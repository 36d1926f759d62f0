//! FORMAT: which version wrote the queue, and the secret that its checksums start from.

use crate::damage::Damage;
use crate::disk::{Disk, Folder};
use crate::error::{Error, ErrorKind};
use crate::group::GROUP_HEADER;
use crate::lanes::{self, Names};
use crate::recovery::Recovery;
use crate::segment::{self, BadHead, FIRST_GROUP, FORMAT_VERSION, SegmentHead};
use std::collections::BTreeMap;
use std::io;

pub(crate) const FORMAT_FILE: &str = "FORMAT";

/// Reads FORMAT, or gets what it says from the segments. `None` for a folder that holds no queue yet.
pub(crate) fn read_format(
    disk: &dyn Disk,
    segments: &BTreeMap<u64, u64>,
    report: &mut Recovery,
) -> Result<Option<[u8; 16]>, Error> {
    let text = match disk.open(Folder::Root, FORMAT_FILE) {
        Ok(file) => {
            let mut bytes = vec![0; 256];
            let read = file
                .read_at(&mut bytes, 0)
                .map_err(|error| Error::io("cannot read FORMAT of the queue", error))?;
            bytes.truncate(read);
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::io("cannot open FORMAT of the queue", error)),
    };
    if let Some((version, secret)) = text.as_deref().and_then(parse_format) {
        if version > FORMAT_VERSION {
            return Err(newer(version));
        }
        let Some(own) = secret_instead(disk, segments, &secret)? else {
            return Ok(Some(secret));
        };
        note(report, "that of another queue; made again from a segment");
        return Ok(Some(own));
    }
    for id in segments.keys().rev() {
        if let Some(secret) = secret_of(disk, *id)? {
            note(report, "missing or unreadable; made again from a segment");
            return Ok(Some(secret));
        }
    }
    if text.is_some() && !segments.is_empty() {
        return Err(Error::new(
            ErrorKind::Damaged,
            "FORMAT of the queue and the heads of all its segments are unreadable; move the folder aside and keep it: the documents may still be recovered from it",
        ));
    }
    Ok(None)
}

fn note(report: &mut Recovery, what: &str) {
    report.damage.push(Damage {
        file: FORMAT_FILE.to_owned(),
        start: 0,
        end: 0,
        what: what.to_owned(),
        copied_to: None,
    });
}

/// The secret that the segments say, where none of them and no lane knows that of FORMAT: believed, it would make all of them
/// another queue's, and they would be used again with their documents in them.
fn secret_instead(
    disk: &dyn Disk,
    segments: &BTreeMap<u64, u64>,
    secret: &[u8; 16],
) -> Result<Option<[u8; 16]>, Error> {
    let mut other = None;
    for id in segments.keys().rev() {
        match secret_of(disk, *id)? {
            Some(own) if own == *secret => return Ok(None),
            Some(own) => other = other.or(Some(own)),
            None => {}
        }
    }
    if other.is_none() {
        return Ok(None);
    }
    let names = lanes::read(disk, secret)
        .map_err(|error| Error::io("cannot read the names of the queue's lanes", error))?;
    // Then it is the segments that lie in the wrong folder.
    let is_known = matches!(names, Names::Known(_));
    Ok(other.filter(|_| !is_known))
}

pub(crate) fn newer(version: u32) -> Error {
    Error::new(
        ErrorKind::NewerFormat,
        format!(
            "the queue has format {version} and this version knows {FORMAT_VERSION}; nothing was touched: use the newer version, or let it export the documents"
        ),
    )
}

/// What FORMAT says: `mainstay-queue VERSION SECRET CHECKSUM`.
fn format_text(secret: &[u8; 16]) -> String {
    let secret = crate::document::ClaimId::from_bytes(*secret);
    let text = format!("mainstay-queue {FORMAT_VERSION} {secret}");
    let checksum = crc32c::crc32c(text.as_bytes());
    format!("{text} {checksum:08x}\n")
}

/// The version and the secret. With a wrong secret all segments would be taken for another queue's, and used again.
pub(crate) fn parse_format(text: &str) -> Option<(u32, [u8; 16])> {
    let mut words = text.split_whitespace();
    let (name, version, secret) = (words.next()?, words.next()?, words.next()?);
    let said = format!("{name} {version} {secret}");
    let checksum = u32::from_str_radix(words.next()?, 16).ok()?;
    if checksum != crc32c::crc32c(said.as_bytes()) {
        return None;
    }
    if name != "mainstay-queue" {
        return None;
    }
    let secret: crate::document::ClaimId = secret.parse().ok()?;
    Some((version.parse().ok()?, secret.to_bytes()))
}

fn secret_of(disk: &dyn Disk, id: u64) -> Result<Option<[u8; 16]>, Error> {
    let block = read_block(disk, id)?;
    match SegmentHead::parse(&block, id) {
        Ok(head) => Ok(Some(head.secret)),
        Err(BadHead::Newer(version)) => Err(newer(version)),
        Err(BadHead::NotThisSegment) => Ok(None),
    }
}

pub(crate) fn read_block(disk: &dyn Disk, id: u64) -> Result<Vec<u8>, Error> {
    let cannot = |error| Error::io(format!("cannot read `{}`", segment::file_name(id)), error);
    let file = disk
        .open(Folder::Root, &segment::file_name(id))
        .map_err(cannot)?;
    let mut block = vec![0; FIRST_GROUP as usize + GROUP_HEADER];
    let read = file.read_at(&mut block, 0).map_err(cannot)?;
    block.truncate(read);
    Ok(block)
}

/// Writes FORMAT, whole; its bytes are durable when it has its name.
///
/// The name itself is on the disk with that of the first segment, which nothing is stored before; and where segments are there
/// already, each of them says the same.
pub(crate) fn write(disk: &dyn Disk, secret: &[u8; 16]) -> io::Result<()> {
    const NEW: &str = "FORMAT.new";
    match disk.remove(Folder::Root, NEW) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(Folder::Root, NEW)?;
    file.write_at(format_text(secret).as_bytes(), 0)?;
    file.sync()?;
    disk.rename(Folder::Root, NEW, FORMAT_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_of_format_makes_another_secret_or_version() {
        let text = format_text(&[7; 16]);
        assert_eq!(parse_format(&text), Some((FORMAT_VERSION, [7; 16])));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = parse_format(&String::from_utf8_lossy(&bytes));
            let is_right = found.is_none_or(|found| found == (FORMAT_VERSION, [7; 16]));
            assert!(is_right, "bit {bit}: {found:?}");
        }
    }
}
