//! Where the bytes of a download go: a file that nobody sees yet, and a checksum.

use super::parts::{Head, Parts};
use crate::error::{Error, ErrorKind};
use http::{HeaderName, HeaderValue};
use mainstay_files::{Algorithm, Checksum, Hasher, Prepared, Writer};
use std::io::Write;
use std::path::{Path, PathBuf};

/// So many bytes are written at once: fewer calls, and a thread is asked for less often.
const PIECE: usize = 256 << 10;

/// Bytes on the way to a file; dropped, it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Sink {
    path: PathBuf,
    /// Away while a thread writes; not there any more after one failed.
    file: Option<(Writer, Hasher)>,
    waiting: Vec<u8>,
    algorithm: Algorithm,
    /// What is kept for the next process, if anything is; away while a thread writes.
    parts: Option<Parts>,
}

impl Sink {
    pub(super) async fn create(path: &Path, algorithm: Algorithm) -> Result<Self, Error> {
        let owned = path.to_owned();
        let writer = on_a_thread(path, move || Writer::create(&owned)).await?;
        Ok(Self {
            path: path.to_owned(),
            file: Some((writer, Hasher::new(algorithm))),
            waiting: Vec::new(),
            algorithm,
            parts: None,
        })
    }

    /// Keeps what comes for the next process, and takes what an earlier one kept: so many bytes are there then, and of what they are.
    pub(super) async fn keep_parts(&mut self, address: &str) -> Result<(u64, Head), Error> {
        let (path, address) = (self.path.clone(), address.to_owned());
        let opened = on_a_thread(&self.path, move || Parts::open(&path, &address)).await;
        let (mut parts, head) = opened.map_err(|error| under_way(&self.path, error))?;
        let Some(head) = head else {
            self.parts = Some(parts);
            return Ok((0, Head::default()));
        };
        let Some((mut writer, mut hasher)) = self.file.take() else {
            return Ok((0, Head::default()));
        };
        let total = head.total;
        let taken = on_a_thread(&self.path, move || {
            let mut at = 0;
            while let Some(block) = parts.next_block() {
                // With all of it there would be nothing to ask for.
                if total == Some(at + block.len() as u64) {
                    parts.put_back();
                    break;
                }
                hasher.update(&block);
                writer.write_all(&block)?;
                at += block.len() as u64;
            }
            Ok::<_, std::io::Error>((at, parts, writer, hasher))
        });
        let (at, parts, writer, hasher) = taken.await?;
        (self.file, self.parts) = (Some((writer, hasher)), Some(parts));
        Ok((at, head))
    }

    /// What comes from now on is of this version, from its first byte on.
    pub(super) async fn begin_parts(
        &mut self,
        version: Option<(HeaderName, HeaderValue)>,
        total: Option<u64>,
    ) {
        let Some(mut parts) = self.parts.take() else {
            return;
        };
        let begun = on_a_thread(&self.path, move || {
            parts.begin(version.as_ref(), total).map(|()| parts)
        });
        self.parts = kept(begun.await);
    }

    /// The same, with nothing in it.
    pub(super) async fn anew(&mut self) -> Result<(), Error> {
        // The old file goes first: two of them need twice the room.
        self.file = None;
        let parts = self.parts.take();
        *self = Self::create(&self.path, self.algorithm).await?;
        self.parts = parts;
        // What is kept is of what it was before.
        if let Some(mut parts) = self.parts.take() {
            let cleared = on_a_thread(&self.path, move || parts.clear().map(|()| parts));
            self.parts = kept(cleared.await);
        }
        Ok(())
    }

    pub(super) async fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() < PIECE {
            return Ok(());
        }
        self.write().await
    }

    async fn write(&mut self) -> Result<(), Error> {
        let Some((mut writer, mut hasher)) = self.file.take() else {
            return Err(failed(
                &self.path,
                std::io::Error::other("an earlier write failed"),
            ));
        };
        let bytes = std::mem::take(&mut self.waiting);
        let parts = self.parts.take();
        let path = self.path.clone();
        let written = on_a_thread(&self.path, move || {
            hasher.update(&bytes);
            writer.write_all(&bytes)?;
            let parts = parts.and_then(|mut parts| {
                let put = parts.put(&bytes).map(|()| parts);
                kept(put.map_err(|error| failed(&path, error)))
            });
            Ok::<_, std::io::Error>((writer, hasher, parts))
        });
        let (writer, hasher, parts) = written.await?;
        (self.file, self.parts) = (Some((writer, hasher)), parts);
        Ok(())
    }

    /// Everything is written; its checksum, and what is to become the file.
    pub(super) async fn end(mut self) -> Result<(Checksum, Written), Error> {
        self.write().await?;
        match self.file {
            Some((writer, hasher)) => {
                let (path, parts) = (self.path, self.parts);
                let written = Written {
                    path,
                    writer,
                    parts,
                };
                Ok((hasher.end(), written))
            }
            None => Err(failed(
                &self.path,
                std::io::Error::other("an earlier write failed"),
            )),
        }
    }
}

/// A file that has to be put on the disk; dropped, it leaves nothing behind.
pub(super) struct Written {
    path: PathBuf,
    writer: Writer,
    parts: Option<Parts>,
}

impl Written {
    /// Puts it on the disk, which takes as long as that takes.
    pub(super) async fn sync(self) -> Result<Ended, Error> {
        let Self {
            path,
            writer,
            parts,
        } = self;
        let prepared = on_a_thread(&path, move || writer.prepared()).await?;
        Ok(Ended {
            path,
            prepared,
            parts,
        })
    }

    /// It is not what was expected: nothing of it is kept for another time either.
    pub(super) async fn let_go(self) {
        if let Some(parts) = self.parts {
            let ended = on_a_thread(&self.path, move || {
                parts.end();
                Ok::<_, std::io::Error>(())
            });
            drop(ended.await);
        }
    }
}

/// A file that only needs its name; dropped, it leaves nothing behind.
pub(super) struct Ended {
    path: PathBuf,
    prepared: Prepared,
    parts: Option<Parts>,
}

impl Ended {
    /// Gives it its name. Once begun, it goes on whether or not somebody waits for it.
    pub(super) async fn commit(self) -> Result<(), Error> {
        let (prepared, parts) = (self.prepared, self.parts);
        on_a_thread(&self.path, move || {
            prepared.commit()?;
            if let Some(parts) = parts {
                parts.end();
            }
            Ok::<_, mainstay_files::Error>(())
        })
        .await
    }
}

async fn on_a_thread<T: Send + 'static, E>(
    path: &Path,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Error>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| failed(path, error)),
        Err(error) => Err(failed(path, error)),
    }
}

/// What goes on being kept; a disk that refuses that costs nobody the download.
fn kept(parts: Result<Parts, Error>) -> Option<Parts> {
    parts
        .inspect_err(
            |error| tracing::warn!(%error, "a download keeps nothing for the next process"),
        )
        .ok()
}

/// Two that write to one place would each take what the other kept.
fn under_way(path: &Path, error: Error) -> Error {
    let cause = std::error::Error::source(&error);
    let kind = cause.and_then(|cause| cause.downcast_ref().map(mainstay_files::Error::kind));
    if kind != Some(mainstay_files::ErrorKind::Locked) {
        return error;
    }
    let path = mainstay_wire::shown_path(path);
    let message = format!(
        "somebody downloads to `{path}` already: wait for its end, or choose another place"
    );
    Error::new(ErrorKind::File, message).because(error)
}

fn failed(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let path = mainstay_wire::shown_path(path);
    let any: &(dyn std::error::Error + 'static) = &error;
    let kind = any.downcast_ref().map(mainstay_files::Error::kind);
    let message = format!("cannot write the download to `{path}`: {}", left(kind));
    Error::new(ErrorKind::File, message).because(error)
}

/// What to do, and what is there now.
fn left(kind: Option<mainstay_files::ErrorKind>) -> &'static str {
    match kind {
        // It has its name by then.
        Some(mainstay_files::ErrorKind::Unconfirmed) => {
            "the disk did not confirm its name; it is there, but what was there before may come back: check the disk, and load it again"
        }
        _ => "check the folder, its rights and the room; what was there is untouched",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever read that trusted what was there before.
    #[test]
    fn what_the_disk_did_not_confirm_is_not_said_to_be_untouched() {
        use mainstay_files::ErrorKind::{DiskFull, Unconfirmed};
        for (kind, is_untouched) in [
            (None, true),
            (Some(DiskFull), true),
            (Some(Unconfirmed), false),
        ] {
            assert_eq!(
                left(kind).contains("is untouched"),
                is_untouched,
                "{kind:?}"
            );
        }
    }
}
