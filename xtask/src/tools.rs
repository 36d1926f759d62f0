//! What tests and checks need besides Rust, and how it gets here.

use std::process::Command;

use crate::process;
use crate::workspace::Workspace;

/// A program that some test calls.
struct Program {
    command: &'static str,
    /// The Debian package that brings it.
    package: &'static str,
    /// What stays unproved without it.
    reason: &'static str,
}

/// Everything that tests call; a test that misses one says `NOT MEASURED`, it does not pass in silence.
const PROGRAMS: &[Program] = &[
    Program {
        command: "cc",
        package: "gcc",
        reason: "ring, zstd and the SQLite of the model tests hold C",
    },
    Program {
        command: "mount",
        package: "mount",
        reason: "the full disk is a small tmpfs, the other file system a second one",
    },
    Program {
        command: "fsfreeze",
        package: "util-linux",
        reason: "the disk that hangs is a file system that is frozen",
    },
    Program {
        command: "mkfs.ext4",
        package: "e2fsprogs",
        reason: "the power cut is a file system in a file that stops dead",
    },
    Program {
        command: "mkfs.xfs",
        package: "xfsprogs",
        reason: "the power cut is on two file systems: XFS loses what ext4 hides",
    },
    Program {
        command: "mkfs.btrfs",
        package: "btrfs-progs",
        reason: "a quota that is used up is one of btrfs, which needs no kernel that counts for each user",
    },
    Program {
        command: "nbdkit",
        package: "nbdkit",
        reason: "the disk that fails and heals is served by it",
    },
    Program {
        command: "nbdfuse",
        package: "libnbd-bin",
        reason: "the disk that fails and heals is shown as a file by it",
    },
    Program {
        command: "fusermount3",
        package: "fuse3",
        reason: "the disk that fails and heals is a file in a file system of its own",
    },
    Program {
        command: "strace",
        package: "strace",
        reason: "what our own watcher sees of system calls and lets fail is held against another's",
    },
    Program {
        command: "faketime",
        package: "faketime",
        reason: "the date jumps under the agent alone",
    },
    Program {
        command: "kill",
        package: "procps",
        reason: "the agent is sent the signals that a service manager sends",
    },
    Program {
        command: "script",
        package: "bsdutils",
        reason: "questions are asked on a terminal, and answered",
    },
];

/// A subcommand of cargo that is not part of Rust.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subcommand {
    /// As in `cargo NAME`.
    pub(crate) name: &'static str,
    package: &'static str,
    /// What to expect while it is built, the first time.
    takes: &'static str,
}

/// Runs each test in a process of its own, so that one that hangs or aborts is named.
pub(crate) const NEXTEST: Subcommand = Subcommand {
    name: "nextest",
    package: "cargo-nextest",
    takes: "about five minutes on two cores",
};

/// Licences, sources and bans of what we depend on.
pub(crate) const DENY: Subcommand = Subcommand {
    name: "deny",
    package: "cargo-deny",
    takes: "about two minutes on two cores",
};

/// Makes `cargo NAME` work, building it where it is missing; `false` where that fails.
pub(crate) fn ensure(workspace: &Workspace, tool: Subcommand) -> bool {
    if process::succeeds(process::cargo(&workspace.root).args([tool.name, "--version"])) {
        return true;
    }
    println!(
        "`cargo {}` is missing: building {}, {}, once",
        tool.name, tool.package, tool.takes
    );
    let built =
        process::run(process::cargo(&workspace.root).args(["install", "--locked", tool.package]));
    if let Err(error) = &built {
        println!("cannot have `cargo {}`: {error:#}", tool.name);
    }
    built.is_ok()
}

/// Installs the programs that tests call, where that is possible, and tells of each that stays missing.
pub(crate) fn programs() -> Vec<String> {
    let missing: Vec<&Program> = PROGRAMS
        .iter()
        .filter(|program| !process::starts(Command::new(program.command).arg("--version")))
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    if may_install() {
        install(&missing);
    }
    missing
        .into_iter()
        .filter(|program| !process::starts(Command::new(program.command).arg("--version")))
        .map(|program| {
            format!(
                "`{}` is missing ({}): install the package {}, or run as root",
                program.command, program.reason, program.package
            )
        })
        .collect()
}

/// Whether this is root on a system with apt: nobody else's machine is changed.
fn may_install() -> bool {
    let root = process::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    root && process::succeeds(Command::new("apt-get").arg("--version"))
}

fn install(missing: &[&Program]) {
    let apt = |words: &[&str]| {
        process::run(
            Command::new("apt-get")
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args(["--quiet", "--yes", "--no-install-recommends"])
                .args(words),
        )
    };
    let mut words = vec!["install"];
    words.extend(missing.iter().map(|program| program.package));
    let installed = apt(&words).or_else(|_| {
        // The lists of a fresh image are empty or old.
        apt(&["update"])?;
        apt(&words)
    });
    if let Err(error) = installed {
        println!("cannot install what tests need: {error:#}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_cannot_be_had_is_said_to_be_missing() {
        let workspace = Workspace::load().unwrap();
        // A package name that cargo refuses before it asks anyone.
        let tool = Subcommand {
            name: "no-such-subcommand",
            package: "no/such/package",
            takes: "no time",
        };
        assert!(!ensure(&workspace, tool));
    }
}
