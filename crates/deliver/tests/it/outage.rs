//! The promises together: a real queue, a worker, and a server that fails in every way it can.

use crate::station::{Ledger, Station, http, numbered, quick};
use crate::support::{clock, hash, soon, until};
use mainstay_deliver::{Folder, FolderConfig, Http, HttpConfig, State};
use mainstay_queue::{DocumentId, NewBody, NewDocument};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction, Request};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Notify;

/// Half of all requests fail, in every way there is; some of them after the server has stored the document.
fn fault(ledger: &Ledger, request: &Request, number: usize) -> Reaction {
    let key = request.header("idempotency-key").unwrap();
    let yes = |ledger: &Ledger| {
        if ledger.has(request) {
            return Reaction::answer(409).header("Idempotency-Key", key);
        }
        ledger.store(request);
        Reaction::answer(201)
    };
    match number % 22 {
        1 => Reaction::answer(500),
        3 => Reaction::answer(503),
        5 => Reaction::answer(408),
        7 => Reaction::Reset,
        9 => Reaction::Close,
        11 => Reaction::Hang,
        13 => Reaction::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec()),
        15 => Reaction::Raw(b"nonsense\r\n\r\n".to_vec()),
        17 => {
            // Stored, and the answer never arrives.
            ledger.store(request);
            Reaction::Reset
        }
        19 => {
            ledger.store(request);
            Reaction::Raw(b"HTTP/1.1 201 Created\r\nContent-Le".to_vec())
        }
        21 => Reaction::answer(429).header("Retry-After", "0"),
        _ => yes(ledger),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_document_arrives_at_a_server_that_fails_in_every_way() {
    let (temp, ledger) = (TempDir::new().unwrap(), Arc::new(Ledger::default()));
    let server = FaultyServer::start({
        let ledger = Arc::clone(&ledger);
        move |request, number| fault(&ledger, request, number)
    })
    .await
    .unwrap();
    let mut station = Station::open(temp.path()).await;
    let documents = station.store(numbered(200)).await;
    let handle = station.deliver_to(http(&server, Duration::from_millis(300)), quick());
    soon("the queue", station.queue.settled()).await;

    ledger.assert_has_exactly(&documents);
    let account = station.queue.ledger();
    assert_eq!(
        (
            account.accepted,
            account.delivered,
            account.queued,
            account.dead
        ),
        (200, 200, 0, 0)
    );
    let status = handle.status();
    assert_eq!(status.delivered, 200);
    assert!(
        status.already_there > 0 && status.retried > 50,
        "{status:?}"
    );
    for request in server.conversation().requests() {
        let id: DocumentId = request.header("idempotency-key").unwrap().parse().unwrap();
        assert_eq!(
            documents[&id],
            hash(&request.body),
            "the same bytes under the same key, every time"
        );
    }
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_stored_twice_when_the_worker_dies_again_and_again() {
    let (temp, ledger) = (TempDir::new().unwrap(), Arc::new(Ledger::default()));
    let server = FaultyServer::start({
        let ledger = Arc::clone(&ledger);
        move |request, number| fault(&ledger, request, number)
    })
    .await
    .unwrap();
    let station = Station::open(temp.path()).await;
    let documents = station.store(numbered(150)).await;
    station.kill().await;
    for round in 1..=5 {
        let mut station = Station::open(temp.path()).await;
        station.deliver_to(http(&server, Duration::from_millis(300)), quick());
        soon("some requests", server.conversation().wait_for(round * 25)).await;
        station.kill().await;
    }
    let mut station = Station::open(temp.path()).await;
    station.deliver_to(http(&server, Duration::from_millis(300)), quick());
    soon("the queue", station.queue.settled()).await;
    ledger.assert_has_exactly(&documents);
    assert_eq!(station.queue.ledger().delivered, 150);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_without_a_2xx() {
    let temp = TempDir::new().unwrap();
    let server = FaultyServer::start(|_, number| match number % 6 {
        0 => Reaction::answer(500),
        1 => Reaction::answer(302).header("Location", "/elsewhere"),
        2 => Reaction::Reset,
        3 => Reaction::answer(409).body("conflict"),
        4 => Reaction::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_vec()),
        _ => Reaction::answer(401),
    })
    .await
    .unwrap();
    let mut station = Station::open(temp.path()).await;
    station.store(numbered(20)).await;
    station.deliver_to(http(&server, Duration::from_millis(300)), quick());
    soon("requests", server.conversation().wait_for(120)).await;
    let account = station.queue.ledger();
    assert_eq!((account.accepted, account.delivered), (20, 0));
    assert_eq!(account.queued + account.dead, 20);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_put_right_later_costs_no_document_an_attempt() {
    let (temp, cured) = (TempDir::new().unwrap(), Arc::new(AtomicBool::new(false)));
    let server = FaultyServer::start({
        let cured = Arc::clone(&cured);
        move |_, _| {
            Reaction::answer(if cured.load(Ordering::SeqCst) {
                200
            } else {
                401
            })
        }
    })
    .await
    .unwrap();
    let mut station = Station::open(temp.path()).await;
    station.store(numbered(50)).await;
    let handle = station.deliver_to(http(&server, Duration::from_secs(5)), quick());
    soon("probes", server.conversation().wait_for(20)).await;
    let State::Held { reason, .. } = handle.status().state else {
        panic!("{:?}", handle.status())
    };
    assert!(
        reason.contains("401 Unauthorized; check the credentials"),
        "{reason}"
    );
    assert_eq!(handle.status().retried, 0);

    cured.store(true, Ordering::SeqCst);
    soon("the queue", station.queue.settled()).await;
    let status = handle.status();
    assert_eq!(
        (status.delivered, status.retried, status.rejected),
        (50, 0, 0)
    );
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_hang_or_are_refused_hold_up_no_other() {
    let temp = TempDir::new().unwrap();
    let server = FaultyServer::start(|request, _| match request.body.as_slice() {
        b"hang" => Reaction::Hang,
        b"poison" => Reaction::answer(422),
        b"forbidden" => Reaction::answer(403),
        _ => Reaction::answer(200),
    })
    .await
    .unwrap();
    let mut station = Station::open(temp.path()).await;
    let special = ["hang", "poison", "forbidden", "hang", "poison", "hang"]
        .map(|body| body.as_bytes().to_vec());
    station.store(special).await;
    station.store(numbered(200)).await;
    let handle = station.deliver_to(http(&server, Duration::from_hours(1)), quick());
    until("all others are delivered", || {
        station.queue.ledger().delivered == 200
    })
    .await;
    until("the refused ones are buried", || {
        station.queue.ledger().dead == 3
    })
    .await;
    assert_eq!(station.queue.ledger().queued, 3);
    assert_eq!(handle.status().in_flight, 3);
    station.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_quiet_hears_nothing_until_then() {
    let temp = TempDir::new().unwrap();
    let server = FaultyServer::start(|_, number| match number {
        0 => Reaction::answer(429).header("Retry-After", "1"),
        _ => Reaction::answer(200),
    })
    .await
    .unwrap();
    let mut station = Station::open(temp.path()).await;
    station.store(numbered(1)).await;
    let handle = station.deliver_to(http(&server, Duration::from_secs(5)), quick());
    until("the server has asked", || {
        matches!(handle.status().state, State::Waiting { .. })
    })
    .await;
    let asked = std::time::Instant::now();
    station.store(numbered(20)).await;
    soon("the next request", server.conversation().wait_for(2)).await;
    assert!(
        asked.elapsed() > Duration::from_millis(800),
        "{:?}",
        asked.elapsed()
    );
    soon("the queue", station.queue.settled()).await;
    assert_eq!(station.queue.ledger().delivered, 21);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_is_noticed_and_gets_everything() {
    let temp = TempDir::new().unwrap();
    let first = FaultyServer::start(|_, _| Reaction::answer(200))
        .await
        .unwrap();
    let address = first.address();
    drop(first);
    let mut config = HttpConfig::new(format!("http://{address}/in"));
    config.timeout = Duration::from_secs(5);
    let mut station = Station::open(temp.path()).await;
    station.store(numbered(30)).await;
    let handle = station.deliver_to(Http::new(&config, clock()).unwrap(), quick());
    until("it is held", || {
        matches!(handle.status().state, State::Held { .. })
    })
    .await;

    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let back = FaultyServer::on(listener, |_, _| Reaction::answer(200)).unwrap();
    soon("the queue", station.queue.settled()).await;
    assert_eq!(back.conversation().requests().len(), 30);
    let status = handle.status();
    assert_eq!((status.delivered, status.retried), (30, 0));
    until("it is idle", || handle.status().state == State::Idle).await;
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_records_what_the_server_still_confirms() {
    let (temp, release) = (TempDir::new().unwrap(), Arc::new(Notify::new()));
    let under_way = Arc::new(AtomicUsize::new(0));
    let server = FaultyServer::start({
        let (release, under_way) = (Arc::clone(&release), Arc::clone(&under_way));
        move |_, _| {
            under_way.fetch_add(1, Ordering::SeqCst);
            Reaction::After(Arc::clone(&release), Box::new(Reaction::answer(200)))
        }
    })
    .await
    .unwrap();
    let mut station = Station::open(temp.path()).await;
    station.store(numbered(10)).await;
    let handle = station.deliver_to(http(&server, Duration::from_mins(1)), quick());
    until("five are under way", || {
        under_way.load(Ordering::SeqCst) == 5
    })
    .await;
    let (running, stop, _) = station.worker.take().unwrap();
    stop.cancel();
    // Permits are kept one by one for those that do not wait yet.
    until("it has stopped", || {
        release.notify_waiters();
        running.is_finished()
    })
    .await;
    assert_eq!(handle.status().state, State::Stopped);
    let account = station.queue.ledger();
    assert_eq!((account.delivered, account.queued), (5, 5));
    assert_eq!(under_way.load(Ordering::SeqCst), 5);
    station.queue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_document_goes_from_its_file_to_the_server() {
    let temp = TempDir::new().unwrap();
    let server =
        FaultyServer::start(|_, number| Reaction::answer(if number == 0 { 500 } else { 200 }))
            .await
            .unwrap();
    let mut station = Station::open(temp.path()).await;
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|index| (index % 251) as u8)
        .collect();
    let body = {
        let (queue, bytes) = (station.queue.clone(), bytes.clone());
        tokio::task::spawn_blocking(move || {
            let mut writer = queue.body_writer().unwrap();
            writer.write(&bytes).unwrap();
            writer.finish().unwrap()
        })
        .await
        .unwrap()
    };
    let mut document = NewDocument::new(vec![station.lane], Vec::new());
    document.hash = Some(hash(&bytes));
    document.body = NewBody::File(body);
    station.queue.enqueue(document).await.unwrap();
    station.deliver_to(http(&server, Duration::from_secs(5)), quick());
    soon("the queue", station.queue.settled()).await;
    let requests = server.conversation().requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.body == bytes));
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_gets_every_document_once_though_the_worker_dies_again_and_again() {
    let (temp, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let folder = || Folder::new(&FolderConfig::new(out.path()), clock()).unwrap();
    let station = Station::open(temp.path()).await;
    let documents = station.store(numbered(120)).await;
    station.kill().await;
    let files = || {
        std::fs::read_dir(out.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file())
            .count()
    };
    for round in 1..=5 {
        let mut station = Station::open(temp.path()).await;
        station.deliver_to(folder(), quick());
        until("some files are there", || round * 15 <= files()).await;
        station.kill().await;
    }
    let mut station = Station::open(temp.path()).await;
    station.deliver_to(folder(), quick());
    soon("the queue", station.queue.settled()).await;
    station.stop().await;
    let found: Vec<_> = std::fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| hash(&std::fs::read(entry.path()).unwrap()))
        .collect();
    assert_eq!(found.len(), 120, "one file for each document, none twice");
    assert_eq!(
        found.into_iter().collect::<HashSet<_>>(),
        documents.into_values().collect::<HashSet<_>>()
    );
}
