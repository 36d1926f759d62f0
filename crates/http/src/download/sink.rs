//! Where the bytes of a download go: a file that nobody sees yet, and a checksum.

use crate::error::{Error, ErrorKind};
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
        })
    }

    /// The same, with nothing in it.
    pub(super) async fn anew(&mut self) -> Result<(), Error> {
        // The old file goes first: two of them need twice the room.
        self.file = None;
        *self = Self::create(&self.path, self.algorithm).await?;
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
        let written = on_a_thread(&self.path, move || {
            hasher.update(&bytes);
            writer.write_all(&bytes)?;
            Ok::<_, std::io::Error>((writer, hasher))
        });
        self.file = Some(written.await?);
        Ok(())
    }

    /// Everything is written; its checksum, and what is to become the file.
    pub(super) async fn end(mut self) -> Result<(Checksum, Written), Error> {
        self.write().await?;
        match self.file {
            Some((writer, hasher)) => {
                let path = self.path;
                Ok((hasher.end(), Written { path, writer }))
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
}

impl Written {
    /// Puts it on the disk, which takes as long as that takes.
    pub(super) async fn sync(self) -> Result<Ended, Error> {
        let Self { path, writer } = self;
        let prepared = on_a_thread(&path, move || writer.prepared()).await?;
        Ok(Ended { path, prepared })
    }
}

/// A file that only needs its name; dropped, it leaves nothing behind.
pub(super) struct Ended {
    path: PathBuf,
    prepared: Prepared,
}

impl Ended {
    /// Gives it its name. Once begun, it goes on whether or not somebody waits for it.
    pub(super) async fn commit(self) -> Result<(), Error> {
        let prepared = self.prepared;
        on_a_thread(&self.path, move || prepared.commit()).await
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
