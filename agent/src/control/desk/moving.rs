//! Moving documents by hand.

use super::{Desk, no_such, parsed, unreadable};
use crate::control::views::{Move, Moved, Verb};
use crate::exit::{Exit, Failure};
use crate::run::Course;
use futures_util::StreamExt;
use mainstay_clock::block_on;
use mainstay_queue::{DocumentId, ErrorKind, Filter, LaneId, State};
use mainstay_work::Unit;
use std::collections::HashSet;

/// So many documents are moved at once: one flush of the disk covers them.
const AT_ONCE: usize = 256;

impl Desk {
    /// Moves documents by hand. Blocks.
    ///
    /// # Errors
    /// A document or lane is not known, nothing fits the verb, the disk refuses, or it is to give up; what was moved before stays
    /// moved.
    pub(crate) fn change(&self, wish: &Move, course: &mut dyn Course) -> Result<Moved, Failure> {
        let lane = self.lane(wish.lane.as_deref())?;
        if wish.ids.is_empty() && wish.verb == Verb::Discard && lane.is_none() {
            return Err(Failure::new(Exit::Usage, "to discard all documents at once, name their lane")
                .help("add --lane ROUTE/DESTINATION, or use `mainstay dead discard --all` for the dead letters"));
        }
        course.phase("looking up the documents", Unit::Items, None);
        let targets = self.targets(wish, lane)?;
        let moved = self.move_all(wish, targets, course)?;
        if moved.lanes == 0 {
            let message = format!(
                "no document is in a state that `{}` fits, so nothing was changed",
                wish.verb.word()
            );
            return Err(
                Failure::new(Exit::NothingChanged, message).help("look with `mainstay queue list`")
            );
        }
        tracing::info!(
            verb = wish.verb.word(),
            documents = moved.documents,
            reason = wish.reason,
            "moved by hand"
        );
        Ok(moved)
    }

    /// Moves each of these, and counts what was moved. Blocks.
    pub(super) fn move_all(
        &self,
        wish: &Move,
        targets: Vec<(DocumentId, LaneId)>,
        course: &mut dyn Course,
    ) -> Result<Moved, Failure> {
        course.phase("moving", Unit::Items, Some(targets.len() as u64));
        let moving = targets
            .into_iter()
            .map(|(id, lane)| self.move_one(wish, id, lane));
        // Many at once share a flush of the disk.
        let mut moving = futures_util::stream::iter(moving).buffer_unordered(AT_ONCE);
        let mut moved = Moved::default();
        let mut ids = HashSet::new();
        block_on(async {
            while let Some(done) = moving.next().await {
                let (id, lanes) = done?;
                if lanes > 0 {
                    ids.insert(id);
                }
                moved.lanes += lanes;
                course.done(1)?;
            }
            Ok::<(), Failure>(())
        })?;
        moved.documents = ids.len() as u64;
        Ok(moved)
    }

    /// Moves one document on one lane; answers which, and on how many lanes it was moved.
    async fn move_one(
        &self,
        wish: &Move,
        id: DocumentId,
        lane: LaneId,
    ) -> Result<(DocumentId, u64), Failure> {
        let (queue, lane, reason) = (&self.queue, Some(lane), &wish.reason);
        let done = match wish.verb {
            Verb::Retry | Verb::Replay => queue.revive(id, lane, reason).await,
            Verb::Bury => queue.bury(id, lane, reason).await,
            Verb::Discard | Verb::DiscardDead => queue.discard(id, lane, reason).await,
        };
        match done {
            Ok(lanes) => Ok((id, lanes as u64)),
            // Delivered, or moved by somebody else, since it was looked up.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok((id, 0)),
            Err(error) => Err(unreadable("move the document", error)),
        }
    }

    /// The documents and lanes that a verb is about.
    fn targets(
        &self,
        wish: &Move,
        lane: Option<LaneId>,
    ) -> Result<Vec<(DocumentId, LaneId)>, Failure> {
        let states = wish.verb.fits(wish.ids.is_empty());
        let found = if wish.ids.is_empty() {
            let filter = Filter {
                lane,
                states: states.to_vec(),
                limit: usize::MAX,
                ..Filter::default()
            };
            self.queue
                .list(&filter)
                .map_err(|error| unreadable("list the documents", error))?
        } else {
            let look = |id: &String| {
                let detail = self
                    .queue
                    .get(parsed(id)?)
                    .map_err(|error| unreadable("read the document", error))?;
                detail
                    .map(|detail| detail.summary)
                    .ok_or_else(|| no_such(id))
            };
            wish.ids.iter().map(look).collect::<Result<_, _>>()?
        };
        let lanes = self.queue.lanes();
        let mut targets = Vec::new();
        for summary in found {
            for here in summary
                .lanes
                .iter()
                .filter(|here| states.contains(&here.state))
            {
                let known = lanes.iter().find(|known| known.name == here.lane);
                targets.extend(
                    known
                        .filter(|known| lane.is_none_or(|lane| lane == known.id))
                        .map(|known| (summary.id, known.id)),
                );
            }
        }
        Ok(targets)
    }
}

impl Verb {
    /// The word on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Replay => "replay",
            Self::Bury => "bury",
            Self::Discard | Self::DiscardDead => "discard",
        }
    }

    /// The states it changes. What was sent is sent again only where it is named, never with all others.
    fn fits(self, all: bool) -> &'static [State] {
        match self {
            Self::Retry if all => &[State::Waiting, State::Dead],
            Self::Retry => &[State::Waiting, State::Dead, State::Sent],
            Self::Replay | Self::DiscardDead => &[State::Dead],
            Self::Bury => &[State::Ready, State::Leased, State::Waiting],
            Self::Discard => &[State::Ready, State::Leased, State::Waiting, State::Dead],
        }
    }
}
