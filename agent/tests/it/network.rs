//! Whether there is a network is told by what the deliveries met, over all destinations: one that is down is told from a machine
//! that is offline.

use crate::health::Watched;
use crate::hubs::{NOWHERE, quiet_port};
use crate::support::{Receiver, Running, Stage, say, until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A name of 64 letters, which the system says no to without asking the network.
fn nameless(letter: &str) -> String {
    format!("http://{}.invalid/in", letter.repeat(64))
}

/// An agent from `drop` to all of these.
fn agent(stage: &Stage, to: &[(&str, &str)]) -> Running {
    let to = to.iter().map(|(name, url)| {
        format!(
            "[route.to.{name}]\nurl = \"{url}\"\nretry = {{ initial = \"20ms\", max = \"200ms\" }}\n"
        )
    });
    let config = format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n{}",
        stage.text("drop"),
        to.collect::<String>()
    );
    stage.start(&mut stage.configured(&config))
}

/// How the network stands, and each destination, in the order of their names.
fn standing(stage: &Stage) -> (String, String, Vec<String>) {
    let status = stage.json(&["status"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut to: Vec<&Value> = status["routes"][0]["to"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    to.sort_by_key(|to| to["lane"].as_str());
    (
        text(&status["network"]["state"]),
        text(&status["network"]["why"]),
        to.into_iter().map(|to| text(&to["connectivity"])).collect(),
    )
}

fn stands(stage: &Stage, state: &str, to: &[&str]) -> bool {
    let (is, _, are) = standing(stage);
    is == state && are == to
}

/// The lines of its log in which the network goes or comes.
fn told(agent: &Running) -> Vec<String> {
    let log = agent.log();
    let lines = log.lines().filter(|line| line.contains(" network state="));
    lines.map(ToOwned::to_owned).collect()
}

/// A server that answers every request with this, whatever it is, and hangs up.
pub(crate) fn always(answer: &'static str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let serve = move |stream: TcpStream| {
        let mut request = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        while request.read_line(&mut line)? > 2 {
            line.clear();
        }
        let mut stream = stream;
        stream.write_all(answer.as_bytes())
    };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Who goes before the end has what it wants.
            drop(stream.and_then(serve));
        }
    });
    url
}

#[test]
fn of_several_destinations_the_one_that_is_down_is_told_from_the_network() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let agent = agent(&stage, &[("a", &receiver.url()), ("b", NOWHERE)]);
    stage.drop_file("one.csv", b"1");
    until("one answers and the other does not", || {
        stands(&stage, "online", &["online", "down"])
    });
    let page = say(&mut stage.command(&["status"])).out;
    assert!(page.contains("network   online\n"), "{page}");
    assert!(page.contains("(only this host is down)"), "{page}");
    let told = told(&agent);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("online"), "{told:?}");
}

#[test]
fn where_no_destination_can_be_reached_the_machine_is_offline_and_its_return_is_told_once() {
    let (stage, port) = (Stage::new(), quiet_port());
    let here = format!("http://127.0.0.1:{port}/ingest");
    let (a, b) = (nameless("a"), nameless("b"));
    let agent = agent(&stage, &[("a", &a), ("b", &b), ("c", &here)]);
    stage.drop_file("one.csv", b"1");
    until("the machine is offline", || {
        stands(&stage, "offline", &["offline", "offline", "offline"])
    });
    assert_eq!(standing(&stage).1, "several_hosts_down");
    let page = say(&mut stage.command(&["status"])).out;
    let line = "network   offline: several hosts cannot be reached\n";
    assert!(page.contains(line), "{page}");
    assert!(page.contains("(this machine is offline)"), "{page}");

    let receiver = Receiver::start(&stage, &format!("127.0.0.1:{port}"), &[]);
    until("it is back", || {
        stands(&stage, "online", &["down", "down", "online"])
    });
    assert_eq!(receiver.stored().len(), 1);
    let told = told(&agent);
    let states = ["offline", "online"];
    assert_eq!(told.len(), states.len(), "{told:?}");
    let is_told = |(line, state): (&String, &str)| line.contains(state);
    assert!(told.iter().zip(states).all(is_told), "{told:?}");
}

#[test]
fn a_network_in_which_a_person_has_to_log_in_is_told_from_a_host_that_is_down() {
    for answer in [
        "HTTP/1.1 302 Found\r\nlocation: http://portal.example/login\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 511 Network Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ] {
        let stage = Stage::new();
        let agent = agent(&stage, &[("a", &always(answer)), ("b", NOWHERE)]);
        stage.drop_file("one.csv", b"1");
        // The one before has to wait for its time.
        stage.drop_file("three.json", b"{\"n\":3}");
        until("the portal is told", || {
            stands(&stage, "offline", &["offline", "offline"])
        });
        assert_eq!(standing(&stage).1, "captive_portal");
        let page = say(&mut stage.command(&["status"])).out;
        assert!(page.contains("perhaps a person has to log in"), "{page}");
        agent.kill();
    }
}

#[test]
fn a_destination_without_documents_is_asked_once_somebody_wants_to_know() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let _agent = agent(&stage, &[("a", &receiver.url()), ("b", NOWHERE)]);
    let (state, why, to) = standing(&stage);
    assert_eq!((&*state, &*why), ("unknown", "nothing_known"));
    assert_eq!(to, ["unknown", "unknown"]);
    until("both were asked", || {
        stands(&stage, "online", &["online", "down"])
    });
    assert!(receiver.stored().is_empty());
    assert_eq!(stage.ledger("accepted"), 0);
}

#[test]
fn while_one_cannot_be_reached_a_silent_one_is_asked_although_nobody_looks() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    std::fs::create_dir(stage.path("quiet")).unwrap();
    let config = format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{NOWHERE}\"\n[[route]]\nname = \"quiet\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{}\"\n",
        stage.text("drop"),
        stage.text("quiet"),
        receiver.url()
    );
    let agent = stage.start(&mut stage.configured(&config));
    stage.drop_file("one.csv", b"1");
    until("the other one was asked", || told(&agent).len() == 1);
    assert!(told(&agent)[0].contains("online"));
    assert!(receiver.stored().is_empty());
}

#[test]
fn a_lookup_that_fails_makes_no_destination_look_as_if_it_were_down() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let config = format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[[route.lookup]]\nurl = \"http://127.0.0.1:1/{{n}}\"\neach = \"*\"\ntake = {{ a = \"b\" }}\n[route.to.server]\nurl = \"{}\"\n",
        stage.text("drop"),
        receiver.url()
    );
    let _agent = stage.start(&mut stage.configured(&config));
    stage.drop_file("one.json", b"[{\"n\": 1}]");
    until("the lookup has to wait", || {
        stage.json(&["status"])["routes"][0]["to"][0]["state"] == "held"
    });
    until("the destination itself was asked", || {
        stands(&stage, "online", &["online"])
    });
    assert!(receiver.stored().is_empty());
}

/// A page of a portal was "no JSON, at line 1": nobody thought of the network.
#[test]
fn a_page_in_the_place_of_what_was_looked_up_makes_one_suspect_a_portal() {
    const PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>";
    let stage = Stage::new();
    let portal = always(PAGE).replace("127.0.0.1", "localhost");
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: {portal}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let lookup = |url: &str| {
        format!(
            "[[route]]\nname = \"r\"\n[route.from]\nfolder = '{}'\nsettle = \"0s\"\n[[route.lookup]]\nurl = \"{url}?n={{n}}\"\ntake = {{ a = \"b\" }}\n[route.to.out]\nurl = \"http://127.0.0.1:1/in\"\n",
            stage.text("drop")
        )
    };
    let reason = || {
        let status = stage.json(&["status"]);
        let reason = status["routes"][0]["lookups"][0]["reason"].clone();
        reason.as_str().unwrap_or_default().to_owned()
    };
    // In its own name: it may be a page of the server's, so that nothing is said of the network.
    let server = always(PAGE);
    let agent = stage.start(&mut stage.configured(&lookup(&server)));
    stage.drop_file("one.json", b"{\"n\":1}");
    until("the document waits", || {
        reason().starts_with("portal suspected")
    });
    assert!(reason().contains("open it in a browser"), "{}", reason());
    assert_ne!(stage.json(&["status"])["network"]["why"], "captive_portal");
    std::fs::write(stage.path("two.json"), b"{\"n\":2}").unwrap();
    let (two, config) = (stage.text("two.json"), stage.text("lab.toml"));
    let test = ["route", "test", "r", "--send", &two, "--config", &config];
    let tested = say(&mut stage.command(&test));
    assert!(tested.out.contains("portal suspected"), "{tested:?}");
    assert_eq!(stage.ledger("delivered"), 0, "and it is not sent without");
    agent.kill();
    // From another host: no server of that name made it.
    let server = always(Box::leak(redirect.into_boxed_str()));
    let agent = stage.start(&mut stage.configured(&lookup(&server)));
    // The one before has to wait for its time.
    stage.drop_file("three.json", b"{\"n\":3}");
    until("the portal is told", || {
        let network = stage.json(&["status"])["network"].clone();
        network["state"] == "offline" && network["why"] == "captive_portal"
    });
    assert!(reason().contains("from `localhost`"), "{}", reason());
    assert_eq!(stage.ledger("delivered"), 0);
    agent.kill();
}

#[test]
fn a_folder_that_is_missing_says_nothing_of_the_network() {
    let stage = Stage::new();
    let config = format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.share]\npath = \"{}\"\n",
        stage.text("drop"),
        stage.text("missing")
    );
    let _agent = stage.start(&mut stage.configured(&config));
    stage.drop_file("one.csv", b"1");
    let status = || stage.json(&["status"]);
    until("the folder is missed", || {
        status()["routes"][0]["to"][0]["state"] == "held"
    });
    let status = status();
    assert_eq!(status["routes"][0]["to"][0]["connectivity"], "unknown");
    assert_eq!(status["network"], Value::Null, "there is none");
}

#[test]
fn the_metrics_say_whether_there_is_a_network_and_which_lane_is_down() {
    let watched = Watched::start(NOWHERE, "");
    watched.stage.drop_file("one.csv", b"1");
    until("the lane is down", || {
        let metrics = watched.get("/metrics").1;
        metrics.contains("\nmainstay_lane_down{lane=\"lab/server\"} 1\n")
            // One host says nothing of the network.
            && metrics.contains("\nmainstay_network{state=\"unknown\"} 1\n")
            && metrics.contains("\nmainstay_network{state=\"offline\"} 0\n")
    });
}

/// A proxy that takes requests for others, and answers each itself; what it was asked.
fn forwarding(listener: TcpListener) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut first, mut len) = (String::new(), 0);
            stream.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let line = line.trim().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(said) = line.strip_prefix("content-length:") {
                    len = said.trim().parse().unwrap();
                }
            }
            stream.read_exact(&mut vec![0; len]).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.get_mut().write_all(answer).unwrap();
            if tell.send(first).is_err() {
                return;
            }
        }
    });
    told
}

/// The destination's name is one that nobody can resolve: only the proxy could know it.
#[test]
fn a_proxy_of_the_environment_is_gone_through_where_the_configuration_says_so() {
    let stage = Stage::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let told = forwarding(listener);
    let config = format!(
        "[[route]]\nname = \"r\"\n[route.from]\nfolder = '{}'\nsettle = \"0s\"\n[route.to.there]\nurl = \"http://receiver.invalid/in\"\nproxy = \"system\"\n",
        stage.text("drop"),
    );
    let mut command = stage.configured(&config);
    command.env_remove("http_proxy").env("HTTP_PROXY", &proxy);
    command
        .env("NO_PROXY", "elsewhere.invalid")
        .env_remove("no_proxy");
    let agent = stage.start(&mut command);
    stage.drop_file("one.json", b"{}");
    let first = told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(
        first.starts_with("POST http://receiver.invalid/in "),
        "{first}"
    );
    until("it is delivered", || stage.ledger("delivered") == 1);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
    // Without the word in the configuration the environment says nothing.
    let mut command = stage.configured(&config.replace("proxy = \"system\"\n", ""));
    command.env_remove("http_proxy").env("HTTP_PROXY", &proxy);
    let agent = stage.start(&mut command);
    stage.drop_file("two.json", b"{}");
    until("it is said that the name is unknown", || {
        agent.log().contains("receiver.invalid")
    });
    assert!(told.try_recv().is_err(), "it went through the proxy");
    agent.kill();
}
