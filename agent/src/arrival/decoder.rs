//! From the bytes on the wire to the bytes of the document.

use super::{Passed, Unfit, Written};

use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::sync::atomic::Ordering;

/// The largest window of zstd, as a power of two: 8 MiB, which RFC 9659 allows on the network, and no sender can make us hold more.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Of a name that is not known so many characters are said again.
const NAME_SHOWN: usize = 100;

/// How the body is encoded for the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As it is.
    Identity,
    /// `gzip`.
    Gzip,
    /// `zstd`.
    Zstd,
}

impl Encoding {
    /// What `Content-Encoding` says.
    ///
    /// # Errors
    /// It says something that is not known here.
    pub(crate) fn named(name: Option<&str>) -> Result<Self, String> {
        // Without regard to case (RFC 9110, 8.4.1).
        let name = name.map(|name| name.trim().to_ascii_lowercase());
        match name.as_deref() {
            None | Some("" | "identity") => Ok(Self::Identity),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip),
            Some("zstd") => Ok(Self::Zstd),
            Some(other) => Err(format!(
                "Content-Encoding `{}` is not known; gzip and zstd are",
                other.chars().take(NAME_SHOWN).collect::<String>()
            )),
        }
    }
}

/// Undoes the encoding and writes into a sink; what comes out is counted, hashed and bounded.
pub(crate) enum Decoder<S: Write> {
    /// Nothing to undo.
    Identity(Counted<S>),
    /// RFC 1952, also several members in a row.
    Gzip(Box<flate2::write::MultiGzDecoder<Counted<S>>>),
    /// RFC 8878.
    Zstd(Box<zstd::stream::write::Decoder<'static, Counted<S>>>),
}

impl<S: Write> Decoder<S> {
    /// A decoder that writes at most `len_max` bytes into `sink`, and notes in `written` how many it has.
    ///
    /// # Errors
    /// No memory for the zstd window.
    pub(super) fn new(
        encoding: Encoding,
        len_max: u64,
        sink: S,
        written: Written,
    ) -> io::Result<Self> {
        let sink = Counted {
            sink,
            len: 0,
            len_max,
            written,
            hash: Sha256::new(),
            refused: None,
        };
        Ok(match encoding {
            Encoding::Identity => Self::Identity(sink),
            Encoding::Gzip => Self::Gzip(Box::new(flate2::write::MultiGzDecoder::new(sink))),
            Encoding::Zstd => {
                let mut decoder = zstd::stream::write::Decoder::new(sink)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Self::Zstd(Box::new(decoder))
            }
        })
    }

    /// Takes the next bytes from the wire.
    ///
    /// # Errors
    /// They are not so encoded, what came out is too large, or the sink does not take it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Unfit> {
        let written = match self {
            Self::Identity(sink) => sink.write_all(bytes),
            Self::Gzip(decoder) => decoder.write_all(bytes),
            Self::Zstd(decoder) => decoder.write_all(bytes),
        };
        written.map_err(|error| self.why(&error))
    }

    /// Says that all bytes came, and gives the sink back with what went through.
    ///
    /// # Errors
    /// As [`write`](Self::write), and when the end is missing.
    pub(crate) fn finish(mut self) -> Result<(S, Passed), Unfit> {
        let ended = match &mut self {
            Self::Identity(_) => Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zstd(decoder) => decoder.do_finish(),
        };
        ended.map_err(|error| self.why(&error))?;
        let counted = match self {
            Self::Identity(sink) => sink,
            Self::Gzip(decoder) => decoder
                .finish()
                .map_err(|error| Unfit::Wrong(error.to_string()))?,
            Self::Zstd(decoder) => decoder.into_inner(),
        };
        let passed = Passed {
            len: counted.len,
            sha256: counted.hash.finalize().into(),
        };
        Ok((counted.sink, passed))
    }

    /// The sink's own reason where it has one, else the encoding is at fault.
    fn why(&mut self, error: &io::Error) -> Unfit {
        let sink = match self {
            Self::Identity(sink) => sink,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        };
        let wrong = || Unfit::Wrong(format!("the body cannot be decoded: {error}"));
        sink.refused.take().unwrap_or_else(wrong)
    }
}

/// Counts, hashes and bounds what comes out.
pub(crate) struct Counted<S> {
    sink: S,
    len: u64,
    len_max: u64,
    written: Written,
    hash: Sha256,
    refused: Option<Unfit>,
}

impl<S: Write> Write for Counted<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.len + bytes.len() as u64 > self.len_max {
            self.refused = Some(Unfit::TooLarge);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Err(error) = self.sink.write_all(bytes) {
            let kind = error.kind();
            self.refused = Some(Unfit::Disk(error));
            return Err(kind.into());
        }
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        self.written.store(self.len, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN_MAX: u64 = 1024 * 1024;

    fn through(encoding: Encoding, wire: &[u8]) -> Result<Vec<u8>, Unfit> {
        let written = Written::default();
        let mut decoder = Decoder::new(encoding, LEN_MAX, Vec::new(), written.clone()).unwrap();
        for piece in wire.chunks(7) {
            decoder.write(piece)?;
        }
        let (bytes, passed) = decoder.finish()?;
        assert_eq!(passed.len, bytes.len() as u64);
        assert_eq!(passed.len, written.load(Ordering::Relaxed));
        assert_eq!(passed.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
        Ok(bytes)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_encoded_comes_out_as_it_was() {
        let document = "part;result\n".repeat(5_000).into_bytes();
        let zstd = zstd::encode_all(&document[..], 3).unwrap();
        assert_eq!(through(Encoding::Identity, &document).unwrap(), document);
        assert_eq!(through(Encoding::Gzip, &gzip(&document)).unwrap(), document);
        assert_eq!(through(Encoding::Zstd, &zstd).unwrap(), document);
    }

    #[test]
    fn an_end_too_early_is_no_document() {
        let document = "part;result\n".repeat(5_000).into_bytes();
        let (gzip, zstd) = (gzip(&document), zstd::encode_all(&document[..], 3).unwrap());
        for cut in 1..12 {
            let short = through(Encoding::Gzip, &gzip[..gzip.len() - cut]);
            assert!(
                matches!(short, Err(Unfit::Wrong(_))),
                "gzip without {cut} bytes: {short:?}"
            );
            let short = through(Encoding::Zstd, &zstd[..zstd.len() - cut]);
            assert!(
                matches!(short, Err(Unfit::Wrong(_))),
                "zstd without {cut} bytes: {short:?}"
            );
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = gzip(&vec![0; LEN_MAX as usize + 1]);
        let sink = io::sink();
        let mut decoder = Decoder::new(Encoding::Gzip, LEN_MAX, sink, Written::default()).unwrap();
        let refused = bomb
            .chunks(4_096)
            .find_map(|piece| decoder.write(piece).err())
            .or_else(|| decoder.finish().err());
        assert!(matches!(refused, Some(Unfit::TooLarge)), "{refused:?}");
    }
}
