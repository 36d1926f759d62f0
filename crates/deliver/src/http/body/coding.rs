//! Bodies made smaller for the way, where a person wants that.

use super::Fault;
use crate::destination::{DAMAGED, matches};
use crate::http::config::Compression;
use bytes::Bytes;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// A body in memory as it goes over the wire, with the name of its coding if it has one.
///
/// What would not become smaller stays as it is.
pub(crate) fn encoded(
    bytes: Bytes,
    hash: Option<[u8; 32]>,
    compression: Compression,
) -> Result<(Bytes, Option<&'static str>), Fault> {
    if !matches(&bytes, hash) {
        return Err(Fault::Damaged(DAMAGED.to_owned()));
    }
    let Some(coding) = coding(compression) else {
        return Ok((bytes, None));
    };
    let mut encoder =
        Encoder::start(compression).map_err(|error| Fault::unreadable("compress", &error))?;
    encoder
        .write(&bytes)
        .map_err(|error| Fault::unreadable("compress", &error))?;
    let small = encoder
        .finish()
        .map_err(|error| Fault::unreadable("compress", &error))?;
    Ok(if small.len() < bytes.len() {
        (small.into(), Some(coding))
    } else {
        (bytes, None)
    })
}

/// What `Content-Encoding` says.
pub(crate) fn coding(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some("gzip"),
        Compression::Zstd => Some("zstd"),
    }
}

/// One coding, or none.
pub(super) enum Encoder {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// Both at their fast levels: the network is to wait for the disk, not for us.
    pub(super) fn start(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(Vec::new()),
            Compression::Gzip => {
                Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::fast()))
            }
            Compression::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    /// What has come out so far.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::Plain(out) => out,
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        })
    }

    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}
