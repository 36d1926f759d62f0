//! Being asked to stop, and being tied to the life of another process.

use crate::exit::{Exit, Failure};
use rustix::process::Pid;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What the operator or the service manager asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// Finish what is in hand, take nothing new.
    pub(crate) asked: CancellationToken,
    /// Do not finish anything: the second request.
    pub(crate) at_once: CancellationToken,
    /// Told for each SIGHUP, by those who listen to it.
    pub(crate) reload: Arc<Notify>,
}

/// The signals that ask to stop; from here on they end nothing by themselves.
#[derive(Debug)]
pub(crate) struct Handlers {
    terminate: Signal,
    interrupt: Signal,
}

impl Handlers {
    /// Registers for SIGTERM and SIGINT (Ctrl-C), before anything is made that a stop has to take away.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn register() -> Result<Self, Failure> {
        let both = signal(SignalKind::terminate())
            .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
        let (terminate, interrupt) = both.map_err(|error| {
            Failure::new(Exit::StartFailed, "cannot listen for SIGTERM and SIGINT").because(error)
        })?;
        Ok(Self {
            terminate,
            interrupt,
        })
    }

    /// Ready once one of them came.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Stop {
    /// Listens for SIGTERM and SIGINT (Ctrl-C) for as long as it is polled: the first asks to stop, the second to stop at once.
    ///
    /// It ends only when the system refuses to register the handlers, with the failure to report.
    pub(crate) async fn listen(&self) -> Failure {
        match Handlers::register() {
            Ok(handlers) => self.listen_to(handlers).await,
            Err(failure) => failure,
        }
    }

    /// The same, for whoever begins anew with another configuration when SIGHUP comes.
    ///
    /// Where it was ignored when this process started, as `nohup` does, it stays so: a terminal that goes ends nothing then.
    pub(crate) async fn listen_for_reload(&self) -> Failure {
        if ignores_hang_up() {
            return self.listen().await;
        }
        let mut hang_up = match signal(SignalKind::hangup()) {
            Ok(hang_up) => hang_up,
            Err(error) => {
                let message = "cannot listen for SIGHUP";
                return Failure::new(Exit::StartFailed, message).because(error);
            }
        };
        let reload = async {
            while hang_up.recv().await.is_some() {
                // Kept where nobody waits at this moment.
                self.reload.notify_one();
            }
            std::future::pending().await
        };
        tokio::select! {
            failed = self.listen() => failed,
            failed = reload => failed,
        }
    }

    /// The same with handlers that are registered; never ends.
    pub(crate) async fn listen_to(&self, mut handlers: Handlers) -> Failure {
        loop {
            tokio::select! {
                _ = handlers.terminate.recv() => self.ask("SIGTERM"),
                _ = handlers.interrupt.recv() => self.ask("Ctrl-C"),
            }
        }
    }

    /// One request to stop; the second one means at once.
    pub(crate) fn ask(&self, by: &str) {
        if self.asked.is_cancelled() {
            tracing::warn!(by, "asked a second time: stopping at once");
            self.at_once.cancel();
        } else {
            tracing::info!(by, "asked to stop");
            self.asked.cancel();
        }
    }
}

/// Whether SIGHUP is ignored; where the system does not say, it is not.
fn ignores_hang_up() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|text| ignores(&text, 1))
}

/// Whether a process with this `/proc/self/status` ignores a signal: each has a bit, from the first on.
fn ignores(status: &str, signal: u32) -> bool {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Ties this process to `parent`: when that one ends, however it ends, this one is killed by the system.
///
/// Called before any thread is started. Killing is safe here: nothing in Mainstay depends on an orderly end.
///
/// # Errors
/// `parent` is not the process that started this one, or has ended already.
pub(crate) fn end_with(parent: i32) -> Result<(), Failure> {
    let refused = |why: &str| {
        Failure::new(
            Exit::Usage,
            format!("cannot tie this process to process {parent}: {why}"),
        )
        .help("--with-parent takes the id of the process that starts this one")
    };
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| refused("the system refuses").because(error))?;
    // Asked after the request above, so that a parent that ends in between is seen by one of the two.
    if rustix::process::getppid()
        .map(Pid::as_raw_nonzero)
        .map(std::num::NonZero::get)
        != Some(parent)
    {
        return Err(refused("it is not the parent, or has ended"));
    }
    Ok(())
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
