//! `[route.from.http]`: what is answered with 202 is kept, a repeat is known, and everything else is refused with the reason.

use crate::hubs::{self, Hub, ID, KEY, NOWHERE, configure, head, json, ledger, status};
use crate::support::{Stage, say, stored_in, until};
use std::io::{Read, Write};

#[test]
fn what_was_answered_with_202_is_there_after_a_kill_at_that_instant() {
    let stage = Stage::new();
    // One in the log, one in a file of its own, one without a byte.
    let bodies = [b"{}".to_vec(), vec![7; 700_000], Vec::new()];
    configure(&stage, "", "listen = \"127.0.0.1:0\"", NOWHERE);
    for (number, body) in bodies.iter().enumerate() {
        let hub = Hub::start(&stage);
        let answer = hub.post(&[&format!("idempotency-key: key-{number}")], body);
        hub.process.kill();
        assert_eq!(answer.status, 202, "{answer:?}");
        assert!(answer.body.contains("\"state\":\"queued\""), "{answer:?}");
        assert_eq!(ledger(&stage, "queued"), number as u64 + 1);
    }
    let list = json(&stage, &["queue", "list"]);
    let mut sizes: Vec<u64> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document["bytes"].as_u64().unwrap())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 2, 700_000]);
}

#[test]
fn a_repeat_is_answered_with_200_and_stored_once_after_a_kill_too() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "");
    for key in [
        KEY,
        "idempotency-key: \"order 17\"",
        "idempotency-key: order-17",
    ] {
        let status = hub.post(&[key], b"one").status;
        assert_eq!(status, if key.contains('"') { 400 } else { 202 }, "{key}");
    }
    assert_eq!(hub.post(&[KEY], b"one").status, 200);
    hub.process.kill();

    let hub = Hub::start(&stage);
    let answer = hub.post(&[KEY], b"one");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains(ID) && answer.body.contains("\"already_there\":true"));
    assert!(answer.has(KEY), "{answer:?}");
    assert_eq!(hub.post(&["idempotency-key: order-17"], b"one").status, 200);

    let answer = hub.post(&[KEY], b"two");
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.body.contains("other content"), "{answer:?}");
    assert_eq!(ledger(&stage, "accepted"), 2);
    let from = status(&stage)["routes"][0]["from"].clone();
    assert_eq!((&from["taken"], &from["repeats"]), (&0.into(), &2.into()));
    assert_eq!(from["refused"]["key_reused"], 1);
}

#[test]
fn of_many_requests_with_one_key_one_stores_and_the_others_hear_of_it() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "");
    let body = vec![1; 400_000];
    let codes: Vec<u16> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| hub.post(&[KEY], &body).status))
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let count = |code: u16| codes.iter().filter(|given| **given == code).count();
    assert_eq!((count(202), count(200)), (1, 15), "{codes:?}");
    assert_eq!(ledger(&stage, "accepted"), 1);
}

#[test]
fn one_key_on_two_routes_is_refused_and_never_taken_for_a_repeat() {
    let stage = Stage::new();
    let file = configure(&stage, "", "listen = \"127.0.0.1:0\"", NOWHERE);
    let port = hubs::quiet_port();
    let first = std::fs::read_to_string(&file).unwrap();
    let second = format!(
        "[[route]]\nname = \"other\"\n[route.from.http]\nlisten = \"127.0.0.1:{port}\"\n[route.to.http]\nurl = \"{NOWHERE}\"\n"
    );
    std::fs::write(&file, first + &second).unwrap();
    let mut hub = Hub::start(&stage);
    assert_eq!(hub.post(&[KEY], b"one").status, 202);
    assert_eq!(hub.post(&["idempotency-key: 1"], b"one").status, 202);
    hub.address = format!("127.0.0.1:{port}");
    let answer = hub.post(&[KEY], b"one");
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.body.contains("the route `hub`"), "{answer:?}");
    // A key that is no UUID counts for its route alone.
    assert_eq!(hub.post(&["idempotency-key: 1"], b"one").status, 202);
}

#[test]
fn a_document_keeps_its_key_its_name_and_its_type_from_an_agent_through_a_hub_to_its_receiver() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let hub = Hub::to(&stage, &receiver.url(), "token = \"t0k3n\"");
    let config = format!(
        "[station]\nname = \"Prüfplatz 4\"\n[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.http]\nurl = \"http://{}/ingest\"\nauth = {{ bearer = \"t0k3n\" }}\ncompress = \"zstd\"\n",
        stage.text("drop"),
        hub.address
    );
    std::fs::write(stage.path("agent.toml"), config).unwrap();
    stage.drop_file("Prüfung 1.csv", b"part;result\n");
    stage.drop_file("empty.ok", b"");
    let mut agent = stage.command(&["run", "--until-empty"]);
    let said = say(agent.arg("--config").arg(stage.path("agent.toml")));
    assert_eq!(said.code, Some(0), "{said:?}");

    until("the receiver has both", || receiver.stored().len() == 2);
    assert_eq!(receiver.stored()["Prüfung 1.csv"], b"part;result\n");
    assert_eq!(receiver.stored()["empty.ok"], b"");
    let mut keys: Vec<String> = stored_in(&stage.path("store"))
        .into_iter()
        .map(|(key, ..)| key)
        .collect();
    keys.sort();
    let list = stage.json(&["queue", "list", "--state", "sent"]);
    let mut ids: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(keys, ids);
    until("the hub has delivered both", || {
        ledger(&stage, "delivered") == 2
    });
    for id in &ids {
        let station = &json(&stage, &["queue", "show", id])["headers"][0];
        assert_eq!(station[0], "Mainstay-Station");
        assert_eq!(
            station[1], "Prüfplatz 4",
            "who made it, not who passed it on"
        );
    }
}

/// A hub before a hub: what the second has in its queue is what arrived there.
#[test]
fn the_type_that_a_sender_gives_arrives_whatever_the_name_suggests() {
    let (first, second) = (Stage::new(), Stage::new());
    let there = Hub::to(&second, NOWHERE, "");
    let here = Hub::to(&first, &format!("http://{}/ingest", there.address), "");
    let lab = "content-type: application/x-lab; version=2";
    let answer = here.ask("POST", "/ingest/report.csv", &[KEY, lab], b"part;result\n");
    assert_eq!(answer.status, 202, "{answer:?}");
    until("it is passed on", || ledger(&second, "queued") == 1);
    let arrived = json(&second, &["queue", "show", ID]);
    assert_eq!(arrived["content_type"], "application/x-lab; version=2");
    assert_eq!(arrived["source"], "report.csv");
}

#[test]
fn of_two_documents_under_one_key_at_the_same_time_one_is_stored_and_the_other_refused() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "");
    // Both are known to nobody while they come, and both are whole.
    let bodies = [vec![1; 700_000], vec![2; 700_000]];
    let mut streams = bodies.each_ref().map(|body| {
        let mut stream = hub.connect();
        let mut request = head("POST", "/ingest", &[KEY], body.len());
        request.extend(&body[1..]);
        stream.write_all(&request).unwrap();
        stream
    });
    until("both are under way", || {
        status(&stage)["routes"][0]["from"]["under_way"] == 2
    });
    for (stream, body) in streams.iter_mut().zip(&bodies) {
        stream.write_all(&body[..1]).unwrap();
    }
    let mut codes = streams.map(|stream| hubs::Answer::read(stream).status);
    codes.sort_unstable();
    assert_eq!(codes, [202, 422]);
    assert_eq!(ledger(&stage, "accepted"), 1);
    let bodies = stage.path("hub/queue/bodies");
    until("the body of the refused one is gone", || {
        std::fs::read_dir(&bodies).unwrap().count() == 1
    });
}

#[test]
fn a_document_that_has_no_room_is_refused_before_its_body_is_read_and_a_smaller_one_is_taken() {
    let stage = Stage::new();
    let http = "listen = \"127.0.0.1:0\"";
    configure(&stage, "max_bytes = \"1 MiB\"", http, NOWHERE);
    let hub = Hub::start(&stage);
    assert_eq!(
        hub.post(&["idempotency-key: 1"], &vec![1; 600_000]).status,
        202
    );
    let mut large = hub.connect();
    large
        .write_all(&head("POST", "/ingest", &["idempotency-key: 2"], 600_000))
        .unwrap();
    let answer = hubs::Answer::read(large);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.has("retry-after: 10"), "{answer:?}");
    let packed = zstd::encode_all(&vec![2; 600_000][..], 3).unwrap();
    let answer = hub.post(&["idempotency-key: 2", "content-encoding: zstd"], &packed);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("no room"), "{answer:?}");
    assert_eq!(hub.post(&["idempotency-key: 3"], &[3; 1000]).status, 202);
}

#[test]
fn a_header_that_is_there_twice_is_no_puzzle_for_the_hub() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "");
    let second = "idempotency-key: 0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f7";
    let twice = [
        vec![KEY, second],
        vec![KEY, "content-encoding: gzip", "content-encoding: zstd"],
    ];
    for headers in twice {
        let answer = hub.post(&headers, b"abc");
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains("is there twice"), "{answer:?}");
    }
    // On two lines a digest is one list (RFC 9110, 5.3), and its second half counts.
    let wrong = "content-digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    let answer = hub.post(&[KEY, "content-digest: sha-512=:AAAA:", wrong], b"abc");
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("damaged on the way"), "{answer:?}");
    assert_eq!(
        hub.post(&[KEY, "content-encoding: IDENTITY"], b"abc")
            .status,
        202
    );
}

#[test]
fn a_queue_without_room_says_when_to_come_again_and_takes_documents_once_there_is() {
    let stage = Stage::new();
    let port = hubs::quiet_port();
    let to = format!("http://127.0.0.1:{port}/ingest");
    let http = "listen = \"127.0.0.1:0\"";
    configure(&stage, "max_documents = 2", http, &to);
    let hub = Hub::start(&stage);
    let post = |number: u32| hub.post(&[&format!("idempotency-key: {number}")], b"x");
    assert_eq!((post(1).status, post(2).status), (202, 202));
    let answer = post(3);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.has("retry-after: 10"), "{answer:?}");
    // Said at once, before the body is read, and not when waiting for the queue has come to nothing.
    assert!(answer.body.contains("no room"), "{answer:?}");
    // What is there needs no room.
    assert_eq!(post(2).status, 200);
    let told = status(&stage);
    assert_eq!(told["routes"][0]["from"]["state"], "full", "{told}");
    assert_eq!(told["routes"][0]["from"]["refused"]["full"], 1, "{told}");

    let receiver = crate::support::Receiver::start(&stage, &format!("127.0.0.1:{port}"), &[]);
    until("there is room again", || post(3).status == 202);
    until("all three arrive", || {
        stored_in(&stage.path("store")).len() == 3
    });
    drop(receiver);
}

#[test]
fn too_many_at_once_are_told_to_come_again() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "max_concurrent = 1");
    let mut slow = hub.connect();
    slow.write_all(&head("POST", "/ingest", &[KEY], 3)).unwrap();
    until("the slow one is served", || {
        status(&stage)["routes"][0]["from"]["under_way"] == 1
    });
    let answer = hub.post(&["idempotency-key: 2"], b"two");
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.has("retry-after: 1"), "{answer:?}");
    slow.write_all(b"one").unwrap();
    assert_eq!(hubs::Answer::read(slow).status, 202);
    assert_eq!(hub.post(&["idempotency-key: 2"], b"two").status, 202);
}

#[test]
fn a_stop_finishes_what_is_under_way_and_lets_nobody_new_in() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "");
    let mut under_way = hub.connect();
    under_way
        .write_all(&head("POST", "/ingest", &[KEY], 3))
        .unwrap();
    let mut idle = hub.connect();
    until("the request is served", || {
        status(&stage)["routes"][0]["from"]["under_way"] == 1
    });
    hub.process.signal("TERM");
    // A connection that does nothing is closed at once, before its time.
    let mut nothing = Vec::new();
    drop(idle.read_to_end(&mut nothing));
    until("nobody new comes in", || {
        std::net::TcpStream::connect(&hub.address).is_err()
    });
    under_way.write_all(b"one").unwrap();
    assert_eq!(hubs::Answer::read(under_way).status, 202);
    assert_eq!(hub.process.end(), Some(0));
    assert_eq!(ledger(&stage, "queued"), 1);
}

#[test]
fn an_address_that_is_taken_is_told_with_what_to_do() {
    let stage = Stage::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    configure(&stage, "", &format!("listen = \"{address}\""), NOWHERE);
    let said = say(&mut hubs::command(&stage));
    assert_eq!(said.code, Some(40), "{said:?}");
    let words = format!("route `hub` cannot listen on {address}");
    assert!(said.err.contains(&words), "{}", said.err);
    assert!(said.err.contains("help: another program"), "{}", said.err);
}

#[test]
fn where_a_route_listens_and_what_it_refused_is_shown() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "");
    assert_eq!(hub.post(&[KEY], b"one").status, 202);
    assert_eq!(hub.post(&[], b"one").status, 400);
    let mut command = crate::support::mainstay(&["status", "--data"]);
    let page = say(command.arg(stage.path("hub"))).out;
    let address = format!("from    http://{}/ingest  listening, 1 taken", hub.address);
    assert!(page.contains(&address), "{page}");
    assert!(page.contains("refused: 1 bad request"), "{page}");
    assert!(hub.process.log().contains("Idempotency-Key is missing"));
}

#[test]
fn the_example_of_a_hub_and_a_station_delivers_what_is_dropped() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hub");
    let port = hubs::quiet_port();
    let mine = [
        ("127.0.0.1:8081", receiver.address.clone()),
        ("127.0.0.1:8080", format!("127.0.0.1:{port}")),
    ];
    for name in ["hub.toml", "station.toml"] {
        let mut text = std::fs::read_to_string(example.join(name)).unwrap();
        for (theirs, ours) in &mine {
            text = text.replace(theirs, ours);
        }
        std::fs::write(stage.path(name), text).unwrap();
    }
    hubs::write_token(&stage.path("hub.token"));
    stage.drop_file("a.csv", b"part;result\n");
    let hub = Hub::start(&stage);
    let mut station = stage.command(&["run", "--until-empty"]);
    let said = say(station.arg("--config").arg(stage.path("station.toml")));
    assert_eq!(said.code, Some(0), "{said:?}");
    until("it arrives", || receiver.stored().len() == 1);
    assert_eq!(receiver.stored()["a.csv"], b"part;result\n");
    drop(hub);
}
