//! What is wrong is said within half a minute, with the runbook that helps, and goes when its cause is gone.

use crate::hubs::quiet_port;
use crate::support::{Receiver, Running, Stage, say, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;

/// An agent from `drop` to `to`, whose health is told at a port.
pub(crate) struct Watched {
    pub(crate) stage: Stage,
    pub(crate) port: u16,
    agent: Running,
}

impl Watched {
    pub(crate) fn start(to: &str, queue: &str) -> Self {
        let (stage, port) = (Stage::new(), quiet_port());
        let config = format!(
            "[queue]\n{queue}\n[health]\nlisten = \"127.0.0.1:{port}\"\nqueue_warning = 3\nqueue_critical = 5\nage_warning = \"1s\"\n[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{to}\"\nretry = {{ initial = \"20ms\", max = \"200ms\" }}\n",
            stage.text("drop"),
        );
        let agent = stage.start(&mut stage.configured(&config));
        Self { stage, port, agent }
    }

    /// One that was started already, with its health at this port.
    pub(crate) fn of(stage: Stage, port: u16, agent: Running) -> Self {
        Self { stage, port, agent }
    }

    /// Status and body of what stands at `path`.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(crate::support::PATIENCE))
            .unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        let body = text.split_once("\r\n\r\n").unwrap().1;
        (status, body.to_owned())
    }

    /// Every number that its metrics call a counter.
    fn counters(&self) -> BTreeMap<String, f64> {
        let text = self.get("/metrics").1;
        let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let counters = kinds.filter_map(|kind| kind.strip_suffix(" counter"));
        let counters: BTreeSet<&str> = counters.collect();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(name, _)| counters.contains(name.split('{').next().unwrap()))
            .map(|(name, number)| (name.to_owned(), number.parse().unwrap()))
            .collect()
    }

    pub(crate) fn check(&self, name: &str) -> Value {
        let all: Value = serde_json::from_str(&self.get("/health").1).unwrap();
        all["checks"][name].clone()
    }
}

#[test]
fn an_agent_that_is_well_says_so_wherever_it_is_asked() {
    let home = Stage::new();
    let receiver = home.receiver(&[]);
    let watched = Watched::start(&receiver.url(), "");
    watched.stage.drop_file("one.csv", b"1");
    until("it is delivered", || watched.stage.ledger("delivered") == 1);
    assert_eq!(watched.get("/health/live"), (200, "live\n".to_owned()));
    assert_eq!(watched.get("/health/ready"), (200, "ready\n".to_owned()));
    let said = say(&mut watched.stage.command(&["health"]));
    for check in [
        "intake",
        "process",
        "queue",
        "disk",
        "to lab/server",
        "from lab",
        "memory",
        "processor",
    ] {
        assert!(said.out.contains(check), "{check}: {said:?}");
        let found = watched.check(check);
        assert_eq!(found["state"], "healthy", "{check}: {found}");
    }
    let (status, metrics) = watched.get("/metrics");
    assert_eq!(status, 200);
    for line in [
        "mainstay_documents_accepted_total 1",
        "mainstay_ledger_balanced 1",
        "mainstay_lane_delivered_total{lane=\"lab/server\"} 1",
        "mainstay_service_state{state=\"running\"} 1",
        "mainstay_task_failures_total{kind=\"panic\"} 0",
        "mainstay_stops{outcome=\"none\"} 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }
    assert_eq!(watched.get("/nothing").0, 404);
}

/// What is delivered counts down when it is sent again: as a counter it looked like one that had begun anew.
#[test]
fn no_counter_goes_down_when_documents_are_sent_again() {
    let home = Stage::new();
    let receiver = home.receiver(&[]);
    let watched = Watched::start(&receiver.url(), "");
    watched.stage.drop_file("one.csv", b"1");
    until("it is delivered", || watched.stage.ledger("delivered") == 1);
    let before = watched.counters();
    drop(receiver);
    let again = ["redeliver", "--since", "10m"];
    let said = say(&mut watched.stage.command(&again));
    assert_eq!(said.code, Some(0), "{said:?}");
    until("it waits again", || watched.stage.ledger("delivered") == 0);
    let after = watched.counters();
    assert!(before.len() > 3, "{before:?}");
    for (name, number) in &before {
        assert!(number <= &after[name], "{name}: {number} {after:?}");
    }
    let metrics = watched.get("/metrics").1;
    let line = "# TYPE mainstay_documents_delivered gauge\nmainstay_documents_delivered 0\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn a_dead_destination_is_told_with_its_runbook_and_forgotten_when_it_is_back() {
    let (home, port) = (Stage::new(), quiet_port());
    let watched = Watched::start(&format!("http://127.0.0.1:{port}/ingest"), "");
    watched.stage.drop_file("one.csv", b"1");
    let name = "to lab/server";
    until("it is told", || watched.check(name)["state"] == "degraded");
    let told = watched.check(name);
    assert_eq!(told["runbook"], "destination-held", "{told}");
    assert!(
        told["last"]["message"]
            .as_str()
            .unwrap()
            .contains("cannot connect"),
        "{told}"
    );
    assert!(told["since_ms"].is_u64(), "{told}");
    let said = say(&mut watched.stage.command(&["health"]));
    assert_eq!(said.code, Some(35), "{said:?}");
    assert!(
        said.out.contains("mainstay runbook destination-held"),
        "{said:?}"
    );
    // A destination that is away keeps nobody from handing documents in.
    assert_eq!(watched.get("/health/ready").0, 200);

    let _receiver = Receiver::start(&home, &format!("127.0.0.1:{port}"), &[]);
    until("it is well again", || {
        watched.check(name)["state"] == "healthy"
    });
}

#[test]
fn one_document_that_waits_too_long_is_told_where_it_waits_and_forgotten_when_it_is_gone() {
    let (home, port) = (Stage::new(), quiet_port());
    let watched = Watched::start(&format!("http://127.0.0.1:{port}/ingest"), "");
    watched.stage.drop_file("one.csv", b"1");
    until("its age is told", || {
        watched.check("queue")["state"] == "degraded"
    });
    let told = watched.check("queue");
    let words = told["last"]["message"].as_str().unwrap();
    assert!(
        words.starts_with("1 document queued, the oldest for "),
        "{told}"
    );
    assert!(words.ends_with("s on `lab/server`"), "{told}");
    assert_eq!(told["runbook"], "queue-growing", "{told}");
    let metrics = watched.get("/metrics").1;
    let age = metrics
        .lines()
        .find_map(|line| line.strip_prefix("mainstay_lane_oldest_seconds{lane=\"lab/server\"} "));
    assert!(30 <= age.unwrap().parse::<u64>().unwrap(), "{metrics}");

    let _receiver = Receiver::start(&home, &format!("127.0.0.1:{port}"), &[]);
    until("it is well again", || {
        watched.check("queue")["state"] == "healthy"
    });
}

#[test]
fn a_queue_without_room_is_not_ready_and_is_again_once_it_has() {
    let (home, port) = (Stage::new(), quiet_port());
    let to = format!("http://127.0.0.1:{port}/ingest");
    let watched = Watched::start(&to, "max_documents = 2");
    for name in ["1.csv", "2.csv"] {
        watched.stage.drop_file(name, b"x");
    }
    until("it is full", || watched.get("/health/ready").0 == 503);
    let (_, why) = watched.get("/health/ready");
    assert!(
        why.starts_with("not ready: intake is unhealthy: the queue is full"),
        "{why}"
    );
    assert_eq!(watched.get("/health").0, 503);
    // To start anew would make no room.
    assert_eq!(watched.get("/health/live").0, 200);
    assert_eq!(watched.check("intake")["runbook"], "disk-full");

    let receiver = Receiver::start(&home, &format!("127.0.0.1:{port}"), &[]);
    until("it is ready again", || {
        watched.get("/health/ready").0 == 200
    });
    until("both arrive", || receiver.stored().len() == 2);
}

#[test]
fn an_address_that_is_taken_is_told_and_nothing_starts() {
    let home = Stage::new();
    let receiver = home.receiver(&[]);
    let first = Watched::start(&receiver.url(), "");
    let mut second = crate::support::mainstay(&["run", "--config"]);
    second
        .arg(first.stage.path("lab.toml"))
        .arg("--data")
        .arg(home.path("other"));
    let said = say(&mut second);
    assert_eq!(said.code, Some(40), "{said:?}");
    assert!(
        said.err
            .contains("the health of the agent cannot be told on 127.0.0.1:"),
        "{said:?}"
    );
    assert!(said.err.contains("[health] listen"), "{said:?}");
    let mut agent = first.agent;
    assert!(!agent.has_ended());
}

#[test]
fn without_an_agent_nothing_is_known_of_its_health() {
    let stage = Stage::new();
    let said = say(&mut stage.command(&["health"]));
    assert_eq!(said.code, Some(32), "{said:?}");
    assert!(said.err.contains("no agent runs"), "{said:?}");
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let stage = Stage::new();
    let config = "[health]\nlisten = \"0.0.0.0:9464\"\nqueue_warning = 9\nqueue_critical = 3\nage_warning = \"0\"\nage_critical = \"2h\"\n[[route]]\nname = \"lab\"\n[route.to.server]\nurl = \"http://127.0.0.1:1/\"\n";
    std::fs::write(stage.path("lab.toml"), config).unwrap();
    let mut check = stage.command(&["config", "check"]);
    let said = say(check.arg("--config").arg(stage.path("lab.toml")));
    assert_eq!(said.code, Some(22), "{said:?}");
    assert!(said.err.contains("lab.toml:2:"), "{said:?}");
    assert!(said.err.contains("with a proxy in front"), "{said:?}");
    for wrong in [
        "`queue_critical` is 3, and `queue_warning` 9",
        "`age_critical` is 2h, and `age_warning` 0s",
        "make the first the larger one",
    ] {
        assert!(said.err.contains(wrong), "{wrong}: {said:?}");
    }
}

#[test]
fn the_metrics_say_that_it_stops_and_for_how_many_it_waits() {
    let home = Stage::new();
    let receiver = home.receiver(&["--hang", "1"]);
    let watched = Watched::start(&receiver.url(), "");
    watched.stage.drop_file("one.csv", b"1");
    until("it is in flight", || {
        watched.stage.json(&["status"])["routes"][0]["to"][0]["in_flight"] == 1
    });
    let says = |stopping: u8, remaining: u8| {
        let metrics = watched.get("/metrics").1;
        let stopping = format!("mainstay_stopping {stopping}");
        let remaining = format!("mainstay_stopping_remaining {remaining}");
        [stopping, remaining]
            .iter()
            .all(|line| metrics.lines().any(|told| told == line))
    };
    assert!(says(0, 0), "{}", watched.get("/metrics").1);
    watched.agent.signal("TERM");
    until("it waits for the delivery", || says(1, 1));
    watched.agent.signal("TERM");
    assert_eq!(watched.agent.end(), Some(75));
}

#[test]
fn documents_that_nobody_leads_to_any_more_are_told() {
    let (home, port) = (Stage::new(), quiet_port());
    let to = format!("http://127.0.0.1:{port}/ingest");
    let watched = Watched::start(&to, "");
    watched.stage.drop_file("one.csv", b"1");
    until("it waits", || watched.stage.ledger("queued") == 1);
    let Watched { stage, agent, .. } = watched;
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
    let config = std::fs::read_to_string(stage.path("lab.toml")).unwrap();
    let config = config.replace("[route.to.server]", "[route.to.another]");
    let agent = stage.start(&mut stage.configured(&config));
    let watched = Watched { stage, port, agent };
    drop(home);
    until("it is told", || {
        let said = say(&mut watched.stage.command(&["health"]));
        said.out.contains("1 document on `lab/server`")
    });
}

#[test]
fn an_agent_may_have_as_many_lanes_as_its_queue() {
    let stage = Stage::new();
    let many = stage.text("many");
    let route = |number| {
        std::fs::create_dir_all(stage.path(&format!("many/d{number}"))).unwrap();
        format!(
            "[[route]]\nname = \"r{number}\"\n[route.from]\nfolder = \"{many}/d{number}\"\n[route.to.out]\npath = \"{many}/o{number}\"\n"
        )
    };
    let routes: Vec<String> = (0..150).map(route).collect();
    let mut agent = stage.start(&mut stage.configured(&routes.concat()));
    until("all of them are told", || {
        assert!(!agent.has_ended(), "{}", agent.log());
        say(&mut stage.command(&["health"]))
            .out
            .contains("to r149/out")
    });
}

#[test]
fn what_fails_is_counted_by_its_kind_and_told_wherever_one_looks() {
    let (home, port) = (Stage::new(), quiet_port());
    let receiver = home.receiver(&["--fail", "422:1"]);
    let stage = Stage::new();
    // Its lookups are done without, its alerts come to nothing, and its server refuses what it gets.
    let config = format!(
        "[health]\nlisten = \"127.0.0.1:{port}\"\n[[alert]]\ncommand = [\"false\"]\n[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\nsettle = \"0s\"\n[[route.lookup]]\nname = \"parts\"\nurl = \"http://127.0.0.1:1/{{n}}\"\ntake = {{ a = \"b\" }}\non_failure = \"pass\"\n[route.to.server]\nurl = \"{}\"\nbury_after = 1\n",
        stage.text("drop"),
        receiver.url(),
    );
    let agent = stage.start(&mut stage.configured(&config));
    let watched = Watched::of(stage, port, agent);
    let stage = &watched.stage;
    let errors = || stage.json(&["status"])["service"]["errors"].clone();
    let metric = |category: &str, severity: &str| {
        let labels = format!("category=\"{category}\",severity=\"{severity}\"");
        watched.counters()[&format!("mainstay_errors_total{{{labels}}}")]
    };
    assert_eq!(errors(), serde_json::json!({}));
    assert_eq!(metric("network", "high").to_bits(), 0.0_f64.to_bits());
    let page = say(&mut stage.command(&["status"]));
    assert!(!page.out.contains("\nerrors "), "{page:?}");

    stage.drop_file("one.json", br#"{"n":1}"#);
    until("it is a dead letter", || stage.ledger("dead") == 1);
    let told = errors();
    assert_eq!(told["network"], serde_json::json!({ "high": 1 }), "{told}");
    let refused = serde_json::json!({ "medium": 1 });
    assert_eq!(told["validation"], refused, "{told}");
    assert!((metric("network", "high") - 1.0).abs() < f64::EPSILON);
    let page = say(&mut stage.command(&["status"]));
    for words in [
        "errors    1 network/high, ",
        "1 validation/medium since the start",
    ] {
        assert!(page.out.contains(words), "{words}: {page:?}");
    }
    // That there is a dead letter is worth an alert, of which nobody hears.
    until("an alert came to nothing", || {
        errors()["unknown"]["medium"].as_u64() >= Some(1)
    });
    let book = say(&mut stage.command(&["runbook", "persistent-errors"]));
    assert!(
        book.out.contains("errors since 2") && book.out.contains("1 validation/medium"),
        "{book:?}"
    );
}
