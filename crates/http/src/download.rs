//! Many bytes into a file: it appears whole and verified, or not at all.
//!
//! A connection that breaks on the way is no reason to begin anew: the rest is asked for with `Range`, and with `If-Range`, so that
//! a file that changed meanwhile comes whole instead of in two halves that do not belong together.

mod partial;

mod parts;

mod sink;

use crate::client::Client;
use crate::course::{Outcome, Way};
use crate::error::{Error, ErrorKind};
use crate::hop::Hop;
use crate::limits::{Class, Limits};
use crate::request::RequestBuilder;
use crate::shown;
use http::Method;
use mainstay_files::Checksum;
use mainstay_resilience::Random;
use partial::{End, Finished, Partial};
use reqwest::Url;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// So many times a download goes on after its connection broke in the middle.
const CUTS_MAX: u32 = 1_000;

/// How a file is downloaded.
///
/// # Defaults
///
/// | setting | default | why |
/// |---|---|---|
/// | `checksum` | none | who knows it should say it |
/// | `resumes` | yes | what came need not come twice |
/// | `keeps_parts` | no | it takes the room of the file once more meanwhile |
/// | `bytes_max` | 1 GiB | a disk has an end; who expects more says so |
/// | `progress` | nobody | |
/// | `progress_every` | 100 ms | people see no faster |
#[derive(Clone)]
pub struct Download {
    /// What the bytes have to be; of any algorithm.
    pub checksum: Option<Checksum>,
    /// Whether it goes on where it was after the connection broke.
    pub resumes: bool,
    /// Whether what came outlives the process: it lies in `PATH.parts` beside the place, in blocks of 1 MiB, until the file is there, and
    /// the next download of the same address to the same place goes on from there. Only where it `resumes`.
    pub keeps_parts: bool,
    /// No more bytes than so many are taken.
    pub bytes_max: u64,
    /// Is told how far it is: at the beginning, at the end, and between them no more often than `progress_every`. It must not block.
    pub progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
    /// The least time between two tellings.
    pub progress_every: Duration,
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// So many bytes came; fewer than before where it had to begin anew.
    pub bytes: u64,
    /// Of so many, where the server said it.
    pub total: Option<u64>,
}

/// A file that was downloaded.
#[derive(Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// Its length.
    pub bytes: u64,
    /// Its checksum: of the algorithm that was expected, or else SHA-256.
    pub checksum: Checksum,
    /// Whether it was compared with what was expected.
    pub is_verified: bool,
    /// How many requests it took.
    pub attempts: u32,
    /// How often it went on after its connection broke.
    pub resumed: u32,
    /// Where it came from, after all redirects.
    pub url: Url,
    /// Whether no more than its origin may be shown.
    is_path_secret: bool,
}

impl Client {
    /// Downloads a file; [`RequestBuilder::download`] does it with headers and limits of its own.
    ///
    /// # Errors
    ///
    /// As [`RequestBuilder::download`].
    pub async fn download(
        &self,
        url: &str,
        path: &Path,
        download: Download,
    ) -> Result<Downloaded, Error> {
        self.get(url).download(path, download).await
    }
}

impl RequestBuilder {
    /// Sends it as a [`Class::Download`], and puts what comes at `path`, durable and verified, when this returns `Ok`.
    ///
    /// Until then the bytes lie in a temporary file beside it, which goes when the future is dropped; after a kill
    /// [`mainstay_files::sweep()`] removes it. With [`Download::keeps_parts`] what came stays beside it for the next download of this
    /// address: it is taken where every block has its checksum, and the server says by `If-Range` that the file is the same, or else the
    /// expected checksum does; otherwise it begins anew. Putting them on the disk counts towards the total limit; giving the file its name, which
    /// comes last, is neither limited nor taken back, so that an error means that it is not there. Without a checksum, a server that does not tell the length can cut the file short.
    ///
    /// # Errors
    ///
    /// With parts that are kept, [`ErrorKind::File`] too where somebody downloads to that place already.
    /// As [`send`](Self::send), where every 4xx is an error too; [`ErrorKind::Mismatch`], [`ErrorKind::File`],
    /// [`ErrorKind::TooLarge`]. What was at `path` before is untouched; only where the source of [`ErrorKind::File`] says that
    /// the name is not confirmed, the file is there, and a power cut may bring the old one back.
    pub async fn download(self, path: &Path, download: Download) -> Result<Downloaded, Error> {
        let is_offline = self.is_offline();
        let (client, hop, limits, cancelled) = self.class(Class::Download).parts()?;
        if is_offline {
            return Err(crate::request::offline(&hop));
        }
        if hop.method != Method::GET {
            return Err(Error::new(
                ErrorKind::Url,
                "only what is asked for with GET can be downloaded",
            ));
        }
        let client = Client { shared: client };
        let taking = Box::pin(client.take(&hop, limits, path, download));
        let finished = crate::request::unless(cancelled, &hop, taking).await?;
        // From here on it is not taken back any more, and the answer is true.
        finished.commit().await
    }
}

impl Client {
    async fn take(
        &self,
        hop: &Hop,
        limits: Limits,
        path: &Path,
        download: Download,
    ) -> Result<Finished, Error> {
        let shared = &*self.shared;
        let way = Way::begin(shared, limits);
        let beginning = Partial::begin(&shared.clock, path, download, hop);
        let partial = way.in_time(hop, beginning).await?;
        let random = Random::from_system();
        for cut in 0..=CUTS_MAX {
            match way.run(hop, &partial).await? {
                Outcome::Value(End::Whole(url)) => {
                    let finishing = partial.finish(url, way.attempts(), cut);
                    return way.in_time(hop, finishing).await;
                }
                Outcome::Value(End::Cut) => {
                    let backoff = &shared.settings.retry.backoff;
                    let pause = backoff.wait(1, Duration::ZERO, &random);
                    way.pause(pause, hop).await?;
                }
                Outcome::CallersOwn(answer) => {
                    let code = answer.status.as_u16();
                    if code != 416 || !way.in_time(hop, partial.begin_anew()).await? {
                        let attempts = way.attempts();
                        let refused = answer.error_for_status().map(drop);
                        let error = refused.err().unwrap_or_else(|| cut_too_often(hop));
                        return Err(error.after_attempts(attempts));
                    }
                }
            }
        }
        Err(cut_too_often(hop).after_attempts(way.attempts()))
    }
}

fn cut_too_often(hop: &Hop) -> Error {
    let url = hop.shown();
    let message = format!("the download of `{url}` broke off {CUTS_MAX} times: try again later");
    Error::new(ErrorKind::BrokenAnswer, message)
}

impl Default for Download {
    fn default() -> Self {
        Self {
            checksum: None,
            resumes: true,
            keeps_parts: false,
            bytes_max: 1 << 30,
            progress: None,
            progress_every: Duration::from_millis(100),
        }
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("checksum", &self.checksum)
            .field("resumes", &self.resumes)
            .field("keeps_parts", &self.keeps_parts)
            .field("bytes_max", &self.bytes_max)
            .field("progress", &self.progress.is_some())
            .finish_non_exhaustive()
    }
}

/// Without what may be secret in the address.
impl fmt::Debug for Downloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downloaded")
            .field("bytes", &self.bytes)
            .field("checksum", &self.checksum)
            .field("is_verified", &self.is_verified)
            .field("attempts", &self.attempts)
            .field("resumed", &self.resumed)
            .field("url", &shown::address(&self.url, self.is_path_secret))
            .finish()
    }
}
