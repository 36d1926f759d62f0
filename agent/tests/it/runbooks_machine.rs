//! Runbooks that are walked: what the machine lacks, its date, and the agent that does not stay.

use crate::hubs::quiet_port;
use crate::support::{Receiver, Running, Said, Stage, say, until};
use crate::told::{Begun, in_health, in_status};
use mainstay_testkit::faulty_server::Reaction;
use mainstay_testkit::tls_server::{Authority, TlsServer};
use mainstay_testkit::{Dates, Group, Tmpfs};
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, SystemTime};

fn book(stage: &Stage, name: &str) -> Said {
    say(&mut stage.command(&["runbook", name]))
}

/// A check as it is now; nothing while nobody answers.
fn check(stage: &Stage, name: &str) -> Value {
    let said = say(stage.command(&["health"]).arg("--json"));
    let health: Value = serde_json::from_str(&said.out).unwrap_or_default();
    health["checks"][name].clone()
}

#[expect(
    clippy::print_stdout,
    reason = "what could not be tried is said, not passed over"
)]
fn not_measured(why: &str) {
    println!("NOT MEASURED: {why}");
}

/// An agent with this configuration, once it answers.
fn configured(stage: &Stage, config: &str, more: impl FnOnce(&mut Command)) -> Running {
    let mut command = stage.configured(config);
    more(&mut command);
    stage.start(&mut command)
}

/// A route from `drop` to `to`, and what else is said of that.
fn route(stage: &Stage, to: &str, more: &str) -> String {
    let drop = stage.text("drop");
    format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{drop}\"\nafter = \"delete\"\nsettle = \"0s\"\n[route.to.server]\nurl = \"{to}\"\nretry = {{ initial = \"20ms\", max = \"200ms\" }}\n{more}"
    )
}

fn stop(agent: Running) {
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn an_agent_that_is_short_of_memory_says_so_and_is_well_with_more() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let agent = stage.agent(&receiver.url(), &[]);
    until("its memory was looked at", || {
        check(&stage, "memory")["state"] == "healthy"
    });
    let used = check(&stage, "memory")["last"]["details"]["used"].clone();
    let used: u64 = used.as_str().unwrap().parse().unwrap();
    stop(agent);

    // Seven eighths of what it may have.
    let group = match Group::of_memory(used / 7 * 8) {
        Ok(group) => group,
        Err(error) => return not_measured(&format!("{error:#}")),
    };
    let run = stage.run(&receiver.url(), &[]);
    let mut short = Command::new("sh");
    short.args(["-c", "echo $$ > \"$1\"; shift; exec \"$@\"", "sh"]);
    short.arg(group.processes()).arg(run.get_program());
    short.args(run.get_args());
    let mut agent = Running::start(&mut short, stage.path("agent.log"));
    until("it is told", || {
        assert!(!agent.has_ended(), "{}", agent.log());
        let state = check(&stage, "memory")["state"].clone();
        state == "degraded" || state == "unhealthy"
    });
    let told = check(&stage, "memory");
    assert_eq!(told["runbook"], "high-memory", "{told}");
    assert_eq!(book(&stage, "high-memory").code, Some(0));
    let budgets = say(&mut stage.command(&["status", "--budgets"])).out;
    assert!(budgets.contains("memory"), "{budgets}");

    group.resize(used * 4).unwrap();
    until("it is well again", || {
        check(&stage, "memory")["state"] == "healthy"
    });
    stage.drop_file("a.csv", b"a");
    until("it is delivered", || receiver.stored().len() == 1);
    stop(agent);
}

#[test]
fn a_disk_that_somebody_else_fills_is_told_and_intake_goes_on_by_itself_once_there_is_room() {
    let (stage, port) = (Stage::new(), quiet_port());
    // Beside the drop folder, which has room: files stay there.
    let disk = match Tmpfs::mount(&stage.path("data"), "96m") {
        Ok(disk) => disk,
        Err(error) => return not_measured(&format!("{error:#}")),
    };
    let to = format!("http://127.0.0.1:{port}/ingest");
    let health = quiet_port();
    let route = route(&stage, &to, "");
    let config = format!("[health]\nlisten = \"127.0.0.1:{health}\"\n{route}");
    let agent = configured(&stage, &config, |_| ());
    let begun = Begun::now();
    let other = disk.path().join("somebody-else");
    let status = Command::new("dd")
        .args(["if=/dev/zero", "bs=64k"])
        .arg(format!("of={}", other.display()))
        .stderr(std::process::Stdio::null())
        .status();
    assert!(!status.unwrap().success(), "the disk is full");
    // By itself, while it is full: so small a disk is degraded from the start.
    let is_full = |told: &Value| told["state"] == "unhealthy";
    for told in [
        begun.told("the disk", || in_status(&stage, "disk").filter(is_full)),
        begun.told("the disk", || in_health(health, "disk").filter(is_full)),
    ] {
        assert_eq!(told["runbook"], "disk-full", "{told}");
    }
    for number in 0..100 {
        let body = vec![number; 200 * 1024];
        stage.drop_file(&format!("{number}.bin"), &body);
    }
    // Whichever of them comes to the end of the room first: the queue, or what copies files out of another file system.
    until("it is told", || {
        let states = ["intake", "from lab"].map(|name| check(&stage, name)["state"].clone());
        states
            .iter()
            .any(|state| state != "healthy" && !state.is_null())
    });
    let said = book(&stage, "disk-full").out;
    assert!(said.contains("are free"), "{said}");
    assert!(stage.path("drop").read_dir().unwrap().next().is_some());

    std::fs::remove_file(other).unwrap();
    until("all files are taken", || stage.ledger("accepted") == 100);
    for name in ["intake", "from lab"] {
        until("it is well again", || {
            check(&stage, name)["state"] == "healthy"
        });
    }
    let receiver = Receiver::start(&stage, &format!("127.0.0.1:{port}"), &[]);
    until("all arrive", || stage.ledger("delivered") == 100);
    assert_eq!(receiver.stored().len(), 100);
    stop(agent);
}

#[test]
fn a_limit_that_is_reached_is_told_from_a_disk_that_is_full_and_can_be_raised() {
    let (stage, port) = (Stage::new(), quiet_port());
    let to = format!("http://127.0.0.1:{port}/ingest");
    let config = |most: u32| {
        let route = route(&stage, &to, "");
        format!("[queue]\nmax_documents = {most}\n{route}")
    };
    let agent = configured(&stage, &config(2), |_| ());
    stage.drop_files("a", 5);
    until("it is told", || {
        check(&stage, "intake")["state"] == "unhealthy"
    });
    let said = book(&stage, "disk-full").out;
    assert!(said.contains("max_documents"), "{said}");

    std::fs::write(stage.path("lab.toml"), config(1_000)).unwrap();
    agent.signal("HUP");
    until("it is ready again", || {
        check(&stage, "intake")["state"] == "healthy"
    });
    let receiver = Receiver::start(&stage, &format!("127.0.0.1:{port}"), &[]);
    until("all arrive", || receiver.stored().len() == 5);
    stop(agent);
}

#[test]
fn a_date_that_jumped_is_told_and_what_it_broke_goes_on_once_it_is_right() {
    let stage = Stage::new();
    let Some(dates) = Dates::new(stage.path("date")).unwrap() else {
        return not_measured("libfaketime is not there to set the date of one process");
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let (authority, month) = (Authority::new(), Duration::from_hours(30 * 24));
    let lasting = (SystemTime::now() - month, SystemTime::now() + 2 * month);
    let purpose = ExtendedKeyUsagePurpose::ServerAuth;
    let certificate = authority.lasting("localhost", purpose, lasting);
    let server = runtime.block_on(TlsServer::start(&certificate, None, |_, _| {
        // Each document comes by a connection of its own, and shows whether the certificate is believed.
        Reaction::answer(200).header("connection", "close")
    }));
    let ca = authority.file(&stage.path(""), "ca.pem");
    let tls = format!("tls = {{ ca = \"{}\" }}\n", ca.display());
    let config = route(&stage, &server.url("/in"), &tls);
    let agent = configured(&stage, &config, |command| {
        command.envs(dates.variables());
    });
    stage.drop_file("one.csv", b"1");
    until("it is delivered", || stage.ledger("delivered") == 1);

    const YEAR: i64 = 365 * 24 * 60 * 60;
    dates.set(YEAR).unwrap();
    until("the jump is told", || {
        check(&stage, "clock")["state"] == "degraded"
    });
    let told = check(&stage, "clock");
    let words = told["last"]["message"].as_str().unwrap();
    assert!(
        words.starts_with("the date leapt ahead by 315360"),
        "{told}"
    );
    assert_eq!(told["runbook"], "clock-jumped");
    stage.drop_file("two.csv", b"2");
    until("the certificate is not believed", || {
        check(&stage, "to lab/server")["state"] == "degraded"
    });
    let said = book(&stage, "clock-jumped").out;
    assert!(said.contains("check the clock"), "{said}");
    assert!(said.contains("the date is 20"), "{said}");
    assert_eq!(stage.ledger("delivered"), 1);

    dates.set(0).unwrap();
    until("it opens by itself", || stage.ledger("delivered") == 2);
    until("the way back is told", || {
        let told = check(&stage, "clock");
        let words = told["last"]["message"].as_str().unwrap_or_default();
        words.starts_with("the date went back by 315")
    });
    stop(agent);
}

#[test]
fn an_agent_that_does_not_stay_says_why_and_three_bad_ends_are_told_at_the_next_start() {
    let (stage, port) = (Stage::new(), quiet_port());
    let to = format!("http://127.0.0.1:{port}/ingest");
    let route = route(&stage, &to, "");
    let agent = configured(&stage, &route, |_| ());
    stage.drop_file("one.csv", b"1");
    until("it is taken", || stage.ledger("accepted") == 1);

    // A second one on the same data folder.
    let mut second = stage.command(&["run"]);
    let said = say(second.arg("--config").arg(stage.path("lab.toml")));
    assert_eq!(said.code, Some(34), "{said:?}");
    let status = say(&mut stage.command(&["status"])).out;
    assert!(
        status.contains(&format!("process {}", agent.pid())),
        "{status}"
    );
    until("its start is written down", || {
        stage.path("data/stops.json").exists()
    });
    agent.kill();

    // A configuration that cannot be, with all that is wrong in it.
    let wrong = format!("[queue]\nmax_dokuments = 1\n{route}timeout = \"soon\"\n");
    std::fs::write(stage.path("lab.toml"), wrong).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = stage.command(arguments);
        say(command.arg("--config").arg(stage.path("lab.toml")))
    };
    assert_eq!(run(&["run"]).code, Some(22));
    let said = run(&["config", "check"]);
    for place in ["lab.toml:2:", "lab.toml:12:"] {
        assert!(said.err.contains(place), "{place}: {said:?}");
    }

    // An address that is taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let health = format!("[health]\nlisten = \"{address}\"\n{route}");
    std::fs::write(stage.path("lab.toml"), &health).unwrap();
    let said = run(&["run"]);
    assert_eq!(said.code, Some(40), "{said:?}");
    assert!(said.err.contains(&address.to_string()), "{said:?}");
    let said = book(&stage, "crash-loop").out;
    assert!(said.contains("not running"), "{said}");
    drop(taken);

    for starts in [2, 3] {
        let agent = configured(&stage, &health, |_| ());
        until("its start is written down", || {
            let ends = std::fs::read_to_string(stage.path("data/stops.json"));
            ends.unwrap_or_default().matches("started_ms").count() == starts
        });
        agent.kill();
    }
    let agent = configured(&stage, &health, |_| ());
    until("the bad ends are told", || {
        check(&stage, "last crash")["state"] == "degraded"
    });
    let said = check(&stage, "last crash");
    assert_eq!(said["runbook"], "crash-loop", "{said}");
    let words = said["last"]["message"].as_str().unwrap();
    assert!(words.contains('3'), "{said}");
    assert!(agent.log().contains(words), "{words}: {}", agent.log());

    let receiver = Receiver::start(&stage, &format!("127.0.0.1:{port}"), &[]);
    until("nothing was lost by any of it", || {
        receiver.stored().len() == 1
    });
    stop(agent);
}
