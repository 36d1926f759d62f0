//! Mainstay gets every document off the machine that made it, and loses none.
//!
//! The binary `mainstay` joins the crates for one product: the command line ([`cli`]), the configuration ([`config`]), the
//! agent itself ([`run`]), the receiving end ([`receive`]), the control socket ([`control`]) and the demonstration ([`demo`]).
//! It alone prints, and it alone decides how the process ends ([`exit`]).

mod alerts;
mod arrival;
mod asking;
mod bench;
mod cli;
mod commands;
mod config;
mod control;
mod data;
mod demo;
mod exit;
mod hash;
mod health;
mod hub;
mod logging;
mod notify;
mod opened;
mod panics;
mod percent;
mod receive;
mod run;
mod runbook;
mod scratch;
mod scrubbing;
mod selftest;
mod showing;
mod signals;
mod stage;
mod status;
mod terminal;
mod units;
mod when;

use clap::Parser;
use cli::{Cli, Command, FilesVerb};
use exit::{Exit, Failure};
use run::Display;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    panics::watch();
    match start(Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            terminal::report(&failure);
            failure.exit().into()
        }
    }
}

fn start(cli: Cli) -> Result<Exit, Failure> {
    let log_level = cli.log_level.as_deref();
    match cli.command {
        Command::Run(args) => {
            tie(&args.parent)?;
            let display = Display::new();
            // On a terminal the line at the bottom tells what goes on; elsewhere the log does.
            let default = if display.is_shown() { "warn" } else { "info" };
            logging::install(log_level, default, &display)?;
            on(many_threads()?, run::run(args, display))
        }
        Command::Receive(args) => {
            tie(&args.parent)?;
            logging::install(log_level, "info", &Display::none())?;
            on(many_threads()?, receive::receive(args))
        }
        // On this one thread, because the system ends the demonstration's processes with the thread that started them.
        Command::Demo(args) => once(log_level, demo::demo(args)),
        Command::Submit(args) => once(log_level, commands::submit(args)),
        Command::Status(args) => once(log_level, commands::status(args)),
        Command::Queue(verb) => once(log_level, commands::queue(verb)),
        Command::Dead(verb) => once(log_level, commands::dead(verb)),
        Command::Redeliver(args) => once(log_level, commands::redeliver(args)),
        // On this one thread too, for its children.
        // What it breaks on purpose is nothing for the log.
        Command::Selftest(args) => once(log_level.or(Some("off")), selftest::selftest(args)),
        Command::Bench(args) => once(log_level, bench::bench(args)),
        Command::Health(args) => once(log_level, commands::health(args)),
        Command::Runbook(args) => once(log_level, commands::runbook(args)),
        Command::Route(verb) => once(log_level, commands::route(verb)),
        Command::Files(FilesVerb::Watch(args)) => once(log_level, commands::watch(args)),
        Command::Files(FilesVerb::Checksum(args)) => commands::checksum(&args),
        Command::Files(FilesVerb::Verify(args)) => commands::verify(&args),
        Command::Files(FilesVerb::Status(args)) => commands::file_status(&args),
        Command::Files(FilesVerb::Check(args)) => commands::check(&args),
        Command::Backup(verb) => commands::backup(&verb),
        Command::History(verb) => commands::history(&verb),
        Command::Trash(verb) => commands::trash(&verb),
        Command::Cache(verb) => commands::cache(&verb),
        Command::Protections(verb) => once(log_level, commands::protections(verb)),
        Command::Migrate(args) => commands::migrate(&args),
        Command::Paths(args) => commands::paths(&args),
        Command::Doctor(args) => commands::doctor(&args),
        Command::Config(verb) => commands::config(verb),
    }
}

fn tie(parent: &cli::ParentArgs) -> Result<(), Failure> {
    parent.with_parent.map_or(Ok(()), signals::end_with)
}

/// For commands that look or act once.
fn once(
    log_level: Option<&str>,
    work: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    logging::install(log_level, "warn", &Display::none())?;
    on(
        Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(no_runtime)?,
        work,
    )
}

/// So long a thread that waited for a disk stays for the next one. Shorter than the ten seconds between two looks of a check, so that
/// those do not keep alive what a burst of documents has left; and a thread that starts anew is nothing beside a disk.
const IDLE_THREAD: Duration = Duration::from_secs(2);

/// What keeps its thread must not keep that of all others, on a machine of one core either.
const THREADS_MIN: usize = 2;

fn many_threads() -> Result<Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(cores.max(THREADS_MIN))
        .thread_keep_alive(IDLE_THREAD)
        // Each document that comes over HTTP has one while it is written; the rest is what the runtime has by itself.
        .max_blocking_threads(usize::from(config::CONCURRENT_MAX) + 512)
        .enable_all()
        .build()
        .map_err(no_runtime)
}

fn on(
    runtime: Runtime,
    work: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let done = runtime.block_on(work);
    // Whoever still reads standard input or a silent disk must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

fn no_runtime(error: std::io::Error) -> Failure {
    Failure::new(Exit::StartFailed, "cannot start the threads of the program").because(error)
}
