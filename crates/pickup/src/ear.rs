//! Waiting, without a thread, for the system to tell of something.

use crate::watch::Descriptor;
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Hears when a watch has something to read.
#[derive(Default)]
pub(crate) struct Ear {
    descriptor: Option<AsyncFd<Descriptor>>,
}

impl Ear {
    /// Listens to this descriptor from now on, or to none. It has to be called on a runtime.
    pub(crate) fn listen(&mut self, descriptor: Option<Descriptor>) {
        let heard = self.descriptor.as_ref().map(AsRawFd::as_raw_fd);
        let wanted = descriptor.as_ref().map(AsRawFd::as_raw_fd);
        // One that is heard is held open here, so a new one has another number.
        if heard != wanted {
            self.descriptor = descriptor.and_then(registered);
        }
    }

    /// Ready when there is something to read, which has to be read before this is asked again.
    pub(crate) async fn hear(&self) {
        if let Some(descriptor) = &self.descriptor
            && let Ok(mut ready) = descriptor.readable().await
        {
            // Forgotten before it is read, not after: what comes in between is told again.
            ready.clear_ready();
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Where the runtime cannot take it, files are found by the rescan only.
fn registered(descriptor: Descriptor) -> Option<AsyncFd<Descriptor>> {
    #[expect(
        unsafe_code,
        reason = "the runtime cannot check that a descriptor stays open; we can"
    )]
    // SAFETY: a `Descriptor` keeps its descriptor open for as long as it lives, and always answers with the same one.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    registered.ok()
}
