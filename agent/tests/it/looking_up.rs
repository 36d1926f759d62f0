//! E1 to E4 in the agent: documents that are completed by another server on their way.

use crate::network::always;
use crate::support::{Running, Stage, say, until};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::net::TcpSocket;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/lookup")
        .join(name)
}

/// The server of the example, and where it listens.
struct Metadata {
    process: Running,
    address: String,
}

impl Metadata {
    fn start(stage: &Stage, address: &str) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_mainstay")).with_file_name("examples/metadata");
        let mut command = Command::new(program);
        command
            .arg(example("metadata.json"))
            .arg(address)
            .stdin(Stdio::null());
        let process = Running::start(&mut command, stage.path("metadata.log"));
        let listening = |log: &str| {
            let line = log
                .lines()
                .rfind(|line| line.starts_with("listening on "))?;
            Some(line.trim_start_matches("listening on ").to_owned())
        };
        until("the metadata server listens", || {
            listening(&process.log()).is_some()
        });
        let address = listening(&process.log()).unwrap();
        Self { process, address }
    }

    /// How often it was asked, by all its lives.
    fn asked(&self) -> usize {
        self.process.log().matches("asked: ").count()
    }
}

/// An address at which nobody answers, and which nobody else is given.
///
/// The socket listens to nothing, so that connections are refused; one that may share the address, as servers' may, can listen there.
fn kept_free() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

/// The configuration of the example, with some of it put otherwise.
fn configured(stage: &Stage, changes: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(example("mainstay.toml")).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    for folder in ["drop", "completed"] {
        std::fs::create_dir_all(stage.path(folder)).unwrap();
    }
    std::fs::write(stage.path("m.toml"), text).unwrap();
    stage.text("m.toml")
}

fn agent(stage: &Stage, config: &str) -> Running {
    let mut command = stage.command(&["run", "--config", config]);
    Running::start(&mut command, stage.path("agent.log"))
}

fn drop_collection(stage: &Stage, name: &str) {
    std::fs::copy(example("collection.xml"), stage.path("drop").join(name)).unwrap();
}

/// What the collection is when all is known of it that the server knows.
fn completed() -> String {
    let text = std::fs::read_to_string(example("collection.xml")).unwrap();
    text.replace(
        "Genre=\"\" Year=\"0\"",
        "Genre=\"House, Deep House\" Year=\"0\"",
    )
    .replacen(
        "TotalTime=\"312\"/>",
        "TotalTime=\"312\" Label=\"Conveyor\"/>",
        1,
    )
    .replace(
        "TotalTime=\"287\">",
        "TotalTime=\"287\" Label=\"Conveyor\" Year=\"2001\">",
    )
    .replace(
        "TotalTime=\"401\"/>",
        "TotalTime=\"401\" Genre=\"Ambient\" Year=\"2019\"/>",
    )
    .replace(
        "TotalTime=\"312\"/>",
        "TotalTime=\"312\" Genre=\"House, Deep House\" Label=\"Conveyor\" Year=\"1998\"/>",
    )
}

fn lookup(stage: &Stage) -> serde_json::Value {
    stage.json(&["status"])["routes"][0]["lookups"][0].clone()
}

/// How many answers are kept.
fn entries(stage: &Stage) -> u64 {
    let stats = stage.json(&["cache", "stats"]);
    stats["entries"].as_u64().unwrap()
}

#[test]
fn the_example_completes_a_collection_and_asks_for_nothing_twice() {
    let stage = Stage::new();
    let metadata = Metadata::start(&stage, "127.0.0.1:0");
    let config = configured(&stage, &[("127.0.0.1:8099", &metadata.address)]);
    let agent = agent(&stage, &config);
    drop_collection(&stage, "collection.xml");
    let arrived = stage.path("completed/collection.xml");
    until("the collection has arrived", || arrived.exists());
    assert_eq!(std::fs::read_to_string(&arrived).unwrap(), completed());
    assert_eq!(metadata.asked(), 4, "{}", metadata.process.log());
    // What takes the disk longer than a second is kept a little later.
    until("what is known is kept", || entries(&stage) == 3);

    drop_collection(&stage, "again.xml");
    until("the second has arrived", || {
        stage.path("completed/again.xml").exists()
    });
    // What is known is kept; that one is not known is asked again.
    assert_eq!(metadata.asked(), 5, "{}", metadata.process.log());
    until("both are counted", || lookup(&stage)["documents"] == 2);
    let status = lookup(&stage);
    assert_eq!(
        (&status["fields"], &status["unknown"]),
        (&18.into(), &2.into()),
        "{status}"
    );
    let page = say(&mut stage.command(&["status"])).out;
    assert!(
        page.contains("  lookup  http://") && page.contains("answering"),
        "{page}"
    );
    drop(agent);
}

#[test]
fn what_is_kept_is_shown_put_in_order_and_let_go_of_beside_a_running_agent() {
    let stage = Stage::new();
    let nothing = stage.json(&["cache", "stats"]);
    assert_eq!(nothing["enabled"], false, "{nothing}");
    assert!(!stage.path("data/cache").exists(), "looking makes nothing");
    let metadata = Metadata::start(&stage, "127.0.0.1:0");
    let config = configured(&stage, &[("127.0.0.1:8099", &metadata.address)]);
    let agent = agent(&stage, &config);
    drop_collection(&stage, "collection.xml");
    until("it has arrived", || {
        stage.path("completed/collection.xml").exists()
    });

    until("what is known is kept", || entries(&stage) == 3);
    let page = say(&mut stage.command(&["cache", "stats"])).out;
    assert!(
        page.contains("3 answers") && page.contains("100 MiB"),
        "{page}"
    );
    let kept = stage.json(&["cache", "list"]);
    let urls: Vec<&str> = kept
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|answer| answer["url"].as_str())
        .collect();
    assert_eq!(urls.len(), 3, "{kept}");
    let listed = say(&mut stage.command(&["cache", "list", "--limit", "1"])).out;
    assert!(
        listed.lines().count() == 1 && listed.contains(urls[0]),
        "{listed}"
    );
    let url = *urls.iter().find(|url| url.contains("title=Night")).unwrap();
    assert_eq!(stage.json(&["cache", "prune"])["evicted"], 0);

    let refused = say(&mut stage.command(&["cache", "clear"]));
    assert!(
        refused.code == Some(2) && refused.err.contains("--yes"),
        "{refused:?}"
    );
    assert_eq!(stage.json(&["cache", "invalidate", url])["gone"], 1);
    assert_eq!(stage.json(&["cache", "invalidate", url])["gone"], 0);
    assert_eq!(
        stage.json(&["cache", "invalidate", "--older-than", "1h"])["gone"],
        0
    );
    let pattern = format!("http://{}/tracks*title=Solder*", metadata.address);
    assert_eq!(
        stage.json(&["cache", "invalidate", "--glob", &pattern])["gone"],
        1
    );
    assert_eq!(entries(&stage), 1);
    let wrong = say(&mut stage.command(&["cache", "invalidate", "no address"]));
    assert!(
        wrong.code == Some(2) && wrong.err.contains("is no address"),
        "{wrong:?}"
    );
    let said = say(&mut stage.command(&["cache", "clear", "--yes"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(entries(&stage), 0);
    // And the agent goes on, and asks again.
    drop_collection(&stage, "again.xml");
    until("the second has arrived", || {
        stage.path("completed/again.xml").exists()
    });
    assert_eq!(metadata.asked(), 8, "{}", metadata.process.log());
    drop(agent);
}

#[test]
fn a_document_waits_for_its_lookup_over_a_kill_and_goes_on_when_the_server_is_back() {
    let stage = Stage::new();
    let (_free, address) = kept_free();
    let config = configured(&stage, &[("127.0.0.1:8099", &address)]);
    let waits = |agent: &Running| {
        until("the agent answers", || {
            stage.path("data/control.sock").exists()
        });
        until("the document waits", || {
            lookup(&stage)["waits"].as_u64() > Some(0)
        });
        assert!(!agent.log().contains("panicked"), "{}", agent.log());
    };
    let killed = agent(&stage, &config);
    drop_collection(&stage, "collection.xml");
    waits(&killed);
    let status = stage.json(&["status"]);
    assert_eq!(status["state"], "degraded", "{status}");
    assert!(
        lookup(&stage)["reason"]
            .as_str()
            .unwrap()
            .contains(&address),
        "{status}"
    );
    killed.kill();
    assert!(!stage.path("completed/collection.xml").exists());

    let again = agent(&stage, &config);
    waits(&again);
    let metadata = Metadata::start(&stage, &address);
    let arrived = stage.path("completed/collection.xml");
    until("the collection has arrived", || arrived.exists());
    assert_eq!(std::fs::read_to_string(&arrived).unwrap(), completed());
    until("it is settled", || stage.ledger("delivered") == 1);
    assert_eq!(stage.ledger("accepted"), 1);
    until("all is well", || {
        stage.json(&["status"])["state"] == "running"
    });
    drop((again, metadata));
}

#[test]
fn without_its_server_a_document_goes_on_as_it_is_or_becomes_a_dead_letter_as_was_chosen() {
    for (choice, is_dead) in [("pass", false), ("bury", true)] {
        let stage = Stage::new();
        let (_free, address) = kept_free();
        let config = configured(
            &stage,
            &[
                ("127.0.0.1:8099", &address),
                ("\"wait\"", &format!("\"{choice}\"")),
                (
                    "path = \"completed\"",
                    "path = \"completed\"\nbury_after = 1",
                ),
            ],
        );
        let agent = agent(&stage, &config);
        drop_collection(&stage, "collection.xml");
        until("the agent answers", || {
            stage.path("data/control.sock").exists()
        });
        let arrived = stage.path("completed/collection.xml");
        if is_dead {
            until("it is a dead letter", || stage.ledger("dead") == 1);
            assert!(!arrived.exists());
            let letters = stage.json(&["dead", "list"]).to_string();
            assert!(letters.contains("a lookup is not possible"), "{letters}");
        } else {
            until("it has arrived", || arrived.exists());
            let same = std::fs::read(example("collection.xml")).unwrap();
            assert_eq!(std::fs::read(&arrived).unwrap(), same);
            until("it is counted", || lookup(&stage)["without"] == 1);
            assert!(agent.log().contains("goes on without"), "{}", agent.log());
        }
    }
}

#[test]
fn a_lookup_that_cannot_work_is_refused_with_its_place() {
    let stage = Stage::new();
    for (from, to, why) in [
        (
            "http://127.0.0.1:8099",
            "http://{Artist}",
            "no document may choose",
        ),
        ("take = {", "take = { \"Genre/x\" = \"y\",", "one field"),
        ("\"wait\"", "\"maybe\"", "maybe"),
        ("rate = \"10/s\"", "rate = \"10\"", "is not a rate"),
        ("rate = \"10/s\"", "concurrency = 0", "`concurrency` is 0"),
        (
            "rate = \"10/s\"",
            "auth = { bearer = \"file:not-there\" }",
            "cannot read",
        ),
        ("rate = \"10/s\"", "headers = { \"a b\" = \"c\" }", "a b"),
        ("rate = \"10/s\"", "headers = { Host = \"c\" }", "`Host`"),
        (
            "rate = \"10/s\"",
            "headers = { authorization = \"c\" }\nauth = { bearer = \"inline\" }",
            "sent twice",
        ),
        ("http://127.0.0.1:8099", "http://h:99999", "port"),
        ("http://127.0.0.1:8099", "http://a b", "is none"),
        ("{Artist}&", "{Artist&k=s3cret&", "brace"),
    ] {
        let config = configured(&stage, &[(from, to)]);
        let said = say(&mut stage.command(&["config", "check", "--config", &config]));
        assert_ne!(said.code, Some(0), "{to}");
        assert!(
            said.err.contains(why) && said.err.contains("m.toml:"),
            "{to}: {said:?}"
        );
        assert!(!said.err.contains("s3cret"), "{said:?}");
    }
    let config = configured(&stage, &[]);
    let shown = say(&mut stage.command(&["config", "show", "--config", &config]));
    assert!(shown.out.contains("[[route.lookup]]"), "{shown:?}");
    std::fs::write(stage.path("shown.toml"), &shown.out).unwrap();
    let said = say(&mut stage.command(&["config", "check", "--config", &stage.text("shown.toml")]));
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// A token in the address stood in `config show`, in the status and in reasons; one in a header was not warned of.
#[test]
fn a_secret_of_a_lookup_is_shown_nowhere_and_where_it_stands_is_said() {
    let stage = Stage::new();
    let (_free, address) = kept_free();
    let config = configured(
        &stage,
        &[
            ("127.0.0.1:8099", &address),
            ("{Name}", "{Name}&key=s3cret"),
            (
                "rate = \"10/s\"",
                "headers = { \"x-api-key\" = \"s3cret\" }\ncache = true",
            ),
        ],
    );
    let checked = say(&mut stage.command(&["config", "check", "--config", &config]));
    let said = format!("{}{}", checked.out, checked.err);
    assert_eq!(checked.code, Some(0), "{said}");
    assert!(
        said.contains("a secret stands in the configuration")
            && said.contains("asked with credentials"),
        "{said}"
    );
    let shown = say(&mut stage.command(&["config", "show", "--config", &config]));
    assert!(
        shown.out.contains("title={Name}&…") && shown.out.contains("x-api-key"),
        "{shown:?}"
    );
    let agent = agent(&stage, &config);
    drop_collection(&stage, "collection.xml");
    until("the document waits", || {
        stage.path("data/control.sock").exists() && lookup(&stage)["waits"].as_u64() > Some(0)
    });
    let status = lookup(&stage).to_string();
    let page = say(&mut stage.command(&["status"])).out;
    for said in [said, shown.out, status, page, agent.log()] {
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn the_status_of_a_lookup_shows_whether_its_server_is_reached_its_limit_and_what_is_asked_again() {
    let stage = Stage::new();
    let failing = always(
        "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    std::fs::create_dir_all(stage.path("drop")).unwrap();
    std::fs::create_dir_all(stage.path("out")).unwrap();
    let start = |url: &str| {
        let config = format!(
            "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\nsettle = \"0s\"\n[[route.lookup]]\nname = \"parts\"\nurl = \"{url}/{{n}}\"\ntake = {{ a = \"b\" }}\nrate = \"100/min\"\n[route.to.out]\npath = \"{}\"\n",
            stage.text("drop"),
            stage.text("out"),
        );
        stage.start(&mut stage.configured(&config))
    };
    let running = start(&failing);
    assert_eq!(lookup(&stage)["limit"], "100/1min");
    assert_eq!(
        lookup(&stage)["connectivity"],
        "unknown",
        "nobody was asked"
    );
    assert_eq!(lookup(&stage)["limited_seconds"], serde_json::Value::Null);
    stage.drop_file("one.json", br#"{"n":1}"#);
    let mut seen = serde_json::Value::Null;
    until("it is asked again", || {
        seen = lookup(&stage);
        seen["retrying"]["attempt"].as_u64() >= Some(2)
    });
    assert_eq!(seen["connectivity"], "online", "{seen}");
    let retrying = &seen["retrying"];
    assert_eq!(retrying["of"], 4, "{seen}");
    assert!(retrying["next_in_seconds"].as_f64() < Some(10.0), "{seen}");
    let error = retrying["error"].as_str().unwrap();
    assert!(error.contains("answers 500"), "{seen}");
    running.kill();

    let (_kept, address) = kept_free();
    let running = start(&format!("http://{address}"));
    until("its server is not there", || {
        lookup(&stage)["connectivity"] == "down"
    });
    let page = say(&mut stage.command(&["status"]));
    assert!(
        page.out.contains("(cannot be reached)") && page.out.contains("at most 100/1min"),
        "{page:?}"
    );
    running.kill();
}
