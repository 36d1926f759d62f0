//! A download under way: what came so far, and what has to be asked for.

use super::sink::{Ended, Sink};
use super::{Download, Downloaded, Progress};
use crate::error::{Error, ErrorKind};
use crate::exchange::{Reading, Taker};
use crate::hop::Hop;
use crate::shown;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, DATE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mainstay_clock::{Moment, SharedClock};
use mainstay_files::Algorithm;
use reqwest::{Response, Url};
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::Mutex;

/// A date of the last change is certain when the answer was made so long after it (RFC 9110, 8.8.2.2, and 60 s as RFC 7232 had
/// them, for clocks that differ): before, the file may have changed once more in the same second.
const CERTAIN: Duration = Duration::from_mins(1);

/// A download under way.
pub(super) struct Partial {
    clock: SharedClock,
    download: Download,
    is_path_secret: bool,
    /// One attempt at a time takes it.
    sink: Mutex<Sink>,
    place: std::sync::Mutex<Place>,
}

/// How far it is.
#[derive(Debug, Clone, Default)]
struct Place {
    at: u64,
    total: Option<u64>,
    /// By this the server knows whether the file is still the same, and the header that it said it in.
    version: Option<(HeaderName, HeaderValue)>,
    told: Option<Moment>,
}

/// How an attempt at it ended.
pub(super) enum End {
    /// All of it is here, from there.
    Whole(Url),
    /// Some of it came, and the connection broke.
    Cut,
}

/// A download that only needs its name; dropped, it leaves nothing behind.
pub(super) struct Finished {
    downloaded: Downloaded,
    ended: Ended,
}

/// What of the file an answer brings.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    from: u64,
    total: Option<u64>,
}

impl Finished {
    /// Gives it its name, however long that takes: who gave it up in the middle could not say whether the file is there.
    pub(super) async fn commit(self) -> Result<Downloaded, Error> {
        self.ended.commit().await?;
        Ok(self.downloaded)
    }
}

impl Partial {
    pub(super) async fn begin(
        clock: &SharedClock,
        path: &Path,
        download: Download,
        hop: &Hop,
    ) -> Result<Self, Error> {
        let algorithm = download
            .checksum
            .map_or(Algorithm::Sha256, |checksum| checksum.algorithm());
        let mut sink = Sink::create(path, algorithm).await?;
        let mut place = Place::default();
        if download.keeps_parts && download.resumes {
            let (at, head) = sink.keep_parts(hop.url.as_str()).await?;
            place.at = at;
            place.total = head.total.filter(|_| at > 0);
            place.version = head.version().filter(|_| at > 0);
        }
        Ok(Self {
            clock: clock.clone(),
            sink: Mutex::new(sink),
            download,
            is_path_secret: hop.is_path_secret,
            place: std::sync::Mutex::new(place),
        })
    }

    /// From the first byte on, where some came; `false` where that is where it is.
    pub(super) async fn begin_anew(&self) -> Result<bool, Error> {
        let had_some = self.with(|place| {
            let had_some = place.at > 0;
            *place = Place::default();
            had_some
        });
        if had_some {
            self.sink.lock().await.anew().await?;
        }
        Ok(had_some)
    }

    /// Compares it with what was expected, and puts it on the disk: it only needs its name then.
    pub(super) async fn finish(
        self,
        url: Url,
        attempts: u32,
        resumed: u32,
    ) -> Result<Finished, Error> {
        self.tell(true);
        let bytes = self.with(|place| place.at);
        let (checksum, written) = self.sink.into_inner().end().await?;
        if let Some(expected) = self
            .download
            .checksum
            .filter(|expected| *expected != checksum)
        {
            written.let_go().await;
            let url = shown::address(&url, self.is_path_secret);
            let message = format!(
                "what came from `{url}` is not what was expected: its {} is {checksum}, and not {expected}; nothing was kept",
                checksum.algorithm()
            );
            return Err(Error::new(ErrorKind::Mismatch, message).after_attempts(attempts));
        }
        let downloaded = Downloaded {
            bytes,
            checksum,
            is_verified: self.download.checksum.is_some(),
            attempts,
            resumed,
            url,
            is_path_secret: self.is_path_secret,
        };
        let ended = written.sync().await?;
        Ok(Finished { downloaded, ended })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Place) -> T) -> T {
        change(&mut self.place.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the rest can be asked for: the server knows the file again, or a checksum tells.
    fn can_resume(&self, place: &Place) -> bool {
        self.download.resumes
            && place.at > 0
            && (place.version.is_some() || self.download.checksum.is_some())
    }

    fn tell(&self, is_certain: bool) {
        let Some(progress) = &self.download.progress else {
            return;
        };
        let now = self.clock.now();
        let told = self.with(|place| {
            let is_due = place
                .told
                .is_none_or(|told| now.since(told) >= self.download.progress_every);
            if !is_due && !is_certain {
                return None;
            }
            place.told = Some(now);
            Some(Progress {
                bytes: place.at,
                total: place.total,
            })
        });
        if let Some(told) = told {
            progress(told);
        }
    }

    /// Makes ready for what the answer brings: the rest, or all of it once more.
    async fn prepare(&self, sink: &mut Sink, part: Part, response: &Response) -> Result<(), Error> {
        let url = shown::address(response.url(), self.is_path_secret);
        let is_too_long = part
            .total
            .is_some_and(|total| total > self.download.bytes_max);
        if is_too_long {
            return Err(self.too_large(&url));
        }
        let place = self.with(|place| place.clone());
        let is_other = part.from > 0
            && ((place.total.is_some() && part.total.is_some() && part.total != place.total)
                || differs(&place, response.headers()));
        if (part.from != place.at && part.from != 0) || is_other {
            // The next attempt asks for all of it.
            self.with(|place| *place = Place::default());
            sink.anew().await?;
            let message = format!("`{url}` changed while it was downloaded");
            return Err(Error::new(ErrorKind::BrokenAnswer, message));
        }
        if part.from == 0 && place.at > 0 {
            sink.anew().await?;
        }
        if part.from == 0 {
            let version = version(response.headers());
            sink.begin_parts(version, part.total).await;
        }
        self.with(|place| {
            place.at = part.from;
            place.total = part.total.or(place.total.filter(|_| part.from > 0));
            if part.from == 0 {
                place.version = version(response.headers());
            }
        });
        Ok(())
    }

    fn too_large(&self, url: &str) -> Error {
        let max = self.download.bytes_max;
        let message = format!("`{url}` is longer than the {max} bytes that may be downloaded");
        Error::new(ErrorKind::TooLarge, message)
    }

    /// What to do when the connection broke: to go on is no failure of the server where something came.
    fn broke(&self, came: u64, error: Error) -> Result<End, Error> {
        if came > 0 && self.with(|place| self.can_resume(place)) {
            tracing::debug!(kind = ?error.kind(), came, "a download goes on where it broke");
            return Ok(End::Cut);
        }
        Err(error)
    }
}

impl Taker for Partial {
    type Value = End;

    const IS_RAW: bool = true;

    fn dress(&self, headers: &mut HeaderMap) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.remove(RANGE);
        headers.remove(IF_RANGE);
        self.with(|place| {
            if !self.can_resume(place) {
                return;
            }
            if let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", place.at)) {
                headers.insert(RANGE, range);
            }
            if let Some((_, version)) = &place.version {
                headers.insert(IF_RANGE, version.clone());
            }
        });
    }

    async fn take(&self, reading: &Reading<'_>, mut response: Response) -> Result<End, Error> {
        let url = reading.hop.shown();
        let mut sink = self.sink.lock().await;
        let part = part(&response, &url)?;
        self.prepare(&mut sink, part, &response).await?;
        self.tell(true);
        let mut came = 0;
        loop {
            let piece = match reading.piece(&mut response).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => return self.broke(came, error),
            };
            came += piece.len() as u64;
            sink.put(&piece).await?;
            let at = self.with(|place| {
                place.at += piece.len() as u64;
                place.at
            });
            if at > self.download.bytes_max {
                return Err(self.too_large(&url));
            }
            self.tell(false);
        }
        let (at, total) = self.with(|place| (place.at, place.total));
        if total.is_some_and(|total| at != total) {
            let message = format!("the answer of `{url}` ended early");
            return self.broke(came, Error::new(ErrorKind::BrokenAnswer, message));
        }
        Ok(End::Whole(response.url().clone()))
    }
}

fn part(response: &Response, url: &str) -> Result<Part, Error> {
    let headers = response.headers();
    let refuse = |why: &str| Err(Error::new(ErrorKind::Other, format!("`{url}` {why}")));
    let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return refuse("sends the file compressed, although it was asked for as it is");
    }
    match response.status() {
        StatusCode::OK => Ok(Part {
            from: 0,
            total: response.content_length(),
        }),
        StatusCode::PARTIAL_CONTENT => {
            let said = headers
                .get(CONTENT_RANGE)
                .and_then(|range| range.to_str().ok());
            match said.and_then(content_range) {
                Some(part) => Ok(part),
                None => refuse("sends a part of the file, and does not say which"),
            }
        }
        other => refuse(&format!("answers {}: that is no file", other.as_u16())),
    }
}

/// `bytes 5-9/10` or `bytes 5-9/*`.
fn content_range(text: &str) -> Option<Part> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let (from, to): (u64, u64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    let is_sound = from <= to && total.is_none_or(|total| to < total);
    is_sound.then_some(Part { from, total })
}

/// By this a server knows whether a file is still the same: a strong tag, or where it has no tag at all, a date that is certain
/// (RFC 9110, 13.1.5).
fn version(headers: &HeaderMap) -> Option<(HeaderName, HeaderValue)> {
    if headers.contains_key(ETAG) {
        let tag = only(headers, &ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
        return tag.map(|tag| (ETAG, tag.clone()));
    }
    let changed = only(headers, &LAST_MODIFIED)?;
    let at = |value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let since = at(only(headers, &DATE)?)?
        .duration_since(at(changed)?)
        .ok()?;
    (since >= CERTAIN).then(|| (LAST_MODIFIED, changed.clone()))
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether a part says of itself that it is of another version.
fn differs(place: &Place, headers: &HeaderMap) -> bool {
    place.version.as_ref().is_some_and(|(name, version)| {
        let mut said = headers.get_all(name).iter();
        said.any(|said| said != version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_which_it_is_or_counts_for_nothing() {
        let part = |from, total| Some(Part { from, total });
        assert_eq!(content_range("bytes 5-9/10"), part(5, Some(10)));
        assert_eq!(content_range(" bytes 0-0/* "), part(0, None));
        for nonsense in [
            "",
            "5-9/10",
            "bytes 5-9",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes */10",
            "bytes -5/10",
            "lines 5-9/10",
            "bytes 5-99999999999999999999/*",
        ] {
            assert_eq!(content_range(nonsense), None, "{nonsense}");
        }
    }

    fn version_of(said: &[(&'static str, &'static str)]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let (_, version) = version(&headers)?;
        said.iter()
            .map(|(_, value)| *value)
            .find(|value| version == value)
    }

    #[test]
    fn only_what_certainly_names_one_version_is_one() {
        let changed = ("last-modified", "Wed, 01 Jan 2020 00:00:00 GMT");
        let later = ("date", "Wed, 01 Jan 2020 00:01:00 GMT");
        let soon = ("date", "Wed, 01 Jan 2020 00:00:59 GMT");
        assert_eq!(version_of(&[("etag", "\"1\"")]), Some("\"1\""));
        assert_eq!(version_of(&[("etag", "\"1\""), changed]), Some("\"1\""));
        assert_eq!(version_of(&[changed, later]), Some(changed.1));
        // It may have changed twice in that second, or minute, by a clock that is a little wrong.
        assert_eq!(version_of(&[changed, soon]), None);
        assert_eq!(version_of(&[changed]), None);
        assert_eq!(version_of(&[changed, ("date", "now")]), None);
        assert_eq!(version_of(&[("last-modified", "date"), later]), None);
        assert_eq!(version_of(&[changed, changed, later]), None);
        // Who has a tag, and be it a weak one, must not ask by the date.
        assert_eq!(version_of(&[("etag", "W/\"1\""), changed, later]), None);
        assert_eq!(version_of(&[("etag", "\"1\""), ("etag", "\"2\"")]), None);
    }
}
