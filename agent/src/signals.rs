//! Being asked to stop, and being tied to the life of another process.

use crate::exit::{Exit, Failure};
use mainstay_supervise::{Error, Request, Requests};
use mainstay_work::Trigger;
use rustix::process::Pid;
use tokio_util::sync::CancellationToken;

/// What the operator or the service manager asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// Finish what is in hand, take nothing new.
    pub(crate) asked: CancellationToken,
    /// Do not finish anything: the second request.
    pub(crate) at_once: CancellationToken,
}

/// Listens for requests to stop, before anything is made that a stop has to take away.
///
/// # Errors
/// The system refuses.
pub(crate) fn requests() -> Result<Requests, Failure> {
    Requests::to_stop().map_err(refused)
}

fn refused(error: Error) -> Failure {
    Failure::new(Exit::StartFailed, "cannot listen for signals").because(error)
}

impl Stop {
    /// Listens for SIGTERM and SIGINT (Ctrl-C) for as long as it is polled: the first asks to stop, the second to stop at once.
    ///
    /// It ends only when the system refuses to register the handlers, with the failure to report.
    pub(crate) async fn listen(&self) -> Failure {
        match requests() {
            Ok(requests) => self.listen_to(requests).await,
            Err(failure) => failure,
        }
    }

    /// The same, for whoever begins anew with another configuration when SIGHUP comes, which triggers `reload`.
    pub(crate) async fn listen_for_reload(&self, reload: &Trigger<()>) -> Failure {
        let mut requests = match Requests::to_stop_or_reload() {
            Ok(requests) => requests,
            Err(error) => return refused(error),
        };
        loop {
            match requests.next().await {
                Request::Stop(by) => self.ask(by),
                Request::Reload(_) => reload.trigger(()),
            }
        }
    }

    /// The same with requests that are listened for already; never ends.
    pub(crate) async fn listen_to(&self, mut requests: Requests) -> Failure {
        loop {
            match requests.next().await {
                Request::Stop(by) => self.ask(by),
                // These requests are to stop alone.
                Request::Reload(_) => {}
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
