//! What is refused at the door, so that nobody inside has to ask.

use crate::bodies::belongs_in_file;
use crate::config::Config;
use crate::document::{Batch, INLINE_BODY_MAX, NewBody};
use crate::error::{Error, ErrorKind};

/// The most documents in one batch, and the most bytes of facts (names, headers) on one document.
const BATCH_MAX: usize = 4096;
const FACTS_BYTES_MAX: usize = 64 * 1024;

/// The most lanes of a queue, those included that no route leads to any more: more than any agent has destinations, and
/// few enough that a number that lies costs little.
pub(crate) const LANES_MAX: usize = 1024;

/// The largest document that is taken from an archive: 256 MiB, as documents are limited everywhere here.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// That a configuration can be worked with.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    let invalid = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
    if config.first_segment_bytes < 64 * 1024 || !config.first_segment_bytes.is_multiple_of(4096) {
        return invalid("first_segment_bytes is a multiple of 4096 and at least 64 KiB");
    }
    if config.segment_bytes < config.first_segment_bytes
        || !config.segment_bytes.is_multiple_of(4096)
    {
        return invalid("segment_bytes is a multiple of 4096 and at least first_segment_bytes");
    }
    if config.pending_bytes < 64 * 1024 {
        return invalid("pending_bytes is at least 64 KiB");
    }
    Ok(())
}

/// That a batch can be stored.
pub(crate) fn check_batch(batch: &Batch) -> Result<(), Error> {
    let too_large = |message: String| Err(Error::new(ErrorKind::TooLarge, message));
    if batch.documents.len() > BATCH_MAX {
        return too_large(format!(
            "a batch has at most {BATCH_MAX} documents, not {}",
            batch.documents.len()
        ));
    }
    for document in &batch.documents {
        if document.lanes.is_empty() || document.lanes.len() > 255 {
            let message = format!(
                "document {} goes to {} lanes; it has to be 1 to 255",
                document.id,
                document.lanes.len()
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if let NewBody::Inline(bytes) = &document.body
            && belongs_in_file(bytes.len() as u64)
        {
            return too_large(format!(
                "the body of document {} has {} bytes; above {INLINE_BODY_MAX} use a body writer",
                document.id,
                bytes.len()
            ));
        }
        let headers: usize = document
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let facts =
            headers + document.route.len() + document.source.len() + document.content_type.len();
        if facts > FACTS_BYTES_MAX || document.headers.len() > 1024 {
            return too_large(format!(
                "the names and headers of document {} have {facts} bytes; at most {FACTS_BYTES_MAX} are kept",
                document.id
            ));
        }
    }
    Ok(())
}
