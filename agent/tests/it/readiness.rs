//! Ready is only who could take a document now: somebody takes it, and there is room for it.

use crate::health::Watched;
use crate::hubs::quiet_port;
use crate::support::{Receiver, Stage, say, until};
use crate::tasks::meets;
use serde_json::Value;

/// An agent with these routes from folders of their names, all to one receiver, whose tasks can be made to fail.
fn watched(routes: &[&str], to: &Receiver) -> Watched {
    let (stage, port) = (Stage::new(), quiet_port());
    let route = |route: &&str| {
        std::fs::create_dir(stage.path(route)).unwrap();
        format!(
            "[[route]]\nname = \"{route}\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{}\"\n",
            stage.text(route),
            to.url(),
        )
    };
    let routes: Vec<String> = routes.iter().map(route).collect();
    let config = format!(
        "[health]\nlisten = \"127.0.0.1:{port}\"\n{}",
        routes.concat()
    );
    let agent = stage.start(stage.configured(&config).arg("--test-faults"));
    let watched = Watched::of(stage, port, agent);
    until("it is ready", || is_ready(&watched).0);
    watched
}

/// Whether it is ready, and what it says of that.
fn is_ready(watched: &Watched) -> (bool, String) {
    let (code, words) = watched.get("/health/ready");
    (code == 200, words)
}

/// Fails a task again and again, until it is given up.
fn fail_for_good(watched: &Watched, task: &str) {
    let state = || {
        let said = say(watched.stage.command(&["status"]).arg("--json"));
        let status: Value = serde_json::from_str(&said.out).unwrap();
        let tasks = status["service"]["tasks"].as_array().unwrap().clone();
        tasks.into_iter().find(|one| one["name"] == task).unwrap()
    };
    for failures in 1..=4 {
        meets(&watched.stage, task, "error");
        until("it failed once more", || state()["failures"] == failures);
    }
    until("it is given up", || state()["state"] == "failed");
}

/// It stayed ready, and whoever looked sent its documents to where nobody took them.
#[test]
fn an_agent_whose_sources_have_all_failed_for_good_is_not_ready_and_one_with_another_is() {
    let home = Stage::new();
    let receiver = home.receiver(&[]);
    let watched = watched(&["east", "west"], &receiver);
    fail_for_good(&watched, "the pickup of route `east`");
    let (ready, words) = is_ready(&watched);
    assert!(ready, "the other one takes documents: {words}");
    let file = watched.stage.path("west/one.csv");
    std::fs::write(file, b"1").unwrap();
    until("it does", || receiver.stored().len() == 1);

    fail_for_good(&watched, "the pickup of route `west`");
    until("it is not ready", || !is_ready(&watched).0);
    let (_, words) = is_ready(&watched);
    for part in [
        "nobody takes documents",
        "the pickup of route `east` is failed for good",
        "a test asked for it",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let intake = watched.check("intake");
    assert_eq!(intake["state"], "unhealthy", "{intake}");
    assert_eq!(intake["runbook"], "crash-loop", "{intake}");
    // Whoever starts it anew has it ready again, and that is for a person to decide.
    assert_eq!(watched.get("/health/live").0, 200);
}

#[test]
fn an_agent_whose_only_folder_is_away_is_not_ready_until_it_is_back() {
    let home = Stage::new();
    let receiver = home.receiver(&[]);
    let watched = watched(&["east"], &receiver);
    let (east, away) = (watched.stage.path("east"), watched.stage.path("away"));
    std::fs::rename(&east, &away).unwrap();
    until("it is not ready", || !is_ready(&watched).0);
    let (_, words) = is_ready(&watched);
    assert!(words.contains("is missing"), "{words}");
    assert_eq!(watched.check("intake")["runbook"], "queue-growing");

    std::fs::rename(&away, &east).unwrap();
    until("it is ready again", || is_ready(&watched).0);
    std::fs::write(east.join("one.csv"), b"1").unwrap();
    until("what is dropped is delivered", || {
        receiver.stored().len() == 1
    });
}
