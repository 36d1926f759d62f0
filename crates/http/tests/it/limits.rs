//! How long a request may take, and how much it may bring.

use crate::support::{SECOND, asked, client, get, server, settings, soon};
use mainstay_http::{Class, ClientSettings, Download, ErrorKind};
use mainstay_resilience::PartStatus;
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use std::io::Write;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const SHORT: Duration = Duration::from_millis(200);

/// Sends the head of an answer, and then a byte now and then, for ever.
async fn trickling(status: u16) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let clock = mainstay_clock::system();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let clock = clock.clone();
            tokio::spawn(async move {
                let read = stream.read(&mut [0; 4096]).await.unwrap();
                assert!(read > 0);
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 1000000\r\n\r\n");
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    clock.sleep(Duration::from_millis(10)).await;
                    sent = stream.write_all(b"x").await;
                }
            });
        }
    });
    url
}

fn with_read(read: Duration) -> ClientSettings {
    let mut settings = settings();
    settings.limits.general.read = read;
    settings
}

#[tokio::test]
async fn the_total_limit_covers_a_body_that_trickles() {
    let url = trickling(200).await;
    let mut settings = settings();
    settings.limits.general.total = SHORT;
    let error = soon("the error", client(settings).get(&url).send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TotalTimeout);
    assert!(error.to_string().contains("reading the answer"), "{error}");
}

#[tokio::test]
async fn an_error_that_trickles_is_told_with_what_came_of_it() {
    let url = trickling(503).await;
    let mut settings = with_read(SHORT);
    settings.retry.attempts = 1;
    let error = soon("the error", client(settings).get(&url).send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Status(503), "{error:?}");
    let came = error.answer().unwrap().body.len();
    assert!(0 < came && came < 1_000, "{came}");
}

#[tokio::test]
async fn of_an_answer_that_is_an_error_64_kib_are_kept() {
    let long = vec![b'x'; (64 << 10) + 1];
    let server = server(move |request, _| {
        let code = if request.target == "/503" { 503 } else { 404 };
        Reaction::answer(code).body(long.clone())
    })
    .await;
    let mut settings = settings();
    settings.retry.attempts = 1;
    let client = client(settings);
    let error = soon("it", client.get(&server.url("/503")).send()).await;
    let kept = error.unwrap_err().answer().unwrap().body.len();
    assert_eq!(kept, 64 << 10);
    // Where a file was wanted every 4xx is an error, too.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let url = server.url("/404");
    let error = soon("it", client.download(&url, &path, Download::default())).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Status(404));
    assert_eq!(error.answer().unwrap().body.len(), 64 << 10);
    // Everywhere else it is an answer like any other.
    let answer = soon("it", client.get(&url).send()).await.unwrap();
    assert_eq!(answer.body.len(), (64 << 10) + 1);
}

#[tokio::test]
async fn the_total_limit_covers_attempts_and_pauses() {
    let server = server(|_, _| Reaction::answer(503)).await;
    let mut settings = ClientSettings::default();
    settings.limits.general.total = SHORT;
    settings.retry.attempts = 1_000;
    settings.breaker.consecutive = Some(1_000);
    let began = mainstay_clock::system();
    let begun = began.now();
    let error = soon("the error", client(settings).get(&server.url("/")).send())
        .await
        .unwrap_err();
    assert!(began.now().since(begun) < 5 * SECOND);
    // Either the last answer, because another attempt would come too late, or the limit itself.
    let kinds = [ErrorKind::Status(503), ErrorKind::TotalTimeout];
    assert!(kinds.contains(&error.kind()), "{error}");
}

#[tokio::test]
async fn the_caller_s_shorter_limit_wins_and_a_longer_one_does_not() {
    let server = server(|_, _| Reaction::Hang).await;
    let client = client(settings());
    let request = client.get(&server.url("/")).class(Class::Download);
    let error = soon("the error", request.timeout(SHORT).send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TotalTimeout);
    assert!(error.to_string().contains("0.2 s"), "{error}");
    assert!(
        error
            .to_string()
            .contains("waiting for the answer to begin"),
        "{error}"
    );

    let mut settings = settings();
    settings.limits.quick.total = SHORT;
    let client = crate::support::client(settings);
    let request = client.get(&server.url("/")).class(Class::Quick);
    let error = soon("the error", request.timeout(100 * SECOND).send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TotalTimeout);
}

#[tokio::test]
async fn silence_ends_an_attempt_before_and_in_the_answer() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    for reaction in [Reaction::Hang, Reaction::RawThenHang(head.to_vec())] {
        let server = server(move |_, number| match number {
            0 => reaction.clone(),
            _ => Reaction::answer(200),
        })
        .await;
        let client = client(with_read(SHORT));
        let answer = soon("the answer", client.get(&server.url("/")).send()).await;
        assert_eq!(answer.unwrap().attempts, 2);
    }
    let server = server(|_, _| Reaction::Hang).await;
    let kind = get(&client(with_read(SHORT)), &server.url("/")).await;
    assert_eq!(kind, Err(ErrorKind::ReadTimeout));
    assert_eq!(asked(&server), 4);
}

#[tokio::test]
async fn a_connection_that_does_not_come_is_told_from_a_silent_server() {
    // It takes connections, and never says a word of TLS.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let mut settings = settings();
    settings.connect = SHORT;
    let error = soon("the error", client(settings).get(&url).send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout, "{error:?}");
    assert_eq!(error.attempts(), 4);
    assert!(
        error.to_string().contains("check that the machine is on"),
        "{error}"
    );
}

#[tokio::test]
async fn who_refuses_and_who_cannot_be_found_is_told() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = soon("the error", client(settings()).get(&url).send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    assert!(
        error.to_string().contains("check that the server runs"),
        "{error}"
    );

    let url = "http://host.invalid/a?token=s3cr3t";
    let error = soon("the error", client(settings()).get(url).send())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns, "{error:?}");
    let message = error.to_string();
    assert!(
        message.starts_with("cannot find the host of `http://host.invalid:80/a?…`"),
        "{message}"
    );
    assert!(!format!("{error:?}").contains("s3cr3t"));
}

fn with_body_max(body_max: usize) -> ClientSettings {
    ClientSettings {
        body_max,
        ..settings()
    }
}

async fn answering(encoding: &'static str, body: Vec<u8>) -> FaultyServer {
    server(move |_, _| {
        let answer = Reaction::answer(200).body(body.clone());
        match encoding {
            "" => answer,
            encoding => answer.header("Content-Encoding", encoding),
        }
    })
    .await
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit_and_not_beyond() {
    let client = client(with_body_max(1_000));
    let fits = answering("", vec![b'x'; 1_000]).await;
    assert_eq!(get(&client, &fits.url("/")).await, Ok(200));
    let too_long = answering("", vec![b'x'; 1_001]).await;
    assert_eq!(
        get(&client, &too_long.url("/")).await,
        Err(ErrorKind::TooLarge)
    );
    assert_eq!(asked(&too_long), 1, "it would be as long the next time");
    // Its length is not said.
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let mut chunked = [chunked, b"3e9\r\n".to_vec(), vec![b'x'; 1_001]].concat();
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let unsaid = server(move |_, _| Reaction::Raw(chunked.clone())).await;
    assert_eq!(
        get(&client, &unsaid.url("/")).await,
        Err(ErrorKind::TooLarge)
    );
}

#[tokio::test]
async fn compressed_answers_are_read_and_a_bomb_is_not() {
    let plain = vec![b'x'; 50_000_000];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::bulk::compress(&plain, 3).unwrap();
    for (encoding, bomb) in [("gzip", gzip), ("zstd", zstd)] {
        assert!(bomb.len() < 100_000);
        let server = answering(encoding, bomb).await;
        let small = client(with_body_max(1_000_000));
        assert_eq!(
            get(&small, &server.url("/")).await,
            Err(ErrorKind::TooLarge)
        );
        let large = client(with_body_max(50_000_000));
        let answer = soon("it", large.get(&server.url("/")).send())
            .await
            .unwrap();
        assert!(answer.body == plain, "{encoding}");
        let request = server.conversation().requests().remove(0);
        assert!(
            request
                .header("accept-encoding")
                .unwrap()
                .contains(encoding)
        );
    }
}

#[tokio::test]
async fn what_is_taken_back_leaves_nothing_behind() {
    let server = server(|_, _| Reaction::Hang).await;
    let client = client(settings());
    let url = server.url("/");
    let token = CancellationToken::new();
    let sending = client.get(&url).cancelled_by(token.clone()).send();
    let cancelling = async {
        server.conversation().wait_for(1).await;
        token.cancel();
    };
    let (result, ()) = tokio::join!(soon("it", sending), cancelling);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);

    tokio::select! {
        _ = client.get(&url).send() => panic!("the server says nothing"),
        () = server.conversation().wait_for(2) => {}
    }
    // In a pause of 30 s, too.
    let pausing = crate::support::server(|_, _| Reaction::answer(503).header("Retry-After", "30"));
    let pausing = pausing.await;
    let token = CancellationToken::new();
    let url = pausing.url("/");
    let sending = client.get(&url).cancelled_by(token.clone()).send();
    let cancelling = async {
        pausing.conversation().wait_for(1).await;
        token.cancel();
    };
    let (result, ()) = tokio::join!(soon("it", sending), cancelling);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);

    for (name, part) in client.registry().status() {
        match part {
            PartStatus::Bulkhead(places) => assert_eq!(places.in_use, 0, "{name}"),
            PartStatus::Limiter(limiter) => assert_eq!(limiter.waiting, 0, "{name}"),
            PartStatus::Breaker(breaker) => assert!(breaker.failure_count <= 1, "{name}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = server(|_, _| Reaction::answer(200).body("x")).await;
    let client = client(settings());
    for _ in 0..10 {
        assert_eq!(get(&client, &server.url("/")).await, Ok(200));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_before_anything_is_sent() {
    let client = client(settings());
    for (url, why) in [
        ("no address", "is none"),
        ("ftp://h/", "neither http nor https"),
        ("http://ann:s3cr3t@h/", "holds a user"),
    ] {
        let error = client.get(url).send().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Url, 0));
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("s3cr3t"));
    }
    for (name, value) in [("Host", "other"), ("a b", "x"), ("X-Key", "s3cr3t\n")] {
        let error = client
            .get("http://h/")
            .header(name, value)
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Url);
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused_at_the_door() {
    let refused = |change: fn(&mut ClientSettings)| {
        let mut settings = settings();
        change(&mut settings);
        let clock = mainstay_clock::system();
        mainstay_http::Client::new(settings, clock)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(|s| s.connect = Duration::ZERO).contains("limit of time"));
    assert!(refused(|s| s.limits.quick.total = Duration::ZERO).contains("limit of time"));
    assert!(refused(|s| s.origins_max = 0).contains("origins_max"));
    assert!(refused(|s| s.retry.attempts = 0).contains("attempts"));
    assert!(refused(|s| s.breaker.consecutive = Some(0)).contains("consecutive"));
    assert!(refused(|s| s.bulkhead.max_concurrent = 0).contains("max_concurrent"));
    assert!(refused(|s| s.limit.permits = 0).contains("permit"));
    assert!(refused(|s| s.tls.system_authorities = false).contains("nobody is trusted"));
    assert!(refused(|s| s.tls.authorities = vec!["/no/such.pem".into()]).contains("/no/such.pem"));
}
