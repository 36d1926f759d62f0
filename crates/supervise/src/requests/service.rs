//! A service of Windows: how it is begun, what it is asked, and what it says of itself.

use super::{Request, Requests, Source};
use crate::error::{Error, ErrorKind};
use crate::shared::locked;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{
    self, ServiceControlHandlerResult, ServiceStatusHandle,
};
use windows_service::{define_windows_service, service_dispatcher};

/// What is waited for a start, or a stop of which nothing is known yet: as long as the service manager waits by itself.
const PENDING: Duration = Duration::from_secs(30);

/// `ERROR_EXCEPTION_IN_SERVICE`: what the system has for a service that came to grief by its own fault.
const PANICKED: u32 = 1064;

type Work = Box<dyn FnOnce(Requests, ServiceReport) -> u32 + Send>;

/// The system begins a service by a function without anything of ours: this is where it finds what to do.
static BEGUN: Mutex<Option<Begun>> = Mutex::new(None);

struct Begun {
    name: String,
    work: Work,
    /// Why it could not be done.
    failed: Arc<Mutex<Option<windows_service::Error>>>,
}

/// What the service manager has asked and nobody has taken, each kind once.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    stop: Option<Request>,
    reload: Option<Request>,
}

/// What a service tells the service manager. Clones speak for the same one.
#[derive(Debug, Clone)]
pub struct ServiceReport(Arc<Told>);

#[derive(Debug)]
struct Told {
    handle: OnceLock<ServiceStatusHandle>,
    /// The state that was told last, and how often something was told while it was on its way to another.
    last: Mutex<Option<(ServiceState, u32)>>,
}

define_windows_service!(begin, service_main);

/// Runs `work` as the Windows service `name`, and comes back when it has ended.
///
/// What it answers is the service's exit code, 0 where all is well. A panic in it is one, too: the service manager is told, and
/// does what it was set up to do when a service fails.
///
/// # Errors
///
/// `Refused`, where the service manager has not started this process, which then is a console program, or does not listen, or a
/// service of this process runs already; `Taken`, where another one is just being started. Nothing has run then.
pub fn run_as_service(
    name: &str,
    work: impl FnOnce(Requests, ServiceReport) -> u32 + Send + 'static,
) -> Result<(), Error> {
    let failed = Arc::default();
    {
        let mut begun = locked(&BEGUN);
        if begun.is_some() {
            let what = "another service of this process is being started";
            return Err(Error::new(ErrorKind::Taken, what));
        }
        *begun = Some(Begun {
            name: name.to_owned(),
            work: Box::new(work),
            failed: Arc::clone(&failed),
        });
    }
    let refused = |error: windows_service::Error| {
        let message = format!("cannot run as the service `{name}`");
        Error::new(ErrorKind::Refused, message).because(error)
    };
    if let Err(error) = service_dispatcher::start(name, begin) {
        locked(&BEGUN).take();
        return Err(refused(error));
    }
    let failed = locked(&failed).take();
    failed.map_or(Ok(()), |error| Err(refused(error)))
}

fn service_main(_arguments: Vec<OsString>) {
    let Some(Begun { name, work, failed }) = locked(&BEGUN).take() else {
        return;
    };
    let inbox = Arc::new(Inbox::default());
    let report = ServiceReport::new();
    let (asked, told) = (Arc::clone(&inbox), report.clone());
    // This is freed with the first request to stop: from then on nothing more may be asked, which `accepted` says.
    let registered = service_control_handler::register(&name, move |control| {
        match control {
            ServiceControl::Interrogate => {}
            ServiceControl::Stop => {
                told.stopping(PENDING);
                asked.put(Request::Stop("the service manager"));
            }
            ServiceControl::Shutdown | ServiceControl::Preshutdown => {
                told.stopping(PENDING);
                asked.put(Request::Stop("a shutdown"));
            }
            ServiceControl::ParamChange => asked.put(Request::Reload("the service manager")),
            _ => return ServiceControlHandlerResult::NotImplemented,
        }
        ServiceControlHandlerResult::NoError
    });
    match registered {
        Ok(handle) => {
            report.0.handle.get_or_init(|| handle);
            report.tell(ServiceState::StartPending, PENDING, 0);
            let requests = Requests(Source::ServiceManager(inbox));
            let told = report.clone();
            let ended = catch_unwind(AssertUnwindSafe(|| work(requests, told)));
            let exit = ended.unwrap_or(PANICKED);
            report.tell(ServiceState::Stopped, Duration::ZERO, exit);
        }
        Err(error) => *locked(&failed) = Some(error),
    }
}

// === impl Inbox ===

impl Inbox {
    fn put(&self, request: Request) {
        {
            let mut waiting = locked(&self.waiting);
            match request {
                Request::Stop(_) => waiting.stop = Some(request),
                Request::Reload(_) => waiting.reload = Some(request),
            }
        }
        self.came.notify_one();
    }

    fn take(&self) -> Option<Request> {
        let mut waiting = locked(&self.waiting);
        waiting.stop.take().or_else(|| waiting.reload.take())
    }

    pub(super) async fn next(&self) -> Request {
        loop {
            if let Some(request) = self.take() {
                return request;
            }
            // What comes in between is kept.
            self.came.notified().await;
        }
    }
}

// === impl ServiceReport ===

impl ServiceReport {
    fn new() -> Self {
        Self(Arc::new(Told {
            handle: OnceLock::new(),
            last: Mutex::new(None),
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
        let is_late = match *last {
            // Nothing is told of one that has ended, and one that stops runs no more.
            Some((ServiceState::Stopped, _)) => true,
            Some((ServiceState::StopPending, _)) => state == ServiceState::Running,
            _ => false,
        };
        if is_late {
            return;
        }
        let is_on_its_way = matches!(
            state,
            ServiceState::StartPending | ServiceState::StopPending
        );
        let steps = match *last {
            Some((before, steps)) if is_on_its_way && before == state => steps + 1,
            _ => u32::from(is_on_its_way),
        };
        *last = Some((state, steps));
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

/// What it can be asked then. While it stops nothing: what listens was freed with the request to.
fn accepted(state: ServiceState) -> ServiceControlAccept {
    match state {
        ServiceState::Running => {
            ServiceControlAccept::STOP
                | ServiceControlAccept::PRESHUTDOWN
                | ServiceControlAccept::PARAM_CHANGE
        }
        _ => ServiceControlAccept::empty(),
    }
}
