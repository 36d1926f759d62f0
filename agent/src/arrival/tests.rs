use super::*;
use futures_util::stream;
use mainstay_clock::ManualClock;
use std::sync::Arc;
use tokio::task::JoinHandle;

const BOUNDS: Bounds = Bounds {
    len: BODY_MAX,
    silence: SILENCE_MAX,
    time: Duration::from_mins(1),
};

/// A body that comes as the test sends it, to a disk that takes as the test does.
struct Line {
    clock: ManualClock,
    network: mpsc::Sender<Result<Bytes, io::Error>>,
    disk: mpsc::Receiver<Piece>,
    forwarding: JoinHandle<(u64, Result<(), Unfit>)>,
}

impl Line {
    fn new() -> Self {
        let clock = ManualClock::new();
        let (network, pieces) = mpsc::channel(1);
        let (to_disk, disk) = mpsc::channel(1);
        let body = Body::from_stream(stream::unfold(pieces, |mut pieces| async {
            pieces.recv().await.map(|piece| (piece, pieces))
        }));
        let shared: SharedClock = Arc::new(clock.clone());
        let forwarding = tokio::spawn(async move { forward(body, BOUNDS, &shared, to_disk).await });
        Self {
            clock,
            network,
            disk,
            forwarding,
        }
    }

    /// Lets the other task come as far as it can, and then the time pass.
    async fn pass(&self, time: Duration) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.clock.advance(time);
    }

    async fn send(&mut self, bytes: usize) {
        let piece = Bytes::from(vec![7; bytes]);
        self.network.send(Ok(piece)).await.unwrap();
        assert!(matches!(self.disk.recv().await, Some(Piece::Bytes(_))));
    }

    async fn ends(self) -> (u64, Result<(), Unfit>) {
        self.forwarding.await.unwrap()
    }
}

#[tokio::test]
async fn whoever_says_nothing_for_half_a_minute_is_given_up() {
    let mut line = Line::new();
    line.send(10).await;
    line.pass(SILENCE_MAX).await;
    let (received, ended) = line.ends().await;
    assert_eq!(received, 10);
    assert!(
        matches!(&ended, Err(Unfit::Slow(words)) if words.contains("nothing came for 30s")),
        "{ended:?}"
    );
}

#[tokio::test]
async fn whoever_trickles_is_given_up_when_the_time_is_over() {
    let mut line = Line::new();
    for _ in 0..3 {
        line.send(1).await;
        line.pass(Duration::from_secs(20)).await;
    }
    let (_, ended) = line.ends().await;
    assert!(
        matches!(&ended, Err(Unfit::Slow(words)) if words.contains("took longer than 60s")),
        "{ended:?}"
    );
}

/// A large document on a slow line took longer than the five minutes that were all it had, and so never arrived.
#[tokio::test]
async fn a_large_document_on_a_slow_line_has_the_time_that_it_takes() {
    let mut line = Line::new();
    for _ in 0..100 {
        line.send(16 * 1024 * 10).await;
        line.pass(Duration::from_secs(10)).await;
    }
    drop(std::mem::replace(&mut line.network, mpsc::channel(1).0));
    assert!(matches!(line.disk.recv().await, Some(Piece::End)));
    let (received, ended) = line.ends().await;
    assert_eq!(received, 100 * 16 * 1024 * 10);
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_told_from_a_sender_that_says_nothing() {
    let line = Line::new();
    for _ in 0..3 {
        line.network
            .send(Ok(Bytes::from_static(b"x")))
            .await
            .unwrap();
    }
    line.pass(DISK).await;
    let (_, ended) = line.ends().await;
    assert!(matches!(ended, Err(Unfit::Stalled(_))), "{ended:?}");
}

/// The thread that writes may hang for as long as the disk; whoever waits for it does not.
#[tokio::test]
async fn a_disk_that_does_not_confirm_keeps_nobody_waiting() {
    let (clock, hanging) = (ManualClock::new(), std::sync::mpsc::sync_channel::<()>(0));
    let shared: SharedClock = Arc::new(clock.clone());
    let (release, hang) = hanging;
    let receiving = tokio::spawn(async move {
        let end = move |_, _| {
            assert!(hang.recv().is_err(), "nothing is ever sent");
            Ok(())
        };
        let body = Body::from("document");
        receive(
            body,
            Encoding::Identity,
            None,
            BOUNDS,
            io::sink(),
            &shared,
            end,
        )
        .await
    });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    clock.advance(DISK);
    let ended = receiving.await.unwrap();
    assert!(matches!(ended, Err(Unfit::Stalled(_))), "{ended:?}");
    drop(release);
}
