//! Signals.

use super::Request;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The number of SIGHUP, on every Unix.
const HANG_UP: u32 = 1;

#[derive(Debug)]
pub(super) struct Asking {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
}

impl Asking {
    /// Where SIGHUP is ignored it stays so: a terminal that goes ends nothing then.
    pub(super) fn register(reload: bool) -> io::Result<Self> {
        let wants_hang_up = reload && !ignores_hang_up();
        Ok(Self {
            terminate: listen_to(SignalKind::terminate(), "SIGTERM")?,
            interrupt: listen_to(SignalKind::interrupt(), "SIGINT")?,
            hang_up: wants_hang_up
                .then(|| listen_to(SignalKind::hangup(), "SIGHUP"))
                .transpose()?,
        })
    }

    pub(super) async fn next(&mut self) -> Request {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => None,
            }
        };
        tokio::select! {
            Some(()) = self.terminate.recv() => Request::Stop("SIGTERM"),
            Some(()) = self.interrupt.recv() => Request::Stop("Ctrl-C"),
            Some(()) = hang_up => Request::Reload("SIGHUP"),
            // None comes any more, as the runtime is going away.
            else => std::future::pending().await,
        }
    }
}

fn listen_to(kind: SignalKind, name: &str) -> io::Result<Signal> {
    signal(kind).map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
}

/// Whether SIGHUP is ignored; where the system does not say, it is not.
fn ignores_hang_up() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|text| ignores(&text, HANG_UP))
}

/// Whether a process with this `/proc/self/status` ignores a signal: each has a bit, from the first on.
fn ignores(status: &str, signal: u32) -> bool {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::ignores;

    #[test]
    fn a_signal_is_ignored_where_its_bit_is_set() {
        let status =
            |mask: &str| format!("SigBlk:\tffffffffffffffff\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        assert!(ignores(&status("0000000000001001"), 1));
        assert!(!ignores(&status("0000000000001000"), 1));
        assert!(!ignores(&status("none"), 1));
        assert!(!ignores("", 1));
    }
}
