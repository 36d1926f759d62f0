//! Dev-only: what the promises are broken with.
//!
//! - [`faulty_server`]: an HTTP server that fails as it is told, for tests of one crate.
//! - [`cutting_proxy`]: a connection that breaks after so many bytes.
//! - `tls_server` and `tunnels`, with the feature `tls`: a server with a certificate, its authority, and a proxy for `CONNECT`.
//! - [`Mainstay`] and [`Receiver`]: the real binary as a process that is started, killed and asked.
//! - [`Oracle`]: knows what was offered, outside of everything that can fail, and holds the receiver's store against it.
//! - [`Tmpfs`], [`Group`] and [`Dates`]: a small disk, a small machine, and another date.
//! - [`tracer`]: a child whose system calls are counted, and met with a power cut or an error at the one that is chosen.
//! - [`given_up`]: futures that are dropped after every number of polls.
//! - [`image::Image`]: a disk whose power can be cut.
//! - [`failing_disk::FailingDisk`]: a disk whose writes fail for a while, and that heals.
//! - [`recorded::RecordedDisks`]: disks whose every write and flush is recorded, to be made again without some of them.
//! - [`workloads`]: scripts that tell what was confirmed to them, and the judges of what they leave.
//! - [`sim_disk`]: a disk in memory that loses, tears and refuses, for the queue.
//! - [`sim_fault`]: which of the calls on what is simulated are refused.
//! - [`sim_tree`]: folders that do so, for pickup and everything else that stands on `mainstay-files`.
//! - [`allocation`]: how much memory is asked for at once.
//! - [`record`]: what campaigns came to, one line for each run.
//! - [`Verdict`]: what a campaign came to; what could not be measured is never green by accident.
//!
//! Nothing here ships.

#![expect(
    clippy::disallowed_methods,
    reason = "the test kit stands outside of what it tests: it drops, damages and removes files, and takes real time"
)]
#![expect(
    clippy::print_stdout,
    reason = "campaigns say what they do, and what could not be measured"
)]

pub mod allocation;
pub mod campaigns;
pub mod cutting_proxy;
mod dates;
pub mod failing_disk;

pub mod faulty_server;
pub mod given_up;
mod group;
pub mod image;
mod mount;
mod oracle;
mod process;
mod random;
pub mod record;
pub mod recorded;
pub mod sim_disk;
pub mod sim_fault;
pub mod sim_tree;
#[cfg(feature = "tls")]
pub mod tls_server;

pub mod tracer;

#[cfg(feature = "tls")]
pub mod tunnels;
mod verdict;
pub mod workloads;

pub use dates::Dates;
pub use group::Group;
pub use mount::Tmpfs;
pub use oracle::{Oracle, Stored, Tally};
pub use process::{Ended, Mainstay, Receiver, binary};
pub use random::Random;
pub use verdict::{Figure, Figures, Verdict};
