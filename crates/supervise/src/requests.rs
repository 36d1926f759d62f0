//! What asks this process from outside: signals, a console, the service manager.

#[cfg(windows)]
mod service;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(windows)]
pub use service::{ServiceReport, run_as_service};

use crate::error::{Error, ErrorKind};
#[cfg(windows)]
use service::Inbox;
#[cfg(windows)]
use std::sync::Arc;
#[cfg(unix)]
use unix::Asking;
#[cfg(windows)]
use windows::Asking;

/// What somebody outside asks of this process, and what with, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// To stop; asked once more, to stop at once.
    Stop(&'static str),
    /// To begin anew with the configuration as it is now.
    Reload(&'static str),
}

/// What is asked of this process by the system it runs on.
///
/// | system | [`Stop`](Request::Stop) | [`Reload`](Request::Reload) |
/// |---|---|---|
/// | Unix | SIGTERM, SIGINT (Ctrl-C) | SIGHUP, on Linux unless it was ignored when the process began, as `nohup` has it |
/// | Windows, a console | Ctrl-C, Ctrl-Break, a window that is closed, a user who logs off, a shutdown | nothing |
/// | Windows, a service | stop, shutdown, whichever comes first, once | a change of its parameters (`sc control NAME paramchange`) |
///
/// A window that is closed, a user who logs off and a shutdown leave a console program of Windows about 5 s, whatever it does.
///
/// ```no_run
/// # async fn example(stopping: mainstay_supervise::Stopping) -> Result<(), mainstay_supervise::Error> {
/// use mainstay_supervise::{Request, Requests};
///
/// // Before anything is made that a stop has to take away.
/// let mut requests = Requests::to_stop()?;
/// let signal = stopping.signal();
/// let listening = async {
///     loop {
///         if let Request::Stop(by) = requests.next().await {
///             signal.ask(by);
///         }
///     }
/// };
/// # let listening: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(listening);
/// tokio::select! {
///     () = listening => {}
///     report = async { signal.asked().cancelled().await; stopping.run().await } => println!("{:?}", report.outcome),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Requests(Source);

#[derive(Debug)]
enum Source {
    System(Asking),
    #[cfg(windows)]
    ServiceManager(Arc<Inbox>),
}

// === impl Requests ===

impl Requests {
    /// Listens for requests to stop; from here on they end nothing by themselves.
    ///
    /// # Errors
    ///
    /// `Refused`: there is no runtime, or the system refuses one of them; those before it end nothing by themselves any more.
    pub fn to_stop() -> Result<Self, Error> {
        Self::listen(false)
    }

    /// The same, and for requests to begin anew.
    ///
    /// # Errors
    ///
    /// As for [`to_stop`](Self::to_stop).
    pub fn to_stop_or_reload() -> Result<Self, Error> {
        Self::listen(true)
    }

    fn listen(reload: bool) -> Result<Self, Error> {
        let refused = "cannot listen for what asks this process to stop";
        // Without one the system's side of this panics.
        tokio::runtime::Handle::try_current()
            .map_err(|error| Error::new(ErrorKind::Refused, refused).because(error))?;
        let asking = Asking::register(reload);
        let asking = asking.map_err(|error| Error::new(ErrorKind::Refused, refused).because(error));
        Ok(Self(Source::System(asking?)))
    }

    /// The next one. Those of a kind that come before it is asked for again are one. To be dropped at any wait loses none.
    pub async fn next(&mut self) -> Request {
        match &mut self.0 {
            Source::System(asking) => asking.next().await,
            #[cfg(windows)]
            Source::ServiceManager(inbox) => inbox.next().await,
        }
    }
}
