//! A connection that is written to only as long as its other end takes something.

use mainstay_clock::{SharedClock, Sleep};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Answers are short: whoever takes nothing of one for so long does not want it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream whose writing ends in an error when nothing moves.
pub(crate) struct Patient<S = TcpStream> {
    stream: S,
    clock: SharedClock,
    /// Running while something cannot be written.
    waiting: Option<Sleep>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, clock: &SharedClock) -> Self {
        Self {
            stream,
            clock: SharedClock::clone(clock),
            waiting: None,
        }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// What was polled, unless it has been pending for too long.
    fn patiently<T>(
        &mut self,
        ctx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = None;
            return polled;
        }
        let clock = &self.clock;
        let waiting = self.waiting.get_or_insert_with(|| clock.sleep(PATIENCE));
        Pin::new(waiting).poll(ctx).map(|()| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the other end took nothing for {PATIENCE:?}"),
            ))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(ctx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(ctx, bytes);
        self.patiently(ctx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(ctx, pieces);
        self.patiently(ctx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(ctx);
        self.patiently(ctx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(ctx);
        self.patiently(ctx, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_clock::ManualClock;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Lets the other task come as far as it can.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_takes_nothing_is_given_up_and_who_takes_slowly_is_not() {
        let clock = ManualClock::new();
        let shared: SharedClock = Arc::new(clock.clone());
        let (ours, mut theirs) = tokio::io::duplex(10);
        let mut ours = Patient::new(ours, &shared);
        let writing = tokio::spawn(async move { ours.write_all(&[7; 30]).await });
        let mut taken = [0; 10];
        for _ in 0..2 {
            settle().await;
            clock.advance(PATIENCE / 2);
            theirs.read_exact(&mut taken).await.unwrap();
        }
        writing.await.unwrap().unwrap();

        let (ours, _theirs) = tokio::io::duplex(10);
        let mut ours = Patient::new(ours, &shared);
        let writing = tokio::spawn(async move { ours.write_all(&[7; 30]).await });
        settle().await;
        clock.advance(PATIENCE);
        let error = writing.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
