//! What takes long is a job: it is shown, bounded, given up by a stop, and its failure is told to who asked for it.

use crate::support::{Said, Stage, say, until};
use crate::tasks::meets;
use serde_json::Value;
use std::process::{Child, Stdio};

/// An import whose sender pauses.
struct Paused(Child);

impl Paused {
    fn begin(stage: &Stage) -> Self {
        let mut command = stage.command(&["queue", "import", "-"]);
        Self(command.stdin(Stdio::piped()).spawn().unwrap())
    }

    /// Sends nothing more than what was sent, and waits for how it came out.
    fn end(mut self) -> Said {
        drop(self.0.stdin.take());
        self.0.wait_with_output().unwrap().into()
    }
}

fn jobs(stage: &Stage) -> Vec<Value> {
    let jobs = stage.json(&["status"])["jobs"].take();
    jobs.as_array().cloned().unwrap_or_default()
}

fn number_in(stage: &Stage, state: &str) -> usize {
    let jobs = jobs(stage).into_iter();
    jobs.filter(|job| job["state"] == state).count()
}

#[test]
fn jobs_are_shown_while_they_run_or_wait_and_one_too_many_is_told_that_the_agent_is_busy() {
    let stage = Stage::new();
    let agent = stage.agent("http://127.0.0.1:1/", &[]);
    assert!(stage.json(&["status"])["jobs"].is_null());
    let mut imports: Vec<Paused> = (0..6).map(|_| Paused::begin(&stage)).collect();
    until("two run and four wait", || {
        number_in(&stage, "running") == 2 && number_in(&stage, "waiting") == 4
    });
    let running = { jobs(&stage).into_iter() }.find(|job| job["state"] == "running");
    let running = running.unwrap();
    assert_eq!(running["name"], "queue import", "{running}");
    assert_eq!(running["kind"], "import", "{running}");
    assert_eq!(running["phase"], "reading", "{running}");
    assert_eq!(running["unit"], "bytes", "{running}");
    assert_eq!(running["since"].as_str().map(str::len), Some(24));
    let page = say(&mut stage.command(&["status"])).out;
    assert!(page.contains("jobs      queue import, "), "{page}");
    assert!(page.contains("queue import, reading: 0 B"), "{page}");
    assert!(
        page.contains("queue import, which waits for its turn, since "),
        "{page}"
    );

    let mut one_too_many = Paused::begin(&stage);
    until("it is turned away", || {
        one_too_many.0.try_wait().unwrap().is_some()
    });
    let said = one_too_many.end();
    assert_eq!(said.code, Some(75), "{said:?}");
    assert!(
        said.err.contains("the agent is busy: 2 of its 6 jobs run"),
        "{said:?}"
    );
    assert!(said.err.contains("try again"), "{said:?}");
    // Another kind waits for none of them.
    let said = say(&mut stage.command(&["queue", "verify"]));
    assert_eq!(said.code, Some(0), "{said:?}");

    // Whoever goes away takes the job along, and the next has its turn.
    imports.truncate(5);
    for import in &mut imports {
        import.0.kill().unwrap();
    }
    for import in imports {
        import.end();
    }
    until("none is left", || jobs(&stage).is_empty());
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn a_stop_gives_jobs_up_and_whoever_asked_for_one_is_told() {
    let stage = Stage::new();
    let agent = stage.agent("http://127.0.0.1:1/", &["--grace", "1h"]);
    let import = Paused::begin(&stage);
    until("it runs", || number_in(&stage, "running") == 1);
    agent.signal("TERM");
    // Its sender still pauses: nobody waits for that.
    assert_eq!(agent.end(), Some(0));
    let said = import.end();
    assert_eq!(said.code, Some(75), "{said:?}");
    assert!(said.err.contains("gave `queue import` up"), "{said:?}");
    assert!(
        said.err.contains("what was done before stays done"),
        "{said:?}"
    );
}

#[test]
fn a_job_that_panics_is_told_to_who_asked_for_it_and_the_next_one_is_done() {
    let stage = Stage::new();
    let agent = stage.agent("http://127.0.0.1:1/", &["--test-faults"]);
    meets(&stage, "queue verify", "panic");
    let said = say(&mut stage.command(&["queue", "verify"]));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("`queue verify` died, which is a bug"),
        "{said:?}"
    );
    assert!(said.err.contains("a test asked for it"), "{said:?}");
    assert_eq!(say(&mut stage.command(&["queue", "verify"])).code, Some(0));
    assert_eq!(stage.json(&["status"])["service"]["panics"]["count"], 1);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn a_job_that_does_not_give_up_is_shown_by_a_stop_left_behind_and_named_in_its_report() {
    let stage = Stage::new();
    let agent = stage.agent("http://127.0.0.1:1/", &["--test-faults"]);
    meets(&stage, "queue verify", "hang");
    let mut verify = stage.command(&["queue", "verify"]).spawn().unwrap();
    until("it runs", || number_in(&stage, "running") == 1);
    agent.signal("TERM");
    until("the stop shows it", || {
        let status = stage.json(&["status"]);
        let remaining = status["stop"]["remaining"].as_array().cloned();
        let mut remaining = remaining.unwrap_or_default().into_iter();
        remaining.any(|one| one["who"] == "the jobs") && status["jobs"][0]["state"] == "stopping"
    });
    assert_eq!(agent.end(), Some(75));
    verify.wait().unwrap();

    let agent = stage.agent("http://127.0.0.1:1/", &[]);
    let last = stage.json(&["status"])["last_stop"].clone();
    let last = last.as_str().unwrap();
    assert!(
        last.contains("jobs that do not give up are left behind: `queue verify`"),
        "{last}"
    );
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}
