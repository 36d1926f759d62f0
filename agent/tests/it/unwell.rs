//! What is not well stands in `status` by itself: what, since when, and which runbook; nobody has to have the checks run.

use crate::health::Watched;
use crate::hubs::quiet_port;
use crate::support::{Receiver, Stage, say, until};
use crate::told::Begun;
use mainstay_testkit::tunnels::Tunnels;
use serde_json::Value;

/// What `status` says of a check; nothing where that is well.
fn unwell(stage: &Stage, check: &str) -> Option<Value> {
    let status = stage.json(&["status"]);
    let all = status["unwell"].as_array()?;
    all.iter().find(|unwell| unwell["check"] == check).cloned()
}

/// What stands at the top of the page for people.
fn page(stage: &Stage) -> String {
    say(&mut stage.command(&["status"])).out
}

#[test]
fn a_dead_destination_stands_in_the_status_within_half_a_minute_and_goes_when_it_is_back() {
    let (home, port) = (Stage::new(), quiet_port());
    let watched = Watched::start(&format!("http://127.0.0.1:{port}/ingest"), "");
    let stage = &watched.stage;
    let begun = Begun::now();
    stage.drop_file("one.csv", b"1");
    let lane = begun.told_by_all(stage, watched.port, "to lab/server");
    assert_eq!(lane["state"], "degraded");
    assert_eq!(lane["runbook"], "destination-held");
    let message = lane["message"].as_str().unwrap();
    assert!(message.contains("cannot connect"), "{lane}");
    let (since, page) = (lane["since"].as_str().unwrap(), page(stage));
    let line = format!("to lab/server degraded since {since}: `mainstay runbook destination-held`");
    assert!(page.contains(&line), "{page}");
    assert!(page.contains("needs attention"), "{page}");

    let _receiver = Receiver::start(&home, &format!("127.0.0.1:{port}"), &[]);
    until("it is well", || unwell(stage, "to lab/server").is_none());
}

/// It was as healthy as could be: whoever answers is there, and nothing is held for it.
#[test]
fn a_destination_that_answers_with_nothing_but_errors_is_told_and_forgotten_at_its_first_success() {
    let (home, port) = (Stage::new(), quiet_port());
    let address = format!("127.0.0.1:{port}");
    let failing = Receiver::start(&home, &address, &["--fail", "503:1"]);
    let watched = Watched::start(&failing.url(), "");
    let stage = &watched.stage;
    let begun = Begun::now();
    stage.drop_file("one.csv", b"1");
    let lane = begun.told_by_all(stage, watched.port, "to lab/server");
    assert_eq!(lane["runbook"], "persistent-errors", "{lane}");
    let message = lane["message"].as_str().unwrap();
    assert!(message.contains("attempts in a row failed since"), "{lane}");
    assert!(message.contains("503"), "{lane}");

    failing.process.kill();
    let _receiver = Receiver::start(&home, &address, &[]);
    until("it is delivered", || stage.ledger("delivered") == 1);
    until("it is well", || unwell(stage, "to lab/server").is_none());
}

/// The page of destinations that are held was named for all of them: what helps here stood in another one.
#[test]
fn who_refuses_the_credentials_is_told_with_the_runbook_of_credentials_and_others_with_theirs() {
    for (answer, runbook) in [
        ("401", "credentials-refused"),
        ("403", "credentials-refused"),
        ("404", "destination-held"),
    ] {
        let home = Stage::new();
        let refusing = home.receiver(&["--fail", &format!("{answer}:1")]);
        let watched = Watched::start(&refusing.url(), "");
        watched.stage.drop_file("one.csv", b"1");
        until("it is told", || {
            watched.check("to lab/server")["state"] == "degraded"
        });
        let lane = unwell(&watched.stage, "to lab/server").unwrap();
        let message = lane["message"].as_str().unwrap();
        assert!(message.contains(&format!("answered {answer}")), "{lane}");
        assert_eq!(lane["runbook"], runbook, "{lane}");
        let page = page(&watched.stage);
        assert!(
            page.contains(&format!("`mainstay runbook {runbook}`")),
            "{page}"
        );
    }
}

/// It was told as a destination that cannot be reached.
#[test]
fn a_proxy_that_refuses_the_credentials_is_told_with_their_runbook_and_not_as_a_network_that_is_down()
 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxy = runtime.block_on(Tunnels::start()).unwrap();
    let (stage, port) = (Stage::new(), quiet_port());
    let mut command = stage.configured(&format!(
        "[health]\nlisten = \"127.0.0.1:{port}\"\n[[route]]\nname = \"lab\"\n[route.from]\nfolder = '{}'\n\
         [route.to.server]\nurl = \"https://server.invalid/in\"\nproxy = \"{}\"\n",
        stage.text("drop"),
        proxy.url(),
    ));
    let agent = stage.start(&mut command);
    let watched = Watched::of(stage, port, agent);
    watched.stage.drop_file("one.csv", b"1");
    until("it is told", || {
        watched.check("to lab/server")["state"] == "degraded"
    });
    let lane = unwell(&watched.stage, "to lab/server").unwrap();
    let message = lane["message"].as_str().unwrap();
    assert!(
        message.contains("the proxy refuses the credentials (407)"),
        "{lane}"
    );
    assert_eq!(lane["runbook"], "credentials-refused", "{lane}");
    let status = watched.stage.json(&["status"]);
    let to = &status["routes"][0]["to"][0];
    assert_eq!(to["credentials_refused"], true, "{to}");
    assert_eq!(to["connectivity"], "unknown", "{to}");
    assert_ne!(status["network"]["state"], "offline", "{status}");
}

#[test]
fn dead_letters_are_told_until_somebody_has_decided_on_them() {
    let home = Stage::new();
    let refusing = home.receiver(&["--fail", "422:1"]);
    let watched = Watched::start(&refusing.url(), "");
    let stage = &watched.stage;
    let begun = Begun::now();
    stage.drop_file("one.csv", b"1");
    until("it is given up", || stage.ledger("dead") == 1);
    let dead = begun.told_by_all(stage, watched.port, "dead letters");
    assert_eq!(dead["runbook"], "persistent-errors", "{dead}");
    let words = "1 dead letter on `lab/server`";
    assert!(dead["message"].as_str().unwrap().contains(words), "{dead}");
    // Whoever refuses a document is there, and works.
    assert_eq!(unwell(stage, "to lab/server"), None);

    let listed = stage.json(&["dead", "list"]);
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    let said = say(&mut stage.command(&["dead", "discard", &id]));
    assert_eq!(said.code, Some(0), "{said:?}");
    until("it is well", || unwell(stage, "dead letters").is_none());
}
