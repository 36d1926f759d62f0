//! One owner for each dangerous thing, where clippy cannot see it or an `#[expect]` could hide it.

use super::source;
use super::tree::Tree;
use super::{Finding, finding};

/// A dangerous thing and the rooms that may do it.
struct Owned {
    /// Whole words of code, `::` and `!` included.
    words: &'static [&'static str],
    /// Paths that may, or may start with this.
    owners: &'static [&'static str],
    instead: &'static str,
}

const OWNED: &[Owned] = &[
    Owned {
        words: &[
            "fs::rename",
            "fs::remove_file",
            "fs::remove_dir_all",
            "fs::hard_link",
            "renameat",
            "renameat_with",
            "linkat",
            "unlink",
            "unlinkat",
            "fsync",
            "fdatasync",
            "syncfs",
            "sync_all",
            "sync_data",
            "fallocate",
        ],
        owners: &[
            "crates/files/",
            "crates/queue/",
            // Plays an ordinary producer, who syncs nothing.
            "agent/src/stage.rs",
            // Play producers, disks and destinations that misbehave.
            "testkit/",
            "bench/",
            // Breaks a copy of the code on purpose.
            "xtask/src/mutate.rs",
        ],
        instead: "bytes survive in `files` (and `queue`, for its own segments): call mainstay_files",
    },
    Owned {
        words: &[
            "env::var",
            "env::var_os",
            "env::vars",
            "env::vars_os",
            "env::home_dir",
            "env::temp_dir",
            "env::set_var",
            "env::remove_var",
        ],
        owners: &["crates/paths/"],
        instead: "only `paths` reads the environment: take what you need as an argument",
    },
    Owned {
        words: &["Instant::now", "SystemTime::now"],
        owners: &["crates/clock/", "xtask/", "bench/", "testkit/"],
        instead: "only `clock` knows now: take a mainstay_clock::SharedClock",
    },
    Owned {
        words: &["println!", "print!", "eprintln!", "eprint!", "dbg!"],
        owners: &["agent/", "xtask/", "bench/", "testkit/"],
        instead: "libraries speak `tracing`; only the agent prints",
    },
    Owned {
        words: &["process::exit", "process::abort"],
        owners: &["agent/src/main.rs"],
        instead: "return an error: agent/src/main.rs decides how the process ends",
    },
    Owned {
        words: &["unbounded_channel", "mpsc::channel::<", "unbounded"],
        owners: &[],
        instead: "a channel has a bound, visible in the crate's limits",
    },
    Owned {
        words: &[
            "tokio::spawn",
            "thread::spawn",
            "thread::Builder",
            "task::spawn",
        ],
        owners: LONG_LIVED,
        instead: "what lives long is started, watched and stopped in one place: add it to LONG_LIVED in xtask/src/tidy/owners.rs with who stops it",
    },
];

/// Who may start a thread or a task that outlives the call, each with who ends it.
const LONG_LIVED: &[&str] = &[
    // The writer and the housekeeper end when the queue is closed, or when its last handle is dropped.
    "crates/queue/src/queue.rs",
    // Those that sync side by side are over when the call is: the scope waits for them.
    "crates/files/src/batch.rs",
    // Ends within the total limit of the request that began it; at most 16 at once.
    "crates/http/src/kept/refreshing.rs",
    // Ends when the cache has let go of what is void, which gives up by itself; at most 256 wait for that.
    "crates/http/src/kept/steps.rs",
    // The monitor ends with the supervisor; a thread of a task is watched by it, asked to stop, and named when it does not.
    "crates/supervise/src/monitor.rs",
    "crates/supervise/src/drive.rs",
    // Workers end when the pool is closed, or its last handle dropped, and their job is over; nothing ends a job by force.
    "crates/work/src/pool/worker.rs",
    // What shows a progress ends with it, and is waited for.
    "agent/src/showing.rs",
    // All lives of the agent: over when the process is, which waits for them as long as a stop may take.
    "agent/src/run.rs",
    // Ends with the command that it waits for, which was killed; at most 128 at once.
    "agent/src/alerts/command.rs",
    // Workloads, campaigns and checks own the whole process.
    "xtask/",
    "bench/",
    "testkit/",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, code) in tree.shipped_code() {
        for owned in OWNED {
            if owned.owners.iter().any(|owner| path.starts_with(owner)) {
                continue;
            }
            for word in owned.words {
                for line in source::lines_with_word(&code, word) {
                    findings.push(finding(
                        format!("{path}:{line}"),
                        format!("`{word}`: {}", owned.instead),
                    ));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<String> {
        let mut findings = check(&Tree::of(&[(path, text)]));
        findings.sort();
        findings.into_iter().map(|finding| finding.place).collect()
    }

    #[test]
    fn a_sync_outside_its_room_is_found() {
        let text = "use rustix::fs::fsync;\nfn a() { fsync(fd)?; }\n// fsync\n";
        assert_eq!(lines("crates/pickup/src/claim.rs", text).len(), 2);
        assert_eq!(
            lines("crates/files/src/sync.rs", text),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_dangerous_thing_is_found_in_a_crate_that_owns_none() {
        for owned in OWNED {
            for word in owned.words {
                let text = format!("fn a() {{ {word} (x); }}\n");
                let place = "crates/deliver/src/a.rs";
                assert!(!lines(place, &text).is_empty(), "{word}");
            }
        }
    }

    #[test]
    fn tests_may_do_what_shipped_code_may_not() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { println!(\"{}\", std::env::var(\"X\")?); }\n}\n";
        assert_eq!(lines("crates/deliver/src/a.rs", text), Vec::<String>::new());
        assert_eq!(
            lines("crates/deliver/tests/it/a.rs", "fn a() { fsync(x); }"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn words_inside_words_are_not_meant() {
        let text = "fn after_fsync_failed() {}\nlet sync_allowed = 1;\nwriteln!(out)?;\n";
        assert_eq!(lines("crates/pickup/src/a.rs", text), Vec::<String>::new());
    }
}
