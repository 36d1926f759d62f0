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
    written: Written,
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
        let written = Written::default();
        let noted = Written::clone(&written);
        let forwarding =
            tokio::spawn(async move { forward(body, BOUNDS, &shared, to_disk, &noted).await });
        Self {
            clock,
            network,
            disk,
            written,
            forwarding,
        }
    }

    /// Lets the other task come as far as it can, and then the time pass.
    async fn pass(&self, time: Duration) {
        settle().await;
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

/// Lets the other task come as far as it can.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
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

/// One piece of 64 KiB may be 60 MiB when it is decoded.
#[tokio::test]
async fn a_disk_that_still_writes_a_piece_is_waited_for() {
    let line = Line::new();
    for _ in 0..3 {
        let piece = Bytes::from_static(b"x");
        line.network.send(Ok(piece)).await.unwrap();
    }
    settle().await;
    line.written.store(5 * DISK_SLOWEST, Ordering::Relaxed);
    line.pass(DISK).await;
    settle().await;
    assert!(!line.forwarding.is_finished());
    line.pass(Duration::from_secs(5)).await;
    let (_, ended) = line.ends().await;
    assert!(
        matches!(&ended, Err(Unfit::Stalled(words)) if words.contains("within 15s")),
        "{ended:?}"
    );
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
    settle().await;
    clock.advance(DISK);
    let ended = receiving.await.unwrap();
    assert!(matches!(ended, Err(Unfit::Stalled(_))), "{ended:?}");
    drop(release);
}

/// A disk that takes so many bytes, says when it has them, and takes no more until the test is over.
struct Slow {
    takes: usize,
    has_all: Option<tokio::sync::oneshot::Sender<()>>,
    over: std::sync::mpsc::Receiver<()>,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.takes == 0 {
            // What it took before is counted by now.
            if let Some(tell) = self.has_all.take() {
                tell.send(()).unwrap();
            }
            assert!(self.over.recv().is_err(), "nothing is ever sent");
        }
        let taken = bytes.len().min(self.takes);
        self.takes -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A text of 30 MiB that came as 76 KB was given up after ten seconds, on a disk that it takes thirty to write.
#[tokio::test]
async fn the_disk_has_the_time_that_a_body_takes_after_decoding() {
    let clock = ManualClock::new();
    let shared: SharedClock = Arc::new(clock.clone());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![b'7'; 4 << 20]).unwrap();
    let body = Body::from(encoder.finish().unwrap());
    let (tell, has_all) = tokio::sync::oneshot::channel();
    let (release, over) = std::sync::mpsc::sync_channel::<()>(0);
    let disk = Slow {
        takes: 3 << 20,
        has_all: Some(tell),
        over,
    };
    let receiving = tokio::spawn(async move {
        let end = |_, _| Ok(());
        receive(body, Encoding::Gzip, None, BOUNDS, disk, &shared, end).await
    });
    has_all.await.unwrap();
    settle().await;
    clock.advance(DISK);
    settle().await;
    assert!(!receiving.is_finished());
    clock.advance(Duration::from_secs(3));
    let ended = receiving.await.unwrap();
    assert!(
        matches!(&ended, Err(Unfit::Stalled(words)) if words.contains("within 13s")),
        "{ended:?}"
    );
    drop(release);
}
