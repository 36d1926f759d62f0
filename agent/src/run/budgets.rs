//! What the agent may take for what it does, and what it took: measured all the time, over all its lives.
//!
//! # Defaults
//!
//! | operation | target | warn | critical | what is measured | why |
//! |---|---:|---:|---:|---|---|
//! | `startup` | 2 s | 3 s | 5 s | from the first look at the data folder until documents are taken | a person waits for it |
//! | `command` | 100 ms | 200 ms | 500 ms | an answer on the control socket that does not carry documents | what feels immediate |
//! | `health` | 100 ms | 1 s | 5 s | a look at everything | at 5 s a check is given up |
//! | `intake` | 250 ms | 500 ms | 1 s | taken files, from the first byte read until the disk confirmed all of them | a sync on the slowest disk we met takes 1 s |
//! | `document` | 250 ms | 500 ms | 1 s | one attempt to deliver, lookups included | one of many; four in a second look alive |
//! | `memory` | 64 MiB | 128 MiB | 256 MiB | what is resident, every ten seconds | a million queued documents take some 100 MiB, bodies on their way at most 32 |

use super::destination::AnyDestination;
use crate::exit::{Exit, Failure};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use mainstay_clock::SharedClock;
use mainstay_deliver::{Checking, Destination, Outcome, Outgoing, Sending};
use mainstay_queue::DocumentId;
use mainstay_work::{Budget, BudgetReport, Budgets, Bytes, Operation};
use std::sync::Arc;
use std::time::Duration;

/// The operations that the agent measures; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    all: Budgets,
    pub(super) startup: Operation<Duration>,
    pub(crate) command: Operation<Duration>,
    pub(crate) health: Operation<Duration>,
    pub(super) intake: Operation<Duration>,
    document: Operation<Duration>,
    pub(crate) memory: Operation<Bytes>,
}

impl Measured {
    /// Nothing was measured yet.
    ///
    /// # Errors
    /// There is no memory for the histograms.
    pub(super) fn new(clock: &SharedClock) -> Result<Self, Failure> {
        Self::define(clock).map_err(|error| {
            Failure::new(Exit::StartFailed, "the agent cannot measure what it does").because(error)
        })
    }

    fn define(clock: &SharedClock) -> Result<Self, mainstay_work::Error> {
        let all = Budgets::new(clock.clone());
        Ok(Self {
            startup: all.define("startup", Budget::STARTUP)?,
            command: all.define("command", Budget::UI_RESPONSE)?,
            health: all.define("health", Budget::ms(100, 1_000, 5_000))?,
            intake: all.define("intake", Budget::ITEM)?,
            document: all.define("document", Budget::ITEM)?,
            memory: all.define("memory", Budget::mib(64, 128, 256))?,
            all,
        })
    }

    /// All that was measured so far.
    pub(crate) fn report(&self) -> BudgetReport {
        self.all.report()
    }

    /// The destination, each of whose attempts is measured.
    pub(super) fn measuring(&self, destination: AnyDestination) -> AnyDestination {
        Arc::new(Timed {
            destination,
            document: self.document.clone(),
        })
    }
}

/// Answers a command, measured.
pub(crate) async fn measure_command(
    State(command): State<Operation<Duration>>,
    request: Request,
    next: Next,
) -> Response {
    let measuring = command.start();
    let response = next.run(request).await;
    if response.status().is_server_error() {
        measuring.fail();
    } else {
        measuring.finish();
    }
    response
}

#[derive(Debug)]
struct Timed {
    destination: AnyDestination,
    document: Operation<Duration>,
}

impl Destination for Timed {
    fn address(&self) -> &str {
        self.destination.address()
    }

    fn check<'a>(&'a self, route: &'a str) -> Checking<'a> {
        self.destination.check(route)
    }

    fn send(&self, document: Outgoing) -> Sending<'_> {
        Box::pin(async move {
            let measuring = self.document.start();
            let outcome = self.destination.send(document).await;
            match outcome {
                Outcome::Delivered | Outcome::AlreadyThere => measuring.finish(),
                _ => measuring.fail(),
            }
            outcome
        })
    }

    fn acknowledged(&self, id: DocumentId) {
        self.destination.acknowledged(id);
    }
}
