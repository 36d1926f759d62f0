//! What the system asks reaches a stop, by real signals.

use mainstay_supervise::{
    Asked, ErrorKind, Request, Requests, StopOutcome, StopSettings, Stopping, Supervisor,
    SupervisorSettings,
};
use std::process::Command;

/// Sends a signal to this process, which only ends by it where nobody listens.
fn send(signal: &str) {
    let pid = std::process::id().to_string();
    let sent = Command::new("kill").args(["-s", signal, &pid]).status();
    assert!(sent.unwrap().success());
}

/// One test for all of them: signals belong to the process.
#[tokio::test]
async fn what_the_system_asks_is_told_by_what_it_asked_with_and_ends_nothing_by_itself() {
    let ignored = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap());
    if ignored & 1 == 1 {
        println!("NOT MEASURED: these tests were told to ignore SIGHUP, as by nohup");
        return;
    }
    let mut requests = Requests::to_stop_or_reload().unwrap();
    send("HUP");
    assert_eq!(requests.next().await, Request::Reload("SIGHUP"));
    send("INT");
    assert_eq!(requests.next().await, Request::Stop("Ctrl-C"));

    // What comes while nobody asks is kept, also from one who gave up asking.
    {
        let next = requests.next();
        tokio::pin!(next);
        assert!(futures_util::poll!(&mut next).is_pending());
    }
    send("TERM");
    assert_eq!(requests.next().await, Request::Stop("SIGTERM"));

    // Whoever only wants to know of stops is told of nothing else.
    let mut stops = Requests::to_stop().unwrap();
    send("HUP");
    assert_eq!(requests.next().await, Request::Reload("SIGHUP"));
    {
        let next = stops.next();
        tokio::pin!(next);
        assert!(futures_util::poll!(&mut next).is_pending());
    }
    send("TERM");
    assert_eq!(stops.next().await, Request::Stop("SIGTERM"));

    // And so a stop is asked for, and the second request ends it at once.
    let supervisor = Supervisor::new(SupervisorSettings::default(), mainstay_clock::system());
    let stopping = Stopping::new(&supervisor.unwrap(), StopSettings::default()).unwrap();
    let signal = stopping.signal();
    for expected in [Asked::InOrder, Asked::AtOnce] {
        let Request::Stop(by) = requests.next().await else {
            panic!("nothing else was asked");
        };
        assert_eq!(signal.ask(by), expected);
        send("TERM");
    }
    assert_eq!(stopping.run().await.outcome, StopOutcome::AtOnce);
}

#[test]
fn without_a_runtime_nobody_listens_and_that_is_told() {
    let error = Requests::to_stop().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("runtime") || cause.contains("reactor"),
        "{cause}"
    );
}
