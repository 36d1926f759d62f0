//! What protects destinations and the servers of lookups is seen, held, released, reset and changed by name while the agent runs.

use crate::network::always;
use crate::support::{Running, Stage, say, until};
use serde_json::Value;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{\"b\":1}";

/// From `drop` to a receiver that takes everything, with a lookup, and its server's place.
fn start(stage: &Stage, url: &str) -> (Running, String) {
    let server = always(ANSWER);
    let origin = server.trim_end_matches("/in").to_owned();
    let config = format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\nsettle = \"0s\"\n[[route.lookup]]\nname = \"parts\"\nurl = \"{origin}/{{n}}\"\ntake = {{ a = \"b\" }}\n[route.to.server]\nurl = \"{url}\"\nrate = \"1000/s\"\n",
        stage.text("drop")
    );
    (stage.start(&mut stage.configured(&config)), origin)
}

fn listed(stage: &Stage) -> Vec<Value> {
    let all = stage.json(&["protections", "list"]);
    all.as_array().unwrap().clone()
}

fn names(stage: &Stage) -> Vec<String> {
    let all = listed(stage).into_iter();
    all.map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

fn named(stage: &Stage, name: &str) -> Value {
    let mut all = listed(stage).into_iter();
    all.find(|one| one["name"] == name).unwrap_or_default()
}

fn status(stage: &Stage) -> Value {
    stage.json(&["status"])["routes"][0].clone()
}

#[test]
fn a_destination_that_is_held_by_hand_gets_nothing_until_it_is_released() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let (agent, _) = start(&stage, &receiver.url());
    // What a lookup's server has is known once it was asked.
    assert_eq!(
        names(&stage),
        ["lab/parts/retries", "lab/server/gate", "lab/server/limiter"]
    );
    let gate = named(&stage, "lab/server/gate");
    assert_eq!(gate["kind"], "gate");
    assert_eq!(gate["status"]["state"], "idle", "{gate}");
    assert_eq!(named(&stage, "lab/server/limiter")["status"]["burst"], 5);

    let now = stage.json(&["protections", "hold", "lab/server/gate"]);
    let stands = now["stands"].as_str().unwrap();
    assert!(stands.starts_with("held by hand; 0 under way"), "{now}");
    let again = say(&mut stage.command(&["protections", "hold", "lab/server/gate"]));
    assert_eq!(again.code, Some(69), "{again:?}");
    stage.drop_file("one.json", br#"{"n":7}"#);
    until("it is taken", || stage.ledger("accepted") == 1);
    until("it is shown", || {
        status(&stage)["to"][0]["state"] == "paused"
    });
    assert_eq!(stage.ledger("delivered"), 0);
    // To have it tried is not to release it.
    stage.json(&["protections", "reset", "lab/server/gate"]);
    assert_eq!(status(&stage)["to"][0]["state"], "paused");

    stage.json(&["protections", "release", "lab/server/gate"]);
    until("it is delivered", || stage.ledger("delivered") == 1);
    let again = say(&mut stage.command(&["protections", "release", "lab/server/gate"]));
    assert_eq!(again.code, Some(69), "{again:?}");
    assert!(again.err.contains("not held by hand"), "{again:?}");
    assert!(agent.log().contains("by hand: release"), "{}", agent.log());
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn a_held_destination_is_tried_at_once_when_it_is_reset() {
    let stage = Stage::new();
    let (agent, _) = start(
        &stage,
        &always("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
    );
    stage.drop_file("one.json", br#"{"n":7}"#);
    let failures = || {
        let gate = named(&stage, "lab/server/gate");
        gate["status"]["failures"].as_u64().unwrap_or_default()
    };
    // By itself it would take a minute between two tries by then.
    for least in 1..9 {
        until("it was tried", || {
            if failures() < least {
                stage.json(&["protections", "reset", "lab/server/gate"]);
            }
            least <= failures()
        });
    }
    let told = named(&stage, "lab/server/gate");
    let stands = told["stands"].as_str().unwrap();
    assert!(
        stands.starts_with("held after ") && stands.contains("403"),
        "{told}"
    );
    agent.kill();
}

#[test]
fn a_breaker_of_a_lookup_that_is_held_by_hand_asks_nobody_until_it_is_released() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let (agent, origin) = start(&stage, &receiver.url());
    stage.drop_file("one.json", br#"{"n":1}"#);
    until("it is delivered", || stage.ledger("delivered") == 1);
    let breaker = format!("lab/parts/{origin}/breaker");
    let seen = named(&stage, &breaker);
    assert_eq!(seen["status"]["state"], "closed", "{:?}", names(&stage));
    let bulkhead = format!("lab/parts/{origin}/bulkhead");
    assert_eq!(named(&stage, &bulkhead)["status"]["admitted"], 1);

    stage.json(&["protections", "hold", &breaker]);
    stage.drop_file("two.json", br#"{"n":2}"#);
    until("the document waits", || {
        status(&stage)["lookups"][0]["waits"].as_u64() > Some(0)
    });
    assert_eq!(status(&stage)["lookups"][0]["server"], "forced_open");
    stage.json(&["protections", "release", &breaker]);
    stage.json(&["protections", "reset", "lab/server/gate"]);
    until("it is delivered", || stage.ledger("delivered") == 2);
    let page = say(&mut stage.command(&["protections", "list"]));
    assert!(page.out.contains(&format!("{breaker}  closed")), "{page:?}");

    let anew = stage.json(&["protections", "reset", &bulkhead]);
    assert_eq!(anew["status"]["admitted"], 0, "{anew}");
    let nothing = say(&mut stage.command(&["protections", "hold", &bulkhead]));
    assert!(
        nothing.err.contains("only a gate and a breaker"),
        "{nothing:?}"
    );
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn a_wrong_name_is_told_with_the_right_one_and_without_an_agent_nothing_is_known() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let (agent, _) = start(&stage, &receiver.url());
    let said = say(&mut stage.command(&["protections", "hold", "lab/sever/gate"]));
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(
        said.err.contains("did you mean `lab/server/gate`?"),
        "{said:?}"
    );
    let said = say(&mut stage.command(&["protections", "reset", "everything"]));
    assert!(
        said.err.contains("there are: lab/server/gate, "),
        "{said:?}"
    );
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
    for verb in [&["list"][..], &["hold", "lab/server/gate"]] {
        let words: Vec<&str> = ["protections"].iter().chain(verb).copied().collect();
        let said = say(&mut stage.command(&words));
        assert_eq!(said.code, Some(32), "{said:?}");
        assert!(said.err.contains("no agent runs on"), "{said:?}");
    }
}

#[test]
fn a_limit_that_is_changed_by_hand_holds_at_once_and_ends_with_a_new_configuration() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let (agent, _) = start(&stage, &receiver.url());
    let limiter = "lab/server/limiter";
    assert_eq!(status(&stage)["to"][0]["limit"], "1000/1s");
    let set = ["protections", "set", limiter, "rate=1/h", "burst=1"];
    let said = say(&mut stage.command(&set));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("1 of 1 left")
            && said
                .out
                .contains("until the agent starts or reads its configuration again"),
        "{said:?}"
    );
    assert_eq!(status(&stage)["to"][0]["limit"], "1/1h, set by hand");
    // One goes; the next one has to wait for an hour.
    stage.drop_files("a", 2);
    until("both are taken", || stage.ledger("accepted") == 2);
    until("one is delivered", || stage.ledger("delivered") == 1);
    until("it is told for how long the other waits", || {
        status(&stage)["to"][0]["limited_seconds"].as_f64() > Some(3_000.0)
    });
    assert_eq!(stage.ledger("delivered"), 1);
    let log = agent.log();
    assert!(
        log.contains("by hand: set") && log.contains("burst=1 rate=1/h"),
        "{log}"
    );

    agent.signal("HUP");
    until("the other one goes, too", || receiver.stored().len() == 2);
    assert_eq!(status(&stage)["to"][0]["limit"], "1000/1s");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn what_cannot_be_changed_by_hand_is_refused_with_what_can_and_all_stays() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let (agent, _) = start(&stage, &receiver.url());
    let limiter = "lab/server/limiter";
    let before = named(&stage, limiter)["status"].clone();
    for (words, why) in [
        (
            &["lab/server/gate", "rate=1/s"][..],
            "a gate has no settings",
        ),
        (
            &[limiter, "size=3"],
            "it has no `size`; it has rate and burst",
        ),
        (&[limiter, "rate=fast"], "`fast` is not a rate"),
        (&[limiter, "burst=many"], "`burst=many`"),
        (&[limiter, "rate=1/s", "burst=0"], "that cannot work"),
        (&[limiter, "burst=1", "burst=2"], "`burst` stands twice"),
        (&[limiter, "burst"], "write it as KEY=VALUE"),
        (&[limiter], "KEY=VALUE"),
        (
            &["lab/sever/limiter", "burst=2"],
            "did you mean `lab/server/limiter`?",
        ),
    ] {
        let mut command = stage.command(&["protections", "set"]);
        let said = say(command.args(words));
        assert_eq!(said.code, Some(2), "{words:?}: {said:?}");
        assert!(said.err.contains(why), "{words:?}: {said:?}");
    }
    let after = named(&stage, limiter)["status"].clone();
    assert_eq!(
        (&after["burst"], &after["permits_per_second"]),
        (&before["burst"], &before["permits_per_second"])
    );
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}
