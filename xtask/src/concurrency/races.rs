//! The queue under a compiler's watch for races: whoever touches memory that another thread changes, without an order between
//! the two, is named with both places.
//!
//! Nothing in the queue is unsafe, so what can be found is in what it stands on: the runtime, the hash tables, the checksums,
//! the standard library, which is built with the same watch. The SQLite of the model tests is C, and is not watched inside.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::count;
use crate::process;
use crate::workspace::Workspace;

const TARGET: &str = "x86_64-unknown-linux-gnu";

const WATCH: &str = "-Zsanitizer=thread";

/// The control alone may stand on the standard library as it was delivered, which is not watched: its race is its own.
const UNWATCHED_STD: &str = "-Cunsafe-allow-abi-mismatch=sanitizer";

/// The code with which a program ends that was seen to race.
const RACED: i32 = 66;

/// A race is told only if what both threads did is still remembered: as much as can be is.
const OPTIONS: &str = "exitcode=66 halt_on_error=0 history_size=7";

/// A value handed to another thread without an order: what has to be seen, for silence to mean anything.
const CONTROL: &str = "
use std::sync::atomic::{AtomicBool, Ordering};
static READY: AtomicBool = AtomicBool::new(false);
static mut VALUE: u64 = 0;
fn main() {
    let other = std::thread::spawn(|| {
        unsafe { (&raw mut VALUE).write(7) }
        READY.store(true, Ordering::Relaxed);
    });
    while !READY.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    println!(\"{}\", unsafe { (&raw const VALUE).read() });
    other.join().unwrap();
}
";

/// What is not at hand, if anything is.
pub(super) fn missing(workspace: &Workspace) -> Option<&'static str> {
    if !cfg!(all(
        target_os = "linux",
        target_arch = "x86_64",
        target_env = "gnu"
    )) {
        return Some("it is built for x86_64 Linux only");
    }
    let nightly = process::read(rustc(&workspace.root).args(["--print", "sysroot"]));
    let Ok(sysroot) = nightly else {
        return Some("there is no nightly compiler (`rustup toolchain install nightly`)");
    };
    let sources = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock");
    (!sources.exists()).then_some(
        "the standard library cannot be built (`rustup component add rust-src --toolchain nightly`)",
    )
}

/// Builds the tests of the queue, which takes some minutes the first time.
pub(super) fn build(workspace: &Workspace) -> Result<()> {
    process::run(tests(workspace).arg("--no-run"))
}

/// Sees that a race is seen, and runs the tests of the queue. Returns how many ran.
pub(super) fn run(workspace: &Workspace) -> Result<u64> {
    control(workspace)?;
    count(tests(workspace).env("TSAN_OPTIONS", OPTIONS))
}

fn tests(workspace: &Workspace) -> Command {
    let mut command = process::cargo(&workspace.root);
    command
        .args(["+nightly", "test", "--quiet", "-Zbuild-std"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(workspace.target.join("races"))
        .args(["--package", "mainstay-queue", "--lib", "--test", "it"])
        .env("RUSTFLAGS", WATCH);
    command
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program that is built and thrown away, in the folder of the build"
)]
fn control(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target.join("races");
    let (source, program) = (folder.join("control.rs"), folder.join("control"));
    fs::write(&source, CONTROL).with_context(|| format!("cannot write {}", source.display()))?;
    process::read(
        rustc(&workspace.root)
            .args(["--edition", "2024", WATCH, UNWATCHED_STD, "-o"])
            .arg(&program)
            .arg(&source),
    )?;
    let ended = Command::new(&program)
        .env("TSAN_OPTIONS", OPTIONS)
        .output()
        .context("the control cannot be started")?;
    if ended.status.code() != Some(RACED) {
        bail!(
            "a race that was made on purpose is not seen ({})",
            ended.status
        );
    }
    Ok(())
}

fn rustc(root: &Path) -> Command {
    let mut command = process::program("rustc", root);
    command.arg("+nightly");
    command
}
