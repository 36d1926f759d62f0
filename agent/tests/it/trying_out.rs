//! `mainstay route test` says in words what is wrong with a destination, and delivers nothing that nobody asked for.

use crate::hubs::{Hub, NOWHERE};
use crate::network::always;
use crate::support::{Said, Stage, say, until};
use serde_json::Value;

/// Tests the route `lab`, which leads to `to`.
fn test(stage: &Stage, to: &str, flags: &[&str]) -> (Said, Value) {
    let config = format!("[[route]]\nname = \"lab\"\n{to}\n");
    std::fs::write(stage.path("route.toml"), config).unwrap();
    let command = |flags: &[&str]| {
        let mut command = stage.command(&["route", "test", "lab"]);
        command.arg("--config").arg(stage.path("route.toml"));
        say(command.args(flags))
    };
    let said = command(flags);
    let json = command(&[flags, &["--json"]].concat());
    let json = serde_json::from_str(&json.out).unwrap_or_else(|_| panic!("{json:?}"));
    (said, json)
}

fn http(name: &str, url: &str) -> String {
    format!("[route.to.{name}]\nurl = \"{url}\"")
}

#[test]
fn a_destination_that_is_there_is_ready_and_gets_no_document() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let (said, json) = test(&stage, &http("server", &receiver.url()), &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("ready: `http://127"), "{said:?}");
    assert_eq!(json[0]["verdict"], "ready", "{json}");
    assert!(receiver.stored().is_empty());
}

#[test]
fn what_is_wrong_is_said_in_words_for_each_destination_and_in_the_exit_code() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let to = format!(
        "{}\n{}\n[route.to.share]\npath = \"{}\"",
        http("nowhere", NOWHERE),
        http("server", &receiver.url()),
        stage.text("missing")
    );
    let (said, json) = test(&stage, &to, &[]);
    assert_eq!(said.code, Some(41), "{said:?}");
    assert!(said.out.contains("failing: cannot connect to"), "{said:?}");
    assert!(said.out.contains("is not there; create"), "{said:?}");
    let verdicts: Vec<&str> = json
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|to| to["verdict"].as_str())
        .collect();
    assert_eq!(verdicts, ["failing", "ready", "failing"]);
}

#[test]
fn a_wrong_token_is_told_from_a_hub_that_is_there() {
    let stage = Stage::new();
    let hub = Hub::to(&stage, NOWHERE, "token = \"t0k3n\"");
    let with = |token: &str| {
        format!(
            "[route.to.hub]\nurl = \"http://{}/ingest\"\nauth = {{ bearer = \"{token}\" }}",
            hub.address
        )
    };
    let other = Stage::new();
    let (said, _) = test(&other, &with("wrong"), &[]);
    assert_eq!(said.code, Some(41), "{said:?}");
    assert!(
        said.out.contains("401") && said.out.contains("check the credentials"),
        "{said:?}"
    );
    let (said, json) = test(&other, &with("t0k3n"), &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(json[0]["verdict"], "ready", "{json}");
}

#[test]
fn a_file_is_sent_once_on_wish_and_what_became_of_it_is_said() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    std::fs::write(stage.path("probe.csv"), b"a;b\n").unwrap();
    let file = stage.text("probe.csv");
    let config = http("server", &receiver.url());
    std::fs::write(
        stage.path("route.toml"),
        format!("[[route]]\nname = \"lab\"\n{config}\n"),
    )
    .unwrap();
    let mut command = stage.command(&["route", "test", "lab", "--send", &file]);
    let said = say(command.arg("--config").arg(stage.path("route.toml")));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("delivered: under the key"), "{said:?}");
    assert_eq!(receiver.stored()["probe.csv"], b"a;b\n");

    let (said, json) = test(&stage, &http("nowhere", NOWHERE), &["--send", &file]);
    assert_eq!(said.code, Some(41), "{said:?}");
    assert!(
        said.out.contains("not delivered: cannot connect"),
        "{said:?}"
    );
    assert_eq!(json[0]["sent"]["delivered"], false);
}

#[test]
fn what_a_route_looks_up_is_tried_with_a_document_and_said_to_be_untried_without_one() {
    let stage = Stage::new();
    let knows = always(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{\"b\":7}",
    );
    std::fs::create_dir(stage.path("out")).unwrap();
    let lookup = |url: &str| {
        let to = format!("[route.to.share]\npath = \"{}\"", stage.text("out"));
        format!("[[route.lookup]]\nurl = \"{url}/{{n}}\"\ntake = {{ a = \"b\" }}\n{to}")
    };
    std::fs::write(stage.path("probe.json"), b"{\"n\":1}").unwrap();
    let file = stage.text("probe.json");

    let (said, json) = test(&stage, &lookup(&knows), &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("only a document is looked up"),
        "{said:?}"
    );
    assert_eq!(json[0]["lookups"][0]["documents"], 0, "{json}");

    let (said, json) = test(&stage, &lookup(&knows), &["--send", &file]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("1 field set, 0 unknown"), "{said:?}");
    assert_eq!(json[0]["lookups"][0]["documents"], 1, "{json}");
    let stored = std::fs::read(stage.path("out/probe.json")).unwrap();
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored["a"], 7, "{stored}");

    let (said, json) = test(&stage, &lookup("http://127.0.0.1:1"), &["--send", &file]);
    assert_eq!(said.code, Some(41), "{said:?}");
    assert!(
        said.out.contains("not delivered: a lookup has to wait"),
        "{said:?}"
    );
    assert_eq!(json[0]["sent"]["delivered"], false, "{json}");
}

#[test]
fn a_running_agent_adds_what_it_knows_and_the_status_shows_breaker_and_connectivity() {
    let stage = Stage::new();
    stage.drop_file("one.csv", b"1");
    let _agent = stage.agent(NOWHERE, &[]);
    let to = || stage.json(&["status"])["routes"][0]["to"][0].clone();
    until("the destination is held", || to()["state"] == "held");
    assert_eq!(to()["connectivity"], "down");
    let breaker = to()["breaker"].as_str().unwrap().to_owned();
    assert!(["open", "half_open"].contains(&&*breaker), "{breaker}");
    let page = say(&mut stage.command(&["status"]));
    assert!(page.out.contains("held (cannot be reached)"), "{page:?}");

    let name = stage.json(&["status"])["routes"][0]["name"].clone();
    let lane = to()["lane"].as_str().unwrap().to_owned();
    let lane = lane.split('/').next_back().unwrap();
    let config = format!("[[route]]\nname = {name}\n[route.to.{lane}]\nurl = \"{NOWHERE}\"\n");
    std::fs::write(stage.path("route.toml"), config).unwrap();
    let mut command = stage.command(&["route", "test"]);
    let said = say(command.arg("--config").arg(stage.path("route.toml")));
    assert_eq!(said.code, Some(41), "{said:?}");
    assert!(
        said.out.contains("the running agent says: held, 1 queued"),
        "{said:?}"
    );
}

#[test]
fn the_status_shows_the_limit_of_a_destination_and_for_how_long_it_lets_nothing_go() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let config = format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\nsettle = \"0s\"\n[route.to.server]\nurl = \"{}\"\nrate = \"1/h\"\n",
        stage.text("drop"),
        receiver.url()
    );
    let _agent = stage.start(&mut stage.configured(&config));
    let to = || stage.json(&["status"])["routes"][0]["to"][0].clone();
    assert_eq!(to()["limit"], "1/1h");
    assert_eq!(to()["limited_seconds"], Value::Null);
    stage.drop_files("a", 2);
    until("both are taken", || stage.ledger("accepted") == 2);
    until("one is delivered", || stage.ledger("delivered") == 1);
    until("it is told for how long the other waits", || {
        to()["limited_seconds"].as_f64() > Some(3_000.0)
    });
    assert_eq!(to()["queued"], 1);
    let page = say(&mut stage.command(&["status"]));
    assert!(
        page.out.contains("at most 1/1h, its rate lets one go in 3"),
        "{page:?}"
    );
}

#[test]
fn a_route_that_is_not_there_is_told_with_those_that_are() {
    let stage = Stage::new();
    let said = say(&mut stage.command(&["route", "test", "nowhere"]));
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("there is no route `nowhere`"), "{said:?}");
    assert!(said.err.contains("there is: "), "{said:?}");
}
