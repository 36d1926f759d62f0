//! One life of the agent after the other: a new configuration, and what is told of the life before.

use crate::support::{Receiver, Running, Stage, say, until};
use crate::told::{Begun, in_status};
use mainstay_files::Lock;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

fn configured(stage: &Stage, to: &str) {
    let config = format!(
        "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{to}\"\n",
        stage.text("drop"),
    );
    stage.configured(&config);
}

fn start(stage: &Stage) -> Running {
    stage.start(&mut stage.run_configured())
}

#[test]
fn a_new_configuration_is_taken_at_sighup_and_one_that_cannot_be_used_is_not() {
    let (stage, first_home, second_home) = (Stage::new(), Stage::new(), Stage::new());
    let first = Receiver::start(&first_home, "127.0.0.1:0", &[]);
    let second = Receiver::start(&second_home, "127.0.0.1:0", &[]);
    configured(&stage, &first.url());
    let agent = start(&stage);
    stage.drop_file("a.csv", b"a");
    until("the first has it", || first.stored().len() == 1);

    std::fs::write(stage.path("lab.toml"), "[[route]]\nnonsense = 1\n").unwrap();
    agent.signal("HUP");
    until("it says what is wrong", || {
        agent.log().contains("is not taken") && agent.log().contains("nonsense")
    });
    stage.drop_file("b.csv", b"b");
    until("the first has it", || first.stored().len() == 2);

    // It can be read, and cannot be used: the port is taken.
    configured(&stage, &second.url());
    let good = std::fs::read_to_string(stage.path("lab.toml")).unwrap();
    let bad = format!("[health]\nlisten = \"{}\"\n{good}", second.address);
    std::fs::write(stage.path("lab.toml"), bad).unwrap();
    agent.signal("HUP");
    until("it goes on with the one before", || {
        agent.log().contains("cannot be used")
    });
    stage.drop_file("c.csv", b"c");
    until("the first has it", || first.stored().len() == 3);

    std::fs::write(stage.path("lab.toml"), good).unwrap();
    agent.signal("HUP");
    until("the second is known", || {
        stage.json(&["status"])["routes"][0]["to"][0]["address"] == second.url()
    });
    stage.drop_file("d.csv", b"d");
    until("the second has it", || second.stored().len() == 1);
    assert_eq!(first.stored().len(), 3);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

/// Each of them had its own life, which opened all and closed it again.
#[test]
fn reloads_in_a_row_are_one_with_the_last_configuration_and_the_last_one_counts() {
    let stage = Stage::new();
    configured(&stage, "http://127.0.0.1:1/0");
    let agent = start(&stage);
    let lives = || agent.log().matches("queue open").count();
    let address = || stage.json(&["status"])["routes"][0]["to"][0]["address"].clone();
    for round in 1..=5 {
        for number in 1..=3 {
            configured(&stage, &format!("http://127.0.0.1:1/{round}/{number}"));
            agent.signal("HUP");
        }
        let last = format!("http://127.0.0.1:1/{round}/3");
        until("the last one is taken", || {
            stage.path("data/control.sock").exists() && lives() == round + 1 && address() == last
        });
    }
    assert_eq!(lives(), 6, "{}", agent.log());
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn an_agent_without_a_configuration_ends_with_its_terminal() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let agent = stage.agent(&receiver.url(), &[]);
    agent.signal("HUP");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn an_agent_that_was_told_to_ignore_its_terminal_outlives_it() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    configured(&stage, &receiver.url());
    let run = stage.run_configured();
    // As `nohup` does.
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    shell.arg(run.get_program()).args(run.get_args());
    let agent = stage.start(&mut shell);
    let before = stage.json(&["status"])["since"].clone();
    agent.signal("HUP");
    stage.drop_file("a.csv", b"a");
    until("it is delivered", || receiver.stored().len() == 1);
    assert_eq!(stage.json(&["status"])["since"], before, "it began anew");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn how_the_life_before_ended_is_told_at_the_next_start() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    configured(&stage, &receiver.url());
    let agent = start(&stage);
    assert!(stage.json(&["status"])["last_stop"].is_null());
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));

    let agent = start(&stage);
    let last = stage.json(&["status"])["last_stop"].clone();
    assert!(last.as_str().unwrap().contains("stopped cleanly"), "{last}");
    let health = say(&mut stage.command(&["health"]));
    assert_eq!(health.code, Some(0), "{health:?}");
    until("its start is written down", || {
        let lives = std::fs::read_to_string(stage.path("data/stops.json")).unwrap();
        lives.matches("started_ms").count() == 2
    });
    agent.kill();

    let agent = start(&stage);
    let last = stage.json(&["status"])["last_stop"].clone();
    assert!(last.as_str().unwrap().contains("was not stopped"), "{last}");
    let health = say(&mut stage.command(&["health"]));
    let line = health.out.lines().find(|line| line.contains("last crash"));
    let line = line.unwrap_or_default();
    assert!(line.contains("was not stopped"), "{health:?}");
    assert!(health.out.contains("runbook crash-loop"), "{health:?}");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

/// As a defect in native code would end it: nothing of ours runs any more.
#[test]
fn an_agent_that_crashed_says_so_at_its_next_start_and_goes_on_where_it_was() {
    let (stage, port) = (Stage::new(), crate::hubs::quiet_port());
    configured(&stage, &format!("http://127.0.0.1:{port}/ingest"));
    let mut agent = start(&stage);
    stage.drop_files("a", 3);
    until("they are taken", || stage.ledger("accepted") == 3);
    until("its start is written down", || {
        stage.path("data/stops.json").exists()
    });
    let began = stage.json(&["status"])["since"].clone();
    let begun = Begun::now();
    // The standard library looks at the first one for a stack that overflowed.
    until("it crashes", || {
        agent.signal("SEGV");
        agent.has_ended()
    });
    assert_eq!(agent.end(), None, "no code: it was a signal");
    let status = say(&mut stage.command(&["status"]));
    assert!(status.out.contains("not running"), "{status:?}");
    assert!(status.out.contains("3 queued"), "{status:?}");
    let words = "last run  was not stopped: it was killed, crashed, or lost its power";
    assert!(status.out.contains(words), "{status:?}");
    let told = stage.json(&["status"])["unwell"][0].clone();
    assert_eq!(told["check"], "last crash", "{told}");
    // When it began; of its end nobody knows more than that it came later.
    let since = told["since"].as_str().unwrap();
    let at = |date: &str| date.parse::<jiff::Timestamp>().unwrap();
    assert!(at(began.as_str().unwrap()) <= at(since), "{told} {began}");
    assert!(at(since) < jiff::Timestamp::now(), "{told}");
    assert!(told["message"].as_str().unwrap().contains(since), "{told}");
    let line = format!("last crash degraded since {since}: `mainstay runbook crash-loop`");
    assert!(status.out.contains(&line), "{status:?}");

    let agent = start(&stage);
    // By itself: nobody has the checks look.
    let told = begun.told("last crash", || in_status(&stage, "last crash"));
    assert_eq!(told["runbook"], "crash-loop", "{told}");
    let crash = || {
        let said = say(stage.command(&["health"]).arg("--json"));
        let health: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        health["checks"]["last crash"].clone()
    };
    until("it is told", || crash()["state"] == "degraded");
    assert_eq!(crash()["runbook"], "crash-loop");
    assert!(crash()["since_ms"].is_u64(), "{}", crash());
    let receiver = crate::support::Receiver::start(&stage, &format!("127.0.0.1:{port}"), &[]);
    until("all arrive", || receiver.stored().len() == 3);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
    let agent = start(&stage);
    assert_eq!(crash()["state"], "healthy");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

/// Whether a process of this id listens to SIGTERM by itself.
fn listens(agent: &Running) -> bool {
    const TERM: u32 = 15;
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
    mask >> (TERM - 1) & 1 == 1
}

/// A file that nobody writes: whoever reads it waits for ever.
fn make_silent(path: &std::path::Path) {
    drop(std::fs::remove_file(path));
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// Whether the thread of this name, of this process, is asleep in the system.
fn sleeps(name: &str) -> bool {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let mut states = threads.map(|thread| std::fs::read_to_string(thread.path().join("stat")));
    // `12 (name) S …`
    states.any(|state| state.is_ok_and(|state| state.contains(&format!("({name}) S "))))
}

#[test]
fn a_start_that_hangs_can_be_stopped() {
    let stage = Stage::new();
    make_silent(&stage.path("lab.toml"));
    let agent = Running::start(&mut stage.run_configured(), stage.path("agent.log"));
    until("it listens to signals", || listens(&agent));
    agent.signal("TERM");
    until("it has heard it", || agent.log().contains("asked to stop"));
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(75));
}

#[test]
fn a_configuration_that_hangs_holds_up_no_document_and_no_stop() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    configured(&stage, &receiver.url());
    let agent = start(&stage);
    make_silent(&stage.path("lab.toml"));
    agent.signal("HUP");
    stage.drop_file("a.csv", b"a");
    until("it is delivered", || receiver.stored().len() == 1);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

/// A thread that a slow disk holds up keeps its locks beyond the life that it belongs to: neither the new configuration nor the one
/// before it could be used then, and the agent was gone.
#[test]
fn what_the_life_before_still_holds_is_waited_for() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    configured(&stage, &receiver.url());
    let agent = start(&stage);
    // Whoever waits for it has it before the next life asks for it.
    let lock = std::fs::File::open(stage.path("data/work/lab/LOCK")).unwrap();
    let (sender, has_it) = std::sync::mpsc::channel();
    let waiter = std::thread::Builder::new().name("waiter".to_owned());
    let waiting = waiter.spawn(move || {
        lock.lock().unwrap();
        sender.send(lock).unwrap();
    });
    waiting.unwrap();
    until("it is waited for", || sleeps("waiter"));
    agent.signal("HUP");
    let lock = has_it.recv().unwrap();
    until("it says so", || {
        agent.log().contains("it waits until that is let go of")
    });
    drop(lock);
    stage.drop_file("a.csv", b"a");
    until("it is delivered", || receiver.stored().len() == 1);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

/// A scrub may take hours: it went on beside the next one, by the settings of before.
#[test]
fn a_scrub_ends_with_the_life_that_it_belongs_to() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    let file = stage.path("recipe.dat");
    std::fs::write(&file, vec![7; 4 << 20]).unwrap();
    let made = say(&mut stage.command(&["backup", "create", file.to_str().unwrap()]));
    assert_eq!(made.code, Some(0), "{}", made.err);
    configured(&stage, &receiver.url());
    let route = std::fs::read_to_string(stage.path("lab.toml")).unwrap();
    let with = |rate: &str| {
        let backups = format!("[backups]\nscrub_every = \"1s\"\nscrub_rate = \"{rate}\"\n");
        std::fs::write(stage.path("lab.toml"), backups + &route).unwrap();
    };
    // It would take a quarter of a day.
    with("200B");
    let agent = start(&stage);
    let reads = || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap();
        let mut open = open
            .flatten()
            .filter_map(|file| file.path().read_link().ok());
        open.any(|file| file == stage.path("recipe.dat"))
    };
    until("it scrubs", reads);
    with("1GiB");
    agent.signal("HUP");
    until("it says that this one has ended", || {
        agent.log().contains("was ended by a stop; it begins anew")
    });
    until("another one has read it all", || {
        stage.json(&["status"])["last_scrub"]["files"] == 1
    });
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

/// Between two lives nobody answers for a moment; whoever asked then was told that no agent runs.
#[test]
fn whoever_asks_while_a_new_configuration_is_taken_is_answered() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    configured(&stage, &receiver.url());
    let agent = start(&stage);
    for life in 2..12 {
        agent.signal("HUP");
        until("the next life answers", || {
            // Refused, these fail.
            for asked in [&["protections", "list"][..], &["status", "--budgets"]] {
                stage.json(asked);
            }
            let health = say(&mut stage.command(&["health"]));
            assert!(health.out.starts_with("the agent is "), "{health:?}");
            let status = stage.json(&["status"]);
            let is_there = status["service"]["state"].is_string();
            is_there && agent.log().matches("queue open").count() == life
        });
    }
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}

/// Whoever takes the folder in between, to look at the queue for one, kept the next life waiting, or out.
#[test]
fn between_two_lives_the_folder_is_nobody_elses() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    configured(&stage, &receiver.url());
    let agent = start(&stage);
    let lock = stage.path("data/LOCK");
    for life in 2..12 {
        agent.signal("HUP");
        until("the next life runs", || {
            // The moment in between is short.
            for _ in 0..1000 {
                assert_eq!(Lock::holder(&lock), Some(agent.pid()));
            }
            agent.log().matches("queue open").count() == life
        });
    }
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
    assert_eq!(Lock::holder(&lock), None);
}

/// The same, cut off in the middle: the agent hangs up, and is gone.
#[test]
fn who_is_cut_off_by_an_agent_that_ends_is_answered_by_what_comes_after_it() {
    let stage = Stage::new();
    let receiver = stage.receiver(&[]);
    configured(&stage, &receiver.url());
    let agent = start(&stage);
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
    let socket = stage.path("data/control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut asks = stage.command(&["status", "--json"]);
    let asks = asks.stdout(Stdio::null()).spawn().unwrap();
    // The first connection only looks whether somebody is there; the second asks.
    for _ in 0..2 {
        listener.accept().unwrap();
    }
    drop(listener);
    std::fs::remove_file(&socket).unwrap();
    assert!(asks.wait_with_output().unwrap().status.success());
}

/// What a process holds: descriptors, threads, and bytes of memory.
fn held(agent: &Running) -> (usize, usize, u64) {
    let process = format!("/proc/{}", agent.pid());
    let count = |what: &str| {
        std::fs::read_dir(format!("{process}/{what}"))
            .unwrap()
            .count()
    };
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    (count("fd"), count("task"), kib * 1024)
}

/// Each life opens all that the agent has and closes it: the queue, a watched folder, an address for documents and one for its
/// health, deliveries, alerts, checks, the control socket. Every second life has a route less, which comes back in the next one.
#[test]
fn a_hundred_lives_in_which_a_route_comes_and_goes_leave_no_task_descriptor_thread_or_memory_behind()
 {
    const WARM_UP: usize = 20;
    const RISE_MAX: u64 = 2 * 1024 * 1024;
    let (stage, home) = (Stage::new(), Stage::new());
    let receiver = Receiver::start(&home, "127.0.0.1:0", &[]);
    let always = format!(
        "[health]\nlisten = \"127.0.0.1:0\"\n[[alert]]\ncommand = [\"true\"]\n\
         [[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\n[route.to.server]\nurl = \"{}\"\n",
        stage.text("drop"),
        receiver.url(),
    );
    let at_times = format!(
        "[[route]]\nname = \"hub\"\n[route.from.http]\nlisten = \"127.0.0.1:0\"\n[route.to.folder]\npath = \"{}\"\n",
        home.text("out"),
    );
    let of = |life: usize| match life % 2 {
        0 => format!("{always}{at_times}"),
        _ => always.clone(),
    };
    stage.configured(&of(1));
    // What a thread has given back stays in the heap that it was from, of which there are many otherwise: that is no leak.
    let agent = stage.start(stage.run_configured().env("MALLOC_ARENA_MAX", "1"));
    let lives = |agent: &Running| agent.log().matches("queue open").count();
    let tasks = || {
        let service = stage.json(&["status"])["service"].take();
        service["tasks"].as_array().map_or(0, Vec::len)
    };
    let (mut before, mut tasks_before) = (None, 0);
    for life in 1..WARM_UP + 100 {
        until("this life works", || {
            lives(&agent) == life && stage.path("data/control.sock").exists()
        });
        let name = format!("{life}.csv");
        stage.drop_file(&name, name.as_bytes());
        until("a document is delivered", || {
            receiver.stored().len() == life
        });
        if life == WARM_UP {
            (before, tasks_before) = (Some(held(&agent)), tasks());
        }
        stage.configured(&of(life + 1));
        agent.signal("HUP");
    }
    until("the last life works", || {
        lives(&agent) == WARM_UP + 100 && stage.path("data/control.sock").exists()
    });
    let (descriptors, threads, memory) = before.unwrap();
    // What waits for work, and a connection that is kept, go within seconds.
    let mut now = held(&agent);
    until("descriptors and threads are as they were", || {
        now = held(&agent);
        now.0 <= descriptors && now.1 <= threads
    });
    assert_eq!(tasks(), tasks_before);
    assert!(
        now.2 <= memory + RISE_MAX,
        "{memory} bytes before, {} after a hundred lives",
        now.2
    );
    let stops = std::fs::read_to_string(stage.path("data/stops.json")).unwrap();
    assert!(!stops.contains("unclean"), "{stops}");
    agent.signal("TERM");
    assert_eq!(agent.end(), Some(0));
}
