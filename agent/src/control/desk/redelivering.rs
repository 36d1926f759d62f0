//! Sending again what was delivered and is still kept.

use super::{Desk, unreadable};
use crate::control::views::{Document, Move, Redeliver, Redelivered, Verb};
use crate::exit::{Exit, Failure};
use crate::run::Course;
use crate::status::date;
use mainstay_queue::{DocumentId, Filter, LaneId, State};
use mainstay_work::Unit;

/// The documents that a dry run names, at most; the numbers count all.
const NAMED: usize = 100;

/// What was found for a wish, and what is to be said of it.
#[derive(Debug, Default)]
struct Found {
    targets: Vec<(DocumentId, LaneId)>,
    told: Redelivered,
}

impl Desk {
    /// Sends documents again, under the ids that they always had. Blocks.
    ///
    /// # Errors
    /// A lane or route is not known, nothing of that time is kept, the disk refuses, or it is to give up; what was moved before
    /// stays moved.
    pub(crate) fn redeliver(
        &self,
        wish: &Redeliver,
        course: &mut dyn Course,
    ) -> Result<Redelivered, Failure> {
        course.phase("looking up the documents", Unit::Items, None);
        let found = self.kept(wish)?;
        let mut told = found.told;
        if told.documents == 0 {
            return Err(nothing_kept(&told));
        }
        if wish.dry_run {
            return Ok(told);
        }
        told.named.clear();
        let moving = Move {
            verb: Verb::Retry,
            ids: Vec::new(),
            lane: None,
            reason: wish.reason.clone(),
        };
        let moved = self.move_all(&moving, found.targets, course)?;
        (told.documents, told.lanes) = (moved.documents, moved.lanes);
        tracing::info!(
            documents = told.documents,
            reason = wish.reason,
            "sent again by hand"
        );
        Ok(told)
    }

    /// The documents that were delivered in that time and are still kept. Blocks.
    fn kept(&self, wish: &Redeliver) -> Result<Found, Failure> {
        let lanes = self.lanes_of(wish)?;
        let filter = Filter {
            states: vec![State::Sent],
            limit: usize::MAX,
            ..Filter::default()
        };
        let listed = self
            .queue
            .list(&filter)
            .map_err(|error| unreadable("list the documents", error))?;
        let mut found = Found::default();
        let mut oldest: Option<u64> = None;
        for summary in listed {
            let mut is_meant = false;
            for here in &summary.lanes {
                let known = lanes.iter().find(|(_, name)| *name == here.lane);
                let (Some((lane, _)), State::Sent) = (known, here.state) else {
                    continue;
                };
                // One whose time nobody wrote down is sent once too often rather than not at all.
                let at = here.sent_at.unwrap_or(u64::MAX);
                oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
                let is_later = here.sent_at.is_some_and(|at| wish.until <= at);
                if wish.since <= at && !is_later {
                    found.targets.push((summary.id, *lane));
                    found.told.lanes += 1;
                    is_meant = true;
                }
            }
            if is_meant {
                found.told.documents += 1;
                found.told.bytes += summary.bytes;
                if found.told.named.len() < NAMED {
                    found.told.named.push(Document::from(summary));
                }
            }
        }
        found.told.dry_run = wish.dry_run;
        found.told.oldest_kept = oldest.filter(|at| *at != u64::MAX).map(date);
        found.told.is_cut_off = oldest.is_none_or(|oldest| wish.since < oldest);
        Ok(found)
    }

    /// The lanes that are meant, with their names.
    fn lanes_of(&self, wish: &Redeliver) -> Result<Vec<(LaneId, String)>, Failure> {
        let one = self.lane(wish.lane.as_deref())?;
        let lanes = self.queue.lanes();
        let route_of = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
        let meant: Vec<_> = lanes
            .iter()
            .filter(|lane| one.is_none_or(|one| one == lane.id))
            .filter(|lane| {
                let route = wish.route.as_ref();
                route.is_none_or(|route| *route == route_of(&lane.name))
            })
            .map(|lane| (lane.id, lane.name.clone()))
            .collect();
        match &wish.route {
            Some(route) if meant.is_empty() => {
                let mut known: Vec<String> =
                    lanes.iter().map(|lane| route_of(&lane.name)).collect();
                known.dedup();
                let failure =
                    Failure::new(Exit::NoSuchDocument, format!("there is no route `{route}`"));
                Err(failure.help(format!("routes: {}", known.join(", "))))
            }
            _ => Ok(meant),
        }
    }
}

fn nothing_kept(told: &Redelivered) -> Failure {
    let message =
        "no document that was delivered in that time is still kept, so nothing is sent again";
    let kept = match &told.oldest_kept {
        Some(oldest) => format!("the oldest that is kept was delivered at {oldest}"),
        None => "no delivered document is kept at all".to_owned(),
    };
    Failure::new(Exit::NothingChanged, message).help(format!(
        "{kept}: they stay for [queue] retain_after_ack (10min)\nearlier ones lie in the data folder's `archive`: put them into the drop folder again"
    ))
}
