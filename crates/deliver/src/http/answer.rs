//! What the server said, read within bounds.

use super::exchange::Broken;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// No more than this of an answer's body is read; what it could tell stands in the first lines.
pub(super) const BODY_MAX: usize = 64 * 1024;

/// A whole answer: its head arrived, and its body to its end or to [`BODY_MAX`].
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Reads the body. An answer that is cut off before its end says nothing, whatever its head said.
    pub(super) async fn read(response: Response<Incoming>) -> Result<Self, Broken> {
        let (head, mut incoming) = response.into_parts();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| Broken::Answer(error.into()))?;
            let piece: Bytes = frame.into_data().unwrap_or_default();
            let room = BODY_MAX - body.len();
            if piece.len() > room {
                body.extend_from_slice(&piece[..room]);
                // The rest is not waited for: the connection is closed instead.
                break;
            }
            body.extend_from_slice(&piece);
        }
        Ok(Self {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
