//! The campaigns: each breaks something on purpose, again and again, and asks the oracle.

mod agentcut;
mod clocks;
mod corruption;
mod disk_full;
mod exhaustion;
mod faulty;
mod images;
mod kill9;
mod lyingsync;
mod neighbour;
mod powercut;
mod reads;
mod repeats;
mod shared;
mod simulation;
mod soak;
mod stage;
mod stops;
mod strace;
mod syscalls;
mod trial;

use crate::verdict::Verdict;
use tempfile::TempDir;

/// How long a campaign may be.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Cycles of the kill campaign.
    pub kills: u64,
    /// Cuts of the whole agent, over all file systems; `None` for as many as the form has.
    pub cuts: Option<u64>,
    /// Lives of the simulation, each from the seed after the one before; 1 shows every step of it.
    pub seeds: u64,
    /// The longest sequences of operations that the simulation cuts in every call.
    pub sequences: usize,
    /// Images of crashed disks.
    pub images: u64,
    /// The seed of everything that is chosen by chance.
    pub seed: u64,
    /// Whether it is the long form.
    pub is_long: bool,
}

/// What a campaign mostly waits for; those of one row run one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Disks that are mounted, cut and read again, and those that are simulated: about half of the time of all.
    Disks,
    /// Everything else.
    Others,
}

/// A campaign and its name on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// Its name.
    pub name: &'static str,
    /// What it breaks, in a line.
    pub about: &'static str,
    /// In which of the two rows it stands that may run side by side.
    pub row: Row,
    /// Runs it.
    pub run: fn(Effort) -> Verdict,
}

/// All campaigns, in the order that they run in.
pub const ALL: &[Campaign] = &[
    Campaign {
        name: "kill9",
        about: "SIGKILL of the agent after 0 to 150 ms, again and again, on a real folder and a real receiver",
        row: Row::Others,
        run: kill9::run,
    },
    Campaign {
        name: "stops",
        about: "the agent is asked to stop at random moments, in eight bad situations, its own start among them, and has to be gone in time",
        row: Row::Others,
        run: stops::run,
    },
    Campaign {
        name: "soak",
        about: "the agent works for long under a failing receiver, and holds no more and more memory, threads and descriptors",
        row: Row::Others,
        run: soak::run,
    },
    Campaign {
        name: "faulty",
        about: "a receiver that answers 500 and 429, hangs, resets before and after it stored, and goes away",
        row: Row::Others,
        run: faulty::run,
    },
    Campaign {
        name: "disk_full",
        about: "the agent on a 16 MiB disk until it is full, and until there is room again",
        row: Row::Others,
        run: disk_full::run,
    },
    Campaign {
        name: "shared",
        about: "two agents on one drop folder, two on one data folder",
        row: Row::Others,
        run: shared::run,
    },
    Campaign {
        name: "clocks",
        about: "the date jumps by a second, a day, to 1970, 2038 and 2106 under the agent, and back, while it runs and between two lives",
        row: Row::Others,
        run: clocks::run,
    },
    Campaign {
        name: "powercut",
        about: "the power goes at every system call of scripted workloads, on ext4 and XFS, and again while recovering",
        row: Row::Disks,
        run: powercut::run,
    },
    Campaign {
        name: "agentcut",
        about: "the power goes at random moments under the whole agent, which a receiver outside holds to account",
        row: Row::Others,
        run: agentcut::run,
    },
    Campaign {
        name: "syscalls",
        about: "system calls of scripted workloads fail, once and for good, in eight ways, and writes are short",
        row: Row::Others,
        run: syscalls::run,
    },
    Campaign {
        name: "strace",
        about: "the same by another tool, which has to see the same calls, and to be answered as well where it lets them fail",
        row: Row::Others,
        run: strace::run,
    },
    Campaign {
        name: "reads",
        about: "every call that reads or looks fails, once and for good, and reads are short, at work and while it is opened again",
        row: Row::Others,
        run: reads::run,
    },
    Campaign {
        name: "lyingsync",
        about: "a real block device that fails for some calls and heals, so that the next sync lies",
        row: Row::Disks,
        run: lyingsync::run,
    },
    Campaign {
        name: "neighbour",
        about: "somebody swaps links, folders and pipes for the files that we work with in a folder of theirs",
        row: Row::Others,
        run: neighbour::run,
    },
    Campaign {
        name: "images",
        about: "disks as a power cut may leave them, writes since the last flush missing in subsets and torn, each mounted and judged",
        row: Row::Disks,
        run: images::run,
    },
    Campaign {
        name: "corruption",
        about: "every bit of a segment and of the files beside it flipped, blocks zeroed, swapped, stale and foreign, all lengths cut, false lengths",
        row: Row::Others,
        run: corruption::run,
    },
    Campaign {
        name: "exhaustion",
        about: "disks filled to every level, and the agent without inodes, descriptors, memory, or its disk",
        row: Row::Others,
        run: exhaustion::run,
    },
    Campaign {
        name: "simulation",
        about: "queue and pickup on disks in memory that lose, reorder, tear, refuse, fill and rot; every short sequence of the queue cut everywhere",
        row: Row::Disks,
        run: simulation::run,
    },
];

/// A folder for disks in files: in memory where there is room for that, so that a cut costs milliseconds.
fn scratch() -> anyhow::Result<TempDir> {
    let mut folder = tempfile::Builder::new();
    folder.prefix("mainstay-faults-");
    // Where there is none, on the disk.
    let made = folder.tempdir_in("/dev/shm");
    Ok(made.or_else(|_| folder.tempdir())?)
}
