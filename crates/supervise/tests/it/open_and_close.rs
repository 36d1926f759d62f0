//! What is opened and closed a hundred times leaves everything where it was.

#![expect(
    clippy::disallowed_methods,
    reason = "the test is run again in a process of its own, and told so by its environment"
)]

use mainstay_supervise::{
    CheckSpec, Health, Holdings, Observed, Resource, StopOutcome, StopSettings, Stopping,
    Supervisor, SupervisorSettings, TaskContext, TaskSpec,
};
use std::fs::{self, File};
use std::process::{Command, Stdio};

/// Set in the process in which nothing else runs.
const ALONE: &str = "MAINSTAY_TEST_ALONE";

const TIMES: usize = 100;

/// Room for what the allocator keeps; a kilobyte for each round would not fit.
const MEMORY_SLACK_KIB: u64 = 4_096;

/// Looks in a row that see the same before it counts.
const ALIKE: usize = 200;

/// What the process holds: descriptors, threads, children, and KiB of memory.
fn held() -> (usize, usize, usize, u64) {
    let count = |folder: &str| fs::read_dir(folder).map_or(0, Iterator::count);
    let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = memory
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    let children = children.split_whitespace().count();
    (
        count("/proc/self/fd"),
        count("/proc/self/task"),
        children,
        memory,
    )
}

/// Opens one of everything, and closes it.
async fn open_and_close() {
    let clock = mainstay_clock::system();
    let supervisor = Supervisor::new(SupervisorSettings::default(), clock.clone()).unwrap();
    let holdings = Holdings::new(clock.clone());
    let service = |context: TaskContext| async move { context.stopping().await };
    for name in ["a", "b", "c"] {
        supervisor.spawn(TaskSpec::new(name), service).unwrap();
    }
    supervisor
        .spawn_thread(TaskSpec::new("a thread"), |context| {
            let _file = File::open("/proc/self/status");
            while context.pause_blocking(std::time::Duration::from_secs(1)) {}
        })
        .unwrap();
    let owner = supervisor.owner("a route");
    owner.spawn(TaskSpec::new("d"), service).unwrap();
    let health = Health::new(clock).unwrap();
    let mut changes = health.subscribe();
    health
        .register(CheckSpec::new("disk"), || async { Observed::healthy() })
        .unwrap();
    let runs = health.clone();
    supervisor
        .spawn(TaskSpec::new("health"), move |context: TaskContext| {
            let runs = runs.clone();
            async move { runs.run(&context).await }
        })
        .unwrap();
    let sleeper = Command::new("sleep")
        .arg("600")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let child = holdings.child("a converter", sleeper);
    let file = File::open("/proc/self/status").unwrap();
    let watcher = holdings.hold(Resource::Watcher, "a watch", file, drop);
    health.check_all().await;
    changes.recv().await.unwrap();
    drop(owner);
    drop((child, watcher));
    let mut stopping = Stopping::new(&supervisor, StopSettings::default()).unwrap();
    let looked = holdings.clone();
    stopping
        .verify("nothing is held", || async move { looked.verify_empty() })
        .unwrap();
    let report = stopping.run().await;
    assert_eq!(
        report.outcome,
        StopOutcome::Clean,
        "{:?}",
        report.complaints()
    );
}

#[test]
fn what_is_opened_and_closed_a_hundred_times_leaves_tasks_descriptors_threads_and_memory() {
    if !cfg!(target_os = "linux") {
        println!("NOT MEASURED: descriptors and threads are counted in /proc");
        return;
    }
    if std::env::var_os(ALONE).is_none() {
        let name = "open_and_close::what_is_opened_and_closed_a_hundred_times_leaves_tasks_descriptors_threads_and_memory";
        let alone = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&alone.stderr);
        assert!(alone.status.success(), "{said}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..10 {
            open_and_close().await;
        }
        let tasks = || runtime.metrics().num_alive_tasks();
        let (before, memory_before) = settled(tasks).await;
        for _ in 0..TIMES {
            open_and_close().await;
        }
        let (after, memory_after) = settled(tasks).await;
        let names = ["tasks", "descriptors", "threads", "children"];
        for ((name, before), after) in names.iter().zip(before).zip(after) {
            assert!(after <= before, "{name}: {before}, then {after}");
        }
        let grown = memory_after.saturating_sub(memory_before);
        assert!(grown <= MEMORY_SLACK_KIB, "{grown} KiB");
    });
}

/// What is held once it stays the same: a thread that was joined is still listed for a moment, and a task that ended is still
/// counted.
async fn settled(tasks: impl Fn() -> usize) -> ([usize; 4], u64) {
    let mut last = [usize::MAX; 4];
    let mut alike = 0;
    loop {
        tokio::task::yield_now().await;
        std::thread::yield_now();
        let (descriptors, threads, children, memory) = held();
        let now = [tasks(), descriptors, threads, children];
        alike = if now == last { alike + 1 } else { 0 };
        if ALIKE <= alike {
            return (now, memory);
        }
        last = now;
    }
}
