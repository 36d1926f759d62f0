//! What a document keeps from others while it is looked up, and what it does not.

use super::room::ROOM_KIB;
use super::*;
use crate::units::Rate;
use mainstay_clock::ManualClock;
use mainstay_lookup::{LookupSettings, UrlTemplate};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction};
use std::collections::BTreeMap;
use tokio::sync::{Notify, mpsc};

/// A destination that says what came, and confirms it once it is released.
#[derive(Debug)]
struct Gate {
    came: mpsc::Sender<Content>,
    open: Option<Arc<Notify>>,
}

impl Destination for Gate {
    fn address(&self) -> &'static str {
        "gate"
    }

    fn send(&self, document: Outgoing) -> Sending<'_> {
        Box::pin(async move {
            self.came.send(document.body).await.unwrap();
            if let Some(open) = &self.open {
                open.notified().await;
            }
            Outcome::Delivered
        })
    }
}

fn gate(open: Option<Arc<Notify>>) -> (AnyDestination, mpsc::Receiver<Content>) {
    let (came, arrivals) = mpsc::channel(8);
    (Arc::new(Gate { came, open }), arrivals)
}

fn config(server: &FaultyServer, on_failure: OnFailure, rate: Option<Rate>) -> Config {
    let url = UrlTemplate::parse(&server.url("/{n}")).unwrap();
    let mut settings = LookupSettings::new(url, vec![("a".parse().unwrap(), "b".parse().unwrap())]);
    settings.each = "*".parse().unwrap();
    settings.on_failure = on_failure;
    Config {
        name: "lookup".to_owned(),
        settings,
        headers: BTreeMap::new(),
        auth: None,
        connection: crate::config::Connection::default(),
        rate,
        cache: false,
    }
}

fn outgoing(body: Content) -> Outgoing {
    Outgoing {
        id: DocumentId::new(),
        route: "r".to_owned(),
        source: b"d".to_vec(),
        content_type: "application/json".to_owned(),
        headers: Vec::new(),
        hash: None,
        body,
    }
}

/// Each of `count` things is asked about by its number; as long as was asked for.
fn numbered(count: usize, len: usize) -> Content {
    let things: Vec<String> = (0..count).map(|n| format!("{{\"n\":{n}}}")).collect();
    Content::Bytes(format!("[{}]{}", things.join(","), " ".repeat(len)).into())
}

async fn answering() -> FaultyServer {
    FaultyServer::start(|_, _| Reaction::answer(200).body(r#"{"b":1}"#))
        .await
        .unwrap()
}

/// A large document held the only turn of its route until its destination had it.
#[tokio::test]
async fn while_a_slow_destination_takes_documents_others_are_looked_up() {
    let server = answering().await;
    let room = Room::new(&std::env::temp_dir());
    let configs = [config(&server, OnFailure::Wait, None)];
    let clock = mainstay_clock::system();
    let lookups = Lookups::build(&configs, None, None, &room, &clock).unwrap();
    let open = Arc::new(Notify::new());
    let (slow, mut came) = gate(Some(Arc::clone(&open)));
    let slow = lookups.before(slow);
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..3 {
        // Together more than there is room for.
        let (slow, large) = (Arc::clone(&slow), numbered(1, 50 << 20));
        sending.spawn(async move { slow.send(outgoing(large)).await });
    }
    for _ in 0..3 {
        let body = came.recv().await.unwrap();
        // In memory they would be beside the room.
        assert!(matches!(body, Content::File(..)), "{body:?}");
        let (_, bytes) = read(body).await.unwrap();
        assert!(bytes.starts_with(b"[{\"n\":0,\"a\":1}]"));
    }
    let (healthy, mut arrived) = gate(None);
    let large = outgoing(numbered(1, 2 << 20));
    assert_eq!(
        lookups.before(healthy).send(large).await,
        Outcome::Delivered
    );
    arrived.recv().await.unwrap();
    assert_eq!(room.memory.available_permits(), ROOM_KIB as usize);
    while !sending.is_empty() {
        open.notify_waiters();
        tokio::select! {
            biased;
            sent = sending.join_next() => assert_eq!(sent.unwrap().unwrap(), Outcome::Delivered),
            () = tokio::task::yield_now() => {}
        }
    }
}

/// It was read up to the limit, only to be refused by a length that was known.
#[tokio::test]
async fn a_document_that_is_too_long_is_not_read_and_takes_no_room() {
    let server = answering().await;
    let too_long = (mainstay_lookup::DOCUMENT_MAX + 1) as u64;
    for (on_failure, expected) in [
        (OnFailure::Wait, None),
        (OnFailure::Bury, None),
        (OnFailure::Pass, Some(Outcome::Delivered)),
    ] {
        let file = tempfile::tempfile().unwrap();
        file.set_len(too_long).unwrap();
        // Whoever takes some of it, to read, ends the test.
        let room = Room::new(&std::env::temp_dir());
        room.memory.close();
        let clock = mainstay_clock::system();
        let configs = [config(&server, on_failure, None)];
        let lookups = Lookups::build(&configs, None, None, &room, &clock).unwrap();
        let (destination, mut came) = gate(None);
        let document = outgoing(Content::File(file, too_long));
        let outcome = lookups.before(destination).send(document).await;
        if let Some(expected) = expected {
            assert_eq!(outcome, expected);
            let body = came.recv().await.unwrap();
            assert!(matches!(body, Content::File(_, len) if len == too_long));
            assert_eq!(lookups.status()[0].without, 1);
        } else {
            assert!(
                matches!(&outcome, Outcome::Unsendable { reason } if reason.contains("67108865 bytes")),
                "{outcome:?}"
            );
            assert_eq!(lookups.status()[0].refused, 1);
        }
    }
}

/// Documents that are looked up for ever let others wait, but not for ever.
#[tokio::test]
async fn a_document_that_finds_no_room_is_tried_again() {
    let server = answering().await;
    let clock = ManualClock::new();
    let shared: SharedClock = Arc::new(clock.clone());
    let room = Room::new(&std::env::temp_dir());
    let configs = [config(&server, OnFailure::Pass, None)];
    let lookups = Lookups::build(&configs, None, None, &room, &shared).unwrap();
    let _all = room.take(u64::MAX).await;
    let (destination, _came) = gate(None);
    let looked_up = lookups.before(destination);
    let mut sending = looked_up.send(outgoing(numbered(1, 0)));
    let outcome = loop {
        tokio::select! {
            biased;
            outcome = &mut sending => break outcome,
            () = tokio::task::yield_now() => clock.advance(Duration::from_mins(1)),
        }
    };
    assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
}

/// `rate = "10/min"` and a document of more than four things: it was passed without, buried, or never arrived.
#[tokio::test]
async fn a_rate_lets_a_document_wait_for_its_turn_and_nothing_else() {
    for on_failure in [OnFailure::Wait, OnFailure::Pass, OnFailure::Bury] {
        let server = answering().await;
        let clock = ManualClock::new();
        let shared: SharedClock = Arc::new(clock.clone());
        let rate = Rate {
            number: 10,
            per: Duration::from_mins(1),
        };
        let configs = [config(&server, on_failure, Some(rate))];
        let lookups = Lookups::build(
            &configs,
            None,
            None,
            &Room::new(&std::env::temp_dir()),
            &shared,
        )
        .unwrap();
        let (destination, mut came) = gate(None);
        let looked_up = lookups.before(destination);
        let sending = tokio::spawn(async move { looked_up.send(outgoing(numbered(6, 0))).await });
        let conversation = server.conversation();
        conversation.wait_for(4).await;
        for asked in 5..=6 {
            clock.advance(Duration::from_secs(6));
            tokio::select! {
                () = conversation.wait_for(asked) => {}
                () = ended(&sending) => {}
            }
        }
        assert_eq!(sending.await.unwrap(), Outcome::Delivered, "{on_failure:?}");
        let Some(Content::Bytes(bytes)) = came.recv().await else {
            panic!("nothing was put in");
        };
        let completed = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(completed.matches("\"a\":1").count(), 6, "{completed}");
        assert_eq!(lookups.status()[0].without, 0);
    }
}

async fn ended<T>(task: &tokio::task::JoinHandle<T>) {
    while !task.is_finished() {
        tokio::task::yield_now().await;
    }
}
