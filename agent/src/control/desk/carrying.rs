//! Carrying documents to another queue, and from one.

use super::{Desk, unreadable};
use crate::control::views::Export;
use crate::exit::{Exit, Failure};
use mainstay_queue::{Error, ErrorKind, Exported, Filter, Imported, State};
use std::io::{Read, Write};

/// What is carried where no state is named: everything that still has to arrive.
const UNDELIVERED: [State; 4] = [State::Ready, State::Leased, State::Waiting, State::Dead];

impl Desk {
    /// Writes documents as a tar archive. Blocks.
    ///
    /// # Errors
    /// No such lane, or the queue cannot be read or the archive not be written; the archive is then incomplete.
    pub(crate) fn export(&self, wish: &Export, archive: impl Write) -> Result<Exported, Failure> {
        let filter = Filter {
            lane: self.lane(wish.lane.as_deref())?,
            states: wish
                .state
                .map_or_else(|| UNDELIVERED.to_vec(), |state| vec![state]),
            limit: usize::MAX,
            ..Filter::default()
        };
        self.queue
            .export(&filter, archive)
            .map_err(|error| unreadable("export the documents", error))
    }

    /// Stores the documents of an archive, each once. Blocks.
    ///
    /// # Errors
    /// The archive is not one of ours or is cut off, or the queue has no room; what came before is stored.
    pub(crate) fn import(&self, archive: impl Read) -> Result<Imported, Failure> {
        self.queue.import(archive).map_err(not_imported)
    }
}

fn not_imported(error: Error) -> Failure {
    let again = "import the same archive again: nothing is stored twice";
    match error.kind() {
        ErrorKind::Invalid => Failure::new(Exit::NoInput, "cannot read the archive to its end")
            .help(format!(
                "`mainstay queue export` writes such archives; with a whole one, {again}"
            )),
        _ => Failure::new(
            Exit::NotTaken,
            "the queue did not take all documents of the archive; those before are stored",
        )
        .help(format!("`mainstay status` says why; then {again}")),
    }
    .because(error)
}
