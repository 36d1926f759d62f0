//! From a stream of bytes to the body of a document: in memory while it is small, in a file of the queue's own beyond.

use mainstay_queue::{Error, INLINE_BODY_MAX, NewBody, Queue};
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// The largest document: 256 MiB, as large as pickup takes.
pub(crate) const BODY_MAX: u64 = 256 * 1024 * 1024;

/// How much is read at once.
const PIECE: usize = 256 * 1024;

/// Why there is no body.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The stream broke off.
    Source(io::Error),
    /// It is larger than [`BODY_MAX`].
    TooLarge,
    /// The queue cannot store it.
    Queue(Error),
}

/// Reads to the end; a large body is durable afterwards, but nobody knows of it before it is enqueued. Blocks.
///
/// # Errors
/// See [`Unread`]; nothing is left behind.
pub(crate) fn read_body(
    queue: &Queue,
    mut source: impl Read,
) -> Result<(NewBody, [u8; 32]), Unread> {
    let mut small = Vec::new();
    let room = INLINE_BODY_MAX as u64 + 1;
    source
        .by_ref()
        .take(room)
        .read_to_end(&mut small)
        .map_err(Unread::Source)?;
    if small.len() <= INLINE_BODY_MAX {
        let hash = Sha256::digest(&small).into();
        return Ok((NewBody::Inline(small.into()), hash));
    }
    let mut writer = queue.body_writer().map_err(Unread::Queue)?;
    writer.write(&small).map_err(Unread::Queue)?;
    let mut piece = small;
    piece.resize(PIECE, 0);
    loop {
        match source.read(&mut piece) {
            Ok(0) => break,
            Ok(read) if writer.len() + read as u64 > BODY_MAX => return Err(Unread::TooLarge),
            Ok(read) => writer.write(&piece[..read]).map_err(Unread::Queue)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Unread::Source(error)),
        }
    }
    let body = writer.finish().map_err(Unread::Queue)?;
    let hash = body.hash();
    Ok((NewBody::File(body), hash))
}
