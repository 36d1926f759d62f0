//! Short scripts that do what the product does, in a process of their own that is cut, killed or lied to.
//!
//! Each tells on standard output what it is about to do, and what the library has confirmed. What was told lies outside of
//! everything that fails, so a later process can hold the disk against it: whatever was confirmed has to be there, whatever
//! was only begun may be, and nothing else.

mod careless;
mod content;
mod facts;
mod files;
mod hurried;
mod judge;
mod kept;
mod moved;
mod pickup;
mod queue;
mod reopened;
mod stubborn;

use anyhow::{Context, Result, bail};
use facts::Facts;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use content::content;

/// Where a workload works: on its disk, and on a second one.
#[derive(Clone, Debug)]
pub struct Place {
    /// A folder on the first disk.
    pub folder: PathBuf,
    /// A folder on another one, or beside the first.
    pub other: PathBuf,
    /// How often the workload ran here before; its files get other names.
    pub round: u64,
}

/// A script and what it takes to judge what it left.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Its name on the command line.
    pub name: &'static str,
    /// Lays out what is there before; what it leaves is synced by whoever calls it.
    pub prepare: fn(&Place) -> Result<()>,
    /// Does the work. What the library refuses is told, and no error.
    run: fn(&Place) -> Result<()>,
    /// Opens again what is left, holds it against the facts, and says what is wrong.
    check: fn(&Place, &Facts) -> Result<Vec<String>>,
}

/// The one whose files come from another file system, if its folders lie on two.
pub const ACROSS: &str = "across";

/// All workloads.
pub const ALL: &[Workload] = &[
    Workload {
        name: "enqueue",
        prepare: |_| Ok(()),
        run: queue::enqueue,
        check: queue::check,
    },
    Workload {
        name: "settle",
        prepare: |_| Ok(()),
        run: queue::settle,
        check: queue::check,
    },
    Workload {
        name: "rotate",
        prepare: |_| Ok(()),
        run: queue::rotate,
        check: queue::check,
    },
    Workload {
        name: "buffered",
        prepare: |_| Ok(()),
        run: queue::buffered,
        check: queue::check,
    },
    Workload {
        name: "bodies",
        prepare: |_| Ok(()),
        run: queue::bodies,
        check: queue::check,
    },
    Workload {
        name: "pickup",
        prepare: pickup::prepare,
        run: pickup::run,
        check: pickup::check,
    },
    Workload {
        name: ACROSS,
        prepare: pickup::prepare_across,
        run: pickup::run_across,
        check: pickup::check_across,
    },
    Workload {
        name: "files",
        prepare: files::prepare,
        run: |place| {
            files::run(place);
            Ok(())
        },
        check: files::check,
    },
    Workload {
        name: "kept",
        prepare: kept::prepare,
        run: |place| {
            kept::run(place);
            Ok(())
        },
        check: kept::check,
    },
    Workload {
        name: "moved",
        prepare: moved::prepare,
        run: |place| {
            moved::run(place);
            Ok(())
        },
        check: moved::check,
    },
];

/// Breaks a promise on purpose: whoever looks for broken promises has to find it here.
pub const CARELESS: Workload = Workload {
    name: "careless",
    prepare: files::prepare,
    run: |place| {
        careless::run(place);
        Ok(())
    },
    check: files::check,
};

/// Breaks one in another way: it believes the second sync.
pub const STUBBORN: Workload = Workload {
    name: "stubborn",
    prepare: stubborn::prepare,
    run: stubborn::run,
    check: files::check,
};

/// A queue whose every start has to recover; of use to whoever looks at the disk below, or at the calls of a start.
pub const REOPENED: Workload = Workload {
    name: "reopened",
    prepare: |_| Ok(()),
    run: reopened::run,
    check: queue::check,
};

/// Breaks what the queue promises: a disk that never syncs confirms everything.
pub const UNSYNCED: Workload = Workload {
    name: "unsynced",
    run: reopened::run_unsynced,
    ..REOPENED
};

/// Breaks another promise of the queue: what belongs together is stored piece by piece.
pub const PIECEMEAL: Workload = Workload {
    name: "piecemeal",
    run: queue::piecemeal,
    ..REOPENED
};

/// Breaks what pickup promises: files are stored after they left.
pub const HASTY: Workload = Workload {
    name: "hasty",
    prepare: pickup::prepare,
    run: pickup::hasty,
    check: pickup::check,
};

/// Breaks another promise of pickup: what was stored is stored again.
pub const FORGETFUL: Workload = Workload {
    name: "forgetful",
    run: pickup::forgetful,
    ..HASTY
};

/// Those that no campaign runs with all others.
const APART: [Workload; 7] = [
    CARELESS, STUBBORN, REOPENED, UNSYNCED, PIECEMEAL, HASTY, FORGETFUL,
];

/// Whether this process is a check that is made to fail.
static IS_BRIEF: AtomicBool = AtomicBool::new(false);

/// Whether what fails in this process does so for a while, so that all goes on afterwards.
static HEALS: AtomicBool = AtomicBool::new(false);

/// The exit code of a check that found something wrong.
pub const WRONG: i32 = 1;

/// Runs a workload that nobody watches.
pub(crate) const RUN_ALONE: &str = "run-alone";

/// Runs a workload in which something fails for a while: it tells where it does not go on after that.
pub(crate) const RUN_HEALING: &str = "run-healing";

/// Checks what one left, without being watched.
pub(crate) const CHECK_ALONE: &str = "check-alone";

/// Checks what one left, which is made to fail: nobody waits for it as long as for one that has to succeed.
pub(crate) const CHECK_BRIEFLY: &str = "check-briefly";

/// The words after which the program `faults` is a workload: `run NAME FOLDER OTHER ROUND`, or the same with `check` and the
/// file of the facts. `run-alone` and `check-alone` are the same without a watcher, `run-healing` is told that what fails does so for a while.
///
/// # Errors
/// If the words make no sense, or the machine does not let processes be watched.
pub fn main(words: &[OsString]) -> Result<i32> {
    let [verb, name, folder, other, round, rest @ ..] = words else {
        bail!("a workload is called by a campaign, not by hand");
    };
    let workload = ALL
        .iter()
        .chain(&APART)
        .find(|workload| *workload.name == **name)
        .with_context(|| format!("there is no workload {}", name.display()))?;
    let place = Place {
        folder: folder.into(),
        other: other.into(),
        round: round.to_string_lossy().parse()?,
    };
    if !matches!(verb.to_str(), Some(RUN_ALONE | CHECK_ALONE)) {
        crate::tracer::submit_to_watcher()?;
    }
    match (verb.to_str(), rest) {
        (Some("run" | RUN_ALONE | RUN_HEALING), []) => {
            HEALS.store(**verb == *RUN_HEALING, Ordering::Relaxed);
            (workload.run)(&place)?;
            println!("done");
            Ok(0)
        }
        (Some("check" | CHECK_ALONE | CHECK_BRIEFLY), [facts]) => {
            IS_BRIEF.store(**verb == *CHECK_BRIEFLY, Ordering::Relaxed);
            let wrong = (workload.check)(&place, &Facts::read(Path::new(facts))?)?;
            for what in &wrong {
                println!("{what}");
            }
            Ok(if wrong.is_empty() { 0 } else { WRONG })
        }
        _ => bail!("a workload is run or checked"),
    }
}

/// What a workload told that was refused or left undone, of the text that it wrote.
pub fn complaints(told: &str) -> Vec<String> {
    let mut complaints: Vec<String> = told
        .lines()
        .filter(|line| line.starts_with("refused"))
        .map(ToOwned::to_owned)
        .collect();
    if !told.lines().any(|line| line == "done") {
        complaints.push("it did not come to its end".to_owned());
    }
    complaints
}

/// What a workload is there for and did not come to, of the text that it wrote. A fault in its way excuses it; without one it
/// proves nothing.
pub fn missed(told: &str) -> Vec<&str> {
    told.lines()
        .filter(|line| line.starts_with("missed"))
        .collect()
}

/// What did not go on in the same process though what was in its way is over, of the text that a workload wrote.
pub fn stuck(told: &str) -> Vec<&str> {
    told.lines()
        .filter(|line| line.starts_with("stuck"))
        .collect()
}

/// Of what a check says, what the queue itself found: the check looks with calls of its own too, which may fail like any, and
/// what the queue says is missing, damaged or more than was offered has to be so.
pub fn findings_of_the_library(told: &str) -> Vec<&str> {
    const FINDINGS: [&str; 5] = [
        "the start ",
        "the ledger ",
        "document ",
        "nobody offered ",
        "of a batch ",
    ];
    let is_finding = |line: &&str| FINDINGS.iter().any(|words| line.starts_with(words));
    told.lines().filter(is_finding).collect()
}

/// A runtime for one workload, and an end for what never answers.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    /// Longer than anything takes that will still happen, on a busy machine too.
    const PATIENCE: Duration = Duration::from_secs(20);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await });
    // A thread that hangs in a call does not keep the process.
    runtime.shutdown_background();
    answer.context("no answer within 20 s")
}
