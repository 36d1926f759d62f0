//! Reads documents back, each held against its checksum.

use super::{LogStore, lock};
use crate::damage::{Damage, copy_aside};
use crate::disk::{DiskFile, Folder};
use crate::document::DocumentId;
use crate::error::{Error, ErrorKind};
use crate::format::FORMAT_FILE;
use crate::frame::{self, SegmentKey};
use crate::index::{Leased, Location};
use crate::record::{self, Kind};
use crate::segment;
use crate::store::{Body, Document, StoredBody};
use crate::verify::read_frame;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::io;
use std::sync::Arc;

/// Segments that are kept open to be read, at most.
const READERS_MAX: usize = 16;

/// A segment that is kept open to be read.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    file: Arc<dyn DiskFile>,
    key: SegmentKey,
}

impl LogStore {
    pub(super) fn load_document(&self, id: DocumentId) -> Result<Option<Document>, Error> {
        self.load_from(id, None)
    }

    /// Reads a document that was taken a moment ago.
    pub(crate) fn load_leased(&self, leased: &Leased) -> Result<Option<Document>, Error> {
        self.load_from(leased.id, Some(leased.location))
    }

    fn load_from(
        &self,
        id: DocumentId,
        mut known: Option<Location>,
    ) -> Result<Option<Document>, Error> {
        let recent = lock(&self.recent).take(id);
        if let Some(payload) = recent {
            return Ok(Some(Self::decode(id, Kind::Store, &payload)?));
        }
        loop {
            let Some(location) = known.take().or_else(|| self.index().location(id)) else {
                return Ok(None);
            };
            match self.read_record(id, location) {
                Ok((kind, payload)) => return Self::decode(id, kind, &payload).map(Some),
                Err(error) => {
                    // It may have been moved while it was read, or have gone.
                    let now = self.index().location(id);
                    if now == Some(location) {
                        return Err(self.unreadable(id, location, error));
                    }
                }
            }
        }
    }

    /// The record of a document at a location.
    pub(super) fn read_record(
        &self,
        id: DocumentId,
        location: Location,
    ) -> io::Result<(Kind, Bytes)> {
        let reader = self.reader(location.segment)?;
        read_frame(&*reader.file, &reader.key, id, location)
    }

    fn reader(&self, segment: u32) -> io::Result<Reader> {
        if let Some(reader) = lock(&self.readers).get(&segment) {
            return Ok(reader.clone());
        }
        let name = segment::file_name(u64::from(segment));
        let reader = Reader {
            file: Arc::from(self.disk.open(Folder::Root, &name)?),
            key: SegmentKey::new(&self.secret, u64::from(segment)),
        };
        let mut readers = lock(&self.readers);
        if readers.len() >= READERS_MAX {
            readers.clear();
        }
        readers.insert(segment, reader.clone());
        Ok(reader)
    }

    pub(super) fn forget_reader(&self, segment: u64) {
        lock(&self.readers).remove(&(segment as u32));
    }

    fn decode(id: DocumentId, kind: Kind, payload: &Bytes) -> Result<Document, Error> {
        let malformed = || {
            Error::new(
                ErrorKind::Damaged,
                format!("document {id} says what cannot be"),
            )
        };
        let part = record::store_part(kind, payload).map_err(|_| malformed())?;
        let store = payload.slice_ref(part);
        let stored = record::decode_store(&store).map_err(|_| malformed())?;
        let body = match stored.head.body_file {
            Some(hash) => StoredBody::File(hash, stored.head.body_len),
            None => StoredBody::Inline(store.slice(stored.body.clone())),
        };
        let headers = stored
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ok(Document {
            id: stored.head.id,
            created: stored.head.created,
            priority: stored.head.priority,
            route: stored.route.to_owned(),
            source: stored.source.to_vec(),
            content_type: stored.content_type.to_owned(),
            headers: headers.collect(),
            hash: stored.hash,
            body,
        })
    }

    pub(super) fn open_body(&self, document: &Document) -> Result<Body, Error> {
        match &document.body {
            StoredBody::Inline(bytes) => Ok(Body::Bytes(bytes.clone())),
            StoredBody::File(hash, len) => self.open_body_file(document.id, hash, *len),
        }
    }

    fn open_body_file(&self, id: DocumentId, hash: &[u8; 32], len: u64) -> Result<Body, Error> {
        let name = crate::bodies::hex(hash);
        let opened = self
            .bodies
            .open(hash)
            .and_then(|file| Ok((file.len()?, file)));
        match opened {
            Ok((found, file)) if found == len => match file.system_file() {
                Some(Ok(file)) => Ok(Body::File(file, len)),
                Some(Err(error)) => Err(Error::io(
                    format!("cannot open the body of document {id}"),
                    error,
                )),
                None => {
                    let mut bytes = vec![0; len as usize];
                    file.read_at(&mut bytes, 0).map_err(|error| {
                        Error::io(format!("cannot read the body of document {id}"), error)
                    })?;
                    // Whoever streams from a file holds it against its name; here that is done already.
                    if <[u8; 32]>::from(Sha256::digest(&bytes)) != *hash {
                        let what = "the body is not what was stored".to_owned();
                        return Err(self.body_lost(id, &name, what));
                    }
                    Ok(Body::Bytes(bytes.into()))
                }
            },
            Ok((found, _)) => {
                Err(self.body_lost(id, &name, format!("the body has {found} bytes, not {len}")))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.is_away() => {
                Err(self.body_lost(id, &name, "the body is missing".to_owned()))
            }
            Err(error) => Err(Error::io(
                format!("cannot open the body of document {id}"),
                error,
            )),
        }
    }

    /// Whether the whole folder is not there, unmounted or moved away: then no file that is missing in it is lost.
    fn is_away(&self) -> bool {
        self.disk.open(Folder::Root, FORMAT_FILE).is_err()
    }

    fn body_lost(&self, id: DocumentId, name: &str, what: String) -> Error {
        let message = format!(
            "document {id} is unreadable: {what}; it is counted and reported, the others go on"
        );
        self.note_lost(
            id,
            Damage {
                file: format!("bodies/{name}"),
                start: 0,
                end: 0,
                what,
                copied_to: None,
            },
        );
        Error::new(ErrorKind::Damaged, message)
    }

    /// A record that cannot be read: the disk refuses, or has other bytes than were written.
    fn unreadable(&self, id: DocumentId, location: Location, error: io::Error) -> Error {
        let is_gone = match error.kind() {
            io::ErrorKind::InvalidData => true,
            io::ErrorKind::NotFound => !self.is_away(),
            _ => false,
        };
        if !is_gone {
            return Error::io(format!("cannot read document {id}"), error);
        }
        let name = segment::file_name(u64::from(location.segment));
        let start = u64::from(location.offset);
        let end = start + frame::framed_len(location.len as usize) as u64;
        let copied_to = self
            .reader(location.segment)
            .ok()
            .and_then(|reader| copy_aside(&*self.disk, &name, &*reader.file, start, end));
        let what = format!("document {id}: {error}");
        self.note_lost(
            id,
            Damage {
                file: name,
                start,
                end,
                what,
                copied_to,
            },
        );
        let message =
            format!("document {id} is unreadable; it is counted and reported, the others go on");
        Error::with_source(ErrorKind::Damaged, message, error)
    }

    fn note_lost(&self, id: DocumentId, damage: Damage) {
        tracing::error!(%id, file = damage.file, start = damage.start, end = damage.end, what = damage.what, "a document cannot be read");
        self.index().drop_unreadable(id);
        lock(&self.damage).push(damage);
    }
}
