//! The command line: every command and every flag, in one table.

mod backups;
mod caching;
mod configuring;
mod files;
mod looking;
mod measuring;
mod moving;
mod protecting;

pub(crate) use backups::{
    BackupListArgs, BackupVerb, BackupVerifyArgs, CreateArgs, DiffArgs, HistoryVerb, OnConflict,
    PruneArgs, RestoreArgs, RetentionArgs, ScrubArgs, StoreArgs, TrashEmptyArgs, TrashListArgs,
    TrashPutArgs, TrashRestoreArgs, TrashVerb, VersionArgs,
};
pub(crate) use caching::{CacheClearArgs, CacheInvalidateArgs, CacheListArgs, CacheVerb};
pub(crate) use configuring::{ConfigVerb, RouteTestArgs, RouteVerb, RunbookArgs};
pub(crate) use files::{
    CheckArgs, ChecksumArgs, FilesStatusArgs, FilesVerb, VerifyArgs, WatchArgs,
};
pub(crate) use looking::{LookArgs, StatusArgs};
pub(crate) use measuring::{BenchArgs, SelftestArgs};
pub(crate) use moving::MigrateArgs;
pub(crate) use protecting::{ProtectionArgs, ProtectionVerb, SetArgs};

use crate::receive::FailRule;
use crate::units::Span;
use crate::when::When;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Gets every document off the machine that made it, and loses none.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version, about, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 2 usage, 20-22 configuration, 30-35 service, 40-41 network, \
                        64-73 data, 75 stopped early (nothing lost)."
)]
pub(crate) struct Cli {
    /// What the log tells: error, warn, info, debug or trace, or a filter such as `mainstay_queue=debug`.
    #[arg(long, global = true, value_name = "LEVEL", display_order = 1_000)]
    pub(crate) log_level: Option<String>,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take every file that appears in a folder, and deliver it.
    Run(RunArgs),
    /// See an outage, two kills and the recovery, in under a minute.
    Demo(DemoArgs),
    /// Receive documents over HTTP, and store each one once.
    Receive(ReceiveArgs),
    /// Hand over single files, or standard input, without a drop folder.
    Submit(SubmitArgs),
    /// Show the state, the ledger, the routes and the destinations.
    Status(StatusArgs),
    /// Look at the documents in the queue, and move them by hand.
    #[command(subcommand)]
    Queue(QueueVerb),
    /// Look at the dead letters, and send them again.
    #[command(subcommand)]
    Dead(DeadVerb),
    /// Send delivered documents again, to a destination that lost them.
    Redeliver(RedeliverArgs),
    /// Check and show the configuration.
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Show the routes, and try their destinations.
    #[command(subcommand)]
    Route(RouteVerb),
    /// Keep earlier versions of any files, and go back to them.
    #[command(subcommand)]
    Backup(BackupVerb),
    /// See what changed between the versions of a file.
    #[command(subcommand)]
    History(HistoryVerb),
    /// Delete files so that they can be restored.
    #[command(subcommand)]
    Trash(TrashVerb),
    /// See what lookups keep of other servers' answers, and let go of it.
    #[command(subcommand)]
    Cache(CacheVerb),
    /// See what protects destinations and the servers of lookups, and hold, release, reset or change one of them.
    #[command(subcommand)]
    Protections(ProtectionVerb),
    /// Compute and compare checksums of any files, and watch what others do to them.
    #[command(subcommand)]
    Files(FilesVerb),
    /// Show where everything is: folders, rights, room, file systems.
    Paths(LookArgs),
    /// Give a folder another place, as the data folder of an agent that does not run; finishes what was cut.
    Migrate(MigrateArgs),
    /// Have everything looked at now, and say what is not well and which runbook helps.
    Health(LookArgs),
    /// Say what to do when something is wrong, with what is so now.
    Runbook(RunbookArgs),
    /// Look for what would keep the agent from its work, and say what to do.
    Doctor(LookArgs),
    /// Measure how quickly this machine's own disk stores documents.
    Bench(BenchArgs),
    /// Try on this machine's own disk that nothing is lost.
    Selftest(SelftestArgs),
}

/// Where the configuration and the data are.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlaceArgs {
    /// The configuration file [default: mainstay.toml in the configuration folder, if it is there].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The data folder: queue, claimed files, archive [default: the user's or the service's data folder].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// `mainstay run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// Take files from this folder, without a configuration file [default: `inbox` in the data folder].
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(crate) from: Option<PathBuf>,

    /// Deliver to this URL or folder, without a configuration file [default: `outbox` in the data folder].
    #[arg(long, value_name = "URL|DIR", conflicts_with = "config")]
    pub(crate) to: Option<OsString>,

    /// End when nothing is left to take or to deliver; dead letters are reported, not waited for.
    #[arg(long)]
    pub(crate) until_empty: bool,

    /// How long a stop may wait for deliveries in flight [default: 60s, or `shutdown.grace`].
    #[arg(long, value_name = "DURATION")]
    pub(crate) grace: Option<Span>,

    /// Lets tests make its tasks fail, through the control socket.
    #[arg(long, hide = true)]
    pub(crate) test_faults: bool,

    #[command(flatten)]
    pub(crate) parent: ParentArgs,
}

/// For whoever starts this program and must leave nothing behind.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ParentArgs {
    /// End at once, as if killed, when the process PID that started this one ends (Linux).
    #[arg(long, value_name = "PID")]
    pub(crate) with_parent: Option<i32>,
}

/// `mainstay demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many files to drop.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(50..=100_000))]
    pub(crate) files: u32,

    /// Keep the folder with everything in it, also when all went well.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mainstay receive`.
#[derive(Debug, Args)]
pub(crate) struct ReceiveArgs {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// The folder that keeps what was received, one file for each key.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: PathBuf,

    /// Write the address to this file once it is known.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) faults: FaultArgs,

    #[command(flatten)]
    pub(crate) parent: ParentArgs,
}

/// How the receiver is told to misbehave.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Faults")]
pub(crate) struct FaultArgs {
    /// Answer this share of the requests with this status, and store nothing; may be given several times.
    #[arg(long, value_name = "STATUS:RATE")]
    pub(crate) fail: Vec<FailRule>,

    /// Wait this long before each answer.
    #[arg(long, value_name = "DURATION")]
    pub(crate) delay: Option<Span>,

    /// Refuse connections for this long after the start.
    #[arg(long, value_name = "DURATION")]
    pub(crate) down_for: Option<Span>,

    /// Send Retry-After with each 429 and 503 that `--fail` asks for.
    #[arg(long, value_name = "DURATION")]
    pub(crate) retry_after: Option<Span>,

    /// Never answer this share of the requests.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) hang: Option<f64>,

    /// Cut the connection instead of answering this share; half of them after the document was stored.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) reset: Option<f64>,

    /// Make the choice of faults repeatable.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// `mainstay submit`.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The files to hand over; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// The route to send them along; needed only where there are several.
    #[arg(long)]
    pub(crate) route: Option<String>,

    /// The source name to give instead of the file's own; for one file only.
    #[arg(long)]
    pub(crate) name: Option<OsString>,

    /// The content type [default: by the name's ending].
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,

    /// 1 goes first, 10 last [default: the route's].
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=10))]
    pub(crate) priority: Option<u8>,

    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `mainstay queue …`.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueVerb {
    /// List documents, oldest first.
    List(ListArgs),
    /// Show one document with its state on each lane.
    Show(ShowArgs),
    /// Make waiting, dead or kept documents ready to be delivered at once.
    Retry(MoveArgs),
    /// Move documents to the dead letters; they stay until they are replayed or discarded.
    Bury(MoveArgs),
    /// Give documents up for good; the ledger counts them as discarded.
    Discard(MoveArgs),
    /// Read every document back, compare its checksum and say what is unreadable; changes nothing.
    Verify(LookArgs),
    /// Set aside what is unreadable, count it and give space back; never removes what can be read.
    Repair(LookArgs),
    /// Write documents as a tar archive, to be carried to another queue; they stay in this one.
    Export(ExportArgs),
    /// Store the documents of such an archive, each once by its id.
    Import(ImportArgs),
}

/// `mainstay dead …`.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadVerb {
    /// List the dead letters with the reason for each.
    List(DeadListArgs),
    /// Show one dead letter.
    Show(ShowArgs),
    /// Send dead letters again, under the id that they always had.
    Replay(MoveArgs),
    /// Give dead letters up for good; the ledger counts them as discarded.
    Discard(MoveArgs),
}

/// A state that a document can be listed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateArg {
    /// Waits for its turn.
    Ready,
    /// Is on its way to its destination.
    Leased,
    /// Waits until it is tried again.
    Waiting,
    /// Was delivered, and is kept a while.
    Sent,
    /// Was given up, and waits for a person.
    Dead,
}

/// `mainstay queue list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only documents in this state.
    #[arg(long, value_enum)]
    pub(crate) state: Option<StateArg>,

    #[command(flatten)]
    pub(crate) common: DeadListArgs,
}

/// `mainstay queue export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Only documents in this state [default: all that still have to arrive, dead letters too].
    #[arg(long, value_enum)]
    pub(crate) state: Option<StateArg>,

    /// Only this lane (`route/destination`).
    #[arg(long)]
    pub(crate) lane: Option<String>,

    /// Where to: a file that is not there yet, or `-` for standard output.
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) to: Option<PathBuf>,

    /// Print what was exported as JSON, where the archive goes to a file.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `mainstay queue import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The archive; `-` is standard input.
    pub(crate) file: PathBuf,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `mainstay dead list`.
#[derive(Debug, Args)]
pub(crate) struct DeadListArgs {
    /// Only this lane (`route/destination`).
    #[arg(long)]
    pub(crate) lane: Option<String>,

    /// Only documents whose id, name or last error contains this.
    #[arg(long)]
    pub(crate) text: Option<String>,

    /// At most this many.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `mainstay queue show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The document's id.
    pub(crate) id: String,

    /// Print JSON.
    #[arg(long, conflicts_with = "body")]
    pub(crate) json: bool,

    /// Print the content itself, byte for byte, and nothing else.
    #[arg(long)]
    pub(crate) body: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// The verbs that move documents by hand.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The documents' ids.
    #[arg(required_unless_present = "all", value_name = "ID")]
    pub(crate) ids: Vec<String>,

    /// All documents that the verb fits.
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,

    /// Only on this lane (`route/destination`) [default: every lane of the document].
    #[arg(long)]
    pub(crate) lane: Option<String>,

    /// Why; it is kept with the document and logged.
    #[arg(long, default_value = "by hand")]
    pub(crate) reason: String,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `mainstay redeliver`.
#[derive(Debug, Args)]
pub(crate) struct RedeliverArgs {
    /// What was delivered since then: a time (`2026-11-21T08:00:00Z`) or an age (`10m`, `2h`).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: When,

    /// And before then [default: now].
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<When>,

    /// Only to this lane (`route/destination`) [default: every lane that it was delivered to].
    #[arg(long, value_name = "LANE")]
    pub(crate) to: Option<String>,

    /// Only to the destinations of this route.
    #[arg(long, value_name = "NAME", conflicts_with = "to")]
    pub(crate) route: Option<String>,

    /// Say what would be sent again, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Why; it is logged.
    #[arg(long, default_value = "redelivered by hand")]
    pub(crate) reason: String,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// A share between 0 and 1.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok();
    rate.filter(|rate| (0.0..=1.0).contains(rate))
        .ok_or_else(|| format!("`{text}` is not a share between 0 and 1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_flags_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_share_lies_between_nothing_and_all() {
        assert_eq!(rate("0.25"), Ok(0.25));
        assert!(rate("1.5").is_err());
        assert!(rate("nan").is_err());
    }
}
