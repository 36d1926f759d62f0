//! A3, A4, E3, S13: what lookups keep is bounded, held and asked for as `[cache]` says, by the agent and by hand.

use crate::hubs::quiet_port;
use crate::support::{Running, Stage, say, until};
use mainstay_testkit::faulty_server::{FaultyServer, Reaction, Request};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use tokio::runtime::Runtime;

/// A server that knows something of every number, and an agent that asks it.
struct Laboratory {
    stage: Stage,
    server: FaultyServer,
    _runtime: Runtime,
}

impl Laboratory {
    fn new(script: impl Fn(&Request, usize) -> Reaction + Send + Sync + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(FaultyServer::start(script)).unwrap();
        let stage = Stage::new();
        std::fs::create_dir(stage.path("out")).unwrap();
        Self {
            stage,
            server,
            _runtime: runtime,
        }
    }

    /// The configuration, with `head` in front and `tail` in the lookup; `{server}` stands for where the server is.
    fn configure(&self, head: &str, tail: &str) {
        let head = head.replace("{server}", &self.server.address().to_string());
        let text = format!(
            "{head}\n[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"drop\"\nsettle = \"200ms\"\n\
             [[route.lookup]]\nurl = \"{}\"\neach = \"*\"\ntake = {{ a = \"b\" }}\nconcurrency = 1\n{tail}\n\
             [route.to.folder]\npath = \"out\"\n",
            self.server.url("/{n}")
        );
        std::fs::write(self.stage.path("lab.toml"), text).unwrap();
    }

    fn start(&self) -> Running {
        self.stage.start(&mut self.stage.run_configured())
    }

    /// Drops a document about these numbers, and waits until it has arrived.
    fn pass(&self, name: &str, numbers: &[u32]) -> String {
        self.drop(name, numbers);
        self.arrived(name)
    }

    fn drop(&self, name: &str, numbers: &[u32]) {
        let things: Vec<String> = numbers.iter().map(|n| format!("{{\"n\":{n}}}")).collect();
        let document = format!("[{}]", things.join(","));
        self.stage.drop_file(name, document.as_bytes());
    }

    fn arrived(&self, name: &str) -> String {
        let path = self.stage.path("out").join(name);
        until(&format!("{name} has arrived"), || path.exists());
        std::fs::read_to_string(path).unwrap()
    }

    fn asked(&self) -> usize {
        self.server.conversation().requests().len()
    }

    fn lookup(&self) -> Value {
        self.stage.json(&["status"])["routes"][0]["lookups"][0].clone()
    }

    /// What a verb of `mainstay cache` answers that reads the configuration.
    fn cache(&self, verb: &str) -> Value {
        let config = self.stage.text("lab.toml");
        self.stage.json(&["cache", verb, "--config", &config])
    }

    fn keeps(&self, number: u32) -> bool {
        let kept = self.cache("list");
        let url = self.server.url(&format!("/{number}"));
        kept.as_array()
            .unwrap()
            .iter()
            .any(|answer| answer["url"] == url.as_str())
    }
}

/// Three of them, and no four, count less than 128 KiB; one, and no two, less than 64 KiB.
fn long(_: &Request, _: usize) -> Reaction {
    let filling = "x".repeat(40 << 10);
    Reaction::answer(200)
        .header("cache-control", "max-age=3600")
        .body(format!("{{\"b\":1,\"filling\":\"{filling}\"}}"))
}

#[test]
fn a_limit_in_the_configuration_bounds_the_cache_from_the_start_and_from_a_reload_on() {
    let lab = Laboratory::new(long);
    lab.configure("[cache]\nlimit = \"128 KiB\"", "");
    let agent = lab.start();
    for number in 0..6 {
        lab.pass(&format!("{number}.json"), &[number]);
        // What takes the disk longer than a second is kept a little later.
        until("it is kept", || lab.keeps(number));
        let stats = lab.cache("stats");
        assert_eq!(stats["limit_bytes"], 128 << 10);
        assert!(stats["bytes"].as_u64() <= Some(128 << 10), "{stats}");
    }
    assert_eq!(lab.cache("stats")["entries"], 3);
    let status = lab.stage.json(&["status"]);
    assert_eq!(status["cache"]["limit_bytes"], 128 << 10, "{status}");
    let page = say(&mut lab.stage.command(&["status"])).out;
    assert!(page.contains("cache     at most 128 KiB\n"), "{page}");

    lab.configure("[cache]\nlimit = \"64 KiB\"", "");
    agent.signal("HUP");
    until("the new limit holds", || lab.cache("stats")["entries"] == 1);
    assert!(lab.keeps(5), "what was used last stays");
    until("the new life answers", || {
        let said = say(lab.stage.command(&["status"]).arg("--json")).out;
        said.contains("\"limit_bytes\": 65536")
    });
}

#[test]
fn prune_reads_the_limit_of_the_configuration_and_looking_evicts_nothing() {
    let lab = Laboratory::new(long);
    lab.configure("", "");
    let agent = lab.start();
    lab.pass("all.json", &[0, 1, 2]);
    until("all are kept", || (0..3).all(|number| lab.keeps(number)));
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));

    // Of another section, and not in this shell: whoever looks at the cache does not need it.
    let secret =
        "[[alert]]\nurl = \"https://alerts.example.org/\"\ntoken = \"env:MAINSTAY_TEST_NOT_SET\"\n";
    lab.configure(&format!("[cache]\nlimit = \"64 KiB\"\n{secret}"), "");
    let stats = lab.cache("stats");
    assert_eq!(
        (&stats["entries"], &stats["limit_bytes"]),
        (&3.into(), &65_536.into())
    );
    assert_eq!(
        (&stats["ttl_seconds"], &stats["rules"]),
        (&604_800.into(), &0.into())
    );
    assert!(stats["usage_percent"].as_f64() > Some(100.0), "{stats}");
    let config = lab.stage.text("lab.toml");
    let page = say(&mut lab.stage.command(&["cache", "stats", "--config", &config])).out;
    assert!(page.contains("of 64 KiB"), "{page}");

    // By the configuration, or not at all.
    std::fs::write(lab.stage.path("wrong.toml"), "[cache]\nlimit = 7\n").unwrap();
    let wrong = lab.stage.text("wrong.toml");
    let refused = say(&mut lab.stage.command(&["cache", "prune", "--config", &wrong]));
    assert_eq!(refused.code, Some(22), "{refused:?}");
    assert!(refused.err.contains("wrong.toml:2:9: `limit` is 7 B"));
    let kept = lab.stage.json(&["cache", "prune"]);
    assert_eq!(kept["evicted"], 0, "without one the default holds");
    assert_eq!(lab.cache("stats")["entries"], 3);

    assert_eq!(lab.cache("prune")["evicted"], 2);
    assert_eq!(lab.cache("stats")["entries"], 1);
}

/// `/metrics` of an agent.
fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn an_offline_agent_answers_lookups_from_what_it_has_and_says_so() {
    // Over as soon as it is there.
    let lab = Laboratory::new(|_, _| {
        Reaction::answer(200)
            .header("cache-control", "max-age=0")
            .header("etag", "\"1\"")
            .body("{\"b\":1}")
    });
    lab.configure("", "");
    let agent = lab.start();
    assert_eq!(lab.pass("known.json", &[1]), "[{\"n\":1,\"a\":1}]");
    until("it is kept", || lab.keeps(1));
    assert_eq!(lab.asked(), 1);

    let port = quiet_port();
    let health = format!("[health]\nlisten = \"127.0.0.1:{port}\"\n");
    lab.configure(&format!("[cache]\noffline = true\n{health}"), "");
    agent.signal("HUP");
    until("it is offline", || {
        let said = say(lab.stage.command(&["status"]).arg("--json")).out;
        said.contains("\"offline\": true")
    });
    assert_eq!(lab.pass("again.json", &[1]), "[{\"n\":1,\"a\":1}]");
    lab.drop("unknown.json", &[2]);
    until("the unknown waits", || {
        lab.lookup()["waits"].as_u64() > Some(0)
    });
    let lookup = lab.lookup();
    assert_eq!(
        (&lookup["offline"], &lookup["stale"], &lookup["documents"]),
        (&true.into(), &1.into(), &1.into())
    );
    let reason = lookup["reason"].as_str().unwrap();
    assert!(
        reason.contains("nothing is kept") && reason.contains("`offline`"),
        "{reason}"
    );
    let page = say(&mut lab.stage.command(&["status"])).out;
    for words in [
        "asks nobody, 1 looked up",
        "1 answered by what is out of date",
        "cache     at most 100 MiB, offline: lookups ask nobody",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let log = agent.log();
    assert!(log.contains("lookups ask nobody") && log.contains("whose time is over"));
    let numbers = metrics(port);
    assert!(
        numbers.contains("\nmainstay_cache_offline 1\n"),
        "{numbers}"
    );
    assert!(numbers.contains("\nmainstay_cache_limit_bytes 104857600\n"));
    assert_eq!(lab.cache("stats")["offline"], true);
    let config = lab.stage.text("lab.toml");
    let tested = say(&mut lab.stage.command(&["route", "test", "--config", &config]));
    assert!(tested.out.contains("lookup  asks nobody"), "{tested:?}");
    assert_eq!(lab.asked(), 1, "it was to ask nobody");

    lab.configure("", "");
    agent.signal("HUP");
    assert_eq!(lab.arrived("unknown.json"), "[{\"n\":2,\"a\":1}]");
    assert_eq!(lab.asked(), 2);
}

#[test]
fn without_an_answer_an_offline_agent_does_as_was_chosen_and_says_why() {
    for choice in ["pass", "bury"] {
        let lab = Laboratory::new(|_, _| Reaction::answer(200).body("{\"b\":1}"));
        let tail = format!("on_failure = \"{choice}\"");
        lab.configure("[cache]\noffline = true", &tail);
        let config = std::fs::read_to_string(lab.stage.path("lab.toml")).unwrap();
        let config = config.replace("path = \"out\"", "path = \"out\"\nbury_after = 1");
        std::fs::write(lab.stage.path("lab.toml"), config).unwrap();
        let _agent = lab.start();
        lab.drop("a.json", &[1]);
        if choice == "pass" {
            assert_eq!(lab.arrived("a.json"), "[{\"n\":1}]");
            until("it is counted", || lab.lookup()["without"] == 1);
        } else {
            until("it is a dead letter", || lab.stage.ledger("dead") == 1);
        }
        let reason = lab.lookup()["reason"].to_string();
        assert!(reason.contains("while `offline` is set"), "{reason}");
        assert_eq!(lab.asked(), 0);
    }
}

/// How often the server is asked when two documents are about the same, and how many answers were given after their time.
fn asked_twice(section: &str, headers: &'static [(&'static str, &'static str)]) -> (usize, u64) {
    let lab = Laboratory::new(|_, _| {
        let answer = Reaction::answer(200).header("etag", "\"1\"");
        let with = |answer: Reaction, (name, value): &(&str, &str)| answer.header(name, value);
        headers.iter().fold(answer, with).body("{\"b\":1}")
    });
    lab.configure(section, "");
    let _agent = lab.start();
    lab.pass("first.json", &[1]);
    if !section.contains("never") {
        until("it is kept", || lab.keeps(1));
    }
    lab.pass("second.json", &[1]);
    until("both are counted", || lab.lookup()["documents"] == 2);
    let stale = lab.lookup()["stale"].as_u64().unwrap();
    (lab.asked(), stale)
}

#[test]
fn times_and_rules_of_the_configuration_hold_for_what_is_kept() {
    const OVER: &[(&str, &str)] = &[("cache-control", "max-age=0")];
    for (section, headers, asked) in [
        ("", &[][..], 1),
        ("[cache]\nttl = \"0s\"", &[], 2),
        (
            "[[cache.rule]]\npattern = \"127.0.0.1\"\nnever = true",
            &[],
            2,
        ),
        ("[[cache.rule]]\npattern = \"127.*\"\nttl = \"1h\"", OVER, 1),
        // The first that fits counts, and says nothing.
        (
            "[[cache.rule]]\npattern = \"http://{server}/1\"\n[[cache.rule]]\npattern = \"*\"\nttl = \"1h\"",
            OVER,
            2,
        ),
    ] {
        assert_eq!(asked_twice(section, headers), (asked, 0), "{section}");
    }
}

#[test]
fn an_older_answer_is_given_within_the_bounds_of_the_configuration() {
    const WHILE: &[(&str, &str)] = &[("cache-control", "max-age=0, stale-while-revalidate=60")];
    assert_eq!(asked_twice("", WHILE).1, 1);
    let section = "[cache]\nstale_while_revalidate = \"0s\"";
    assert_eq!(asked_twice(section, WHILE), (2, 0));

    for (section, is_given) in [("", true), ("[cache]\nstale_if_error = \"0s\"", false)] {
        let lab = Laboratory::new(|_, number| {
            if number == 0 {
                let answer = Reaction::answer(200).header("etag", "\"1\"");
                answer
                    .header("cache-control", "max-age=0")
                    .body("{\"b\":1}")
            } else {
                Reaction::answer(500)
            }
        });
        lab.configure(section, "");
        let _agent = lab.start();
        lab.pass("first.json", &[1]);
        until("it is kept", || lab.keeps(1));
        lab.drop("second.json", &[1]);
        if is_given {
            assert_eq!(lab.arrived("second.json"), "[{\"n\":1,\"a\":1}]");
            until("it is counted", || lab.lookup()["stale"] == 1);
        } else {
            until("it waits", || lab.lookup()["waits"].as_u64() > Some(0));
            assert_eq!(lab.lookup()["stale"], 0);
        }
    }
}
