//! A download appears whole and verified, or not at all, over however many broken connections.

use crate::support::{
    AskedClock, Place, asked, client, resumed_at, served, server, settings, soon,
};
use mainstay_http::{
    Algorithm, Checksum, Client, Download, Downloaded, Error, ErrorKind, Progress,
};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

fn sum(bytes: &[u8]) -> Checksum {
    Checksum::of(Algorithm::Sha256, bytes)
}

fn expecting(bytes: &[u8]) -> Download {
    Download {
        checksum: Some(sum(bytes)),
        ..Download::default()
    }
}

async fn download(
    server: &FaultyServer,
    place: &Place,
    how: Download,
) -> Result<Downloaded, Error> {
    let client = client(settings());
    soon(
        "the download",
        client.download(&server.url("/file"), &place.path, how),
    )
    .await
}

#[tokio::test]
async fn a_download_is_there_whole_and_its_hash_is_told() {
    let file = bytes(1_000_000);
    let body = file.clone();
    let server = server(move |_, _| Reaction::answer(200).body(body.clone())).await;
    let place = Place::new();
    let done = download(&server, &place, Download::default())
        .await
        .unwrap();
    assert_eq!((done.bytes, done.checksum), (1_000_000, sum(&file)));
    assert_eq!(
        (done.is_verified, done.attempts, done.resumed),
        (false, 1, 0)
    );
    assert!(
        download(&server, &place, expecting(&file))
            .await
            .unwrap()
            .is_verified
    );
    assert!(place.content().unwrap() == file);
    assert_eq!(place.names(), ["file.bin"]);
    let request = server.conversation().requests().remove(0);
    assert_eq!(request.header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn wherever_the_connection_is_cut_the_rest_is_fetched_and_the_hash_is_right() {
    let file = bytes(100);
    for cut in 0..=100 {
        let body = file.clone();
        let server = server(move |request, number| {
            let cut = if number == 0 { cut } else { usize::MAX };
            served(request, &body, "\"1\"", cut)
        })
        .await;
        let place = Place::new();
        let done = download(&server, &place, expecting(&file)).await.unwrap();
        assert!(
            done.is_verified && place.content().unwrap() == file,
            "cut at {cut}"
        );
        let requests = server.conversation().requests();
        let asked_from: Vec<_> = requests.iter().map(resumed_at).collect();
        match cut {
            0 => assert_eq!(asked_from, [None, None]),
            100 => assert_eq!(asked_from, [None]),
            cut => assert_eq!(asked_from, [None, Some(cut)], "no byte came twice"),
        }
    }
}

#[tokio::test]
async fn a_line_that_breaks_again_and_again_brings_it_all_the_same_and_opens_no_breaker() {
    let file = bytes(1_000);
    let body = file.clone();
    let server = server(move |request, _| served(request, &body, "\"1\"", 13)).await;
    let place = Place::new();
    let done = download(&server, &place, expecting(&file)).await.unwrap();
    assert_eq!((done.attempts, done.resumed), (77, 76));
    assert!(place.content().unwrap() == file);
}

/// The same answer without its tag.
fn untagged(reaction: Reaction) -> Reaction {
    let Reaction::Raw(bytes) = reaction else {
        return reaction;
    };
    let at = bytes
        .windows(6)
        .position(|window| window == b"ETag: ")
        .unwrap();
    let end = at + bytes[at..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    Reaction::Raw([&bytes[..at], &bytes[end..]].concat())
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_comes_whole_in_its_new_version() {
    // As long as the old one, so that nothing but its version tells.
    let (old, new) = (bytes(100), vec![b'n'; 100]);
    // One server keeps to If-Range and does not tell the version of a part; the other tells it, and keeps to nothing.
    for keeps_to_it in [true, false] {
        let (old, body) = (old.clone(), new.clone());
        let server = server(move |request, number| {
            let mut request = request.clone();
            match (number, keeps_to_it) {
                (0, _) => served(&request, &old, "\"1\"", 50),
                (1, true) => untagged(served(&request, &body, "\"2\"", usize::MAX)),
                (1, false) => {
                    request.headers.retain(|(name, _)| name != "if-range");
                    served(&request, &body, "\"2\"", usize::MAX)
                }
                _ => served(&request, &body, "\"2\"", usize::MAX),
            }
        })
        .await;
        let place = Place::new();
        let done = download(&server, &place, Download::default())
            .await
            .unwrap();
        assert_eq!(done.checksum, sum(&new), "keeps to it: {keeps_to_it}");
        assert!(place.content().unwrap() == new);
    }
}

#[tokio::test]
async fn a_part_that_ends_early_without_saying_its_length_is_not_taken_for_the_end() {
    let file = bytes(100);
    let body = file.clone();
    let server = server(move |request, number| match number {
        0 => served(request, &body, "\"1\"", 50),
        1 => {
            let head = "HTTP/1.1 206 X\r\nETag: \"1\"\r\nContent-Range: bytes 50-99/100\r\n\r\n";
            Reaction::Raw([head.as_bytes(), &body[50..70]].concat())
        }
        _ => served(request, &body, "\"1\"", usize::MAX),
    })
    .await;
    let place = Place::new();
    let done = download(&server, &place, Download::default())
        .await
        .unwrap();
    assert_eq!((done.checksum, done.resumed), (sum(&file), 2));
}

/// The same answer with a date of its last change in the place of its tag.
fn dated(reaction: Reaction, date: &str) -> Reaction {
    let Reaction::Raw(bytes) = untagged(reaction) else {
        panic!("it is cut");
    };
    let at = bytes.windows(2).position(|end| end == b"\r\n").unwrap() + 2;
    let said = format!("Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT\r\nDate: {date}\r\n");
    Reaction::Raw([&bytes[..at], said.as_bytes(), &bytes[at..]].concat())
}

#[tokio::test]
async fn by_a_date_it_goes_on_only_where_the_date_is_certain() {
    let file = bytes(100);
    for (date, resumed) in [
        ("Wed, 01 Jan 2020 00:01:00 GMT", 1),
        ("Wed, 01 Jan 2020 00:00:10 GMT", 0),
    ] {
        let body = file.clone();
        let server = server(move |request, number| {
            let cut = if number == 0 { 50 } else { usize::MAX };
            let mut request = request.clone();
            request.headers.retain(|(name, _)| name != "if-range");
            dated(served(&request, &body, "\"1\"", cut), date)
        })
        .await;
        let place = Place::new();
        let done = download(&server, &place, Download::default())
            .await
            .unwrap();
        assert_eq!((done.checksum, done.resumed), (sum(&file), resumed));
        let second = server.conversation().requests().remove(1);
        let by = second.header("if-range");
        assert_eq!(by.is_some(), resumed == 1, "{date}");
        assert_eq!(resumed_at(&second).is_some(), resumed == 1, "{date}");
    }
}

#[tokio::test]
async fn without_a_way_to_know_the_file_again_it_is_fetched_anew() {
    let file = bytes(100);
    let body = file.clone();
    let server = server(move |request, number| {
        let mut request = request.clone();
        request.headers.retain(|(name, _)| name != "range");
        let cut = if number == 0 { 50 } else { usize::MAX };
        served(&request, &body, "W/\"1\"", cut)
    })
    .await;
    let place = Place::new();
    let done = download(&server, &place, Download::default())
        .await
        .unwrap();
    assert_eq!((done.checksum, done.resumed), (sum(&file), 0));
    let requests = server.conversation().requests();
    assert!(requests.iter().all(|request| resumed_at(request).is_none()));
    // Nor is it where that is not wished.
    let how = Download {
        resumes: false,
        ..expecting(&file)
    };
    let second = Place::new();
    assert_eq!(download(&server, &second, how).await.unwrap().resumed, 0);
}

#[tokio::test]
async fn a_server_that_refuses_the_rest_is_asked_for_all_of_it() {
    let file = bytes(100);
    let body = file.clone();
    let server = server(move |request, number| match number {
        0 => served(request, &body, "\"1\"", 50),
        1 => Reaction::answer(416),
        _ => served(request, &body, "\"1\"", usize::MAX),
    })
    .await;
    let place = Place::new();
    download(&server, &place, expecting(&file)).await.unwrap();
    assert_eq!(asked(&server), 3);
    assert!(place.content().unwrap() == file);
}

#[tokio::test]
async fn what_has_the_wrong_hash_never_appears_and_what_was_there_stays() {
    let server = server(|_, _| Reaction::answer(200).body("something else")).await;
    let place = Place::new();
    let error = download(&server, &place, expecting(b"expected"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(error.to_string().contains("nothing was kept"), "{error}");
    assert_eq!(place.names(), [""; 0]);
    mainstay_files::replace(&place.path, b"older").unwrap();
    download(&server, &place, expecting(b"expected"))
        .await
        .unwrap_err();
    assert_eq!(place.content().unwrap(), b"older");
    assert_eq!(place.names(), ["file.bin"]);
}

#[tokio::test]
async fn a_part_that_lies_about_itself_is_found_out_by_the_hash() {
    let file = bytes(100);
    let body = file.clone();
    let server = server(move |request, number| match number {
        0 => served(request, &body, "\"1\"", 50),
        _ => served(request, &[b'x'; 100], "\"1\"", usize::MAX),
    })
    .await;
    let place = Place::new();
    let error = download(&server, &place, expecting(&file))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert_eq!(place.names(), [""; 0]);
}

#[tokio::test]
async fn what_is_taken_back_or_fails_leaves_no_file_behind() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec();
    let begun = [head, bytes(500_000)].concat();
    let hanging = server(move |_, _| Reaction::RawThenHang(begun.clone())).await;
    let place = Place::new();
    let token = CancellationToken::new();
    let cancel = token.clone();
    let how = Download {
        progress: Some(Arc::new(move |progress: Progress| {
            if progress.bytes >= 500_000 {
                cancel.cancel();
            }
        })),
        progress_every: Duration::ZERO,
        ..Download::default()
    };
    let client = client(settings());
    let request = client.get(&hanging.url("/file")).cancelled_by(token);
    let error = soon("it", request.download(&place.path, how))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    // A thread may still be writing, and removes the file when it is done.
    soon("the end of it", async {
        while !place.names().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let gone = server(|_, _| Reaction::answer(404).body("gone")).await;
    let error = download(&gone, &place, Download::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::Status(404), 1)
    );
    assert_eq!(place.names(), [""; 0]);
}

#[tokio::test]
async fn a_file_that_is_too_long_or_cannot_be_written_is_refused() {
    let server = server(|_, _| Reaction::answer(200).body(vec![b'x'; 1_001])).await;
    let place = Place::new();
    let how = || Download {
        bytes_max: 1_000,
        ..Download::default()
    };
    let error = download(&server, &place, how()).await.unwrap_err();
    assert_eq!((error.kind(), asked(&server)), (ErrorKind::TooLarge, 1));
    let endless = crate::support::server(|_, _| {
        Reaction::Raw([b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 1_001]].concat())
    })
    .await;
    let error = download(&endless, &place, how()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(place.names(), [""; 0]);

    let nowhere = Place {
        path: place.folder.path().join("no/such/file"),
        ..place
    };
    let error = download(&server, &nowhere, Download::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), asked(&server)),
        (ErrorKind::File, 1),
        "not even asked"
    );
}

#[tokio::test]
async fn progress_is_told_at_both_ends_and_no_more_often_than_it_should_be() {
    let body = bytes(2_000_000);
    let server = server(move |_, _| Reaction::answer(200).body(body.clone())).await;
    // On this clock no time passes, so nothing is told but the two ends.
    let client = Client::new(settings(), AskedClock::new().shared()).unwrap();
    let told: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let log = Arc::clone(&told);
    let how = Download {
        progress: Some(Arc::new(move |progress| log.lock().unwrap().push(progress))),
        ..Download::default()
    };
    let place = Place::new();
    let url = server.url("/file");
    let downloading = client.download(&url, &place.path, how);
    soon("the download", downloading).await.unwrap();
    let ends = [0, 2_000_000].map(|bytes| Progress {
        bytes,
        total: Some(2_000_000),
    });
    assert_eq!(*told.lock().unwrap(), ends);
}

#[tokio::test]
async fn a_file_that_comes_compressed_against_our_wish_is_no_file() {
    let server = server(|_, _| {
        Reaction::answer(200)
            .header("Content-Encoding", "gzip")
            .body("x")
    })
    .await;
    let place = Place::new();
    let error = download(&server, &place, Download::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("compressed"), "{error}");
    assert_eq!(place.names(), [""; 0]);
}

#[tokio::test]
async fn the_total_limit_covers_all_pieces() {
    let body = bytes(1_000_000);
    let server = server(move |request, _| served(request, &body, "\"1\"", 10)).await;
    let place = Place::new();
    // No time passes but in the pauses between two pieces, of a millisecond each.
    let clock = AskedClock::new();
    let client = Client::new(settings(), clock.shared()).unwrap();
    let request = client
        .get(&server.url("/file"))
        .timeout(Duration::from_millis(20));
    let downloading = soon("it", request.download(&place.path, Download::default()));
    let error = tokio::select! {
        done = downloading => done.unwrap_err(),
        never = clock.pass_each(Duration::from_millis(1)) => never,
    };
    assert_eq!(error.kind(), ErrorKind::TotalTimeout, "{error:?}");
    assert_eq!(error.attempts(), 20);
    assert_eq!(place.names(), [""; 0]);
}

/// The file appeared, and the answer was that it had been taken back, and that nothing was changed.
#[tokio::test]
async fn a_file_that_gets_its_name_is_not_taken_back_any_more() {
    let server = server(|_, _| Reaction::answer(200).body("whole")).await;
    let client = client(settings());
    for _ in 0..50 {
        let place = Place::new();
        let token = CancellationToken::new();
        let request = client.get(&server.url("/file")).cancelled_by(token.clone());
        let downloading = request.download(&place.path, Download::default());
        let cancel = async {
            while place.content().is_none() {
                tokio::task::yield_now().await;
            }
            token.cancel();
        };
        let (done, ()) = tokio::join!(soon("the end", downloading), soon("the file", cancel));
        assert_eq!(done.unwrap().bytes, 5);
    }
}

/// How a download with a limit of 10 s ends, of which only the disk takes any, from a moment on.
async fn held_up(from: Option<u64>) -> (ErrorKind, Vec<String>) {
    let server = server(|_, _| Reaction::answer(200).body("whole")).await;
    let place = Place::new();
    let clock = AskedClock::new();
    let client = Client::new(settings(), clock.shared()).unwrap();
    let (end, ended) = std::sync::mpsc::sync_channel::<()>(1);
    let ended = Arc::new(Mutex::new(ended));
    let silence = move || {
        let ended = Arc::clone(&ended);
        drop(tokio::task::spawn_blocking(move || {
            let _ended = ended.lock().unwrap().recv();
        }));
    };
    let begun = Arc::new(tokio::sync::Notify::new());
    let begin = Arc::clone(&begun);
    if from.is_none() {
        silence();
        begin.notify_one();
    }
    let how = Download {
        progress: Some(Arc::new(move |progress: Progress| {
            if Some(progress.bytes) == from {
                silence();
                begin.notify_one();
            }
        })),
        progress_every: Duration::MAX,
        ..Download::default()
    };
    let request = client
        .get(&server.url("/file"))
        .timeout(Duration::from_secs(10));
    let (done, ()) = tokio::join!(soon("the end", request.download(&place.path, how)), async {
        begun.notified().await;
        clock.manual.advance(Duration::from_secs(10));
    });
    drop(end);
    soon("the end of it", async {
        while !place.names().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    (done.unwrap_err().kind(), place.names())
}

/// What the disk takes for it counted for nothing, before the first byte and after the last.
#[test]
fn a_disk_that_takes_for_ever_ends_a_download_in_time() {
    for from in [None, Some(5)] {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let (kind, names) = runtime.block_on(held_up(from));
        assert_eq!(kind, ErrorKind::TotalTimeout, "{from:?}");
        assert_eq!(names, [""; 0]);
    }
}
