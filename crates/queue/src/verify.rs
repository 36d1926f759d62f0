//! Reads every byte of a queue's folder and says what is unreadable; changes nothing.

use crate::config::Config;
use crate::damage::Damage;
use crate::disk::{Disk, DiskFile, Folder, RealDisk};
use crate::document::DocumentId;
use crate::error::{Error, ErrorKind};
use crate::frame::{self, SegmentKey};
use crate::index::{Index, Location, Now, Retention};
use crate::ledger::Ledger;
use crate::record::{self, Kind};
use crate::recovery;
use crate::segment;
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io;
use std::path::Path;

/// So many bytes are read without asking first whether the file has them: a document without large headers.
const LEN_TRUSTED: usize = 512 * 1024;

/// What a verification found.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The account of all documents, as a start would find it.
    pub ledger: Ledger,
    /// How many documents were read.
    pub documents: u64,
    /// How many bytes of them.
    pub bytes: u64,
    /// Whether the last run stopped cleanly.
    pub clean: bool,
    /// What could not be read.
    pub damage: Vec<Damage>,
}

/// Reads the queue in `folder` from one end to the other, every document and every large body. Blocks; takes no lock, so
/// nothing else may have the queue open.
///
/// # Errors
/// As [`Queue::open`](crate::Queue::open); damage is no error but part of the answer.
pub fn verify(folder: &Path, config: &Config) -> Result<Verification, Error> {
    if !folder.join(crate::format::FORMAT_FILE).exists() {
        let message = format!("there is no queue in `{}`", folder.display());
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    let disk = RealDisk::open(folder, config.io).map_err(|error| {
        Error::io(
            format!("cannot open the queue in `{}`", folder.display()),
            error,
        )
    })?;
    verify_disk(&disk, config)
}

pub(crate) fn verify_disk(disk: &dyn Disk, config: &Config) -> Result<Verification, Error> {
    let retention = Retention::of(config);
    let mut index = Index::new(retention, config.ageing);
    let now = Now {
        moment: config.clock.now(),
        wall: config.clock.wall(),
    };
    let loaded = recovery::load(disk, &mut index, now, false)?;
    let mut found = Verification {
        ledger: index.ledger(),
        documents: 0,
        bytes: 0,
        clean: loaded.report.clean,
        damage: loaded.report.damage,
    };
    for view in index.views() {
        found.documents += 1;
        let record = read_record(disk, &loaded.secret, view.id, view.location);
        let mut note = |file: String, what: String| {
            found.damage.push(Damage {
                file,
                start: u64::from(view.location.offset),
                end: 0,
                what,
                copied_to: None,
            });
        };
        match record {
            Ok((_, payload)) => found.bytes += payload.len() as u64,
            Err(error) => {
                note(
                    segment::file_name(u64::from(view.location.segment)),
                    format!("document {}: {error}", view.id),
                );
            }
        }
        if let Some(body) = view.body {
            match hash_body(disk, &body.hash) {
                Ok((hash, len)) if hash == body.hash && len == body.len => found.bytes += len,
                Ok(_) => note(
                    body_name(&body.hash),
                    format!("document {}: the body is not what was stored", view.id),
                ),
                Err(error) => note(
                    body_name(&body.hash),
                    format!("document {}: {error}", view.id),
                ),
            }
        }
    }
    Ok(found)
}

fn body_name(hash: &[u8; 32]) -> String {
    format!("bodies/{}", crate::bodies::hex(hash))
}

fn read_record(
    disk: &dyn Disk,
    secret: &[u8; 16],
    id: DocumentId,
    location: Location,
) -> io::Result<(Kind, Bytes)> {
    let segment = u64::from(location.segment);
    let file = disk.open(Folder::Root, &segment::file_name(segment))?;
    read_frame(&*file, &SegmentKey::new(secret, segment), id, location)
}

/// The record of a document at a location: its kind and its payload, held against its checksum and the document's id.
pub(crate) fn read_frame(
    file: &dyn DiskFile,
    key: &SegmentKey,
    id: DocumentId,
    location: Location,
) -> io::Result<(Kind, Bytes)> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let len = frame::FRAME_HEADER + location.len as usize;
    // What a false length asks for is not more than the file has.
    if LEN_TRUSTED < len && file.len()? < u64::from(location.offset) + len as u64 {
        return Err(invalid("the file ends before the record does"));
    }
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, u64::from(location.offset))?;
    bytes.truncate(read);
    let (kind, _) = frame_of(&bytes, key, id)?;
    Ok((kind, Bytes::from(bytes).slice(frame::FRAME_HEADER..)))
}

/// The record at the start of `bytes`, held against its checksum and the document's id.
pub(crate) fn frame_of<'a>(
    bytes: &'a [u8],
    key: &SegmentKey,
    id: DocumentId,
) -> io::Result<(Kind, &'a [u8])> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let frame = frame::parse(bytes, key).map_err(|_| invalid("the checksum does not match"))?;
    // A block in the wrong place brings whole records of others.
    let of = record::store_part(frame.kind, frame.payload).unwrap_or_default();
    if !of.starts_with(&id.to_bytes()) {
        return Err(invalid("the record of something else lies there"));
    }
    Ok((frame.kind, frame.payload))
}

fn hash_body(disk: &dyn Disk, hash: &[u8; 32]) -> io::Result<([u8; 32], u64)> {
    let file = disk.open(Folder::Bodies, &crate::bodies::hex(hash))?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 256 * 1024];
    let mut offset = 0;
    loop {
        let read = file.read_at(&mut piece, offset)?;
        if read == 0 {
            return Ok((hasher.finalize().into(), offset));
        }
        hasher.update(&piece[..read]);
        offset += read as u64;
    }
}
