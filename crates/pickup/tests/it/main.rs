//! Whether files are taken as promised: one module for each promise.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests play the producer, the operator and the crash, and say what they could not measure"
)]

mod bench;
mod route;
mod stored;

mod cancelled;
mod complete_files_only;
mod every_crash_point;
mod files_that_stay;
mod folder_comes_and_goes;
mod full_or_failing_intake;
mod killed;
mod killed_then_cut;
mod names_and_order;
mod never_opened;
mod opened_again;
mod other_file_system;
mod power_cut;
mod selection;
mod status_and_stop;
mod taken_once;
