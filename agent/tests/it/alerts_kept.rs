//! What was told stays told over the lives of the agent, and what could not be told yet is told later.

use crate::alerts::{config, hear, start, webhook};
use crate::support::{Running, Stage, say, until};
use serde_json::Value;

/// A second destination that is away, for documents that are submitted.
const OTHER: &str = "[[route]]\nname = \"other\"\n[route.to.server]\nurl = \"http://127.0.0.1:1/\"\nretry = { initial = \"20ms\", max = \"200ms\" }\n";

/// Has a document wait for the second destination.
fn submit(stage: &Stage) {
    std::fs::write(stage.path("two.csv"), "2").unwrap();
    let mut submit = stage.command(&["submit", "--route", "other"]);
    let said = say(submit.arg(stage.path("two.csv")));
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn until_told(agent: &Running, times: usize) {
    until("it is noted as told", || {
        agent.log().matches("an alert was told").count() == times
    });
}

/// A new life of the agent knew nothing of what the one before had told: what was bad was told again, and what had become well never.
#[test]
fn what_was_told_before_a_new_configuration_is_told_as_mended_after_it_and_not_again() {
    let stage = Stage::new();
    let (url, hears) = webhook(Some("204 No Content"));
    let alert = format!("[[alert]]\nurl = \"{url}\"\nchecks = [\"to *\"]\n");
    let agent = start(&stage, &format!("{alert}{OTHER}"));
    submit(&stage);
    for _ in 0..2 {
        hear(&stage, &hears);
    }
    until_told(&agent, 2);

    let receiver = stage.receiver(&[]);
    config(&stage, &format!("{alert}{OTHER}"));
    let text = std::fs::read_to_string(stage.path("lab.toml")).unwrap();
    let mended = text.replace(crate::hubs::NOWHERE, &receiver.url());
    std::fs::write(stage.path("lab.toml"), mended).unwrap();
    agent.signal("HUP");
    until("the document is delivered", || receiver.stored().len() == 1);

    let body: Value = serde_json::from_str(&hear(&stage, &hears).body).unwrap();
    assert_eq!(body["check"], "to lab/server", "{body}");
    assert_eq!(
        (&body["state"], &body["was"]),
        (&"healthy".into(), &"degraded".into()),
        "{body}"
    );
    until_told(&agent, 3);
    // The other is still away, which was told; it is looked at no less.
    let health = say(&mut stage.command(&["health"]));
    assert!(health.out.contains("to other/server"), "{health:?}");
    assert!(hears.try_recv().is_err());
    assert!(!agent.log().contains("was not told"), "{}", agent.log());
}
