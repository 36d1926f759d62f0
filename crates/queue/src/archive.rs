//! Documents as a tar archive, to be carried to another queue by hand.
//!
//! Two entries each: `ID/document.json` with its facts, then `ID/body` with its content.

use crate::bodies::belongs_in_file;
use crate::document::{DocumentId, NewBody, NewDocument, Priority, Receipt, State};
use crate::error::{Error, ErrorKind};
use crate::inspect::Filter;
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::queue::Queue;
use crate::store::{Body, Store, StoredBody};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// The facts of a document in an archive.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    id: DocumentId,
    route: String,
    /// In hexadecimal, because it need not be UTF-8.
    source_hex: String,
    content_type: String,
    priority: Priority,
    headers: Vec<(String, String)>,
    /// The names of the lanes where it was not delivered yet; where all were done, all of them.
    lanes: Vec<String>,
    sha256: Option<String>,
    body_bytes: u64,
}

impl Facts {
    /// The hash of the body, where it is known; an error if it is not one.
    fn hash(&self) -> Result<Option<[u8; 32]>, ()> {
        let Some(text) = &self.sha256 else {
            return Ok(None);
        };
        let bytes = from_hex(text).ok_or(())?;
        bytes.try_into().map(Some).map_err(drop)
    }
}

/// What an export came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Documents in the archive.
    pub documents: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Documents that are not in it because they cannot be read; the queue reports where.
    pub unreadable: u64,
}

/// What an import came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Stored now.
    pub accepted: u64,
    /// Were there before.
    pub already_there: u64,
}

/// The most bytes of facts that are read from an archive.
const FACTS_MAX: u64 = 1024 * 1024;

impl Queue {
    /// Writes the documents that a filter asks for as a tar archive. They stay in the queue. What cannot be read is left out
    /// and counted; every body is held against its checksum before it is written. Blocks.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the queue cannot be read or the archive not be written; the archive is then incomplete.
    pub fn export(&self, filter: &Filter, archive: impl Write) -> Result<Exported, Error> {
        let mut tar = tar::Builder::new(archive);
        let mut exported = Exported::default();
        let lost_before = self.raw_store().damage().len();
        for summary in self.list(filter)? {
            let Some((document, standing)) = self.look_up(summary.id)? else {
                continue;
            };
            let body = match self.raw_store().body(&document) {
                Ok(body) => body,
                // It is among the damage now, where it is counted.
                Err(error) if error.kind() == ErrorKind::Damaged => continue,
                Err(error) => return Err(error),
            };
            let Some(body) = whole(body, &document.body)? else {
                exported.unreadable += 1;
                continue;
            };
            let undelivered: Vec<String> = (summary.lanes.iter())
                .filter(|lane| !matches!(lane.state, State::Sent | State::Discarded))
                .map(|lane| lane.lane.clone())
                .collect();
            let all = || summary.lanes.iter().map(|lane| lane.lane.clone()).collect();
            debug_assert_eq!(standing.len(), summary.lanes.len());
            let facts = Facts {
                id: document.id,
                route: document.route,
                source_hex: to_hex(&document.source),
                content_type: document.content_type,
                priority: document.priority,
                headers: document.headers,
                lanes: if undelivered.is_empty() {
                    all()
                } else {
                    undelivered
                },
                sha256: document.hash.map(|hash| crate::bodies::hex(&hash)),
                body_bytes: body.len(),
            };
            exported.bytes += facts.body_bytes;
            append(&mut tar, &facts, document.created / 1000, body).map_err(|error| {
                Error::io(
                    format!("cannot write document {} to the archive", facts.id),
                    error,
                )
            })?;
            exported.documents += 1;
        }
        exported.unreadable += (self.raw_store().damage().len() - lost_before) as u64;
        let finished = tar.into_inner().and_then(|mut archive| archive.flush());
        finished.map_err(|error| Error::io("cannot finish the archive", error))?;
        Ok(exported)
    }

    /// Stores the documents of an archive under their own ids; what is known is passed over. Blocks.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if the archive is not one of ours or ends early, [`TooLarge`](ErrorKind::TooLarge) if
    /// it has a document of more than 256 MiB, else as [`enqueue`](Queue::enqueue). What was stored before the error stays; importing again is safe.
    pub fn import(&self, archive: impl Read) -> Result<Imported, Error> {
        let invalid = |what: &str| {
            Error::new(
                ErrorKind::Invalid,
                format!("the archive {what}; what came before is stored"),
            )
        };
        let unreadable =
            |error| Error::with_source(ErrorKind::Invalid, "the archive cannot be read", error);
        let mut tar = tar::Archive::new(archive);
        // As they are: what says more about an entry than its head may be of any length, and would be read whole.
        let mut entries = tar.entries().map_err(unreadable)?.raw(true);
        let mut imported = Imported::default();
        while let Some(entry) = next_of_content(&mut entries).map_err(unreadable)? {
            let name = name_of(&entry);
            let mut text = Vec::new();
            entry
                .take(FACTS_MAX)
                .read_to_end(&mut text)
                .map_err(unreadable)?;
            let facts: Facts = serde_json::from_slice(&text).map_err(|error| {
                let message = format!("the archive has an entry that is not a document: `{name}`");
                Error::with_source(ErrorKind::Invalid, message, error)
            })?;
            let mut body = next_of_content(&mut entries)
                .map_err(unreadable)?
                .ok_or_else(|| invalid("ends within a document"))?;
            let name = name_of(&body);
            if body.header().size().ok() != Some(facts.body_bytes) {
                return Err(invalid(&format!(
                    "has a body of another length than its document says, `{name}`"
                )));
            }
            if DOCUMENT_BYTES_MAX < facts.body_bytes {
                let message = format!(
                    "the archive has a document of {} bytes, `{name}`; at most {DOCUMENT_BYTES_MAX} are taken, and what came before is stored",
                    facts.body_bytes
                );
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            match self.store_imported(facts, &mut body)? {
                Receipt::Accepted(_) => imported.accepted += 1,
                Receipt::AlreadyThere(_) => imported.already_there += 1,
            }
        }
        Ok(imported)
    }

    fn store_imported(&self, facts: Facts, body: &mut impl Read) -> Result<Receipt, Error> {
        let unreadable =
            |error| Error::with_source(ErrorKind::Invalid, "the archive cannot be read", error);
        let not_hex = || {
            Error::new(
                ErrorKind::Invalid,
                format!(
                    "document {} has a name or hash that is not hexadecimal",
                    facts.id
                ),
            )
        };
        let lanes = facts
            .lanes
            .iter()
            .map(|lane| self.declare_lane(lane))
            .collect::<Result<Vec<_>, _>>()?;
        let source = from_hex(&facts.source_hex).ok_or_else(not_hex)?;
        let hash = facts.hash().map_err(|()| not_hex())?;
        let cut = || {
            Error::new(
                ErrorKind::Invalid,
                "the archive ends within a body; what came before is stored",
            )
        };
        let new_body = if belongs_in_file(facts.body_bytes) {
            let mut writer = self.body_writer()?;
            let mut piece = vec![0; 64 * 1024];
            loop {
                match body.read(&mut piece).map_err(unreadable)? {
                    0 => break,
                    read => writer.write(&piece[..read])?,
                }
            }
            if writer.len() != facts.body_bytes {
                return Err(cut());
            }
            let file = writer.finish()?;
            if hash.is_some_and(|hash| hash != file.hash()) {
                return Err(changed(facts.id));
            }
            NewBody::File(file)
        } else {
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes).map_err(unreadable)?;
            if bytes.len() as u64 != facts.body_bytes {
                return Err(cut());
            }
            if hash.is_some_and(|hash| Sha256::digest(&bytes)[..] != hash) {
                return Err(changed(facts.id));
            }
            NewBody::Inline(bytes.into())
        };
        let document = NewDocument {
            id: facts.id,
            route: facts.route,
            source,
            content_type: facts.content_type,
            priority: facts.priority,
            headers: facts.headers,
            lanes,
            hash,
            body: new_body,
        };
        self.enqueue_blocking(document)
    }
}

/// The next entry that has content of its own; those that say more about the one behind them are passed over.
fn next_of_content<'a, R: Read>(
    entries: &mut tar::Entries<'a, R>,
) -> io::Result<Option<tar::Entry<'a, R>>> {
    for entry in entries {
        let entry = entry?;
        let kind = entry.header().entry_type();
        let is_about_another = kind.is_pax_global_extensions()
            || kind.is_pax_local_extensions()
            || kind.is_gnu_longname()
            || kind.is_gnu_longlink();
        if !is_about_another {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// What an entry is called, for people.
fn name_of<R: Read>(entry: &tar::Entry<'_, R>) -> String {
    String::from_utf8_lossy(&entry.header().path_bytes()).into_owned()
}

/// The body if its bytes are those that were stored; those in memory were held against their checksum when they were read.
fn whole(body: Body, stored: &StoredBody) -> Result<Option<Body>, Error> {
    let (Body::File(file, len), StoredBody::File(hash, _)) = (&body, stored) else {
        return Ok(Some(body));
    };
    let mut file: &File = file;
    let unreadable = |error| Error::io("cannot read a body for the archive", error);
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 256 * 1024];
    let mut read = 0;
    loop {
        match file.read(&mut piece).map_err(unreadable)? {
            0 => break,
            some => {
                hasher.update(piece.get(..some).unwrap_or_default());
                read += some as u64;
            }
        }
    }
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let is_whole = read == *len && hasher.finalize()[..] == *hash;
    Ok(is_whole.then_some(body))
}

fn changed(id: DocumentId) -> Error {
    let message = format!(
        "document {id} in the archive is not what was exported; what came before is stored"
    );
    Error::new(ErrorKind::Invalid, message)
}

fn append(
    tar: &mut tar::Builder<impl Write>,
    facts: &Facts,
    created: u64,
    body: Body,
) -> io::Result<()> {
    let header = |size: u64| {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(created);
        header
    };
    let json = serde_json::to_vec_pretty(facts)?;
    tar.append_data(
        &mut header(json.len() as u64),
        format!("{}/document.json", facts.id),
        &json[..],
    )?;
    let name = format!("{}/body", facts.id);
    match body {
        Body::Bytes(bytes) => tar.append_data(&mut header(bytes.len() as u64), name, &bytes[..]),
        Body::File(file, len) => tar.append_data(&mut header(len), name, file.take(len)),
    }
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
            text
        })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let digits = text.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
