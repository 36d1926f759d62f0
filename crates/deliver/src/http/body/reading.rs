//! A file read for the network, by a thread of its own.

use super::Fault;
use super::coding::Encoder;
use crate::destination::DAMAGED;
use crate::http::config::Compression;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use tokio::sync::mpsc;

/// A file is read in pieces of this size: large enough that a piece costs more to send than to hand over.
pub(super) const PIECE: usize = 64 * 1024;

/// Reads `file` to its end, hashes it, and hands over everything but the last piece before the hash was compared.
pub(super) fn read_out(
    mut file: File,
    len: u64,
    hash: Option<[u8; 32]>,
    compression: Compression,
    sender: &mpsc::Sender<Result<Bytes, Fault>>,
) -> Result<(), Fault> {
    let unread = |error: io::Error| Fault::unreadable("read", &error);
    file.seek(SeekFrom::Start(0)).map_err(unread)?;
    let mut encoder = Encoder::start(compression).map_err(unread)?;
    let mut hasher = hash.map(|_| Sha256::new());
    let mut left = len;
    while left > 0 {
        let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        file.read_exact(&mut piece)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Fault::Damaged(format!(
                    "{DAMAGED}: its file is shorter than the {len} bytes stored"
                )),
                _ => unread(error),
            })?;
        left -= piece.len() as u64;
        if let Some(hasher) = &mut hasher {
            hasher.update(&piece);
        }
        if left == 0 {
            check(hasher.take(), hash)?;
        }
        encoder.write(&piece).map_err(unread)?;
        if !hand_over(encoder.take(), sender) {
            return Ok(());
        }
    }
    check(hasher, hash)?;
    if hand_over(encoder.finish().map_err(unread)?, sender) {
        // An empty piece is the end.
        drop(sender.blocking_send(Ok(Bytes::new())));
    }
    Ok(())
}

fn check(hasher: Option<Sha256>, hash: Option<[u8; 32]>) -> Result<(), Fault> {
    match (hasher.map(Sha256::finalize), hash) {
        (Some(found), Some(stored)) if found[..] != stored => {
            Err(Fault::Damaged(DAMAGED.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Whether somebody still wants the rest.
fn hand_over(piece: Vec<u8>, sender: &mpsc::Sender<Result<Bytes, Fault>>) -> bool {
    piece.is_empty() || sender.blocking_send(Ok(piece.into())).is_ok()
}
