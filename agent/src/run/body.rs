//! From bytes that come piece by piece to the body of a document: in memory while it is small, in a file of the queue's own
//! beyond.

use mainstay_queue::{BodyWriter, Error, INLINE_BODY_MAX, NewBody, Queue};
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

/// Takes a body piece by piece, in bounded memory. Dropped before its end, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct BodyMaker {
    queue: Queue,
    small: Vec<u8>,
    large: Option<BodyWriter>,
}

impl BodyMaker {
    /// A body without a byte yet.
    pub(crate) fn new(queue: Queue) -> Self {
        Self {
            queue,
            small: Vec::new(),
            large: None,
        }
    }

    /// Takes the next bytes. May block.
    ///
    /// # Errors
    /// As [`BodyWriter::write`].
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(large) = &mut self.large {
            return large.write(bytes);
        }
        if self.small.len() + bytes.len() <= INLINE_BODY_MAX {
            self.small.extend_from_slice(bytes);
            return Ok(());
        }
        let mut large = self.queue.body_writer()?;
        large.write(&std::mem::take(&mut self.small))?;
        large.write(bytes)?;
        self.large = Some(large);
        Ok(())
    }

    /// All bytes came: a large body is durable afterwards, but nobody knows of it before it is enqueued. Blocks.
    ///
    /// # Errors
    /// As [`BodyWriter::finish`].
    pub(crate) fn finish(self) -> Result<(NewBody, [u8; 32]), Error> {
        match self.large {
            None => {
                let hash = Sha256::digest(&self.small).into();
                Ok((NewBody::Inline(self.small.into()), hash))
            }
            Some(writer) => {
                let body = writer.finish()?;
                let hash = body.hash();
                Ok((NewBody::File(body), hash))
            }
        }
    }
}

/// Reads to the end; a large body is durable afterwards, but nobody knows of it before it is enqueued. Blocks.
///
/// # Errors
/// See [`Unread`]; nothing is left behind.
pub(crate) fn read_body(
    queue: &Queue,
    mut source: impl Read,
) -> Result<(NewBody, [u8; 32]), Unread> {
    let mut maker = BodyMaker::new(queue.clone());
    let mut piece = vec![0; PIECE];
    let mut len = 0;
    loop {
        match source.read(&mut piece) {
            Ok(0) => return maker.finish().map_err(Unread::Queue),
            Ok(read) => {
                len += read as u64;
                if len > BODY_MAX {
                    return Err(Unread::TooLarge);
                }
                maker.write(&piece[..read]).map_err(Unread::Queue)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Unread::Source(error)),
        }
    }
}
