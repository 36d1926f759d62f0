//! A service of Windows: how it is begun, what it is asked, and what it says of itself.

use super::{Request, Requests, Source};
use crate::error::{Error, ErrorKind};
use crate::shared::locked;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{
    self, ServiceControlHandlerResult, ServiceStatusHandle,
};
use windows_service::{define_windows_service, service_dispatcher};

/// Requests that nobody has taken: the second one ends everything at once, so that more of them say nothing new.
const REQUESTS_MAX: usize = 8;

/// What is waited for a start, or a stop of which nothing is known yet: as long as the service manager waits by itself.
const PENDING: Duration = Duration::from_secs(30);

/// `ERROR_EXCEPTION_IN_SERVICE`: what the system has for a service that came to grief by its own fault.
const PANICKED: u32 = 1064;

type Work = Box<dyn FnOnce(Requests, ServiceReport) -> u32 + Send>;

/// The system begins a service by a function without anything of ours: this is where it finds what to do.
static BEGUN: Mutex<Option<(String, Work)>> = Mutex::new(None);

/// What a service tells the service manager. Clones speak for the same one.
#[derive(Debug, Clone)]
pub struct ServiceReport(Arc<Told>);

#[derive(Debug)]
struct Told {
    handle: OnceLock<ServiceStatusHandle>,
    /// The state that was told last, and how often something was told while it was on its way to another.
    last: Mutex<(ServiceState, u32)>,
}

define_windows_service!(begin, service_main);

/// Runs `work` as the Windows service `name`, and comes back when it has ended.
///
/// What it answers is the service's exit code, 0 where all is well. A panic in it is one, too: the service manager is told, and
/// does what it was set up to do when a service fails.
///
/// # Errors
///
/// `Refused`, where the service manager has not started this process, which then is a console program, or a service of it runs
/// already; `Taken`, where another one is just being started. Nothing has run then.
pub fn run_as_service(
    name: &str,
    work: impl FnOnce(Requests, ServiceReport) -> u32 + Send + 'static,
) -> Result<(), Error> {
    {
        let mut begun = locked(&BEGUN);
        if begun.is_some() {
            return Err(Error::new(
                ErrorKind::Taken,
                "another service of this process is being started",
            ));
        }
        *begun = Some((name.to_owned(), Box::new(work)));
    }
    service_dispatcher::start(name, begin).map_err(|error| {
        locked(&BEGUN).take();
        let message = format!(
            "cannot run as the service `{name}`: the service manager has to start this process"
        );
        Error::new(ErrorKind::Refused, message).because(error)
    })
}

fn service_main(_arguments: Vec<OsString>) {
    let Some((name, work)) = locked(&BEGUN).take() else {
        return;
    };
    let (ask, asked) = mpsc::channel(REQUESTS_MAX);
    let report = ServiceReport::new();
    let told = report.clone();
    let registered = service_control_handler::register(&name, move |control| {
        let request = match control {
            ServiceControl::Interrogate => return ServiceControlHandlerResult::NoError,
            ServiceControl::Stop => Request::Stop("the service manager"),
            ServiceControl::Shutdown | ServiceControl::Preshutdown => Request::Stop("a shutdown"),
            ServiceControl::ParamChange => Request::Reload("the service manager"),
            _ => return ServiceControlHandlerResult::NotImplemented,
        };
        if matches!(request, Request::Stop(_)) {
            told.stopping(PENDING);
        }
        // Where there is no room for it, as many wait already.
        let _ = ask.try_send(request);
        ServiceControlHandlerResult::NoError
    });
    match registered {
        Ok(handle) => {
            let _ = report.0.handle.set(handle);
            report.tell(ServiceState::StartPending, PENDING, 0);
            let requests = Requests(Source::ServiceManager(asked));
            let told = report.clone();
            let ended = catch_unwind(AssertUnwindSafe(|| work(requests, told)));
            report.tell(
                ServiceState::Stopped,
                Duration::ZERO,
                ended.unwrap_or(PANICKED),
            );
        }
        Err(error) => tracing::error!(%error, name, "the service manager does not listen"),
    }
}

// === impl ServiceReport ===

impl ServiceReport {
    fn new() -> Self {
        Self(Arc::new(Told {
            handle: OnceLock::new(),
            last: Mutex::new((ServiceState::Stopped, 0)),
        }))
    }

    /// It has started, and does what it is there for.
    pub fn running(&self) {
        self.tell(ServiceState::Running, Duration::ZERO, 0);
    }

    /// It stops, within this time; whoever shuts the system down waits for as long as the system lets it.
    pub fn stopping(&self, longest: Duration) {
        self.tell(ServiceState::StopPending, longest, 0);
    }

    fn tell(&self, state: ServiceState, longest: Duration, exit: u32) {
        let Some(handle) = self.0.handle.get() else {
            return;
        };
        let mut last = locked(&self.0.last);
        // It may be asked to stop while it still starts, and nothing is told of one that has ended.
        let is_late = match last.0 {
            ServiceState::StopPending => state == ServiceState::Running,
            _ => false,
        };
        if is_late {
            return;
        }
        let is_on_its_way = matches!(
            state,
            ServiceState::StartPending | ServiceState::StopPending
        );
        let steps = if is_on_its_way && last.0 == state {
            last.1 + 1
        } else {
            u32::from(is_on_its_way)
        };
        *last = (state, steps);
        let told = handle.set_service_status(ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted: accepted(state),
            exit_code: match exit {
                0 | PANICKED => ServiceExitCode::Win32(exit),
                exit => ServiceExitCode::ServiceSpecific(exit),
            },
            checkpoint: steps,
            wait_hint: longest,
            process_id: None,
        });
        if let Err(error) = told {
            tracing::warn!(%error, ?state, "the service manager was not told");
        }
    }
}

/// What it can be asked then. The service manager itself sends no second stop; a shutdown may come after one, and means at once.
fn accepted(state: ServiceState) -> ServiceControlAccept {
    match state {
        ServiceState::Running => {
            ServiceControlAccept::STOP
                | ServiceControlAccept::PRESHUTDOWN
                | ServiceControlAccept::PARAM_CHANGE
        }
        ServiceState::StartPending | ServiceState::StopPending => {
            ServiceControlAccept::STOP | ServiceControlAccept::PRESHUTDOWN
        }
        _ => ServiceControlAccept::empty(),
    }
}
